//! Where builds and the store should live, and what will fail before it fails.
//!
//! As a stage, `storage` reads a [`Plan`] and adds where builds run, when it is
//! not the default, how much space the store keeps free, and whether equal files
//! may be linked while a build waits. It decides from the plan alone, so it needs
//! neither the machine nor root.
//!
//! **Invariant:** it sets its own keys and no others, never spends memory that
//! jobs × cores were given, and never turns off what makes the store survive a
//! power cut. What a disk decides of garbage collection besides, `keep-outputs`
//! and when it runs, `profile` plans: it depends on what the machine is for.

mod ancestors;
pub mod check;
pub mod cli;
mod disk;
mod home;
mod links;
mod memory;
mod room;
mod site;

use anyhow::{Context, Result};
use profile::plan::{Plan, Setting, Value};

/// This stage's name, in whatever it decides.
const STAGE: &str = "storage";

/// The settings that are this stage's.
pub const OWNED: [&str; 4] = ["auto-optimise-store", "build-dir", "max-free", "min-free"];

/// The options of `NixOS` that are this stage's; `fileSystems` is so for the
/// directories of builds.
pub const OWNED_OPTIONS: [&str; 3] = ["boot.tmp", "fileSystems", "systemd.tmpfiles.rules"];

/// A name, what it is set to, and why.
type Decision = (&'static str, Value, String);

/// Add what follows from where the machine keeps its files.
pub fn run(mut plan: Plan) -> Result<Plan> {
    let release = plan.profile.target.release();
    let release = release.context("profile.target: no version")?;
    let mut settings: Vec<Decision> = room::room(&plan);
    settings.extend(links::links(&plan));
    let (mut options, mut notes) = (Vec::new(), Vec::new());
    if let Some(home) = home::home(&plan, release) {
        settings.extend(home.settings(release));
        options.extend(home.options(release));
        notes.extend(home.notes(release));
    }
    for (decisions, part) in [(settings, &mut plan.settings), (options, &mut plan.nixos)] {
        for (name, value, why) in decisions {
            part.insert(name.to_owned(), Setting { value, why, stage: STAGE.to_owned() });
        }
    }
    notes.retain(|note| !plan.notes.contains(note));
    plan.notes.extend(notes);
    Ok(plan)
}

#[cfg(test)]
mod tests;
