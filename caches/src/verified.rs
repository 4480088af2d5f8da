//! The document of `caches verify --json`.

use anyhow::{Result, bail};
use detect::hardware::{Level, Note};
use detect::number::Version;
use profile::plan::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use crate::verify::Report;

/// What was found out about caches, and about how Nix is told of them.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Verified {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Each cache that was looked at.
    pub caches: Vec<Report>,
    /// What is wrong with the configuration, worst first.
    pub notes: Vec<Note>,
}

impl Verified {
    /// Put together what was found.
    pub fn new(caches: Vec<Report>, notes: Vec<Note>) -> Self {
        Self { version: Version, caches, notes }
    }

    /// An error unless every cache is proven and nothing will fail.
    pub fn check(&self) -> Result<()> {
        let proven = |report: &&Report| report.verdict == Verdict::Verified;
        let unproven = self.caches.len() - self.caches.iter().filter(proven).count();
        let errors = self.notes.iter().filter(|note| note.level == Level::Error).count();
        let of = self.caches.len();
        match (unproven, errors) {
            (0, 0) => Ok(()),
            (0, _) => bail!("errors in the configuration: {errors}"),
            (_, 0) => bail!("{unproven} of {of} are not proven"),
            _ => bail!("{unproven} of {of} are not proven; errors in the configuration: {errors}"),
        }
    }
}
