//! How much memory builds may use, and how much of it is used: of the control
//! group that leaves them least, or of the machine.

use std::fs;
use std::path::{Path, PathBuf};

use detect::memory::parse as meminfo;
use detect::mount::{self, Mount};
use detect::root::Root;
use procfs_core::{FromBufRead, ProcessCGroups};

use crate::processes::Proc;

/// Memory there is, and memory that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// There is.
    pub limit_bytes: u64,
    /// Used by what cannot simply be dropped.
    pub used_bytes: u64,
}

impl Memory {
    /// What share of it is used.
    #[expect(clippy::cast_precision_loss, reason = "a share of bytes")]
    pub fn used_share(self) -> f64 {
        self.used_bytes as f64 / self.limit_bytes.max(1) as f64
    }

    fn free(self) -> u64 {
        self.limit_bytes.saturating_sub(self.used_bytes)
    }
}

/// Where to look for memory.
#[derive(Debug)]
pub struct Looker {
    proc: Proc,
    mounts: Vec<Mount>,
}

impl Looker {
    /// At this machine.
    pub fn live() -> Self {
        Self { proc: Proc::live(), mounts: mount::mounts(&Root::live()) }
    }

    /// What a process and what it begins may use: the least of all levels.
    pub fn look(&self, process: Option<u32>) -> Option<Memory> {
        let info = meminfo(&self.proc.read("meminfo")?);
        let total = info.total_bytes?.get();
        let used_bytes = total.saturating_sub(info.available_bytes?);
        let machine = Memory { limit_bytes: total, used_bytes };
        let groups = process.and_then(|pid| self.proc.of(pid, "cgroup")).unwrap_or_default();
        let levels = levels(&self.mounts, &groups).into_iter().filter_map(|group| level(&group));
        levels.chain([machine]).min_by_key(|memory| memory.free())
    }
}

/// The folders of a process's group of memory and of those around it.
fn levels(mounts: &[Mount], groups: &str) -> Vec<PathBuf> {
    let Ok(groups) = ProcessCGroups::from_buf_read(groups.as_bytes()) else { return Vec::new() };
    let by =
        |group: &&procfs_core::ProcessCGroup| group.controllers.iter().any(|one| one == "memory");
    let first = groups.0.iter().find(by);
    let Some(group) = first.or_else(|| groups.0.iter().find(|group| group.hierarchy == 0)) else {
        return Vec::new();
    };
    let is_its = |mount: &&Mount| match mount.filesystem.as_str() {
        "cgroup" => first.is_some() && mount.has_option("memory"),
        "cgroup2" => first.is_none(),
        _ => false,
    };
    let Some(mount) = mounts.iter().find(is_its) else { return Vec::new() };
    let path = Path::new(&group.pathname);
    let inner = path.strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let leaf = mount.mount_point.join(inner);
    let within = |at: &&Path| at.starts_with(&mount.mount_point);
    leaf.ancestors().take_while(within).map(Path::to_owned).collect()
}

/// What a group limits; `None` where it does not.
fn level(group: &Path) -> Option<Memory> {
    let read = |file: &str| fs::read_to_string(group.join(file)).ok();
    let number =
        |file: &str| read(file)?.trim().parse::<u64>().ok().filter(|&bytes| bytes < 1 << 62);
    let is_second = group.join("memory.max").exists();
    let limit_bytes = if is_second {
        // Above memory.high builds are all but stopped.
        [number("memory.max"), number("memory.high")].into_iter().flatten().min()?
    } else {
        number("memory.limit_in_bytes")?
    };
    let usage = number(if is_second { "memory.current" } else { "memory.usage_in_bytes" })?;
    let stat = read("memory.stat")?;
    let prefix = if is_second { "" } else { "total_" };
    let cached = ["active_file", "inactive_file"].map(|kind| {
        let key = format!("{prefix}{kind} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&key));
        line.and_then(|bytes| bytes.trim().parse::<u64>().ok()).unwrap_or(0)
    });
    // What is only kept of files goes when memory is short.
    let used_bytes = usage.saturating_sub(cached[0].saturating_add(cached[1]));
    Some(Memory { limit_bytes, used_bytes })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use detect::mount::parse_mountinfo;

    use super::{Memory, level, levels};

    #[test]
    fn the_files_of_both_versions() {
        let folder = tempfile::tempdir().expect("folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect(name);
        assert_eq!(level(folder.path()), None);
        write("memory.limit_in_bytes", "1000\n");
        write("memory.usage_in_bytes", "700\n");
        write("memory.stat", "active_file 9\ntotal_active_file 50\ntotal_inactive_file 100\n");
        assert_eq!(level(folder.path()), Some(Memory { limit_bytes: 1000, used_bytes: 550 }));
        write("memory.max", "max\n");
        write("memory.high", "900\n");
        write("memory.current", "700\n");
        assert_eq!(level(folder.path()), Some(Memory { limit_bytes: 900, used_bytes: 691 }));
        write("memory.high", "max\n");
        assert_eq!(level(folder.path()), None, "no limit");
    }

    #[test]
    fn all_levels_count() {
        let mounts = parse_mountinfo(
            "31 1 0:31 /docker /m rw - cgroup cgroup rw,memory\n32 1 0:32 / /u rw - cgroup2 c rw\n",
        );
        let of = |text| {
            let levels = levels(&mounts, text);
            levels.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(of("4:memory:/docker/a/b\n0::/c\n"), ["/m/a/b", "/m/a", "/m"]);
        assert_eq!(of("0::/c\n"), ["/u/c", "/u"]);
        assert_eq!(of(""), [""; 0]);
    }
}
