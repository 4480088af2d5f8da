//! Bold parallelism that never runs out of memory: `monitor guard`.
//!
//! No fixed number of jobs is both fast and safe. The guard lets builds begin
//! as their predicted memory fits, and freezes one only when that went wrong.
//!
//! **Invariant:** only processes of Nix's build users are touched, and whatever
//! happens to the guard, nothing stays stopped.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use detect::report::Usage;

#[cfg(target_os = "linux")]
mod costs_file;
pub mod decide;
#[cfg(target_os = "linux")]
mod known;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub mod memory;
#[cfg(target_os = "linux")]
mod notify;
pub mod predict;
#[cfg(target_os = "linux")]
mod pressure;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod rhythm;
#[cfg(target_os = "linux")]
pub mod stop;
#[cfg(target_os = "linux")]
mod supervise;
pub mod told;
#[cfg(target_os = "linux")]
mod worker;

/// `monitor guard`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Say what would be done with what is built now, and end
    #[arg(long)]
    pub once: bool,

    /// Say what would be done, and touch nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Share of memory above which builds are frozen
    #[arg(long, value_name = "SHARE", default_value_t = 0.85)]
    pub high: f64,

    /// Share of memory below which they go on
    #[arg(long, value_name = "SHARE", default_value_t = 0.70)]
    pub low: f64,

    /// What builds have cost, of `monitor costs`, to predict their memory by
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,

    /// Let go on whatever a guard that is gone has left stopped, and end
    #[arg(long, conflicts_with_all = ["once", "dry_run"])]
    pub thaw: bool,

    /// The part of the guard that acts, which it starts itself
    #[arg(long, hide = true)]
    pub worker: bool,

    /// For the worker: the build users
    #[arg(long, hide = true, value_delimiter = ',')]
    pub users: Vec<u32>,

    /// For the worker: seconds that Nix gives a build
    #[arg(long, hide = true)]
    pub patience: Option<u64>,
}

impl Options {
    /// Guard, or say why not.
    pub fn run(self) -> Result<()> {
        let is_sound = 0.1 <= self.low && self.low < self.high && self.high <= 0.99;
        ensure!(is_sound, Usage("--low and --high: not 0.1 ≤ low < high ≤ 0.99".to_owned()));
        #[cfg(target_os = "linux")]
        return linux::run(self);
        #[cfg(not(target_os = "linux"))]
        anyhow::bail!("guard: only Linux lets builds be stopped and told apart");
    }

    /// Whether nothing is to be touched, nor written down.
    #[cfg(target_os = "linux")]
    fn only_looks(&self) -> bool {
        self.once || self.dry_run
    }

    /// The same for the worker.
    #[cfg(target_os = "linux")]
    fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = Vec::new();
        let users: Vec<String> = self.users.iter().map(ToString::to_string).collect();
        arguments.push(format!("--users={}", users.join(",")).into());
        arguments.push(format!("--high={}", self.high).into());
        arguments.push(format!("--low={}", self.low).into());
        arguments.extend(self.patience.map(|seconds| format!("--patience={seconds}").into()));
        arguments.extend(self.dry_run.then(|| "--dry-run".into()));
        if let Some(costs) = &self.costs {
            arguments.push("--costs".into());
            arguments.push(costs.into());
        }
        arguments
    }
}
