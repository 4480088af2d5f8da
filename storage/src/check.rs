//! What of this machine will fail before it fails.
//!
//! Every finding rests on what is there now; an error is what ends the next
//! build of the expected size, a warning what ends it when all jobs build, or
//! makes it slow.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use detect::hardware::{Hardware, Level, Media, Note, Place};
use detect::human::size;
use detect::number::Version;
use detect::release::Release;
use detect::root::Root;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::ancestors::{self, error_note};

/// Below `build-dir`, what nobody wrote to for so long belongs to no build:
/// hosted CI ends jobs after six hours.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// Entries of stale directories that are counted, so that the check ends soon.
const MOST_ENTRIES: usize = 100_000;

/// What to expect of builds.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Bytes that each build writes.
    pub bytes: u64,
    /// Files that each build makes.
    pub files: u64,
}

/// What was found. Written only, so it has no reader.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Where builds run.
    pub build_dir: Option<Place>,
    /// Bytes that each build is expected to write.
    pub expected_bytes: u64,
    /// Files that each build is expected to make.
    pub expected_files: u64,
    /// Builds at once, of one client.
    pub jobs: u64,
    /// What will fail (`error`), may fail or is slow (`warning`), or is good to
    /// know (`info`).
    pub findings: Vec<Note>,
}

impl Report {
    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|note| note.level == Level::Error).count()
    }

    /// For people.
    pub fn human(&self) -> String {
        let place = self.build_dir.as_ref();
        let at = place.map_or("an unknown directory", |place| &place.path);
        let kind = place.and_then(|place| place.filesystem.as_deref()).unwrap_or("unknown");
        let mount = place.and_then(|place| place.mount_point.as_deref()).unwrap_or("unknown");
        let mut text = format!(
            "Builds run in {at} ({kind}, mounted on {mount}); expected of each of {}: {} in {} \
             files\n",
            detect::human::count(u32::try_from(self.jobs).unwrap_or(u32::MAX), "build"),
            size(self.expected_bytes),
            self.expected_files
        );
        for Note { level, text: what, .. } in &self.findings {
            let level = match level {
                Level::Info => "note",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            text.push_str(&format!("{level:<8} {what}\n"));
        }
        if self.findings.is_empty() {
            text.push_str("Nothing found that would fail.\n");
        }
        text
    }
}

/// Check this machine, or a captured tree at `base`.
pub fn check(base: Option<&Path>, expected: Expected) -> Result<Report> {
    let root = match base {
        Some(path) => Root::captured(path).with_context(|| path.display().to_string())?,
        None => Root::live(),
    };
    let options = detect::Options { live: true, ..detect::Options::default() };
    let hardware = detect::run(&root, &options);
    let mut report = judge(&hardware, expected);
    if let Some(place) = &hardware.storage.build_dir {
        let base = base.unwrap_or(Path::new("/"));
        let path = Path::new(&place.path);
        report.findings.extend(ancestors::look(base, path, refuses(&hardware)));
        report.findings.extend(stale(&base.join(path.strip_prefix("/").unwrap_or(path))));
    }
    report.findings.sort_by_key(|note| std::cmp::Reverse(note.level));
    Ok(report)
}

/// Whether this Nix judges the folders above the build directory.
fn refuses(hardware: &Hardware) -> bool {
    let Some(nix) = &hardware.nix else { return true };
    let release = nix.version.as_deref().and_then(Release::parse);
    let is_new = release.is_none_or(|release| release.has_nix(2, 30));
    // Without build users, builds are run by whoever asks for them.
    let group = nix.settings.get("build-users-group").and_then(Value::as_str);
    let has_users = nix.multi_user != Some(false) || nix.build_users.is_some_and(|users| users > 0);
    is_new && has_users && group != Some("")
}

/// What follows from the document alone.
pub(crate) fn judge(hardware: &Hardware, expected: Expected) -> Report {
    let jobs = jobs(hardware);
    let storage = &hardware.storage;
    let mut findings = Vec::new();
    let live = hardware.live.as_ref();
    if let Some(place) = &storage.build_dir {
        let free = live.and_then(|live| live.free_bytes.build_dir);
        let inodes = live.and_then(|live| live.free_inodes.build_dir);
        findings.extend(space("builds", place, free, inodes, jobs, expected));
        findings.extend(options(place));
        findings.extend(memory(hardware, place, expected));
    }
    if let Some(place) = &storage.store {
        let same = storage.build_dir.as_ref().map(|place| &place.mount_point);
        if same != Some(&place.mount_point) {
            let free = live.and_then(|live| live.free_bytes.store);
            let inodes = live.and_then(|live| live.free_inodes.store);
            findings.extend(space("the store", place, free, inodes, jobs, expected));
        }
        findings.extend(attachment(place));
    }
    findings.extend(never_collects(hardware));
    Report {
        version: Version,
        build_dir: storage.build_dir.clone(),
        expected_bytes: expected.bytes,
        expected_files: expected.files,
        jobs,
        findings,
    }
}

/// Builds at once: as set, and `auto` by the CPUs that Nix counts.
fn jobs(hardware: &Hardware) -> u64 {
    let set = hardware.nix.as_ref().and_then(|nix| nix.settings.get("max-jobs"));
    match set {
        Some(Value::Number(jobs)) => jobs.as_u64().unwrap_or(1).max(1),
        Some(Value::String(auto)) if auto == "auto" => {
            hardware.cpu.online.map_or(1, |cpus| cpus.get().into())
        }
        _ => 1,
    }
}

