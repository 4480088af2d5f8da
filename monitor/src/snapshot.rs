//! `monitor snapshot`: record what happened since the last one, as far as Nix
//! left a trace of it.
//!
//! Logs of builds tell when they began and ended; paths that are new in Nix's
//! database tell what came, and from where. Nothing has to be set up for either,
//! so the first snapshot finds the past, and a missed one loses only what was
//! collected meanwhile.
//!
//! **Invariant:** a second snapshot of the same state records nothing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;
use detect::arguments::Common;
use detect::human::count;
use detect::root::Root;
use detect::{nix, stage};

use crate::history::{History, Place};
use crate::store;

mod judge;
mod keep;
mod logs;
mod store_state;
#[cfg(test)]
mod tests;

use logs::Log;

/// Record what happened since the last snapshot
#[derive(Args, Debug)]
pub struct Command {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// Where Nix leaves traces.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Its database.
    pub database: PathBuf,
    /// Its folder of logs.
    pub logs: PathBuf,
    /// The folder of the store.
    pub store_dir: String,
}

/// What a snapshot recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Builds, by their logs.
    pub builds: u32,
    /// Paths that are new in the store.
    pub paths: u64,
}

/// What is being built, whose logs are not done.
#[derive(Clone, Debug, Default)]
pub struct Running {
    /// Derivations, by their paths.
    pub drvs: HashSet<String>,
    /// Names, where no more is known of a build.
    pub names: HashSet<String>,
}

impl Command {
    /// Take it, and say what it found.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let mut history = History::open(&self.place.find()?)?;
        let taken = take(&mut history, &Traces::of_this_machine(), &Running::default(), now())?;
        let paths = u32::try_from(taken.paths).unwrap_or(u32::MAX);
        let text =
            format!("{} and {} recorded\n", count(taken.builds, "build"), count(paths, "new path"));
        stage::write_human(&text, &self.common)
    }
}

impl Traces {
    /// Where they are on this machine: environment variables are the only thing
    /// that moves them.
    pub fn of_this_machine() -> Self {
        let logs = std::env::var_os("NIX_LOG_DIR").map(PathBuf::from);
        let store_dir = nix::store_dir(&Root::live());
        Self {
            database: store::place(),
            logs: logs.unwrap_or_else(|| "/nix/var/log/nix".into()),
            store_dir: store_dir.to_string_lossy().into_owned(),
        }
    }
}

/// Record what is new. Builds that are running are left for the next time.
pub fn take(history: &mut History, traces: &Traces, running: &Running, now: f64) -> Result<Taken> {
    let logs = logs::list(&traces.logs, &traces.store_dir)?;
    let seen = history.ask(|connection| keep::seen(connection, &traces.database))?;
    let is_done =
        |log: &&Log| !running.drvs.contains(&log.drv) && !running.names.contains(log.name());
    let changed: Vec<&Log> = logs.iter().filter(|log| seen.is_new(log)).filter(is_done).collect();
    let wanted: HashSet<&str> = changed.iter().map(|log| log.drv.as_str()).collect();
    // What is committed while we read the logs is of use; the reverse, a log
    // whose output is not yet there, would be taken for a failure.
    let state = store_state::read(&traces.database, &wanted, seen.last_path)?;
    let packages = keep::packages(&changed);
    history.write(|transaction| {
        keep::keep(transaction, traces, &logs, &changed, &packages, &state, now)
    })
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A database's name in the history.
fn name(database: &Path) -> String {
    database.display().to_string()
}
