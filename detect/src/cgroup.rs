//! Limits of control groups: CPU time, memory and CPUs, at every level from
//! the process's own group to the top of what it can see.
//!
//! Reading only the leaf, as Nix's `cores = 0` and many programs do, misses the
//! limits of every slice, container and pod above it.

use std::path::{Component, Path, PathBuf};

use procfs_core::{FromBufRead, ProcessCGroups};

use crate::cpuset::CpuSet;
use crate::mount::{self, Mount};
use crate::number::Cpus;
use crate::root::Root;

/// More hierarchies than there are controllers, mounted a few times over.
const MOST_HIERARCHIES: usize = 64;

/// What a group and its ancestors allow; `None` where nothing limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowance {
    /// CPU time, in CPUs.
    pub quota: Option<Cpus>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// CPUs of the cpuset.
    pub cpus: Option<CpuSet>,
    /// Whether no group could be looked at, so that there may be limits.
    pub hidden: bool,
}

/// What the groups of a process allow it; `process` is its folder in /proc,
/// e.g. `proc/self`.
pub fn allowance(root: &Root, mounts: &[Mount], process: &str) -> Allowance {
    let groups = root
        .read(format!("{process}/cgroup"))
        .and_then(|text| ProcessCGroups::from_buf_read(text.as_bytes()).ok())
        .map(|groups| groups.0)
        .unwrap_or_default();
    let path = |controller: &str| {
        let with = |group: &&procfs_core::ProcessCGroup| {
            group.controllers.iter().any(|name| name == controller)
        };
        // A controller of version 1 is not in version 2's tree.
        let first = groups.iter().find(with);
        let unified = groups.iter().find(|group| group.hierarchy == 0);
        first.or(unified).map(|group| group.pathname.clone())
    };
    // Old and sandboxed systems tell the cpuset's path in a file of its own.
    let cpuset = path("cpuset").or_else(|| root.word(format!("{process}/cpuset")));
    at(root, mounts, &|controller| match controller {
        "cpuset" => cpuset.clone(),
        _ => path(controller),
    })
}

/// What the groups of nix-daemon, where builds run, allow it; `None` when there
/// is no daemon.
pub fn of_daemon(root: &Root, mounts: &[Mount]) -> Option<Allowance> {
    let path = "/system.slice/nix-daemon.service";
    let by_systemd = mounts.iter().any(|mount| {
        let limits = mount.filesystem == "cgroup2" || mount.has_option("memory");
        limits && root.exists(inside(mount, path))
    });
    if by_systemd {
        return Some(at(root, mounts, &|_| Some(path.to_owned())));
    }
    // Looking through all processes takes time: only where a daemon listens.
    if !root.exists("nix/var/nix/daemon-socket/socket") {
        return None;
    }
    // Every connection has a process of the same name; the listener is oldest.
    let numbers = root.list("proc").into_iter().filter_map(|name| name.parse::<u32>().ok());
    let is_daemon =
        |pid: &u32| root.word(format!("proc/{pid}/comm")).as_deref() == Some("nix-daemon");
    let listener = numbers.filter(is_daemon).min()?;
    Some(allowance(root, mounts, &format!("proc/{listener}")))
}

/// Read every controller's levels, each at the path that `path` says.
fn at(root: &Root, mounts: &[Mount], path: &dyn Fn(&str) -> Option<String>) -> Allowance {
    let levels = |controller| match path(controller) {
        Some(path) => levels(root, mounts, controller, &path),
        None => Vec::new(),
    };
    let quota = levels("cpu").iter().filter_map(|group| quota(root, group)).reduce(Cpus::min);
    let groups = levels("memory");
    let hidden_groups = groups.first().is_none_or(|leaf| !root.exists(leaf));
    let limits = groups.iter().filter_map(|group| memory(root, group));
    let memory_bytes = limits.chain(groups.first().and_then(|leaf| hidden(root, leaf))).min();
    // A child's CPUs are always among its parent's, so the nearest level says it.
    let cpus = levels("cpuset").iter().find_map(|group| cpus(root, group));
    Allowance { quota, memory_bytes, cpus, hidden: hidden_groups }
}

