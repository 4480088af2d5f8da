//! Runs, one after the other, until they say enough.

use std::io::IsTerminal;
use std::time::Instant;

use anyhow::Result;
use detect::arguments::Common;
use detect::hardware::Note;
use detect::number::Version;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::compared::{Compared, Configuration, Measured, Run, ratios};
use crate::configuration::lines;
use crate::interrupt::Interrupt;
use crate::pairs::{LEAST_PAIRS, Order, Rules, Side, Stopped, Watch};
use crate::sample::Sample;
use crate::statistics::{Verdict, estimate, outliers};
use crate::subject::Prepared;

/// What every measurement needs.
#[derive(Debug)]
pub struct Bench<'a> {
    /// When enough has been measured.
    pub rules: Rules,
    /// What the order of runs comes from.
    pub seed: u64,
    /// The wish to stop.
    pub interrupt: &'a Interrupt,
    /// How far it is.
    pub bar: ProgressBar,
}

/// One of the two: what is run, and with which settings.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    /// What is run.
    pub prepared: &'a Prepared,
    /// With which settings.
    pub configuration: Configuration,
}

impl Contender<'_> {
    fn run(&self, interrupt: &Interrupt, pair: u32, side: Side) -> Result<Option<Run>> {
        let sample = self.prepared.sample(&lines(&self.configuration.settings), interrupt)?;
        let Some(sample) = sample else { return Ok(None) };
        let seconds = rounded(self.prepared.seconds(&sample));
        let Sample { wall_seconds, builds, cpu_seconds, peak_memory_bytes, disturbance, .. } =
            sample;
        let builds = (builds > 0).then_some(builds);
        let cpu_seconds = cpu_seconds.map(rounded);
        let wall_seconds = rounded(wall_seconds);
        Ok(Some(Run {
            pair,
            side,
            seconds,
            wall_seconds,
            cpu_seconds,
            peak_memory_bytes,
            builds,
            disturbance,
        }))
    }
}

/// To a microsecond: more digits would be noise.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// A bar on stderr with the time left, gone when it is done; nothing where stderr is
/// no terminal.
pub fn bar(what: &'static str, most: usize, common: &Common) -> ProgressBar {
    if common.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len}, at most {eta} left");
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(most), ProgressDrawTarget::stderr_with_hz(5));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar
}

impl Bench<'_> {
    /// Compare B with A. `save` may ask what is known after each pair.
    pub fn compare(
        &self,
        [a, b]: [&Contender; 2],
        notes: &[Note],
        save: &mut dyn FnMut(&dyn Fn() -> Compared) -> Result<()>,
    ) -> Result<Compared> {
        let mut order = Order::new(self.seed);
        let mut sides = || order.pair().to_vec();
        let run = |pair, side| match side {
            Side::A => a.run(self.interrupt, pair, side),
            Side::B => b.run(self.interrupt, pair, side),
        };
        let figures = |runs: &[Run]| ratios(runs, |run| Some(run.seconds));
        let document = |runs: &[Run], stopped| {
            let ratios = figures(runs);
            let found = estimate(&ratios);
            let cpu = crate::compared::ratios(runs, |run| run.cpu_seconds);
            let far = outliers(&ratios).into_iter().filter_map(|at| u32::try_from(at + 1).ok());
            Compared {
                version: Version,
                subject: a.prepared.subject.clone(),
                other: (a.prepared.subject != b.prepared.subject)
                    .then(|| b.prepared.subject.clone()),
                a: a.configuration.clone(),
                b: b.configuration.clone(),
                verdict: if ratios.len() < LEAST_PAIRS {
                    Verdict::NoDifferenceShown
                } else {
                    Verdict::of(found.as_ref())
                },
                ratio: found.map(|found| found.value),
                interval: found.map(|found| found.interval),
                cpu: estimate(&cpu),
                pairs: u32::try_from(ratios.len()).unwrap_or(u32::MAX),
                outliers: far.collect(),
                seed: self.seed,
                stopped,
                runs: runs.to_vec(),
                notes: [notes, &remarks(runs)].concat(),
            }
        };
        let mut after = |runs: &[Run]| save(&|| document(runs, Stopped::Interrupted));
        let (runs, stopped) = self.rounds(&mut sides, run, figures, &mut after)?;
        Ok(document(&runs, stopped))
    }

    /// Measure one configuration.
    pub fn measure(
        &self,
        one: &Contender,
        notes: &[Note],
        save: &mut dyn FnMut(&dyn Fn() -> Measured) -> Result<()>,
    ) -> Result<Measured> {
        let mut sides = || vec![Side::A];
        let run = |pair, side| one.run(self.interrupt, pair, side);
        let figures = |runs: &[Run]| {
            let counted = runs.iter().filter(|run| run.pair > 0);
            counted.map(|run| run.seconds).collect::<Vec<f64>>()
        };
        let document = |runs: &[Run], stopped| Measured {
            version: Version,
            subject: one.prepared.subject.clone(),
            configuration: one.configuration.clone(),
            seconds: estimate(&figures(runs)),
            seed: self.seed,
            stopped,
            runs: runs.to_vec(),
            notes: [notes, &remarks(runs)].concat(),
        };
        let mut after = |runs: &[Run]| save(&|| document(runs, Stopped::Interrupted));
        let (runs, stopped) = self.rounds(&mut sides, run, figures, &mut after)?;
        Ok(document(&runs, stopped))
    }

    /// Run what `sides` says, again and again; the first round warms up, and is no
    /// part of what is looked at.
    fn rounds(
        &self,
        sides: &mut dyn FnMut() -> Vec<Side>,
        mut run: impl FnMut(u32, Side) -> Result<Option<Run>>,
        figures: impl Fn(&[Run]) -> Vec<f64>,
        after: &mut dyn FnMut(&[Run]) -> Result<()>,
    ) -> Result<(Vec<Run>, Stopped)> {
        let began = Instant::now();
        let mut watch = Watch::new(self.rules);
        let mut runs = Vec::new();
        for round in 0.. {
            for side in sides() {
                match run(round, side)? {
                    Some(run) => runs.push(run),
                    None => return Ok((runs, Stopped::Interrupted)),
                }
            }
            after(&runs)?;
            self.bar.set_position(u64::from(round));
            if round > 0
                && let Some(stopped) = watch.enough(&figures(&runs), began.elapsed())
            {
                self.bar.finish_and_clear();
                return Ok((runs, stopped));
            }
        }
        Ok((runs, Stopped::MostPairs))
    }
}

