//! The Costs document: what builds have cost on a machine, by package, and the
//! jobs and cores that follow from it.
//!
//! Here rather than with `monitor`, which records it, since `profile` reads it
//! and depends on nothing that comes later.
//!
//! **Invariant:** a figure that was not measured is `null`, and assumed as the
//! study assumed it; no build is predicted to need less memory than it was
//! seen to; and where the record is thin or the gain small, the rule stands.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use anyhow::{Context, Result};
use detect::hardware::{Hardware, Note};
use detect::human::{count, size};
use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::simulate::{Settings, search, simulate};
use crate::sizing::{GIB, POLICY, Sizes};

mod predict;

pub use predict::{graph, machine};

/// Fewest recorded builds to plan by.
const LEAST_BUILDS: u64 = 20;

/// The least gain for which the rule is left: 5 %, about the error of the
/// simulation beside real builds.
const LEAST_GAIN: f64 = 1.05;

/// The share of memory that predicted peaks may take. Predictions err by some
/// 30 %, and seldom all at once.
const SHARE: f64 = 0.75;

/// What builds have cost on a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Version of this document's format.
    pub version: Version<1>,
    /// By package name without its version, e.g. `firefox`.
    pub packages: BTreeMap<String, Cost>,
}

/// What building a package has cost, over its last builds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Builds recorded.
    pub builds: NonZeroU32,
    /// Time from start to end: the median.
    pub wall_seconds: f64,
    /// CPU time of all its processes: the median.
    pub cpu_seconds: Option<f64>,
    /// Threads that computed at once, on average: CPU time by time.
    pub parallelism: Option<f64>,
    /// Most memory of all its processes together: nine builds of ten needed no
    /// more.
    pub peak_memory_bytes: Option<u64>,
    /// Memory besides that of its threads, fitted over builds with different
    /// `cores`.
    pub base_memory_bytes: Option<u64>,
    /// Memory of each of its threads, fitted likewise.
    pub slot_memory_bytes: Option<u64>,
    /// Most threads it has something to do for, as far as was seen.
    pub width: Option<f64>,
    /// Most space that its build directory took.
    #[serde(default)]
    pub build_bytes: Option<u64>,
    /// Most files that were in it at once.
    #[serde(default)]
    pub build_files: Option<u64>,
    /// Packages that must be built before. Names that are not recorded here
    /// were not built, and are not waited for.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// What simulating recorded builds says.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The jobs and cores to plan.
    pub sizes: Sizes,
    /// How long all recorded packages take with them.
    pub seconds: f64,
    /// How long with those of the rule; `None` when memory runs out.
    pub rule_seconds: Option<f64>,
    /// Most memory that is predicted to be used.
    pub peak_bytes: u64,
    /// Builds recorded.
    pub builds: u64,
    /// Packages recorded.
    pub packages: u32,
}

/// The name of what plans by recorded builds, in place of a rule's.
pub(crate) fn policy() -> String {
    format!("recorded-{}", POLICY.version)
}

/// Plan jobs and cores by recorded builds, if they say something; and what they
/// say.
pub(crate) fn plan(costs: &Costs, hardware: &Hardware, budget: &mut Budget) -> Result<Note> {
    let graph = predict::graph(costs).context("costs")?;
    if budget.guarded.is_some() {
        let why = "jobs and cores for a guard, which learns what builds need by itself";
        return Ok(Note::info("costs-not-used", why));
    }
    let rule_stands =
        |why: String| Ok(Note::info("costs-not-used", format!("jobs and cores by a rule: {why}")));
    let builds = costs.packages.values().map(|cost| u64::from(cost.builds.get())).sum::<u64>();
    if builds < LEAST_BUILDS {
        return rule_stands(format!(
            "{builds} builds are recorded, fewer than the {LEAST_BUILDS} to go by"
        ));
    }
    let (Some((rule, by_rule)), Some(machine)) =
        (budget.sizes(), predict::machine(hardware, budget))
    else {
        return rule_stands("the machine is not known well enough to simulate it".to_owned());
    };
    // What swap takes may be relied upon only where there is enough of it.
    let memory_gib = machine.memory_gib + if budget.is_backed() { machine.swap_gib } else { 0.0 };
    let best = search::plan(&graph, &machine, memory_gib * SHARE)
        .or_else(|| search::plan(&graph, &machine, memory_gib));
    let Some(best) = best else {
        return Ok(Note::warning(
            "costs-do-not-fit",
            format!(
                "no jobs × cores hold the recorded builds in {} of memory and swap: see which \
                 need most, and build those elsewhere",
                size(bytes(memory_gib))
            ),
        ));
    };
    let settings = Settings::new(by_rule.jobs, by_rule.cores);
    let ruled = simulate(&graph, &machine, settings);
    let fits = !ruled.out_of_memory && ruled.peak_gib <= memory_gib;
    let rule_seconds = ruled.seconds.filter(|_| fits);
    let seconds = best.outcome.seconds.unwrap_or(f64::INFINITY);
    if let Some(ruled) = rule_seconds
        && ruled < seconds * LEAST_GAIN
    {
        return rule_stands(format!(
            "of {builds} recorded builds, the best jobs × cores save less than 5 % over those of \
             {}: {seconds:.0} s instead of {ruled:.0} s",
            rule.name()
        ));
    }
    let Settings { jobs, cores, .. } = best.settings;
    let packages = u32::try_from(costs.packages.len()).unwrap_or(u32::MAX);
    budget.measured = Some(Measured {
        sizes: Sizes { jobs, cores },
        seconds,
        rule_seconds,
        peak_bytes: bytes(best.outcome.peak_gib),
        builds,
        packages,
    });
    Ok(Note::info(
        "costs-used",
        format!(
            "{builds} recorded builds of {} decide on {jobs} jobs × {cores} cores instead of \
             {} × {} by {}",
            count(packages, "package"),
            by_rule.jobs,
            by_rule.cores,
            rule.name()
        ),
    ))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "never below 0, what is above the range becomes its end, and a byte is no matter"
)]
fn bytes(gib: f64) -> u64 {
    (gib * GIB as f64) as u64
}

#[cfg(test)]
mod tests;