/// The folders of a controller's groups, from the group at `path` up to the
/// mount point.
fn levels(root: &Root, mounts: &[Mount], controller: &str, path: &str) -> Vec<PathBuf> {
    // A hybrid system has version 2 mounted too, without this controller.
    let first = |mount: &&Mount| match mount.filesystem.as_str() {
        "cgroup" => mount.has_option(controller),
        "cpuset" => controller == "cpuset",
        _ => false,
    };
    let is_group =
        |mount: &&Mount| matches!(mount.filesystem.as_str(), "cgroup" | "cgroup2" | "cpuset");
    let is_visible = |mount: &&Mount| mount::covering(mounts, &mount.mount_point) == Some(*mount);
    let mut visible = mounts.iter().filter(is_group).take(MOST_HIERARCHIES).filter(is_visible);
    let second = |mount: &&Mount| mount.filesystem == "cgroup2";
    let Some(mount) = visible.clone().find(first).or_else(|| visible.find(second)) else {
        return Vec::new();
    };
    let mut leaf = inside(mount, path);
    if !root.exists(&leaf) {
        leaf.clone_from(&mount.mount_point);
    }
    leaf.ancestors()
        .take_while(|at| at.starts_with(&mount.mount_point))
        .map(Path::to_owned)
        .collect()
}

/// Where the group at `path` is below a mount. A bind-mounted hierarchy starts
/// at its `root`; a group outside it (`/../..` in a namespace) cannot be seen.
fn inside(mount: &Mount, path: &str) -> PathBuf {
    let path = Path::new(path);
    let relative = path.strip_prefix(&mount.root).or_else(|_| path.strip_prefix("/"));
    match relative {
        Ok(relative) if relative.components().all(|part| matches!(part, Component::Normal(_))) => {
            mount.mount_point.join(relative)
        }
        _ => mount.mount_point.clone(),
    }
}

fn quota(root: &Root, group: &Path) -> Option<Cpus> {
    let (quota, period) = match root.word(group.join("cpu.max")) {
        Some(text) => {
            let (quota, period) = text.split_once(' ')?;
            (quota.parse().ok()?, period.trim().parse().ok()?)
        }
        None => (
            root.word(group.join("cpu.cfs_quota_us"))?.parse().ok()?,
            root.word(group.join("cpu.cfs_period_us"))?.parse().ok()?,
        ),
    };
    ratio(quota, period)
}

/// -1 means unlimited in version 1; version 2 writes `max`, which is no number.
fn ratio(quota_us: i64, period_us: i64) -> Option<Cpus> {
    #[expect(clippy::cast_precision_loss, reason = "microseconds within a second")]
    let cpus = (period_us > 0).then(|| quota_us as f64 / period_us as f64)?;
    Cpus::new(cpus)
}

fn memory(root: &Root, group: &Path) -> Option<u64> {
    let limit = |file: &str| limit(&root.word(group.join(file))?);
    if root.exists(group.join("memory.max")) {
        // Above memory.high a group is throttled until it is all but stopped,
        // so a build cannot use more than that either.
        ["memory.max", "memory.high"].into_iter().filter_map(limit).min()
    } else {
        limit("memory.limit_in_bytes")
    }
}

/// What the ancestors of a group allow, as version 1 tells it: also those that
/// a namespace hides.
fn hidden(root: &Root, leaf: &Path) -> Option<u64> {
    if root.exists(leaf.join("memory.max")) {
        return None;
    }
    let stat = root.read(leaf.join("memory.stat"))?;
    stat.lines().find_map(|line| limit(line.strip_prefix("hierarchical_memory_limit ")?))
}

/// "Unlimited" is spelt max, -1, or some number near the largest of 63 or 64
/// bits, rounded down to a page.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|&bytes| bytes < 1 << 62)
}

