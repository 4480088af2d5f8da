//! What there is to choose from: where builds run by default, and what else
//! the machine has.
//!
//! **Invariant:** what the document does not say is not taken for granted. A
//! file system may be mounted on any folder, so a directory is on the file
//! system of another only where that is certain.

use std::path::Path;

use detect::hardware::{Implementation, Media, Place};
use detect::release::Release;
use profile::catalogue;
use profile::plan::{Plan, Value};
use profile::refuse::build_dir::ON_ROOT;

/// The defaults of `build-dir` there have been. A machine whose builds run in
/// any other directory has that from its owner, who is not overruled.
const DEFAULTS: [&str; 3] = ["/tmp", "/nix/var/nix/builds", "/nix/var/nix/b"];

/// A machine, and where its builds run unless Nix is told otherwise.
pub(crate) struct Site<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) release: Release,
    /// Where the target lets builds run by default.
    pub(crate) default: &'static str,
    /// What that is on.
    pub(crate) now: &'a Place,
}

impl<'a> Site<'a> {
    /// The machine of this plan; `None` where its owner has chosen a place, or
    /// the document does not say what the default is on.
    pub(crate) fn of(plan: &'a Plan, release: Release) -> Option<Self> {
        let chosen = &plan.hardware.storage.build_dir.as_ref()?.path;
        if chosen != ON_ROOT && !DEFAULTS.contains(&chosen.as_str()) {
            return None;
        }
        let default = default_dir(release);
        Some(Self { plan, release, default, now: place_of(plan, default)? })
    }

    /// Whether the target can be told where builds run.
    pub(crate) fn has_build_dir(&self) -> bool {
        has_build_dir(self.release)
    }

    /// Builds at once, of one client.
    pub(crate) fn jobs(&self) -> u64 {
        match self.plan.settings.get("max-jobs").map(|setting| &setting.value) {
            Some(Value::Integer(jobs)) => *jobs,
            _ => 1,
        }
    }

    /// Whether the default is on what makes builds wait.
    pub(crate) fn is_slow(&self) -> bool {
        is_slow(self.now.media)
    }

    /// Directories that only root may write to, and what they are on; last the
    /// one that Nix has of its own, which is preferred where all else is equal.
    pub(crate) fn candidates(&self) -> Vec<(&'static str, &'a Place)> {
        let is_root = |place: &&Place| place.mount_point.as_deref() == Some("/");
        let root = places(self.plan).find(is_root).map(|place| (ON_ROOT, place));
        let own = own_dir(self.release);
        let own = place_of(self.plan, own).map(|place| (own, place));
        let found = root.into_iter().chain(own);
        found.filter(|(path, _)| *path != self.default).collect()
    }
}

/// The default of `build-dir`: release notes of Nix 2.30 and Lix 2.94.
pub(crate) fn default_dir(release: Release) -> &'static str {
    match release.implementation {
        Implementation::Lix if release.version >= (2, 94, 0) => own_dir(release),
        _ if release.has_nix(2, 30) => own_dir(release),
        _ => "/tmp",
    }
}

/// Nix's own directory for builds, the default of its later releases.
pub(crate) fn own_dir(release: Release) -> &'static str {
    match release.implementation {
        Implementation::Lix => "/nix/var/nix/b",
        _ => "/nix/var/nix/builds",
    }
}

/// Whether a release can be told where builds run.
pub(crate) fn has_build_dir(release: Release) -> bool {
    catalogue::find("build-dir").is_some_and(|entry| entry.known(release))
}

/// Whether a medium is slower than any flash.
pub(crate) fn is_slow(media: Media) -> bool {
    matches!(media, Media::Network | Media::Hdd)
}

/// Everything of which the document says what it is on.
pub(crate) fn places(plan: &Plan) -> impl Iterator<Item = &Place> {
    let storage = &plan.hardware.storage;
    [&storage.build_dir, &storage.store, &storage.tmp].into_iter().flatten()
}

/// What a directory is on. The document may be of a machine with another Nix,
/// and so of another default.
fn place_of<'a>(plan: &'a Plan, path: &str) -> Option<&'a Place> {
    let itself = places(plan).find(|place| place.path == path);
    itself.or_else(|| places(plan).find(|place| holds(place, path)))
}

/// Whether a directory of Nix's is on the file system of a place. What is
/// mounted below that is not in the document, but nobody mounts anything on
/// /nix/var alone. (`NixOS` mounts /nix/store on itself, which says nothing.)
fn holds(place: &Place, path: &str) -> bool {
    let is_above = |mount: &str| ["/", "/nix", "/nix/var", "/nix/var/nix"].contains(&mount);
    let mount = place.mount_point.as_deref().filter(|mount| is_above(mount));
    // Of / that holds only where the store, too, is on it.
    let own = mount.filter(|mount| *mount != "/" || place.path.starts_with("/nix/"));
    own.is_some_and(|mount| path.starts_with("/nix/") && Path::new(path).starts_with(mount))
}