/// What to know of some runs.
fn remarks(runs: &[Run]) -> Vec<Note> {
    let counted = || runs.iter().filter(|run| run.pair > 0);
    let all = counted().count();
    let mut notes = Vec::new();
    let disturbed = counted().filter(|run| run.disturbance.is_notable()).count();
    if disturbed > 0 {
        let text = format!(
            "others took part of the machine in {disturbed} of {all} runs, which count like the rest"
        );
        notes.push(Note::warning("disturbed", text));
    }
    let short = counted().filter(|run| run.seconds < SHORT_SECONDS).count();
    if short > 0 {
        let text = format!(
            "{short} of {all} runs took less than {SHORT_SECONDS} s, of which Nix's own work is a \
             large part"
        );
        notes.push(Note::info("short", text));
    }
    notes
}

/// Nix itself takes some tens of milliseconds for each build.
const SHORT_SECONDS: f64 = 0.5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Bench;
    use crate::compared::{Disturbance, Run};
    use crate::interrupt::Interrupt;
    use crate::pairs::{Rules, Side, Stopped};

    fn run(pair: u32, side: Side) -> Run {
        Run {
            pair,
            side,
            seconds: 1.0,
            wall_seconds: 1.0,
            cpu_seconds: None,
            peak_memory_bytes: None,
            builds: None,
            disturbance: Disturbance::default(),
        }
    }

    fn bench(interrupt: &Interrupt) -> Bench<'_> {
        let rules = Rules { time: Duration::from_secs(60), ..Rules::default() };
        Bench { rules, seed: 1, interrupt, bar: indicatif::ProgressBar::hidden() }
    }

    #[test]
    fn the_first_round_warms_up() {
        let interrupt = Interrupt::default();
        let mut saved = Vec::new();
        let (runs, stopped) = bench(&interrupt)
            .rounds(
                &mut || vec![Side::A, Side::B],
                |pair, side| Ok(Some(run(pair, side))),
                |runs| vec![1.0; runs.len() / 2 - 1],
                &mut |runs| {
                    saved.push(runs.len());
                    Ok(())
                },
            )
            .expect("runs");
        assert_eq!((runs.len(), stopped), (18, Stopped::Precise), "8 pairs and one that warms up");
        assert_eq!(saved, [2, 4, 6, 8, 10, 12, 14, 16, 18]);
    }

    #[test]
    fn what_was_measured_until_an_interruption_is_kept() {
        let interrupt = Interrupt::default();
        let mut left = 7;
        let result = bench(&interrupt).rounds(
            &mut || vec![Side::A, Side::B],
            |pair, side| {
                left -= 1;
                Ok((left > 0).then(|| run(pair, side)))
            },
            |_| Vec::new(),
            &mut |_| Ok(()),
        );
        let (runs, stopped) = result.expect("runs");
        assert_eq!((runs.len(), stopped), (6, Stopped::Interrupted));
    }
}