fn cpus(root: &Root, group: &Path) -> Option<CpuSet> {
    // The last is how version 1 names it when mounted with `noprefix`.
    ["cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus", "cpus"]
        .into_iter()
        .find_map(|file| CpuSet::parse_list(&root.word(group.join(file))?))
        .filter(|cpus| !cpus.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Allowance, allowance, of_daemon, ratio};
    use crate::cpuset::CpuSet;
    use crate::fixture::tree;
    use crate::mount::parse_mountinfo;
    use crate::number::Cpus;

    const V2: &str = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "\
30 1 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 1 0:31 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 1 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn the_tightest_ancestor_limits() {
        let tree = tree(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.high", "3221225472\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/memory.max", "2147483648\n"),
            ("sys/fs/cgroup/a/cpuset.cpus.effective", "0-3\n"),
        ]);
        assert_eq!(
            allowance(&tree.root, &parse_mountinfo(V2), "proc/self"),
            Allowance {
                quota: Cpus::new(1.5),
                memory_bytes: Some(2 << 30),
                cpus: CpuSet::parse_list("0-3"),
                hidden: false,
            }
        );
    }

    #[test]
    fn version_1_wins_and_bind_mounts_are_stripped() {
        let tree = tree(&[
            ("proc/self/cgroup", "5:memory:/docker/abc/x\n3:cpu,cpuacct:/y\n0::/z\n"),
            ("sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/y/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "60000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/x/memory.stat", "rss 1\nhierarchical_memory_limit 1048576\n"),
            ("sys/fs/cgroup/unified/z/cpu.max", "1000 100000\n"),
        ]);
        let found = allowance(&tree.root, &parse_mountinfo(V1), "proc/self");
        assert_eq!(found.quota, Cpus::new(0.6), "version 2 here has no cpu controller");
        assert_eq!(found.memory_bytes, Some(1 << 20), "the limit of an ancestor out of sight");
        assert_eq!(found.cpus, None);
    }

    #[test]
    fn a_group_outside_the_namespace_falls_back_to_the_mount() {
        let tree = tree(&[
            ("proc/self/cgroup", "0::/../../user.slice\n"),
            ("sys/fs/cgroup/memory.max", "1073741824\n"),
        ]);
        let found = allowance(&tree.root, &parse_mountinfo(V2), "proc/self");
        assert_eq!(found.memory_bytes, Some(1 << 30));
    }

    #[test]
    fn the_daemon_has_limits_of_its_own() {
        let service = "sys/fs/cgroup/system.slice/nix-daemon.service";
        let tree = tree(&[
            (&format!("{service}/memory.max"), "max\n"),
            (&format!("{service}/memory.high"), "8589934592\n"),
        ]);
        let found = of_daemon(&tree.root, &parse_mountinfo(V2)).expect("a service");
        assert_eq!(found.memory_bytes, Some(8 << 30));
        assert_eq!(of_daemon(&tree.root, &[]), None);
    }

    #[test]
    fn a_daemon_without_systemd_is_found_by_name() {
        let tree = tree(&[
            ("nix/var/nix/daemon-socket/socket", ""),
            ("proc/90/comm", "nix-daemon\n"),
            ("proc/90/cgroup", "0::/worker\n"),
            ("proc/12/comm", "nix-daemon\n"),
            ("proc/12/cgroup", "0::/daemon\n"),
            ("proc/2/comm", "kthreadd\n"),
            ("sys/fs/cgroup/daemon/cpu.max", "200000 100000\n"),
        ]);
        let found = of_daemon(&tree.root, &parse_mountinfo(V2)).expect("a daemon");
        assert_eq!(found.quota, Cpus::new(2.0));
    }

    #[test]
    fn quotas() {
        assert_eq!(ratio(-1, 100_000), None);
        assert_eq!(ratio(50_000, 0), None);
        assert_eq!(ratio(50_000, 100_000), Cpus::new(0.5));
    }
}
