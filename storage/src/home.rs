//! Where builds run: on the default's file system, on a better one, or in memory.
//!
//! On disk is right by default: builds such as Qt's need 50 GiB. So a directory
//! is planned only where the default is bad by what the machine is known to
//! have, and memory only where all there is to build on is slow.

use detect::hardware::Note;
use detect::human::size;
use detect::release::Release;
use profile::plan::{Plan, Value};
use profile::refuse::build_dir::ON_ROOT;
use profile::sizing::GIB;

use crate::Decision;
use crate::disk::{disk, is_good};
use crate::memory::{memory, mounted};
use crate::site::{Site, has_build_dir};

/// What one build may write, of which every job has one. The sources and
/// objects of GCC take 11 GiB; most packages take far less.
pub(crate) const BUILD_BYTES: u64 = 10 * GIB;

/// What most packages take: the least that a tmpfs must have for each job.
pub(crate) const SMALL_BUILD_BYTES: u64 = 2 * GIB;

/// Where builds run, when not where they do by default.
#[derive(Debug, PartialEq)]
pub(crate) struct Home {
    /// The directory.
    pub(crate) path: &'static str,
    /// Whether Nix has to be told.
    pub(crate) is_told: bool,
    /// The size of the tmpfs on it; `None` on a disk.
    pub(crate) tmpfs_bytes: Option<u64>,
    pub(crate) why: String,
}

/// Where builds should run; `None` when that is the default, or when somebody
/// has chosen a place already.
pub(crate) fn home(plan: &Plan, release: Release) -> Option<Home> {
    let hardware = &plan.hardware;
    // Units and file systems of macOS are others.
    let is_darwin = hardware.system.as_deref().is_some_and(|name| name.ends_with("-darwin"));
    // Without a daemon, builds are run by a user who cannot write to what is
    // root's.
    let is_single = hardware.nix.as_ref().is_some_and(|nix| nix.multi_user == Some(false));
    // The state of another store is in another directory.
    let store = hardware.nix.as_ref().and_then(|nix| nix.store_dir.as_deref());
    let is_elsewhere = store.is_some_and(|store| store != "/nix/store");
    if is_darwin || is_single || is_elsewhere {
        return None;
    }
    let Some(site) = Site::of(plan, release) else { return kept(plan, release) };
    // What an earlier plan mounted is no small disk: it stays, as jobs × cores
    // are sized without it.
    let mounted = if mounted(&site).is_some() { memory(&site) } else { None };
    mounted.or_else(|| disk(&site)).or_else(|| memory(&site))
}

/// The directory of an earlier plan, where the machine no longer shows what the
/// default is on: to plan again does not undo the plan.
fn kept(plan: &Plan, release: Release) -> Option<Home> {
    let place = plan.hardware.storage.build_dir.as_ref()?;
    let stays = place.path == ON_ROOT && is_good(place, 0) && has_build_dir(release);
    stays.then(|| Home {
        path: ON_ROOT,
        is_told: true,
        tmpfs_bytes: None,
        why: "builds run there by an earlier plan, and nothing speaks against it".to_owned(),
    })
}

impl Home {
    /// Whether the target can be told of it.
    fn can_be_told(&self, release: Release) -> bool {
        !self.is_told || has_build_dir(release)
    }

    /// What it is in nix.conf.
    pub(crate) fn settings(&self, release: Release) -> Vec<Decision> {
        if self.is_told && self.can_be_told(release) {
            vec![("build-dir", text(self.path), self.why.clone())]
        } else {
            Vec::new()
        }
    }

    /// What `NixOS` is told.
    pub(crate) fn options(&self, release: Release) -> Vec<Decision> {
        if !self.can_be_told(release) {
            return Vec::new();
        }
        let mut options = Vec::new();
        if self.is_told {
            // As in the entry that Nix itself has for its default
            // (misc/systemd/nix-daemon.conf).
            let rule = format!("d {} 0755 root root 7d", self.path);
            let why = "the build directory must be there, and nobody but root may write to it, \
                       or Nix refuses it; what is older than a week, no build is left to need";
            options.push(("systemd.tmpfiles.rules", Value::List(vec![rule]), why.to_owned()));
        }
        let Some(bytes) = self.tmpfs_bytes else { return options };
        if self.path == "/tmp" {
            let bound = "the size keeps builds from the memory of others";
            options.push(("boot.tmp.useTmpfs", Value::Bool(true), self.why.clone()));
            options.push(("boot.tmp.tmpfsSize", Value::Integer(bytes), bound.to_owned()));
            return options;
        }
        let [device, kind, words] = mount_options(self.path);
        let values = [format!("size={bytes}"), "mode=0755".to_owned()];
        let values = values.into_iter().chain(["nosuid", "nodev"].map(str::to_owned)).collect();
        let bound = "only root may write here, or Nix refuses it; the size keeps builds from the \
                     memory of others";
        options.push((device, text("tmpfs"), self.why.clone()));
        options.push((kind, text("tmpfs"), "it is in memory".to_owned()));
        options.push((words, Value::List(values), bound.to_owned()));
        options
    }

    /// What to know about it.
    pub(crate) fn notes(&self, release: Release) -> Vec<Note> {
        let path = self.path;
        if !self.can_be_told(release) {
            let text = format!(
                "{}, but {release} has no build-dir: give nix-daemon {path} as TMPDIR, or update \
                 Nix to 2.22 or later",
                self.why
            );
            return vec![Note::warning("build-dir-unknown", text)];
        }
        let mut notes = Vec::new();
        if let Some(bytes) = self.tmpfs_bytes {
            let text = format!(
                "builds run in {} of memory, on {path}: one that writes more fails, and needs the \
                 disk (leave the file system out, or set build-dir for it)",
                size(bytes)
            );
            notes.push(Note::info("builds-in-memory", text));
        }
        if self.is_told && !release.has_nix(2, 30) {
            let text = format!(
                "no build runs without {path}, and not every release before Nix 2.30 makes it: \
                 NixOS and systemd-tmpfiles do when told, elsewhere `install -d -m 0755 {path}` \
                 does"
            );
            notes.push(Note::warning("build-dir-to-make", text));
        }
        notes
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The names of the options that mount a file system there.
fn mount_options(path: &str) -> [&'static str; 3] {
    if path == "/nix/var/nix/b" {
        return [
            r#"fileSystems."/nix/var/nix/b".device"#,
            r#"fileSystems."/nix/var/nix/b".fsType"#,
            r#"fileSystems."/nix/var/nix/b".options"#,
        ];
    }
    [
        r#"fileSystems."/nix/var/nix/builds".device"#,
        r#"fileSystems."/nix/var/nix/builds".fsType"#,
        r#"fileSystems."/nix/var/nix/builds".options"#,
    ]
}
