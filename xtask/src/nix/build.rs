//! Root trees in the making, two at a time.
//!
//! **Invariant:** a tree has its final name only when it is complete, so that an
//! interrupted run leaves nothing that a later one would take for a tree.

use std::fs::{self, File};
use std::panic;
use std::path::Path;
use std::process::{Command, id};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use detect::release::Release;
use indicatif::{MultiProgress, ProgressBar};

use super::{SUITE_FILE, debian, mirror, wrapper};
use detect::report::say;

/// Unpacking keeps one CPU busy and downloads wait, so two fit most machines.
const AT_ONCE: usize = 2;

/// As many lines of a failed build's log as help without filling the screen.
const TAIL_LINES: usize = 15;

/// Between the name of a suite and the process that builds it.
const BUILDING: &str = "-building-";

/// Build a tree for each suite. All are tried, and what failed is said.
pub(super) fn all(folder: &Path, workspace: &Path, suites: &[&'static str]) -> Result<()> {
    debian::ensure_mmdebstrap()?;
    let mirror = mirror::configured().unwrap_or_else(|| {
        let mirror = mirror::EVERYWHERE.to_owned();
        say(&format!("xtask: warning: no Debian mirror in /etc/apt: using {mirror}"));
        mirror
    });

    let progress = MultiProgress::new();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut failures = Vec::new();
        while let Some(suite) = suites.get(next.fetch_add(1, Ordering::Relaxed)) {
            let built = with_progress(&progress, suite, || one(folder, workspace, suite, &mirror));
            failures.extend(built.err().map(|error| (*suite, error)));
        }
        failures
    };
    let mut failures = Vec::new();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            failures.extend(worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic)));
        }
    });

    for (suite, _) in &failures {
        let path = folder.join(format!("{suite}.log"));
        let log = fs::read_to_string(&path).unwrap_or_default();
        say(&format!("Debian {suite}: the end of {}:", path.display()));
        tail(&log, TAIL_LINES).for_each(|line| say(&format!("  {line}")));
    }
    match failures.into_iter().next() {
        Some((suite, error)) => Err(error.context(suite)),
        None => Ok(()),
    }
}

/// Show that something is being built: a spinner on a terminal, else two lines.
fn with_progress(
    progress: &MultiProgress,
    suite: &str,
    work: impl FnOnce() -> Result<String>,
) -> Result<String> {
    let started = Instant::now();
    let spinner = progress.add(ProgressBar::new_spinner());
    let text = format!("Debian {suite}: building a tree with its Nix (a minute or so)");
    if progress.is_hidden() {
        say(&text);
    }
    spinner.set_message(text);
    spinner.enable_steady_tick(Duration::from_millis(100));
    let built = work();
    spinner.finish_and_clear();
    let seconds = started.elapsed().as_secs();
    let text = match &built {
        Ok(version) => format!("Debian {suite}: Nix {version}, in {seconds} s"),
        Err(_) => format!("Debian {suite}: failed after {seconds} s"),
    };
    progress.suspend(|| say(&text));
    built
}

/// Build a tree, and return the version of its Nix.
fn one(folder: &Path, workspace: &Path, suite: &str, mirror: &str) -> Result<String> {
    let building = folder.join(format!(".{suite}{BUILDING}{}", id()));
    let built = fill(folder, &building, workspace, suite, mirror);
    if building.exists()
        && let Err(error) = remove(&building)
    {
        say(&format!("xtask: warning: {error:#}"));
    }
    built
}

fn fill(
    folder: &Path,
    building: &Path,
    workspace: &Path,
    suite: &str,
    mirror: &str,
) -> Result<String> {
    fs::create_dir(building).with_context(|| building.display().to_string())?;
    let root = building.join("root");
    let log = folder.join(format!("{suite}.log"));
    let log = File::create(&log).with_context(|| log.display().to_string())?;
    debian::install(suite, &root, mirror, log)?;
    debian::add_build_users(&root)?;
    fs::write(building.join(SUITE_FILE), format!("{suite}\n"))?;
    wrapper::make_room(&root, workspace)?;
    let mut nix = Command::new(folder.join("enter"));
    let output = nix.arg(&root).arg(workspace).args(["nix", "--version"]).output()?;
    let banner = String::from_utf8_lossy(&output.stdout);
    let Some(release) = Release::from_banner(&banner) else {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("nix --version: printed “{}”, {}", banner.trim(), error.trim());
    };
    let (major, minor, _) = release.version;
    let version = format!("{major}.{minor}");
    match fs::rename(building, folder.join(&version)) {
        // Another run, at the same time, was faster.
        Err(_) if super::find(folder, suite).is_some() => Ok(version),
        renamed => renamed.map(|()| version.clone()).context(version),
    }
}

/// Remove what interrupted runs left. What cannot be removed only takes space.
pub(super) fn sweep(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let Some(builder) = name.to_str().and_then(builder) else {
            continue;
        };
        if !Path::new("/proc").join(builder.to_string()).exists()
            && let Err(error) = remove(&entry.path())
        {
            say(&format!("xtask: warning: {error:#}"));
        }
    }
}

/// The process that builds the folder of this name.
fn builder(name: &str) -> Option<u32> {
    name.strip_prefix('.')?.split_once(BUILDING)?.1.parse().ok()
}

/// Remove a folder, unless something is mounted in it: that would be removed too.
fn remove(folder: &Path) -> Result<()> {
    let what = || folder.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mountinfo").with_context(what)?;
    if is_mounted_below(&mounts, folder) {
        bail!("{}: something is mounted in it", folder.display());
    }
    fs::remove_dir_all(folder).with_context(what)
}

fn is_mounted_below(mountinfo: &str, folder: &Path) -> bool {
    let folder = folder.display().to_string().replace(' ', r"\040");
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .any(|mount_point| Path::new(mount_point).starts_with(&folder))
}

/// The last lines of a text.
fn tail(text: &str, lines: usize) -> impl Iterator<Item = &str> {
    text.lines().skip(text.lines().count().saturating_sub(lines))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{builder, is_mounted_below, tail};

    #[test]
    fn only_unfinished_trees_have_a_builder() {
        assert_eq!(builder(".sid-building-123"), Some(123));
        for other in ["2.8", "sid-building-123", ".sid-building-", ".sid-building-x", "enter"] {
            assert_eq!(builder(other), None, "{other}");
        }
    }

    #[test]
    fn mounts_below_a_folder_are_seen() {
        let mounts = "\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:5 / /a\\040b/.sid-building-1/root/dev rw - devtmpfs udev rw
";
        assert!(is_mounted_below(mounts, Path::new("/a b/.sid-building-1")));
        assert!(!is_mounted_below(mounts, Path::new("/a b/.sid-building-12")));
        assert!(!is_mounted_below(mounts, Path::new("/a b/.sid")));
    }

    #[test]
    fn a_tail_is_the_end() {
        assert_eq!(tail("1\n2\n3\n", 2).collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(tail("1\n", 2).collect::<Vec<_>>(), ["1"]);
    }
}
