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

use anyhow::{Context, Result, anyhow};
use clap::Args;
use detect::arguments::Common;
use detect::human::count;
use detect::report::Hint;
use detect::root::Root;
use detect::{nix, stage};

use crate::active;
use crate::history::reader::Reader;
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

impl Running {
    /// What is being built at this moment.
    fn now() -> Self {
        let mut running = Self::default();
        for build in active::active().builds {
            match build.drv {
                Some(drv) => running.drvs.insert(drv),
                None => running.names.insert(build.name),
            };
        }
        running
    }
}

impl Command {
    /// Take it, and say what it found.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let mut history = History::open(&self.place.find()?)?;
        let now = now();
        let taken = take(&mut history, &Traces::of_this_machine(), &Running::now(), now)?;
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

/// Record what is new. What is running now is left for the next time.
pub fn take(history: &mut History, traces: &Traces, running: &Running, now: f64) -> Result<Taken> {
    let last_path = history.ask(|connection| keep::last_path(connection, &traces.database))?;
    record(history, traces, running, now, Some(last_path))
}

/// Record builds and, where a path is named, the paths after it.
fn record(
    history: &mut History,
    traces: &Traces,
    running: &Running,
    now: f64,
    last_path: Option<i64>,
) -> Result<Taken> {
    let logs = logs::list(&traces.logs, &traces.store_dir)?;
    let seen = history.ask(keep::seen)?;
    // What began since is not among what is running.
    let is_done = |log: &&Log| {
        judge::seconds(log.changed) < now
            && !running.drvs.contains(&log.drv)
            && !running.names.contains(log.name())
    };
    let changed: Vec<&Log> = logs.iter().filter(|log| seen.is_new(log)).filter(is_done).collect();
    let pending = seen.pending.iter().map(|pending| pending.drv.as_str());
    let wanted: HashSet<&str> = changed.iter().map(|log| log.drv.as_str()).chain(pending).collect();
    // What is committed while we read the logs is of use; the reverse, a log
    // whose output is not yet there, would be taken for a failure.
    let state = store_state::read(&traces.database, &wanted, last_path)?;
    let packages = keep::packages(&changed);
    history.write(|transaction| {
        keep::outcomes(transaction, &seen.pending, &state)?;
        keep::keep(transaction, traces, &logs, &changed, &packages, &state, now)
    })
}

/// The history; where none is kept yet, what there is to record.
pub fn past(place: &Place) -> Result<Reader> {
    let file = place.find()?;
    if let Some(reader) = Reader::open(&file)? {
        return Ok(reader);
    }
    if place.file.is_some() {
        let hint = format!("monitor snapshot --db {} begins one", file.display());
        return Err(anyhow!("{}: no history there", file.display()).context(Hint::new(&hint)));
    }
    let mut history = History::in_memory()?;
    let now = now();
    record(&mut history, &Traces::of_this_machine(), &Running::now(), now, None)
        .with_context(|| format!("no history in {}, and nothing of Nix's", file.display()))?;
    Ok(history.into_reader())
}

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A database's name in the history.
fn name(database: &Path) -> String {
    database.display().to_string()
}
