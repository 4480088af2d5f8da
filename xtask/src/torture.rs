//! What goes wrong on machines, done to our tools on purpose, again and again.
//!
//! A trial is survived when the tool ended as its contract says: a whole document
//! or none, a file as it was or as it was to be, an exit code of 0, 1 or 2, in
//! bounded time, without a panic. Anything else is lost, and none may be.

mod arena;
mod child;
mod clock;
mod files;
mod history;
mod lies;
mod machine;
mod store;
mod streams;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bench::random::{self, Random};
use detect::arguments::Common;
use detect::report::{Hint, say};
use detect::{human, stage};

use crate::command;
use arena::Arena;

/// How a trial ended.
enum Outcome {
    /// As it must.
    Survived,
    /// Otherwise: what was done, and what came of it.
    Lost(String),
    /// Nowhere, since this machine cannot do it.
    Skipped(&'static str),
}

/// One trial, of which everything random follows from the numbers.
type Trial = fn(&Arena, &mut Random) -> Result<Outcome>;

/// What is tried, by what goes wrong.
const TRIALS: [(&str, Trial); 16] = [
    ("kill -9 of a writer", files::killed),
    ("full disk", files::full),
    ("read-only root", files::read_only),
    ("document cut off", streams::cut),
    ("document garbled", streams::garbled),
    ("1-byte pipes", streams::by_bytes),
    ("signals", streams::signals),
    ("stdin, stdout, stderr closed or full", streams::closed),
    ("/proc vanishing mid-read", machine::vanishing),
    ("processes coming and going", machine::churning),
    ("kill -9 of a recorder", history::killed),
    ("history corrupt", history::corrupt),
    ("history locked", history::locked),
    ("history of 10,000 derivations", history::big),
    ("clock set years forth and back", clock::jumping),
    ("caches that lie", lies::lying),
];

/// What is tried of stores that are as large as any.
const LARGE: [(&str, Trial); 2] =
    [("store of 1,000,000 paths", store::status), ("its roots", store::roots)];

/// What came of all trials of a kind.
struct Row {
    name: &'static str,
    tried: u32,
    lost: Vec<String>,
    peak_bytes: u64,
    skipped: Option<&'static str>,
}

/// Try everything for so long, and sum up.
pub(crate) fn run(seconds: u64, seed: Option<u64>, large: bool) -> Result<()> {
    command::build_ours()?;
    let seed = seed.unwrap_or_else(random::seed);
    say(&format!("torture: {seconds} s with --seed {seed}"));
    let arena = Arena::new()?;
    let started = Instant::now();
    let share = Duration::from_secs(seconds) / u32::try_from(TRIALS.len())?;
    let more: &[(&str, Trial)] = if large { &LARGE } else { &[] };
    let mut rows = Vec::new();
    for (name, trial) in TRIALS.iter().chain(more) {
        // Each kind has numbers of its own, however often the others are tried.
        let mut random = Random::new(seed);
        let end = Instant::now() + share;
        let mut row = Row { name, tried: 0, lost: Vec::new(), peak_bytes: 0, skipped: None };
        arena.forget_peak();
        loop {
            row.tried += 1;
            match trial(&arena, &mut random)? {
                Outcome::Survived => {}
                Outcome::Lost(why) => row.lost.push(format!("trial {}: {why}", row.tried)),
                Outcome::Skipped(why) => {
                    row.skipped = Some(why);
                    row.tried -= 1;
                }
            }
            if Instant::now() > end || row.skipped.is_some() {
                break;
            }
        }
        row.peak_bytes = arena.peak();
        rows.push(row);
    }
    sum_up(&rows, started.elapsed(), seed)
}

fn sum_up(rows: &[Row], took: Duration, seed: u64) -> Result<()> {
    let lost: usize = rows.iter().map(|row| row.lost.len()).sum();
    let tried: u32 = rows.iter().map(|row| row.tried).sum();
    stage::write_human(&table(rows, took), &Common::default())?;
    if lost > 0 {
        let hint = Hint::new(&format!("again: cargo xtask torture --seed {seed}"));
        let error = anyhow::anyhow!("torture: {lost} of {tried} trials lost");
        return Err(error.context(hint));
    }
    if tried == 0 {
        bail!("torture: nothing was tried");
    }
    Ok(())
}

fn table(rows: &[Row], took: Duration) -> String {
    let mut text =
        format!("{:<37}{:>7}{:>10}{:>6}{:>13}\n", "", "tried", "survived", "lost", "peak memory");
    let mut all = (0, 0, 0);
    for row in rows {
        if let Some(why) = row.skipped {
            text += &format!("{:<37}  SKIPPED: {why}\n", row.name);
            continue;
        }
        let lost = u32::try_from(row.lost.len()).unwrap_or(u32::MAX);
        text += &line(row.name, row.tried, lost, row.peak_bytes);
        all = (all.0 + row.tried, all.1 + lost, all.2.max(row.peak_bytes));
    }
    text += &line(&format!("all, in {:.0} s", took.as_secs_f64()), all.0, all.1, all.2);
    for row in rows {
        // One tells as much as a hundred of the same.
        for why in row.lost.iter().take(3) {
            text += &format!("\nlost: {}: {why}", row.name);
        }
    }
    text.trim_end().to_owned() + "\n"
}

fn line(name: &str, tried: u32, lost: u32, peak: u64) -> String {
    format!("{name:<37}{tried:>7}{:>10}{lost:>6}{:>13}\n", tried - lost, human::size(peak))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Row, sum_up, table};

    #[test]
    fn what_was_lost_is_counted_and_fails() {
        let row = |lost: Vec<String>, skipped| Row {
            name: "full disk",
            tried: 3,
            lost,
            peak_bytes: 1 << 20,
            skipped,
        };
        let took = Duration::from_secs(2);
        let text = table(&[row(vec!["trial 2: it".to_owned()], None)], took);
        assert!(text.ends_with("\nlost: full disk: trial 2: it\n"), "{text}");
        assert!(text.contains("      3         2     1        1 MiB\n"), "{text}");
        assert!(sum_up(&[row(vec![String::new()], None)], took, 1).is_err());
        let skipped = Row { tried: 0, ..row(Vec::new(), Some("needs root")) };
        assert!(table(&[skipped], took).contains("SKIPPED: needs root"));
        assert!(sum_up(&[], took, 1).is_err(), "nothing was tried");
    }
}
