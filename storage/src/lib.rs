//! Where builds and the store should live, and what will fail before it fails.
//!
//! As a stage, `storage` reads a [`Plan`] and adds where builds run, when it is
//! not the default, and how much space the store keeps free. It decides from the
//! plan alone, so it needs neither the machine nor root.
//!
//! **Invariant:** it sets its own keys and no others, never spends memory that
//! jobs × cores were given, and never turns off what makes the store survive a
//! power cut. `auto-optimise-store` stays off: it would hash every new file
//! while a build waits, and `profile` plans the weekly timer instead.

mod ancestors;
pub mod check;
pub mod cli;
mod home;
pub mod measure;
mod room;
pub mod roots;
mod store_size;

use anyhow::{Context, Result};
use detect::hardware::Note;
use profile::plan::{Plan, Setting, Value};

/// This stage's name, in whatever it decides.
const STAGE: &str = "storage";

/// A name, what it is set to, and why.
type Decision = (&'static str, Value, String);

/// Add what follows from where the machine keeps its files.
pub fn run(mut plan: Plan) -> Result<Plan> {
    let release = plan.profile.target.release();
    let release = release.context("profile.target: no version")?;
    let home = home::home(&plan, release);
    let (settings, options, note) = match &home {
        Some(home) => (home.settings(), home.options(), home.note()),
        None => (Vec::new(), Vec::new(), None),
    };
    let settings = settings.into_iter().chain(room::room(&plan));
    let settings: Vec<Decision> = settings.collect();
    for (decisions, part) in [(settings, &mut plan.settings), (options, &mut plan.nixos)] {
        for (name, value, why) in decisions {
            part.insert(name.to_owned(), Setting { value, why, stage: STAGE.to_owned() });
        }
    }
    plan.notes.extend(note.filter(|note: &Note| !plan.notes.contains(note)));
    Ok(plan)
}

#[cfg(test)]
mod tests;
