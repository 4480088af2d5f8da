//! How CPUs are grouped: cores, packages, NUMA nodes.
//!
//! Groups are counted by their sets of CPUs, never by ids: core ids repeat
//! across dies and packages, and virtual machines make them up.

use std::num::NonZeroU32;

use crate::cpu;
use crate::cpuset::CpuSet;
use crate::root::Root;

/// Sets of CPUs that form one core each, among `cpus`.
pub fn cores(root: &Root, cpus: &CpuSet) -> Option<Vec<CpuSet>> {
    groups(root, cpus, &["core_cpus", "thread_siblings"])
}

/// Sets of CPUs that form one package each, among `cpus`.
pub fn packages(root: &Root, cpus: &CpuSet) -> Option<Vec<CpuSet>> {
    groups(root, cpus, &["package_cpus", "core_siblings"])
}

/// Distinct groups among `cpus`, by the first of `names` that is there; `None`
/// unless every CPU says which group it is in.
///
/// One CPU of a group speaks for all of it, which keeps large machines quick.
fn groups(root: &Root, cpus: &CpuSet, names: &[&str]) -> Option<Vec<CpuSet>> {
    let mut groups: Vec<CpuSet> = Vec::new();
    let mut last = 0;
    for cpu in cpus.iter() {
        // Neighbours are mostly in the group found last.
        let known = |group: &CpuSet| group.contains(cpu);
        if groups.get(last).is_some_and(known) {
            continue;
        }
        if let Some(found) = groups.iter().position(known) {
            last = found;
            continue;
        }
        let group = names
            .iter()
            .find_map(|name| set(root, &format!("{}/topology/{name}", cpu::folder(cpu))))?;
        let mut group = group.intersection(cpus);
        group.insert(cpu);
        last = groups.len();
        groups.push(group);
    }
    Some(groups)
}

/// A set that the kernel gives as a list, or where it is old just as a mask.
fn set(root: &Root, path: &str) -> Option<CpuSet> {
    let list = root.word(format!("{path}_list")).and_then(|text| CpuSet::parse_list(&text));
    list.or_else(|| CpuSet::parse_mask(&root.word(path)?)).filter(|set| !set.is_empty())
}

/// How many NUMA nodes there are, those with memory alone included.
pub fn numa_nodes(root: &Root) -> Option<NonZeroU32> {
    let is_node =
        |name: &String| name.strip_prefix("node").is_some_and(|id| id.parse::<u32>().is_ok());
    let nodes = root.list("sys/devices/system/node").iter().filter(|name| is_node(name)).count();
    NonZeroU32::new(u32::try_from(nodes).ok()?)
}
