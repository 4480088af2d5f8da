//! What of this machine will fail before it fails.
//!
//! Every finding rests on what is there now; an error is what ends the next
//! build of the expected size, a warning what ends it when all jobs build, or
//! makes it slow.

pub(crate) mod expected;
pub(crate) mod finding;
mod space;
mod stale;
mod store;
pub(crate) mod whereabouts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::hardware::{Hardware, Level, Place};
use detect::human::{count, number, size};
use detect::number::Version;
use detect::root::Root;
use detect::{live, mount};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use crate::check::expected::Expected;
pub use crate::check::finding::Finding;

use crate::ancestors::{self, Manners};
use finding::wrapped;
use space::Room;

/// What was found. Written only, so it has no reader.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Where builds run.
    pub build_dir: Option<Place>,
    /// What decides that they run there.
    pub build_dir_reason: Option<String>,
    /// Space that is free there.
    pub free_bytes: Option<u64>,
    /// Inodes that are free there.
    pub free_inodes: Option<u64>,
    /// What each build is expected to need.
    pub expected: Expected,
    /// Builds at once, of one client.
    pub jobs: u64,
    /// Errors first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Error).count()
    }

    /// For people.
    pub fn human(&self) -> String {
        let place = self.build_dir.as_ref();
        let unknown = || "unknown".to_owned();
        let mut text = String::new();
        let mut row = |name: &str, what: String| {
            text.push_str(&wrapped(&format!("{name:<9}{what}"), 9));
        };
        let reason = self.build_dir_reason.as_ref().map(|reason| format!(" ({reason})"));
        let at = place.map_or_else(unknown, |place| place.path.clone());
        row("Builds", at + &reason.unwrap_or_default());
        row("On", place.map_or_else(unknown, on));
        let free = self.free_bytes.map_or_else(unknown, size);
        let inodes = self.free_inodes.filter(|_| place.is_some_and(|at| at.inodes.is_some()));
        let inodes = inodes.map(|free| format!(" and {} inodes", number(free))).unwrap_or_default();
        row("Free", free + &inodes);
        let jobs = count(u32::try_from(self.jobs).unwrap_or(u32::MAX), "build");
        let Expected { bytes, files, source, .. } = &self.expected;
        row(
            "Expected",
            format!("{jobs} of {} in {} files each ({source})", size(*bytes), number(*files)),
        );
        text.push('\n');
        for finding in &self.findings {
            text.push_str(&finding.human());
        }
        if self.findings.is_empty() {
            text.push_str("Nothing found that would fail.\n");
        }
        text
    }
}

/// A file system in a few words.
fn on(place: &Place) -> String {
    let kind = place.filesystem.as_deref().unwrap_or("an unknown file system");
    let mount = place.mount_point.as_deref().unwrap_or("an unknown folder");
    match place.size_bytes {
        Some(bytes) => format!("{kind} of {}, mounted on {mount}", size(bytes.get())),
        None => format!("{kind}, mounted on {mount}"),
    }
}

/// Check this machine, or a captured tree at `base`, of which `detect --live` may
/// have said on the machine itself what no tree holds.
pub fn check(base: Option<&Path>, said: Option<Hardware>, expected: Expected) -> Result<Report> {
    let root = match base {
        Some(path) => Root::captured(path).with_context(|| path.display().to_string())?,
        None => Root::live(),
    };
    let mut hardware = said.unwrap_or_else(|| {
        let options = detect::Options { live: true, ..detect::Options::default() };
        detect::run(&root, &options)
    });
    let variable = |name: &str| std::env::var(name).ok().filter(|_| root.is_live());
    let found = whereabouts::whereabouts(&root, &hardware, &variable);
    move_builds(&root, &mut hardware, &found.path);

    let mut report = judge(&hardware, expected);
    report.build_dir_reason = Some(found.reason);
    report.findings.extend(ancestors::look(&root, &found.path, manners(&root, &hardware)));
    let place = hardware.storage.store.as_ref();
    report.findings.extend(place.and_then(|place| store::caseless(&root, place)));
    if root.is_live()
        && let Some(processes) = stale::Processes::here()
    {
        let others = [PathBuf::from("/tmp"), std::env::temp_dir()];
        let others: BTreeSet<PathBuf> = others.iter().map(|path| root.resolve(path)).collect();
        let own = root.resolve(&found.path);
        report.findings.extend(stale::stale(&own, &others, &processes));
    }
    report.findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
    Ok(report)
}

