//! `monitor costs`: what builds have cost, by package, in the document that
//! `profile --costs` plans by.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use detect::arguments::Common;
use detect::hardware::Note;
use detect::number::Version;
use detect::{report, stage};
use profile::costs::{Cost, Costs};

use crate::history::Place;
use crate::history::attempt::{Attempt, last_built, times_built};
use crate::snapshot::past;
use crate::store;

mod fit;
mod needs;
#[cfg(test)]
mod tests;

/// How many builds of a package count: what it is now, not what it once was.
const LAST: u32 = 5;

/// Most packages that `profile` takes.
const MOST_PACKAGES: usize = 10_000;

/// More seconds than a build takes.
const LONGEST_SECONDS: f64 = 1e7;

/// What builds have cost
#[derive(Args, Debug)]
pub struct Command {
    /// Print JSON (the only form there is)
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Print them.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let past = past(&self.place)?;
        let (attempts, times) =
            past.ask(|connection| Ok((last_built(connection, LAST)?, times_built(connection)?)))?;
        let mut costs = costs(&attempts, &times);
        let drvs = latest(&attempts, &costs);
        match needs::needs(&store::place(), &drvs) {
            Ok(needs) => {
                for (package, needs) in needs {
                    if let Some(cost) = costs.packages.get_mut(&package) {
                        cost.needs = needs;
                    }
                }
            }
            Err(error) => {
                let why = format!("no order of builds: {}", report::reason(&error));
                self.common.tell(&[Note::warning("needs-unknown", why)]);
            }
        }
        stage::write(&costs, &self.common)
    }
}

/// What each package has cost, by its attempts, which are together and the last
/// first.
pub fn costs(attempts: &[Attempt], times: &BTreeMap<String, u32>) -> Costs {
    let is_sane = |attempt: &&Attempt| {
        attempt.wall_seconds.is_some_and(|wall| (0.0..=LONGEST_SECONDS).contains(&wall))
            && attempt.cpu_seconds.is_none_or(|cpu| (0.0..=LONGEST_SECONDS).contains(&cpu))
            && !attempt.pname.is_empty()
            && !attempt.pname.contains(char::is_control)
    };
    let mut packages: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts.iter().filter(is_sane) {
        packages.entry(&attempt.pname).or_default().push(attempt);
    }
    let cost = |(name, attempts): (&str, Vec<&Attempt>)| {
        let seen = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        let builds = times.get(name).copied().unwrap_or(0).max(seen).try_into().ok()?;
        let wall_seconds = fit::median(attempts.iter().filter_map(|found| found.wall_seconds))?;
        let parallelism = attempts.iter().filter_map(|found| {
            let wall = found.wall_seconds.filter(|&wall| wall > 0.0)?;
            Some(found.cpu_seconds? / wall)
        });
        let fitted = fit::memory(&attempts);
        let cost = Cost {
            builds,
            wall_seconds,
            cpu_seconds: fit::median(attempts.iter().filter_map(|found| found.cpu_seconds)),
            parallelism: fit::median(parallelism),
            peak_memory_bytes: fit::ninth_tenth(
                attempts.iter().filter_map(|found| found.peak_memory_bytes),
            ),
            base_memory_bytes: fitted.map(|fitted| fitted.base_bytes),
            slot_memory_bytes: fitted.map(|fitted| fitted.slot_bytes),
            width: None,
            // Nobody watches build directories fill.
            build_bytes: None,
            build_files: None,
            needs: Vec::new(),
        };
        Some((name.to_owned(), cost))
    };
    let mut found: Vec<(String, Cost)> = packages.into_iter().filter_map(cost).collect();
    // Of too many, those that take longest matter.
    found.sort_by(|(_, one), (_, other)| other.wall_seconds.total_cmp(&one.wall_seconds));
    found.truncate(MOST_PACKAGES);
    Costs { version: Version, packages: found.into_iter().collect() }
}

/// The derivation that each of these packages was last built by.
fn latest<'a>(attempts: &'a [Attempt], costs: &Costs) -> BTreeMap<&'a str, &'a str> {
    let mut drvs = BTreeMap::new();
    for attempt in attempts.iter().filter(|found| costs.packages.contains_key(&found.pname)) {
        drvs.entry(attempt.pname.as_str()).or_insert(attempt.drv.as_str());
    }
    drvs
}