/// Whether what is free carries one build, and all of them.
fn space(
    whose: &str,
    place: &Place,
    free: Option<u64>,
    inodes: Option<u64>,
    jobs: u64,
    expected: Expected,
) -> Vec<Note> {
    let at = place.mount_point.as_deref().unwrap_or(&place.path);
    // Where inodes are made as needed, none are ever free.
    let inodes = inodes.filter(|_| place.inodes.is_some());
    let amounts = [
        ("space", free, expected.bytes, size as fn(u64) -> String),
        ("inodes", inodes, expected.files, |number| format!("{number} inodes")),
    ];
    let mut notes = Vec::new();
    for (what, free, one, shown) in amounts {
        let Some(free) = free else { continue };
        let id = format!("little-{what}");
        let all = one.saturating_mul(jobs);
        let rest = format!("{at}, which holds {whose}, has {} free", shown(free));
        if free < one {
            let text = format!("{rest}, and one build is expected to need {}", shown(one));
            notes.push(error_note(&id, text));
        } else if free < all {
            let text = format!("{rest}, and {jobs} builds at once may need {}", shown(all));
            notes.push(Note::warning(&id, text));
        }
    }
    notes
}

/// Mount options with which no build works.
fn options(place: &Place) -> Option<Note> {
    let at = place.mount_point.as_deref()?;
    let has = |name: &str| place.options.iter().any(|option| option == name);
    if has("ro") {
        return Some(error_note("build-dir-read-only", format!("{at} is mounted read-only")));
    }
    has("noexec").then(|| {
        let text = format!("{at} is mounted noexec: builds cannot run what they unpack or build");
        error_note("build-dir-noexec", text)
    })
}

/// Whether memory and swap hold what a tmpfs says is free.
fn memory(hardware: &Hardware, place: &Place, expected: Expected) -> Option<Note> {
    let live = hardware.live.as_ref().filter(|_| place.media == Media::Memory)?;
    let swap = live.swap_free_bytes.unwrap_or(0);
    let there = live.memory_available_bytes?.saturating_add(swap);
    let size_bytes = place.size_bytes?.get();
    if there < expected.bytes {
        let text = format!(
            "{} is in memory, of which {} are left with swap: a build of {} ends others",
            place.path,
            size(there),
            size(expected.bytes)
        );
        return Some(error_note("little-memory", text));
    }
    (size_bytes > there).then(|| {
        let text = format!(
            "{} may take {} of memory, of which {} are left with swap",
            place.path,
            size(size_bytes),
            size(there)
        );
        Note::warning("little-memory", text)
    })
}

/// A store that may go away, or is far.
fn attachment(place: &Place) -> Option<Note> {
    if place.media == Media::Network {
        let text = "the store is on another machine: its database needs locks that work there, \
                    and every small file waits for the network";
        return Some(Note::warning("store-remote", text));
    }
    let disk = place.disks.iter().flatten().find(|disk| {
        disk.transport.as_deref().is_some_and(|transport| ["usb", "mmc"].contains(&transport))
    })?;
    let kind = disk.transport.as_deref().unwrap_or_default();
    let text = format!("the store is on {}, a {kind} disk: it may be slow, or pulled", disk.name);
    Some(Note::warning("store-removable", text))
}

/// `min-free` that is set, and that nothing ever comes of.
fn never_collects(hardware: &Hardware) -> Option<Note> {
    let settings = &hardware.nix.as_ref()?.settings;
    let number = |name: &str| settings.get(name).and_then(Value::as_u64);
    let least = number("min-free").filter(|&bytes| bytes > 0)?;
    let enough = number("max-free").unwrap_or(u64::MAX);
    let whole = hardware.storage.store.as_ref().and_then(|place| place.size_bytes);
    let text = if enough <= least {
        format!("min-free does nothing: max-free, {}, is no more than it", size(enough))
    } else if whole.is_some_and(|whole| least >= whole.get()) {
        format!("min-free, {}, is more than the store's file system has", size(least))
    } else {
        return None;
    };
    Some(Note::warning("min-free-useless", text))
}

/// What builds left behind that nobody wrote to for a day.
fn stale(build_dir: &Path) -> Option<Note> {
    let now = SystemTime::now();
    let is_old = |path: &PathBuf| {
        let found = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir);
        let age = found.and_then(|found| now.duration_since(found.modified().ok()?).ok());
        age.is_some_and(|age| age > STALE)
    };
    let entries = fs::read_dir(build_dir).ok()?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let left: Vec<PathBuf> = paths.filter(|path| is_build(path)).filter(is_old).collect();
    if left.is_empty() {
        return None;
    }
    let text = format!(
        "{} has {} left from builds that ended more than a day ago, {} of it: delete them when \
         no build runs",
        build_dir.display(),
        detect::human::count(u32::try_from(left.len()).unwrap_or(u32::MAX), "directory")
            .replace("directorys", "directories"),
        size(bytes(left))
    );
    Some(Note::warning("stale-builds", text))
}

/// Names of Nix's own: `nix-build-NAME.drv-0` up to 2.29 and with a number, and
/// `nix-PID-NUMBER` since.
fn is_build(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let numbered = |rest: &str| {
        rest.split_once('-').is_some_and(|(pid, number)| {
            [pid, number].iter().all(|part| part.parse::<u64>().is_ok())
        })
    };
    name.starts_with("nix-build-") || name.strip_prefix("nix-").is_some_and(numbered)
}

/// What is below these directories. Links are not followed, and what cannot be
/// read counts for nothing.
fn bytes(mut folders: Vec<PathBuf>) -> u64 {
    let (mut sum, mut seen) = (0_u64, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_ENTRIES {
                return sum;
            }
            let Ok(found) = entry.metadata() else { continue };
            sum = sum.saturating_add(found.len());
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests;
