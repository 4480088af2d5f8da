//! Where builds run: on the default's file system, on a better one, or in memory.
//!
//! On disk is right by default: builds such as Qt's need 50 GiB. So a directory
//! is planned only where the default is bad by what the machine is known to
//! have, and memory only where all there is to build on is slow.

use std::path::Path;

use detect::hardware::{Implementation, Media, Note, Place};
use detect::human::{count, size};
use detect::release::Release;
use profile::budget;
use profile::catalogue;
use profile::plan::{Plan, Value, Workload};
use profile::sizing::GIB;

use crate::Decision;

/// What one build may write, of which every job has one. The sources and
/// objects of GCC take 11 GiB; most packages take far less.
pub(crate) const BUILD_BYTES: u64 = 10 * GIB;

/// The least that a tmpfs must have for each job: what most packages take.
const SMALL_BUILD_BYTES: u64 = 2 * GIB;

/// Sizes of a tmpfs to try: what the original design gave large machines, or
/// half of it.
const TMPFS: [u64; 2] = [16 * GIB, 8 * GIB];

/// Memory from which a tmpfs is considered: decimal, as a machine sold with
/// 64 GiB reports less.
const PLENTY: u64 = 64_000_000_000;

/// A directory on the root's file system of which that is certain: `/var` and
/// its like may be mounted apart, which the document does not say.
const ON_ROOT: &str = "/builds/nix";

