//! How CPUs are grouped: cores, packages, NUMA nodes, shared caches, kinds.
//!
//! Groups are counted by their sets of CPUs, never by ids: core ids repeat
//! across dies and packages, and virtual machines make them up.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::cpuset::CpuSet;
use crate::hardware::{Cache, CacheKind};
use crate::root::Root;

/// Where the kernel keeps what it knows of CPU `cpu`.
fn folder(cpu: usize) -> String {
    format!("sys/devices/system/cpu/cpu{cpu}")
}

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
        let group =
            names.iter().find_map(|name| set(root, &format!("{}/topology/{name}", folder(cpu))))?;
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

/// Caches that `cpus` use, each counted once however many of them share it.
///
/// `alike` says that the CPUs are of one kind, so that `indexN` is of the same
/// level and type in all of them; its size may still differ (AMD stacks more
/// cache on one die of two).
pub fn caches(root: &Root, cpus: &CpuSet, alike: bool) -> Vec<Cache> {
    let mut shapes: Vec<(u32, CacheKind)> = Vec::new();
    let mut seen: BTreeSet<(u32, CacheKind, CpuSet)> = BTreeSet::new();
    let mut total: BTreeMap<(u32, CacheKind), (u32, u64)> = BTreeMap::new();
    // Per index, the CPUs whose cache is known from a sharer.
    let mut covered: Vec<CpuSet> = Vec::new();
    for cpu in cpus.iter() {
        for index in 0.. {
            if covered.get(index).is_some_and(|known| known.contains(cpu)) {
                continue;
            }
            let path = format!("{}/cache/index{index}", folder(cpu));
            let known = shapes.get(index).copied().filter(|_| alike);
            let Some((level, kind)) = known.or_else(|| shape(root, &path)) else { break };
            let Some(bytes) = root.word(format!("{path}/size")).and_then(|text| size(&text)) else {
                break;
            };
            let sharers = sharers(root, &path).unwrap_or_else(|| std::iter::once(cpu).collect());
            if index == covered.len() {
                covered.push(CpuSet::default());
                shapes.push((level, kind));
            }
            sharers.iter().for_each(|cpu| covered[index].insert(cpu));
            if seen.insert((level, kind, sharers)) {
                let (instances, sum) = total.entry((level, kind)).or_default();
                *instances += 1;
                *sum = sum.saturating_add(bytes);
            }
        }
    }
    total
        .into_iter()
        .filter_map(|((level, kind), (instances, total_bytes))| {
            Some(Cache { level, kind, instances: NonZeroU32::new(instances)?, total_bytes })
        })
        .collect()
}

/// Level and type of a cache.
fn shape(root: &Root, path: &str) -> Option<(u32, CacheKind)> {
    let kind = match root.word(format!("{path}/type"))?.as_str() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        "Unified" => CacheKind::Unified,
        _ => return None,
    };
    Some((root.word(format!("{path}/level"))?.parse().ok()?, kind))
}

/// The CPUs that share a cache.
fn sharers(root: &Root, path: &str) -> Option<CpuSet> {
    let list = root.word(format!("{path}/shared_cpu_list"));
    let list = list.and_then(|text| CpuSet::parse_list(&text));
    list.or_else(|| CpuSet::parse_mask(&root.word(format!("{path}/shared_cpu_map"))?))
}

/// `32K`, `8M` or plain bytes.
fn size(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(['K', 'k']) {
        Some(number) => (number, 1 << 10),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |number| (number, 1 << 20)),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn cache_sizes() {
        assert_eq!(size("32K"), Some(32_768));
        assert_eq!(size("8M"), Some(8 << 20));
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("18446744073709551615K"), None);
        assert_eq!(size("K"), None);
    }
}
