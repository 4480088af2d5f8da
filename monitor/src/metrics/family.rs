//! Which metrics there are, and what they are called.
//!
//! Names follow <https://prometheus.io/docs/practices/naming>: one prefix, base
//! units, `_total` for what only grows.

use std::collections::BTreeMap;

use super::Facts;
use crate::history::tally::{BOUNDS, Tally};
use crate::recorded::Outcome;
use crate::report::unit::float;
use crate::store::Amount;

/// Caches with series of their own; anybody can sign.
const MOST_CACHES: usize = 50;

/// What kind of figure a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows.
    Counter,
    /// Counts by size.
    Histogram,
    /// Is always 1, and tells by its labels.
    Info,
}

/// A metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, without what the kind adds to it.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// What it counts in, with which its name ends.
    pub unit: Option<&'static str>,
    /// What it is.
    pub help: &'static str,
    /// Its values.
    pub samples: Vec<Sample>,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What follows the name, e.g. `_total`.
    pub suffix: &'static str,
    /// Its labels.
    pub labels: Vec<(&'static str, String)>,
    /// It.
    pub value: f64,
}

fn sample(suffix: &'static str, labels: &[(&'static str, &str)], value: f64) -> Sample {
    let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Sample { suffix, labels, value }
}

/// All metrics of which anything is known.
pub fn families(facts: &Facts) -> Vec<Family> {
    let mut families = Vec::new();
    let mut add = |kind, name, unit, help, samples: Vec<Sample>| {
        if !samples.is_empty() {
            families.push(Family { name, kind, unit, help, samples });
        }
    };
    let one = |value: Option<f64>| value.map(|value| sample("", &[], value)).into_iter().collect();

    let version = facts.version.as_deref();
    let info = version.map(|version| sample("_info", &[("version", version)], 1.0));
    add(Kind::Info, "nix", None, "The installed Nix.", info.into_iter().collect());

    let store = facts.store.as_ref();
    let origins = |of: fn(&Amount) -> u64| {
        let origins = store.into_iter().flat_map(|store| &store.origins);
        let each = origins
            .map(|(origin, amount)| sample("", &[("origin", origin.name())], float(of(amount))));
        each.collect()
    };
    let help = "Paths in the store, by how they came to it.";
    add(Kind::Gauge, "nix_store_paths", None, help, origins(|amount| amount.paths));
    let help = "Size of the store's paths unpacked, before identical files are linked.";
    add(
        Kind::Gauge,
        "nix_store_nar_bytes",
        Some("bytes"),
        help,
        origins(|amount| amount.nar_bytes),
    );
    let dead = facts.kept.map(|kept| float(kept.dead.nar_bytes));
    let help = "Size unpacked of the store's paths that no root keeps.";
    add(Kind::Gauge, "nix_store_dead_bytes", Some("bytes"), help, one(dead));
    let registered = store.map(|store| sample("_total", &[], float(store.registered_paths)));
    let help = "Paths ever registered in the store, those that were collected too.";
    add(Kind::Counter, "nix_store_registered_paths", None, help, registered.into_iter().collect());

    let active = facts.active.map(|active| float(active as u64));
    add(Kind::Gauge, "nix_builds_active", None, "Builds that are running.", one(active));
    if let Some(guard) = &facts.guard {
        let total = |value| vec![sample("_total", &[], value)];
        let help = "Builds held by the guard before they began.";
        add(Kind::Counter, "nix_guard_holds", None, help, total(float(guard.holds)));
        let help = "Builds frozen by the guard while they ran.";
        add(Kind::Counter, "nix_guard_freezes", None, help, total(float(guard.freezes)));
        let help = "How long builds were stopped by the guard.";
        let seconds = Some("seconds");
        let stopped = total(guard.stopped_seconds);
        add(Kind::Counter, "nix_guard_stopped_seconds", seconds, help, stopped);
        let help = "Builds that are stopped by the guard.";
        add(Kind::Gauge, "nix_guard_stopped", None, help, one(Some(float(guard.stopped))));
        let help = "The most that builds held at once were expected to need.";
        let spared = one(Some(float(guard.spared_bytes)));
        add(Kind::Gauge, "nix_guard_spared_bytes", Some("bytes"), help, spared);
        let help = "Whether the guard is at work.";
        let running = one(Some(f64::from(u8::from(guard.is_running))));
        add(Kind::Gauge, "nix_guard_running", None, help, running);
    }
    if let Some(tallies) = &facts.builds {
        let help = "Builds that ended, by how: of those that were recorded.";
        add(Kind::Counter, "nix_builds", None, help, totals(tallies));
        let help = "How long builds took, by how they ended.";
        add(Kind::Histogram, "nix_build_seconds", Some("seconds"), help, histogram(tallies));
    }

    let built = facts.built_paths.map(|paths| sample("_total", &[], float(paths)));
    let help = "Paths that were built here.";
    add(Kind::Counter, "nix_built_paths", None, help, built.into_iter().collect());
    if let Some(caches) = &facts.substituted {
        let each = |of: fn(&Amount) -> u64| {
            let caches = bounded(caches).into_iter();
            caches
                .map(|(name, amount)| sample("_total", &[("cache", name)], float(of(&amount))))
                .collect()
        };
        let help = "Paths that came from caches, by the name of the key that signed them.";
        add(Kind::Counter, "nix_substitutions", None, help, each(|amount| amount.paths));
        let help = "Size unpacked of the paths that came from caches.";
        let bytes = each(|amount| amount.nar_bytes);
        add(Kind::Counter, "nix_substituted_nar_bytes", Some("bytes"), help, bytes);
    }
    let help = "When a snapshot was last taken, in seconds since 1970.";
    let name = "nix_perf_last_run_timestamp_seconds";
    add(Kind::Gauge, name, Some("seconds"), help, one(facts.last_snapshot));
    families
}

