//! Who builds what since when: the document of `monitor active`.
//!
//! Nothing of Nix's tells it (but Determinate's, which is read where it is). So
//! for whoever may see it, what Nix processes have open says exactly which
//! derivation is built by whom; everybody else can see which process holds the
//! locks of which outputs and build users.
//!
//! **Invariant:** nothing is guessed: where one connection builds several things
//! and it cannot be seen by which processes, their figures are `null` and a note
//! says so.

use std::time::SystemTime;

use detect::hardware::Note;
use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod determinate;
mod locked;
mod look;
pub mod table;
pub mod worker;

pub use look::Looker;

/// What is being built at the moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Active {
    /// Version of this document's format.
    pub version: Version<1>,
    /// The builds, the oldest first.
    pub builds: Vec<Build>,
    /// What could not be seen, and why.
    pub notes: Vec<Note>,
}

impl Active {
    /// Why no builds can be seen, where that is so: then that there are none says
    /// nothing.
    pub fn unseen(&self) -> Option<&Note> {
        self.notes.iter().find(|note| note.id == look::UNSEEN)
    }
}

/// A build that is running.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// The derivation's path in the store; `null` where only its output is known.
    pub drv: Option<String>,
    /// Its name: without hash and `.drv`, e.g. `hello-2.12.1`.
    pub name: String,
    /// How it was found.
    pub source: Source,
    /// When its builder started, in seconds since 1970.
    pub started_unix_seconds: Option<f64>,
    /// How long it has been running.
    pub running_seconds: Option<f64>,
    /// How long it will take in all: the median of what the last builds of the same
    /// package took, by the history; `null` where that has none.
    pub expected_seconds: Option<f64>,
    /// The Nix process that runs it: a connection's of nix-daemon, or the command
    /// itself.
    pub worker: u32,
    /// Who asked for it.
    pub client: Option<Client>,
    /// The number of the build user.
    pub user: Option<u32>,
    /// The process that was started to build it.
    pub builder: Option<u32>,
    /// All its processes.
    pub processes: Option<Vec<u32>>,
    /// Whether it has processes of its own, as in Nix's sandbox.
    pub sandboxed: Option<bool>,
    /// CPU time of all its processes so far, of user and system together.
    pub cpu_seconds: Option<f64>,
    /// Memory of all its processes now, what they share counted once for each.
    pub memory_bytes: Option<u64>,
    /// The control group that Nix gave it, where it does.
    pub cgroup: Option<String>,
}

/// Who asked for a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The process.
    pub pid: u32,
    /// Its user's name, or number where that has none.
    pub user: Option<String>,
    /// Its command line, cut where it is long.
    pub command: Option<String>,
}

/// How a build was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// By what a Nix process has open.
    OpenFiles,
    /// By the locks it holds, which everybody may see.
    Locks,
    /// By what Determinate Nix writes about it.
    ActiveBuilds,
}

/// What is being built at this moment.
pub fn active() -> Active {
    Looker::live().look(SystemTime::now())
}
