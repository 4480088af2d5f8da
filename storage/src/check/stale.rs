//! What builds left behind: directories that no process uses any more.
//!
//! Nix gives each build a user of its own, and owns nothing else by that name;
//! so a directory is in use while any process of its user runs, or one works in
//! it, or the Nix that it is named after is there.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use detect::human::size;

use super::finding::Finding;

/// Entries that are counted, so that the check ends soon.
const MOST_ENTRIES: usize = 100_000;

/// Processes, as far as they are shown to us.
pub(crate) struct Processes {
    /// Their users.
    users: BTreeSet<u32>,
    /// Where they work.
    folders: BTreeSet<PathBuf>,
    /// The numbers of those that are some Nix.
    nix: BTreeSet<u64>,
}

impl Processes {
    /// Those of this machine; `None` when not all are shown.
    pub(crate) fn here() -> Option<Self> {
        // Under hidepid= one sees only one's own, and of others at most that they
        // are there: neither what they are nor where they work.
        fs::read("/proc/1/comm").ok()?;
        let mut found =
            Self { users: BTreeSet::new(), folders: BTreeSet::new(), nix: BTreeSet::new() };
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            let folder = entry.path();
            found.users.extend(entry.metadata().map(|process| process.uid()));
            found.folders.extend(fs::read_link(folder.join("cwd")));
            let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
            if name.starts_with("nix") {
                found.nix.insert(pid);
            }
        }
        Some(found)
    }

    /// Whether any of them may use the directory of a build.
    fn use_it(&self, build: &Path) -> bool {
        // Since 2.30 root owns the directory, and the build's user one in it.
        let owners = [build.to_owned(), build.join("build")];
        let owners = owners.iter().filter_map(|path| Some(fs::symlink_metadata(path).ok()?.uid()));
        let mut own = owners.filter(|uid| *uid != 0 && *uid != own_user());
        own.any(|uid| self.users.contains(&uid))
            || number(build).is_some_and(|pid| self.nix.contains(&pid))
            || self.folders.iter().any(|folder| folder.starts_with(build))
    }
}

/// Who we are: our processes say nothing of a build.
fn own_user() -> u32 {
    fs::metadata("/proc/self").map_or(0, |own| own.uid())
}

/// What builds left where they run, and in `others`, where those of releases
/// before 2.30 did: there, `nix-PID-NUMBER` is a client's.
pub(crate) fn stale(
    build_dir: &Path,
    others: &BTreeSet<PathBuf>,
    processes: &Processes,
) -> Vec<Finding> {
    let own = Some(build_dir).filter(|folder| !others.contains(*folder));
    let own = own.and_then(|folder| below(folder, processes, true));
    own.into_iter()
        .chain(others.iter().filter_map(|folder| below(folder, processes, false)))
        .collect()
}

fn below(folder: &Path, processes: &Processes, is_new: bool) -> Option<Finding> {
    let entries = fs::read_dir(folder).ok()?.take(MOST_ENTRIES).flatten();
    let builds = entries.filter(|entry| {
        let path = entry.path();
        let is_build = is_old_build(&path) || is_new && number(&path).is_some();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_build && is_folder && !processes.use_it(&path)
    });
    let mut left: Vec<PathBuf> = builds.map(|entry| entry.path()).collect();
    left.sort_unstable();
    let first = left.first()?.display().to_string();
    let number = match left.len() {
        1 => "1 build directory".to_owned(),
        number => format!("{number} build directories"),
    };
    let others = if left.len() > 1 { " and others" } else { "" };
    let (bytes, is_all) = weigh(left);
    let more = if is_all { "" } else { "more than " };
    let text = format!(
        "{} has {number} that no process uses, of {more}{}: {first}{others}",
        folder.display(),
        size(bytes),
    );
    Some(Finding::warning("stale-builds", text, "delete them while nothing builds"))
}

/// Names of Nix's own up to 2.29: `nix-build-NAME.drv-NUMBER`. A client's is
/// `nix-build-PID-NUMBER`.
fn is_old_build(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let number = name.strip_prefix("nix-build-").and_then(|rest| rest.rsplit_once(".drv-"));
    number.is_some_and(|(_, number)| number.parse::<u64>().is_ok())
}

/// The process that `nix-PID-NUMBER` is named after.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let (pid, number) = name.strip_prefix("nix-")?.split_once('-')?;
    number.parse::<u64>().ok()?;
    pid.parse().ok()
}

/// The space that these directories take, and whether all of it was counted.
/// Links are not followed, and what cannot be read counts for nothing.
fn weigh(mut folders: Vec<PathBuf>) -> (u64, bool) {
    let (mut bytes, mut seen) = (0_u64, 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST_ENTRIES {
                return (bytes, false);
            }
            let Ok(found) = entry.metadata() else { continue };
            bytes = bytes.saturating_add(found.blocks().saturating_mul(512));
            if found.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    (bytes, true)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::process::{Command, Stdio};

    use super::{Processes, stale};

    #[test]
    fn what_a_process_uses_is_not_stale() {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder.path().canonicalize().expect("path");
        let (old, new) = (base.join("nix-build-a.drv-0"), base.join("nix-4294967295-7"));
        let others = ["nix-x-1", "nix-build-x", "nix-build-7-0"].map(|name| base.join(name));
        for build in [&old, &new].into_iter().chain(&others) {
            fs::create_dir(build).expect("made");
            fs::write(build.join("object"), [1; 5000]).expect("written");
        }
        let find = || {
            let processes = Processes::here().expect("processes");
            stale(&base, &BTreeSet::new(), &processes).pop().map(|found| found.text)
        };
        let text = find().expect("a finding");
        assert!(text.contains("2 build directories") && text.contains("16 KiB"), "{text}");

        // It ends when its input does.
        let mut process = Command::new("cat");
        let mut process =
            process.current_dir(&old).stdin(Stdio::piped()).spawn().expect("a process");
        let text = find().expect("a finding");
        assert!(text.contains("1 build directory") && text.contains("nix-4294967295-7"), "{text}");
        drop(process.stdin.take());
        process.wait().expect("it ends");

        let processes = Processes::here().expect("processes");
        let as_other = stale(&base, &[base.clone()].into(), &processes);
        assert!(as_other[0].text.contains("a.drv-0") && as_other.len() == 1, "{as_other:?}");

        fs::remove_dir_all(&old).expect("removed");
        fs::remove_dir_all(&new).expect("removed");
        assert_eq!(find(), None, "others' names are none of ours");
    }
}
