//! The report: what Nix built in a time, how long that took, and where
//! everything came from.
//!
//! The document holds what is known; [`page`] shows it to people.

use std::collections::BTreeMap;

use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::guard::told::Guarded;
use crate::history::attempt::Attempt;
use crate::recorded::Recorded;
use crate::remembered::Remembered;
use crate::status::Figure;
use crate::store::{Amount, Kept, Origin};

pub mod axis;
mod bands;
pub mod command;
pub mod csv;
pub mod date;
pub mod gather;
mod lanes;
mod last;
pub mod packages;
pub mod page;
mod plot;
mod sections;
mod table;
mod text;
mod timeline;
pub mod unit;

/// What Nix built in a time, how long that took, and where everything came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Where the time begins, in seconds since 1970.
    pub since_unix_seconds: i64,
    /// Where it ends: when the report was made.
    pub until_unix_seconds: i64,
    /// Attempts to build, the last first.
    pub builds: Figure<Vec<Attempt>>,
    /// What came to the store, by day, origin and cache.
    pub arrivals: Figure<Vec<Arrival>>,
    /// What caches answered when they were asked for paths, by their addresses.
    pub caches: Figure<BTreeMap<String, Remembered>>,
    /// What the store holds, by origin.
    pub store: Figure<BTreeMap<Origin, Amount>>,
    /// How much of it is kept, and how much a collection of garbage would free.
    pub kept: Figure<Kept>,
    /// Packages that take longest to build, by their median.
    pub slowest: Figure<Vec<Package>>,
    /// Packages that take most memory to build, by the most they took.
    pub hungriest: Figure<Vec<Package>>,
    /// What `monitor guard` has done since the machine started.
    pub guard: Figure<Guarded>,
    /// What was built and fetched when, in the last recorded use of Nix.
    pub last_run: Figure<LastRun>,
}

/// Paths of one origin that came to the store on a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// When the day began, in UTC, in seconds since 1970.
    pub day_unix_seconds: i64,
    /// How they came.
    pub origin: Origin,
    /// The cache that signed them, by the name of its key.
    pub cache: Option<String>,
    /// How many.
    pub paths: u64,
    /// How large they are unpacked.
    pub nar_bytes: u64,
}

/// What building a package has cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name without version, e.g. `hello`.
    pub pname: String,
    /// How often it was built.
    pub builds: u64,
    /// How long that took, by the median of what is known.
    pub median_wall_seconds: Option<f64>,
    /// How long that took in all.
    pub total_wall_seconds: f64,
    /// How many CPUs it kept busy: CPU time by time, where both are known.
    pub parallelism: Option<f64>,
    /// Most memory that one of them took.
    pub peak_memory_bytes: Option<u64>,
}

/// One use of Nix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LastRun {
    /// The command and its arguments.
    pub command: Vec<String>,
    /// What it exited with.
    pub exit_code: Option<i32>,
    /// When it began, in seconds since 1970.
    pub started_unix_seconds: f64,
    /// How long it took.
    pub wall_seconds: f64,
    /// What happened in it.
    pub recorded: Recorded,
}