/// Look again where builds run, when that is elsewhere than `detect` says, which
/// knows of no daemon's environment.
pub(crate) fn move_builds(root: &Root, hardware: &mut Hardware, path: &Path) {
    let is_known = |place: &Place| Path::new(&place.path) == path;
    let store = hardware.storage.store.as_ref().map(|place| PathBuf::from(&place.path));
    if let Some(store) = store
        && !hardware.storage.build_dir.as_ref().is_some_and(is_known)
    {
        let mounts = mount::mounts(root);
        let looked = detect::storage::storage(root, &mounts, &store, path);
        if root.is_live() {
            hardware.live = Some(live::live(root, &looked));
            hardware.storage = looked;
            return;
        }
        // A tree has no figures: those of all but the directory still hold.
        hardware.storage.build_dir = looked.build_dir;
        if let Some(said) = &mut hardware.live {
            said.free_bytes.build_dir = None;
            said.free_inodes.build_dir = None;
        }
    }
}

/// How this machine's Nix treats its build directory.
fn manners(root: &Root, hardware: &Hardware) -> Manners {
    // Without Nix, that of the current release.
    let is_new = whereabouts::release(hardware).is_none_or(|release| release.has_nix(2, 30));
    let settings = hardware.nix.as_ref().map(|nix| &nix.settings);
    let set = |name: &str| settings.and_then(|settings| settings.get(name));
    let group = set("build-users-group").and_then(Value::as_str);
    let allocates = set("auto-allocate-uids").and_then(Value::as_bool) == Some(true);
    let is_ours = root.is_live() && !is_root(root);
    let has_daemon = hardware.nix.as_ref().is_none_or(|nix| nix.multi_user == Some(true));
    let has_users = match group {
        Some("") => false,
        Some(_) => true,
        None => has_daemon || !is_ours,
    };
    let has_users = has_users || allocates;
    let sandbox =
        set("sandbox").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    Manners {
        makes: is_new,
        refuses: is_new && has_users,
        exposed: has_users && sandbox.as_deref() == Some("false"),
    }
}

fn is_root(root: &Root) -> bool {
    if root.is_live() {
        return rustix::process::geteuid().is_root();
    }
    let status = root.read("proc/self/status");
    let line =
        status.as_deref().unwrap_or_default().lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|line| line.split_whitespace().nth(1)) == Some("0")
}

/// What follows from the document alone.
pub(crate) fn judge(hardware: &Hardware, expected: Expected) -> Report {
    let jobs = jobs(hardware);
    let storage = &hardware.storage;
    let mut findings = Vec::new();
    let live = hardware.live.as_ref();
    let free_bytes = live.and_then(|live| live.free_bytes.build_dir);
    let free_inodes = live.and_then(|live| live.free_inodes.build_dir);
    if let Some(place) = &storage.build_dir {
        let room = Room { whose: "builds", place, bytes: free_bytes, inodes: free_inodes };
        findings.extend(space::space(&room, jobs, &expected));
        findings.extend(options(place));
        findings.extend(space::memory(hardware, place, jobs, &expected));
    }
    if let Some(place) = &storage.store {
        let builds = storage.build_dir.as_ref();
        let is_apart = builds.map(|builds| &builds.mount_point) != Some(&place.mount_point);
        if is_apart {
            let bytes = live.and_then(|live| live.free_bytes.store);
            let inodes = live.and_then(|live| live.free_inodes.store);
            let room = Room { whose: "the store", place, bytes, inodes };
            findings.extend(space::space(&room, jobs, &expected));
            findings.extend(builds.and_then(|builds| store::attachment("builds", builds)));
        }
        findings.extend(store::attachment("the store", place));
    }
    findings.extend(store::room(hardware));
    Report {
        version: Version,
        build_dir: storage.build_dir.clone(),
        build_dir_reason: None,
        free_bytes,
        free_inodes,
        expected,
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

/// Mount options with which no build works. `noexec` holds in sandboxes too.
fn options(place: &Place) -> Option<Finding> {
    let at = place.mount_point.as_deref()?;
    let has = |name: &str| place.options.iter().any(|option| option == name);
    if has("ro") {
        let text = format!("{at}, where builds run, is mounted read-only");
        let next = format!("mount -o remount,rw {at}, or set build-dir to a directory elsewhere");
        return Some(Finding::error("build-dir-read-only", text, next));
    }
    has("noexec").then(|| {
        let text = format!("{at} is mounted noexec: builds cannot run what they unpack or build");
        let next = format!("mount -o remount,exec {at}, or set build-dir to a directory elsewhere");
        Finding::error("build-dir-noexec", text, next)
    })
}

#[cfg(test)]
mod tests;
