//! Why Nix would, or would not, fetch a path from a cache.
//!
//! Nix skips what it does not trust in silence and forgets for an hour that a
//! path may have been uploaded since. So each link of the chain is looked at: the
//! machine's settings, the derivation, each cache, and what Nix remembers of it.

pub mod chain;
pub mod command;
pub mod link;
pub mod machine;
pub mod memory;
pub mod target;
mod tree;

use detect::number::Version;
use profile::plan::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use self::link::Outcome;
use self::memory::Memory;

/// Why paths are, or are not, fetched from caches.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Why {
    /// Version of this document's format.
    pub version: Version<1>,
    /// What keeps this machine from fetching anything.
    pub obstacles: Vec<Cause>,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
    /// Each path, in the order in which they were asked for.
    pub paths: Vec<Chain>,
}

/// What is in the way, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cause {
    /// What is in the way, on one line.
    pub why: String,
    /// What would help, on one line; `null` when nothing on this machine does.
    pub fix: Option<String>,
}

/// All that decides about one path.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Chain {
    /// What was asked about.
    pub asked: String,
    /// The output of it, when that is a derivation.
    pub output: Option<String>,
    /// The path; `null` when only its contents, once built, say what it is.
    pub path: Option<String>,
    /// Whether the store has it already; `null` when its database cannot be read.
    pub is_in_store: Option<bool>,
    /// Whether Nix would fetch it, if the store had it not.
    pub is_substitutable: bool,
    /// The cache that Nix would take it from.
    pub from: Option<String>,
    /// What keeps this path from being fetched, whatever the caches have.
    pub obstacles: Vec<Cause>,
    /// The caches, in the order in which Nix asks them, and then those that it
    /// does not ask.
    pub caches: Vec<Link>,
}

/// What one cache has to do with it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Link {
    /// The cache, without credentials.
    pub url: String,
    /// Whether this machine's Nix asks it.
    pub is_configured: bool,
    /// Whether it answered as a cache does; `null` when it could not be asked.
    pub is_alive: Option<bool>,
    /// When Nix asks it: the lowest first; `null` when it did not say.
    pub priority: Option<i32>,
    /// Whether it has the path; `null` when that is not known.
    pub is_present: Option<bool>,
    /// The names of the keys that are said to have signed the path there.
    pub signed_by: Vec<String>,
    /// What that is worth by the keys that this machine trusts.
    pub verdict: Option<Verdict>,
    /// What Nix remembers of the path there.
    pub remembered: Vec<Memory>,
    /// What comes of all that.
    pub outcome: Outcome,
    /// Why, on one line.
    pub why: String,
    /// What would help.
    pub fix: Option<String>,
}