/// Where builds run, when not where they do by default.
pub(crate) enum Home {
    /// In this directory.
    Disk { path: &'static str, why: String },
    /// In a tmpfs of this size on the default directory.
    Memory { path: &'static str, bytes: u64, why: String },
}

/// Where builds should run; `None` when that is the default, or when somebody
/// has chosen a place already.
pub(crate) fn home(plan: &Plan, release: Release) -> Option<Home> {
    // Units and file systems of macOS are others.
    if plan.hardware.system.as_deref().is_some_and(|system| system.ends_with("-darwin")) {
        return None;
    }
    let path = default_dir(release);
    let now = place_of(plan, path)?;
    disk(plan, release, now).or_else(|| memory(plan, now, path))
}

impl Home {
    /// What it is in nix.conf.
    pub(crate) fn settings(&self) -> Vec<Decision> {
        match self {
            Self::Disk { path, why } => vec![("build-dir", text(path), why.clone())],
            Self::Memory { .. } => Vec::new(),
        }
    }

    /// What `NixOS` is told.
    pub(crate) fn options(&self) -> Vec<Decision> {
        match self {
            Self::Disk { path, .. } => {
                let rule = format!("d {path} 0755 root root -");
                let why = "the build directory must be there, and nobody but root may write to \
                           it: Nix refuses it otherwise";
                vec![("systemd.tmpfiles.rules", Value::List(vec![rule]), why.to_owned())]
            }
            Self::Memory { path, bytes, why } => {
                let tmpfs = || text("tmpfs");
                let [device, kind, options] = mount_options(path);
                let words = [format!("size={bytes}"), "mode=0755".to_owned()];
                let words = words.into_iter().chain(["nosuid", "nodev"].map(str::to_owned));
                let bound = "only root may write here, or Nix refuses it; the size is what keeps \
                             builds from the memory of others";
                vec![
                    (device, tmpfs(), why.clone()),
                    (kind, tmpfs(), "it is in memory".to_owned()),
                    (options, Value::List(words.collect()), bound.to_owned()),
                ]
            }
        }
    }

    /// What to know about it.
    pub(crate) fn note(&self) -> Option<Note> {
        let Self::Memory { bytes, .. } = self else { return None };
        let text = format!(
            "builds run in {} of memory on NixOS: one that writes more fails, and needs the disk \
             (leave the file system out, or set build-dir for it)",
            size(*bytes)
        );
        Some(Note::info("builds-in-memory", text))
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The default of `build-dir`: release notes of Nix 2.30 and Lix 2.94.
pub(crate) fn default_dir(release: Release) -> &'static str {
    match release.implementation {
        Implementation::Lix if release.version >= (2, 94, 0) => "/nix/var/nix/b",
        _ if release.has_nix(2, 30) => "/nix/var/nix/builds",
        _ => "/tmp",
    }
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

/// What the target's default stands on. The document may be of a machine with
/// another Nix, and so of another default; a place of its owner's choice is
/// left alone.
fn place_of<'a>(plan: &'a Plan, path: &str) -> Option<&'a Place> {
    let storage = &plan.hardware.storage;
    let chosen = storage.build_dir.as_ref()?;
    if chosen.path == path {
        return Some(chosen);
    }
    let is_default = ["/tmp", "/nix/var/nix/builds", "/nix/var/nix/b"];
    if !is_default.contains(&chosen.path.as_str()) {
        return None;
    }
    let others = [storage.tmp.as_ref(), storage.store.as_ref()];
    others.into_iter().flatten().find(|place| place.path == path || holds(place, path))
}

/// Whether a path is on the file system of a place. What is mounted below it is
/// not in the document, but no one mounts anything on /nix/var alone.
fn holds(place: &Place, path: &str) -> bool {
    let is_above = |mount: &String| ["/", "/nix", "/nix/var", "/nix/var/nix"].contains(&&**mount);
    place
        .mount_point
        .as_ref()
        .is_some_and(|mount| is_above(mount) && Path::new(path).starts_with(mount))
        && path.starts_with("/nix/")
}

/// A better file system, where the default's is bad and a release can be told.
fn disk(plan: &Plan, release: Release, now: &Place) -> Option<Home> {
    if !catalogue::find("build-dir").is_some_and(|entry| entry.known(release)) {
        return None;
    }
    let need = jobs(plan).saturating_mul(BUILD_BYTES);
    let (path, better) = candidates(plan, release)
        .into_iter()
        .filter(|(path, place)| *path != now.path && place.mount_point != now.mount_point)
        .filter(|(_, place)| is_good(place, need))
        .max_by_key(|(_, place)| (place.media, place.size_bytes))?;
    let is_slow = matches!(now.media, Media::Network | Media::Hdd);
    let is_fast = matches!(better.media, Media::Ssd | Media::Nvme);
    let small = now.size_bytes.map(std::num::NonZero::get).filter(|bytes| *bytes < need);
    let why = match small {
        Some(bytes) => format!(
            "{} has only {}, where {} may write {} each; {path} has {}",
            now.path,
            size(bytes),
            count(u32::try_from(jobs(plan)).unwrap_or(u32::MAX), "build"),
            size(BUILD_BYTES),
            size(better.size_bytes?.get())
        ),
        None if is_slow && is_fast => format!(
            "{} is on {}, and builds write many small files; {path} is on {}",
            now.path,
            named(now.media),
            named(better.media)
        ),
        None => return None,
    };
    Some(Home::Disk { path, why })
}

/// Directories that only root may write to, and what they are on.
fn candidates(plan: &Plan, release: Release) -> Vec<(&'static str, &Place)> {
    let storage = &plan.hardware.storage;
    let own = match release.implementation {
        Implementation::Lix => "/nix/var/nix/b",
        _ => "/nix/var/nix/builds",
    };
    let mut found = Vec::new();
    for place in [&storage.store, &storage.build_dir, &storage.tmp].into_iter().flatten() {
        if place.path == own || holds(place, own) {
            found.push((own, place));
        }
        if place.mount_point.as_deref() == Some("/") {
            found.push((ON_ROOT, place));
        }
    }
    // Where Nix has a directory of its own, it is preferred to a new one on the
    // same file system: the last of equals is taken.
    found.sort_by_key(|(path, _)| *path == own);
    found
}

/// Whether builds can run there: they write much, and run what they have built.
fn is_good(place: &Place, need: u64) -> bool {
    let forbids = |option: &String| ["ro", "noexec"].contains(&option.as_str());
    !matches!(place.media, Media::Network | Media::Memory)
        && !place.options.iter().any(forbids)
        && place.size_bytes.is_some_and(|bytes| bytes.get() >= need)
}

/// A tmpfs on the directory, where the disk below it is slow and there is
/// plenty of memory that jobs × cores do not count on.
fn memory(plan: &Plan, now: &Place, path: &'static str) -> Option<Home> {
    let is_slow = matches!(now.media, Media::Network | Media::Hdd);
    // A container has the mounts that it is given, and /tmp is everybody's.
    let is_big = plan.profile.workload == Workload::Big;
    if !is_slow || is_big || path == "/tmp" || plan.hardware.environment.container.is_some() {
        return None;
    }
    let reserve = plan.profile.rule.reserve_bytes;
    let before = budget::budget(&plan.hardware, plan.profile.workload, reserve);
    let whole = before.memory_bytes.filter(|bytes| *bytes >= PLENTY && !before.is_limited)?;
    // The sizes of the plan must be those of the rule: from recorded builds,
    // they may use whatever there is.
    let (rule, sizes) = before.sizes()?;
    if plan.profile.rule.policy != Some(rule.name()) || u64::from(sizes.jobs) != jobs(plan) {
        return None;
    }
    let need = jobs(plan).saturating_mul(SMALL_BUILD_BYTES);
    let bytes = TMPFS.into_iter().filter(|bytes| *bytes >= need).find(|bytes| {
        let after = budget::Budget { tmpfs_bytes: Some(*bytes), ..before.clone() };
        after.sizes() == Some((rule, sizes))
    })?;
    let why = format!(
        "{path} is on {}; of {}, {} hold the small builds, and without them jobs × cores are \
         {} × {} all the same",
        named(now.media),
        size(whole),
        size(bytes),
        sizes.jobs,
        sizes.cores
    );
    Some(Home::Memory { path, bytes, why })
}

/// Builds at once, of one client.
pub(crate) fn jobs(plan: &Plan) -> u64 {
    match plan.settings.get("max-jobs").map(|setting| &setting.value) {
        Some(Value::Integer(jobs)) => *jobs,
        _ => 1,
    }
}

fn named(media: Media) -> &'static str {
    match media {
        Media::Network => "another machine",
        Media::Hdd => "a spinning disk",
        Media::Unknown => "an unknown medium",
        Media::Ssd => "an SSD",
        Media::Nvme => "NVMe",
        Media::Memory => "memory",
    }
}
