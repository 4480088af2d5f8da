//! Processors: how many there are, and how many of them a build may use.

use std::num::NonZeroU32;

use crate::caches::caches;
use crate::cgroup::Allowance;
use crate::cpuinfo;
use crate::cpuset::CpuSet;
use crate::hardware::{Cpu, Limits, Note};
use crate::kinds::kinds;
use crate::number::Cpus;
use crate::root::Root;
use crate::topology;

const FOLDER: &str = "sys/devices/system/cpu";

/// Where the kernel keeps what it knows of CPU `cpu`.
pub(crate) fn folder(cpu: usize) -> String {
    format!("{FOLDER}/cpu{cpu}")
}

/// What is known of the processors, to a process with this allowance.
pub fn cpu(root: &Root, allowance: &Allowance, notes: &mut Vec<Note>) -> Cpu {
    let info = root.read("proc/cpuinfo").map(|text| cpuinfo::parse(&text)).unwrap_or_default();
    let Some(online) = online(root).or_else(|| listed(info.processors)) else {
        notes.push(Note::warning("cpu-unknown", "neither /sys nor /proc says which CPUs run"));
        return Cpu { quota: allowance.quota, ..Cpu::default() };
    };
    let allowed = allowed(root, &online, allowance);
    let cores = topology::cores(root, &allowed);
    let count = |groups: &Option<Vec<CpuSet>>| {
        groups.as_ref().and_then(|groups| NonZeroU32::new(u32::try_from(groups.len()).ok()?))
    };
    if cores.is_none() {
        let text = "/sys does not say which CPUs share a core";
        notes.push(Note::info("topology-unknown", text));
    }
    let whole = NonZeroU32::new(allowed.len()).map(Cpus::from);
    let kinds = kinds(root, &allowed, cores.as_deref(), &info);
    Cpu {
        isa_level: info.isa_level().map(str::to_owned),
        present: present(root, &online),
        online: NonZeroU32::new(online.len()),
        allowed: NonZeroU32::new(allowed.len()),
        quota: allowance.quota,
        usable: match (whole, allowance.quota) {
            (Some(whole), Some(quota)) => Some(whole.min(quota)),
            (whole, quota) => whole.or(quota),
        },
        cores: count(&cores),
        sockets: count(&topology::packages(root, &allowed)),
        numa_nodes: topology::numa_nodes(root),
        caches: caches(root, &allowed, kinds.len() <= 1, &info),
        kinds,
        vendor: info.vendor,
        model: info.model,
    }
}

/// What another process with this allowance may use, e.g. nix-daemon.
pub fn limits(root: &Root, allowance: &Allowance) -> Limits {
    let allowed = online(root).map(|online| match &allowance.cpus {
        Some(cpus) => online.intersection(cpus),
        None => online,
    });
    Limits {
        quota: allowance.quota,
        memory_limit_bytes: allowance.memory_bytes.and_then(std::num::NonZeroU64::new),
        allowed: allowed.and_then(|cpus| NonZeroU32::new(cpus.len())),
    }
}

fn online(root: &Root) -> Option<CpuSet> {
    let listed = root.word(format!("{FOLDER}/online")).and_then(|text| CpuSet::parse_list(&text));
    listed.filter(|cpus| !cpus.is_empty()).or_else(|| {
        // Old kernels and containers lack the list; a CPU that cannot be
        // switched off has no `online` file of its own.
        let runs = |&cpu: &usize| {
            let folder = format!("{FOLDER}/cpu{cpu}");
            root.number(format!("{folder}/online")) != Some(0)
                && root.exists(format!("{folder}/topology"))
        };
        let cpus: CpuSet = folders(root).iter().filter(runs).collect();
        (!cpus.is_empty()).then_some(cpus)
    })
}

fn present(root: &Root, online: &CpuSet) -> Option<NonZeroU32> {
    let listed = root.word(format!("{FOLDER}/present")).and_then(|text| CpuSet::parse_list(&text));
    let present = listed.unwrap_or_else(|| folders(root)).len();
    NonZeroU32::new(present.max(online.len()))
}

/// CPUs that have a folder, running or not.
fn folders(root: &Root) -> CpuSet {
    let number = |name: &String| name.strip_prefix("cpu")?.parse().ok();
    root.list(FOLDER).iter().filter_map(number).collect()
}

fn listed(processors: usize) -> Option<CpuSet> {
    (processors > 0).then(|| (0..processors).collect())
}

/// Online, in the affinity mask and in the cpuset.
///
/// The mask is read from the kernel's own account of it rather than by
/// `sched_getaffinity`, whose callers mostly stop at 1,024 CPUs.
fn allowed(root: &Root, online: &CpuSet, allowance: &Allowance) -> CpuSet {
    let mask = root.read("proc/self/status").and_then(|text| affinity(&text));
    let mut allowed = online.clone();
    for set in [mask.as_ref(), allowance.cpus.as_ref()].into_iter().flatten() {
        let both = allowed.intersection(set);
        // A set that shares no CPU with those online is of another machine or
        // moment: no process runs nowhere.
        if !both.is_empty() {
            allowed = both;
        }
    }
    allowed
}

/// The affinity mask in /proc/PID/status.
fn affinity(status: &str) -> Option<CpuSet> {
    let value = |key: &str| status.lines().find_map(|line| line.strip_prefix(key));
    let list = value("Cpus_allowed_list:").and_then(CpuSet::parse_list);
    list.or_else(|| CpuSet::parse_mask(value("Cpus_allowed:")?))
}

#[cfg(test)]
mod tests {
    use super::affinity;
    use crate::cpuset::CpuSet;

    #[test]
    fn the_affinity_mask_is_a_list_or_a_mask() {
        let one = CpuSet::parse_list("0,64");
        assert_eq!(affinity("Name:\tx\nCpus_allowed_list:\t0,64\n"), one);
        assert_eq!(affinity("Cpus_allowed:\t1,00000000,00000001\n"), one);
        assert_eq!(affinity("Name:\tx\n"), None);
    }
}