/// How an outcome is called in a label.
fn label(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Built) => "built",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        None => "unknown",
    }
}

fn by_outcome(tallies: &[Tally]) -> BTreeMap<&'static str, Vec<&Tally>> {
    // Those of which there are none are 0, so that a first failure is seen as a rise.
    let mut outcomes: BTreeMap<_, Vec<_>> =
        ["built", "failed", "cancelled", "unknown"].map(|name| (name, Vec::new())).into();
    for tally in tallies {
        outcomes.entry(label(tally.outcome)).or_default().push(tally);
    }
    outcomes
}

fn totals(tallies: &[Tally]) -> Vec<Sample> {
    let total = |(name, tallies): (&'static str, Vec<&Tally>)| {
        let builds = tallies.iter().map(|tally| tally.builds).fold(0, u64::saturating_add);
        sample("_total", &[("outcome", name)], float(builds))
    };
    by_outcome(tallies).into_iter().map(total).collect()
}

fn histogram(tallies: &[Tally]) -> Vec<Sample> {
    let mut samples = Vec::new();
    for (name, tallies) in by_outcome(tallies) {
        let known = || tallies.iter().filter_map(|tally| Some((tally.within_seconds?, tally)));
        let within = |bound: f64| {
            let below = known().filter(|(within, _)| *within <= bound);
            float(below.map(|(_, tally)| tally.builds).fold(0, u64::saturating_add))
        };
        let outcome = ("outcome", name);
        for bound in BOUNDS {
            let labels = [outcome, ("le", &format!("{bound}.0"))];
            samples.push(sample("_bucket", &labels, within(f64::from(bound))));
        }
        let all = within(f64::INFINITY);
        samples.push(sample("_bucket", &[outcome, ("le", "+Inf")], all));
        // The sum of nothing would be -0.
        let sum = known().map(|(_, tally)| tally.wall_seconds).fold(0.0, |sum, one| sum + one);
        samples.push(sample("_sum", &[outcome], sum));
        samples.push(sample("_count", &[outcome], all));
    }
    samples
}

/// So many caches at most: those that gave most; all others are one.
fn bounded(caches: &BTreeMap<String, Amount>) -> Vec<(&str, Amount)> {
    let mut ranked: Vec<(&str, Amount)> =
        caches.iter().map(|(name, amount)| (name.as_str(), *amount)).collect();
    ranked.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.paths));
    let rest = ranked.split_off(ranked.len().min(MOST_CACHES));
    if !rest.is_empty() {
        let sum = rest.iter().fold(Amount::default(), |sum, (_, amount)| Amount {
            paths: sum.paths.saturating_add(amount.paths),
            nar_bytes: sum.nar_bytes.saturating_add(amount.nar_bytes),
        });
        ranked.push(("", sum));
    }
    ranked.sort_by_key(|(name, _)| *name);
    ranked
}
