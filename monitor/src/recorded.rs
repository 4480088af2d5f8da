//! What Nix's events say happened: the document of `monitor ingest`, and what a
//! run leaves in the history.
//!
//! Events carry no time. Whoever reads them live, or has a file of arrival times
//! beside them, knows durations; whoever has the bare events does not, and then
//! every time is `null`.

use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a stream of events says happened, in the order in which it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Derivations whose building began. One that never began, since what it needs
    /// failed, is not among them.
    pub builds: Vec<Build>,
    /// Paths that came from a cache.
    pub substitutions: Vec<Substitution>,
    /// What was waited for: locks, build users, machines.
    pub waits: Vec<Wait>,
    /// Bytes that came over the network for paths, compressed as they were.
    pub downloaded_bytes: u64,
    /// Events of a type we do not know, which are counted and left alone.
    pub unknown_events: u64,
    /// Lines that claim to be an event and are none.
    pub malformed_lines: u64,
}

/// One attempt to build a derivation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The derivation's path in the store.
    pub drv: String,
    /// Its name: without hash and `.drv`, e.g. `hello-2.12.1`.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed, in Nix's words.
    pub reason: Option<String>,
    /// The machine it was built on; `null` for this one.
    pub machine: Option<String>,
    /// When it began, after the stream did.
    pub started_seconds: Option<f64>,
    /// From its start to its end, as Nix's events have them.
    pub wall_seconds: Option<f64>,
    /// Its phases, in order.
    pub phases: Vec<Phase>,
    /// What its processes used, where somebody watched them.
    pub usage: Option<Usage>,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its outputs are there.
    Built,
    /// It ended with an error, of which `reason` is Nix's account.
    Failed,
    /// It was ended because something else had failed, or somebody wished so.
    Cancelled,
}

/// A part of a build that its builder named, as stdenv does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// E.g. `buildPhase`.
    pub name: String,
    /// Until the next one, or the end of the build.
    pub wall_seconds: Option<f64>,
}

/// What all processes of a build used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// CPU time, of user and system together.
    pub cpu_seconds: f64,
    /// Most memory at once, of all processes together.
    pub peak_memory_bytes: Option<u64>,
    /// Where that is from.
    pub source: Source,
}

/// Where figures of processes are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The control group that Nix gave the build.
    Cgroup,
    /// Looking at /proc some times a second: low by what happened since the last
    /// look.
    Sampled,
}

/// A path that came from a cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Substitution {
    /// The path in the store.
    pub path: String,
    /// The cache's address.
    pub cache: String,
    /// When it began, after the stream did.
    pub started_seconds: Option<f64>,
    /// From its start to its end.
    pub wall_seconds: Option<f64>,
    /// What came over the network, compressed as it was; `null` where the events
    /// do not tie downloads to paths (Nix 2.8).
    pub downloaded_bytes: Option<u64>,
    /// What it is unpacked.
    pub nar_bytes: Option<u64>,
}

/// Time in which a derivation waited for something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The derivation that waited, where the events tell: they name the output it
    /// would lock.
    pub drv: Option<String>,
    /// What for, in Nix's words, e.g. `a free build user ID`.
    pub what: String,
    /// For how long.
    pub wall_seconds: Option<f64>,
}
