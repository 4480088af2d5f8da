//! Which Nix settings follow from a machine, each with its reason.
//!
//! `profile` reads a Hardware document and writes a [`plan::Plan`]: how many
//! jobs of how many cores, what else Nix should be told, and what `NixOS` should
//! be told that nix.conf cannot say. `nix-conf-write` turns a plan, after other
//! stages have added to it, into the text of nix.conf.
//!
//! **Invariant:** a setting is planned only when the target release knows it and
//! it changes something; what the document does not say is not guessed at, but
//! named in a note; and nothing is rendered that could give anyone rights, drop
//! a check, or stand for more than one line.

pub mod allowed;
pub mod budget;
pub mod catalogue;
pub mod cli;
mod conf;
pub mod costs;
mod decide;
mod evaluation;
pub mod explain;
pub mod form;
mod github;
pub mod guarded;
pub mod install;
pub mod left;
pub mod machines;
mod module;
pub mod overlay;
pub mod plan;
mod present;
mod reason;
pub mod refuse;
pub mod simulate;
pub mod sizing;
mod systemd;
pub mod target;
mod text;
pub mod tier;
pub mod trust;

use anyhow::Result;
use detect::hardware::Hardware;
use detect::number::Version;
use detect::release::Release;

use costs::Costs;
use overlay::Packages;
use plan::{Plan, Profile, Workload};

/// What to plan for, where the machine does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the machine is for.
    pub workload: Workload,
    /// The release to plan for, instead of the one installed.
    pub for_nix: Option<Release>,
    /// Memory that builds leave to others, instead of what is customary.
    pub reserve_memory: Option<u64>,
    /// Packages to build for this machine's CPU.
    pub optimize: Option<Packages>,
    /// What builds have cost before, to plan by instead of assumptions.
    pub costs: Option<Costs>,
    /// Whether `monitor guard` is to keep builds within memory.
    pub guarded: bool,
}

/// Decide what follows from a machine.
pub fn run(hardware: Hardware, options: &Options) -> Result<Plan> {
    let mut notes = Vec::new();
    let (target, release) = target::target(&hardware, options.for_nix, &mut notes);
    let mut budget = budget::budget(&hardware, options.workload, options.reserve_memory);
    // A guard needs no record of builds, and its sizes go before those by one.
    if options.guarded {
        notes.push(guarded::plan(&hardware, &mut budget));
    }
    if let Some(costs) = &options.costs {
        notes.push(costs::plan(costs, &hardware, &mut budget)?);
    }
    let case =
        decide::Case { hardware: &hardware, workload: options.workload, budget: &budget, release };
    notes.extend(decide::notes::notes(&case));
    notes.extend(present::notes(&case));
    let packages = options.optimize.clone();
    let optimize = packages.and_then(|packages| overlay::decide(&hardware, packages, &mut notes));
    Ok(Plan {
        version: Version,
        profile: Profile {
            tier: tier::tier(budget.cpus, budget.memory_bytes),
            workload: options.workload,
            target,
            rule: reason::rule(&budget),
        },
        settings: decide::settings::settings(&case),
        nixos: decide::nixos::nixos(&case),
        darwin: decide::darwin::darwin(&case),
        optimize,
        caches: Vec::new(),
        notes,
        hardware,
    })
}

#[cfg(test)]
mod tests;
