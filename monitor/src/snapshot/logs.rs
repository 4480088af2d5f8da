//! The logs of builds: when each was made, and last written to.

use std::fs::{self, DirEntry, Metadata};
use std::io::ErrorKind;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use crate::pname;

/// More logs than a machine has; those that come after are not looked at.
const MOST_LOGS: usize = 4 << 20;

/// The log of a derivation's last build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// Its file in the folder of logs: `AB/REST.drv.bz2`.
    pub(super) file: String,
    /// The derivation's path in the store.
    pub(super) drv: String,
    /// When it was made, in nanoseconds since 1970; `None` where the file system
    /// does not keep that.
    pub(super) born: Option<i64>,
    /// When it was last written to, likewise.
    pub(super) changed: i64,
}

impl Log {
    /// The derivation's name.
    pub(super) fn name(&self) -> &str {
        pname::name_of(&self.drv)
    }
}

/// All logs. None is not an error: Nix may be set to keep none.
///
/// Source: `LocalFSStore::addBuildLog` and `getBuildLogExact` in libstore: a
/// log is `drvs/AB/REST.drv`, of the derivation `ABREST.drv`, mostly compressed.
pub(super) fn list(folder: &Path, store_dir: &str) -> Result<Vec<Log>> {
    let folder = folder.join("drvs");
    let mut found = Vec::new();
    for part in entries(&folder)? {
        let start = part.file_name().to_string_lossy().into_owned();
        if start.len() != 2 || !part.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        for entry in entries(&part.path())? {
            let rest = entry.file_name().to_string_lossy().into_owned();
            let Some(name) = rest.strip_suffix(".bz2").unwrap_or(&rest).strip_suffix(".drv") else {
                continue;
            };
            // One that is removed as we look is no log any more.
            let Ok(file) = entry.metadata() else { continue };
            if file.is_file() && found.len() < MOST_LOGS {
                let drv = format!("{store_dir}/{start}{name}.drv");
                found.extend(log(format!("{start}/{rest}"), drv, &file));
            }
        }
    }
    // So that what is recorded does not depend on the file system.
    found.sort_by(|one, other| one.file.cmp(&other.file));
    Ok(found)
}

fn entries(folder: &Path) -> Result<impl Iterator<Item = DirEntry>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        entries => Some(entries.with_context(|| folder.display().to_string())?),
    };
    Ok(entries.into_iter().flatten().flatten())
}

fn log(file: String, drv: String, found: &Metadata) -> Option<Log> {
    let born = found.created().ok().and_then(nanoseconds);
    let changed = found.modified().ok().and_then(nanoseconds)?;
    Some(Log { file, drv, born, changed })
}

fn nanoseconds(time: SystemTime) -> Option<i64> {
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()
}
