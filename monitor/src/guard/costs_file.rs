//! The recorded costs, which another program writes while the guard runs.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Result;
use detect::report::{reason, say};
use detect::stage;
use profile::costs::Costs;

use super::Options;

/// The file, if there is to be one.
pub(super) struct CostsFile {
    path: Option<PathBuf>,
    /// When it was last changed.
    changed: Option<SystemTime>,
}

impl CostsFile {
    /// The file, and what it says. Whoever looks by hand is told why it cannot be
    /// read; builds are rather guarded by what is assumed of them.
    pub(super) fn open(options: &Options) -> Result<(Self, Option<Costs>)> {
        let mut file = Self { path: options.costs.clone(), changed: None };
        file.changed = file.changed();
        let costs = match file.path.as_deref().map(|path| stage::read(Some(path))) {
            Some(Err(error)) if !options.once => {
                say(&format!("monitor: guard: warning: knows no costs: {}", reason(&error)));
                None
            }
            read => read.transpose()?,
        };
        Ok((file, costs))
    }

    /// What it says, if it has changed since.
    pub(super) fn news(&mut self) -> Option<Costs> {
        let now = self.changed();
        if now.is_none() || now == self.changed {
            return None;
        }
        self.changed = now;
        let read = stage::read(self.path.as_deref());
        read.map_err(|error| {
            say(&format!("monitor: guard: goes by the costs it had: {}", reason(&error)));
        })
        .ok()
    }

    fn changed(&self) -> Option<SystemTime> {
        std::fs::metadata(self.path.as_deref()?).and_then(|file| file.modified()).ok()
    }
}
