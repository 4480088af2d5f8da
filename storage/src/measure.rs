//! How fast the file systems of builds and of the store really are, for the
//! cases where flags lie: virtual disks, write caches, shared storage.
//!
//! **Invariant:** takes no more than some seconds, writes only below a folder of
//! its own, and removes that, also when it is interrupted.

mod rates;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use detect::hardware::{Hardware, Media, Place};
use detect::human::size;
use detect::number::Version;
use detect::root::Root;
use schemars::JsonSchema;
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub use rates::Rates;

use crate::check::finding::{Finding, wrapped};
use crate::check::whereabouts;
use crate::store_size::{self, StoreSize};

/// What was measured. Written only, so it has no reader.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// Version of this document's format.
    pub version: Version<1>,
    /// One for each file system, that of builds first.
    pub places: Vec<Speed>,
    /// What the figures say of the machine.
    pub findings: Vec<Finding>,
    /// How large the store is, if that was asked.
    pub store_size: Option<StoreSize>,
}

/// How fast a file system is.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Speed {
    /// What is kept there: `builds`, `the store`, `builds and the store`, or
    /// `as given`.
    pub holds: String,
    /// The folder that was written to.
    pub path: String,
    /// Its file system.
    pub filesystem: Option<String>,
    /// What the kernel says it is on.
    pub media: Media,
    /// What was measured; `null` when it could not be.
    pub rates: Option<Rates>,
    /// Why nothing was measured.
    pub why_not: Option<String>,
}

impl Measured {
    /// Whether nothing could be measured.
    pub fn is_empty(&self) -> bool {
        self.store_size.is_none() && self.places.iter().all(|place| place.rates.is_none())
    }

    /// For people.
    pub fn human(&self) -> String {
        let mut text = String::new();
        for place in &self.places {
            let filesystem = place.filesystem.as_deref().unwrap_or("an unknown file system");
            let title = format!("{} ({}, {filesystem})", place.path, place.holds);
            text.push_str(&wrapped(&title, 2));
            match (&place.rates, &place.why_not) {
                (Some(rates), _) => text.push_str(&rates.human()),
                (None, why) => {
                    let why = why.as_deref().unwrap_or("unknown");
                    text.push_str(&wrapped(&format!("  not measured: {why}"), 4));
                }
            }
        }
        if let Some(store) = &self.store_size {
            text.push_str(&store.human());
        }
        for finding in &self.findings {
            text.push_str(&finding.human());
        }
        text
    }
}

/// Measure a folder, which must be there, or the file systems of builds and of
/// the store; and the store's size if that is asked.
pub fn measure(folder: Option<&Path>, size_too: bool) -> Result<Measured> {
    let build_dir = folder.map(named).transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signals")?;
    }
    let root = Root::live();
    let options = detect::Options { build_dir, ..detect::Options::default() };
    let mut hardware = detect::run(&root, &options);
    if folder.is_none() {
        let variable = |name: &str| std::env::var(name).ok();
        let found = whereabouts::whereabouts(&root, &hardware, &variable);
        crate::check::move_builds(&root, &mut hardware, &found.path);
    }
    let store_size = size_too.then(|| store_size::store_size(&root)).transpose()?;
    let places = targets(&hardware, folder.is_some());
    let mut measured =
        Measured { version: Version, places: Vec::new(), findings: Vec::new(), store_size };
    let share = u32::try_from(places.len()).unwrap_or(1).max(1);
    for (holds, place, path) in places {
        let rates = match &path {
            Some(path) => rates::rates(path, share, &stop),
            None => Err(anyhow::anyhow!("no folder there that is not the store itself")),
        };
        // An interrupted run has no result.
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            anyhow::bail!("measure: interrupted");
        }
        let why_not = rates.as_ref().err().map(detect::report::reason);
        let rates = rates.ok();
        let is_virtual = hardware.environment.virtual_machine.is_some();
        measured.findings.extend(
            rates.as_ref().and_then(|rates| rates.remarks(place.media, is_virtual, &place.path)),
        );
        measured.places.push(Speed {
            holds,
            path: path.map_or_else(|| place.path.clone(), |path| path.display().to_string()),
            filesystem: place.filesystem.clone(),
            media: place.media,
            rates,
            why_not,
        });
    }
    Ok(measured)
}

/// Where a folder is that somebody named. One that is not there is a mistake:
/// what is above it may be on another file system.
fn named(folder: &Path) -> Result<PathBuf> {
    let name = || folder.display().to_string();
    let path = folder.canonicalize().with_context(name)?;
    if path.is_dir() {
        return Ok(path);
    }
    Err(std::io::Error::from(std::io::ErrorKind::NotADirectory)).with_context(name)
}

/// What to measure: what it holds, what it is on, and a folder there, if any.
fn targets(hardware: &Hardware, is_given: bool) -> Vec<(String, &Place, Option<PathBuf>)> {
    let builds = hardware.storage.build_dir.as_ref();
    let builds = builds.map(|place| (place, existing(Path::new(&place.path))));
    if is_given {
        return builds
            .map(|(place, path)| ("as given".to_owned(), place, path))
            .into_iter()
            .collect();
    }
    let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
    let mut targets = Vec::new();
    let store = hardware.storage.store.as_ref();
    let at = store.and_then(|place| device(&existing(Path::new(&place.path))?));
    let is_shared = |path: &Option<PathBuf>| at.is_some() && path.as_deref().and_then(device) == at;
    if let Some((place, path)) = builds {
        let is_shared = is_shared(&path);
        let holds = if is_shared { "builds and the store" } else { "builds" };
        targets.push((holds.to_owned(), place, path));
        if is_shared {
            return targets;
        }
    }
    if let Some(place) = store {
        // Never in the store itself: what is there and not valid is garbage.
        let beside = Path::new(&place.path).parent().and_then(existing);
        targets.push(("the store".to_owned(), place, beside.filter(|path| device(path) == at)));
    }
    targets
}

/// A folder, or the nearest above it that is there.
fn existing(path: &Path) -> Option<PathBuf> {
    path.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned)
}

/// A rate for people.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", size(bytes_per_second))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use detect::hardware::Media;

    use super::{Measured, Speed, measure};

    #[test]
    fn a_folder_that_is_not_there_is_named_and_not_its_parent_measured() {
        let folder = tempfile::tempdir().expect("folder");
        let error = |name: &str| {
            let path = folder.path().join(name);
            let error = detect::report::reason(&measure(Some(&path), false).expect_err(name));
            error.replace(&path.display().to_string(), "PATH")
        };
        assert_eq!(error("none"), "PATH: No such file or directory");
        fs::write(folder.path().join("file"), "").expect("a file");
        assert_eq!(error("file"), "PATH: not a directory");
    }

    #[test]
    fn what_could_not_be_measured_is_nothing() {
        let place = Speed {
            holds: "builds".to_owned(),
            path: "/x".to_owned(),
            filesystem: None,
            media: Media::Unknown,
            rates: None,
            why_not: Some("/x: Permission denied".to_owned()),
        };
        let mut measured = Measured {
            version: detect::number::Version,
            places: vec![place],
            findings: Vec::new(),
            store_size: None,
        };
        assert!(measured.is_empty());
        measured.places.clear();
        assert!(measured.is_empty(), "nor is there anything where nothing is known");
    }
}
