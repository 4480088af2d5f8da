//! What is stopped at the moment, written down before it is: whoever comes
//! after a guard that is gone lets it go on.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use detect::number::Version;
use detect::report::Hint;
use detect::{file, stage};
use serde::{Deserialize, Serialize};

use super::stop::Stopped;
use crate::locks::{self, Held};

/// How often, and how long apart, to ask for the place of another guard, which
/// may be about to end.
const ATTEMPTS: u32 = 30;
const PATIENCE: Duration = Duration::from_millis(100);

/// The file's contents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Version of the format.
    pub(crate) version: Version<1>,
    /// The builds that are stopped.
    pub(crate) stopped: Vec<Stopped>,
    /// Builds held before they began, since the machine started.
    pub(crate) holds: u64,
    /// Builds frozen while they ran.
    pub(crate) freezes: u64,
    /// How long they were stopped, all together.
    pub(crate) stopped_seconds: f64,
    /// The most that builds held at once were expected to need.
    #[serde(default)]
    pub(crate) most_held_bytes: u64,
}

/// Where the record is kept, for one guard at a time.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    _only: Option<File>,
}

impl Keeper {
    /// The place, taken for this guard.
    pub(super) fn take() -> Result<Self> {
        let folder = folder();
        let name = || folder.display().to_string();
        fs::create_dir_all(&folder).with_context(name)?;
        // Who may open it may lock it, and keep every guard from starting.
        let path = folder.join("guard.lock");
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(&path).with_context(name)?;
        lock.set_permissions(Permissions::from_mode(0o600)).with_context(name)?;
        for _ in 0..ATTEMPTS {
            if lock.try_lock().is_ok() {
                return Ok(Self { path: folder.join("guard.json"), _only: Some(lock) });
            }
            thread::sleep(PATIENCE);
        }
        let hint = Hint::new("end that one first, such as by: systemctl stop nixpace-guard");
        Err(anyhow!("another guard runs on this machine").context(hint))
    }

    /// The place, only to look.
    pub(crate) fn look() -> Self {
        Self { path: folder().join("guard.json"), _only: None }
    }

    /// Another place.
    #[cfg(test)]
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path, _only: None }
    }

    /// What is written there; nothing when there is no file.
    pub(crate) fn read(&self) -> Result<Record> {
        match fs::read(&self.path) {
            Ok(text) => stage::parse(&text).with_context(|| self.path.display().to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(error).with_context(|| self.path.display().to_string()),
        }
    }

    /// Whether a guard has the place; `None` where none ever had.
    pub(crate) fn is_taken(&self) -> Option<bool> {
        let inode = fs::metadata(self.path.with_extension("lock")).ok()?.ino();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        // Another file system may have a file of the same number: this one is held by what
        // we are.
        let name = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let own = name("self");
        let is_guard = |held: &Held| held.inode == inode && name(&held.pid.to_string()) == own;
        Some(locks::parse(&locks).iter().any(is_guard))
    }

    /// Write it, whole or not at all, for everyone to read.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        file::publish(&self.path, stage::text(record)?.as_bytes())
    }
}

/// What systemd made for us, else the usual place for what ends with the
/// machine's run.
fn folder() -> PathBuf {
    std::env::var_os("RUNTIME_DIRECTORY")
        .map_or_else(|| PathBuf::from("/run/nixpace"), PathBuf::from)
}
