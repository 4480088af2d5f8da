//! Which binary caches are alive, signed and worth asking.
//!
//! A cache with a wrong key is skipped in silence, and everything is built; a
//! malformed key ends every Nix command; a dead cache holds up each path. So a
//! cache enters a plan only when a key that the user named has signed a narinfo
//! that it serves for the very path asked for.
//!
//! **Invariant:** nothing but a strict Ed25519 check of a narinfo is a proof; no
//! key is taken from a cache itself; what a cache sends is bounded in size and
//! time, and what Nix would refuse is refused.

pub mod address;
pub mod among;
pub mod ask;
mod authorities;
pub mod base64;
pub mod bench;
pub mod benched;
pub mod cli;
pub mod client;
pub mod closure;
pub mod config;
pub mod connect;
pub mod content;
pub mod coverage;
pub mod covered;
pub mod derivation;
pub mod filter;
pub mod find;
pub mod foreign;
#[cfg(any(test, feature = "forge"))]
pub mod forge;
pub mod hash;
pub mod human;
pub mod info;
pub mod inspect;
pub mod judge;
pub mod key;
pub mod lint;
pub mod many;
pub mod nar;
pub mod narinfo;
pub mod netrc;
pub mod pace;
pub mod path;
pub mod progress;
pub mod rank;
mod redirect;
pub mod verified;
pub mod verify;
pub mod why;

use anyhow::Result;
use profile::plan::Plan;

/// Plan in, plan out: ask the caches of this machine and of the plan, and let
/// those in whose keys are proven.
pub fn run(mut plan: Plan) -> Result<Plan> {
    let questions = config::questions(&plan, &[])?;
    let knowledge = find::Knowledge::of_this_machine(Vec::new());
    let reports = ask::ask(&questions, knowledge, cli::store_dir(&plan), ask::How::default())?;
    filter::decide(&mut plan, &questions, Some(&reports));
    Ok(plan)
}
