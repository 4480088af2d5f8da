//! Caches, each counted once however many CPUs share it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::cpu;
use crate::cpuinfo::CpuInfo;
use crate::cpuset::CpuSet;
use crate::hardware::{Cache, CacheKind};
use crate::root::Root;

/// Caches that `cpus` use, each counted once however many of them share it.
///
/// `alike` says that the CPUs are of one kind, so that `indexN` is of the same
/// level and type in all of them; its size may still differ (AMD stacks more
/// cache on one die of two).
pub fn caches(root: &Root, cpus: &CpuSet, alike: bool, info: &CpuInfo) -> Vec<Cache> {
    let mut shapes: Vec<(u32, CacheKind)> = Vec::new();
    let mut seen: BTreeSet<(u32, CacheKind, CpuSet)> = BTreeSet::new();
    let mut total = Total::new();
    // Per index, the CPUs whose cache is known from a sharer.
    let mut covered: Vec<CpuSet> = Vec::new();
    for cpu in cpus.iter() {
        for index in 0.. {
            if covered.get(index).is_some_and(|known| known.contains(cpu)) {
                continue;
            }
            let path = format!("{}/cache/index{index}", cpu::folder(cpu));
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
                add(&mut total, (level, kind), bytes);
            }
        }
    }
    if total.is_empty() {
        total = private(root, cpus, info);
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
pub(crate) fn size(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(['K', 'k']) {
        Some(number) => (number, 1 << 10),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |number| (number, 1 << 20)),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// Caches of CPUs on kernels that tell no more than what each has to itself:
/// SPARC in files of its own, s390 in /proc/cpuinfo.
fn private(root: &Root, cpus: &CpuSet, info: &CpuInfo) -> Total {
    let sparc = [
        ("l1_dcache_size", (1, CacheKind::Data)),
        ("l1_icache_size", (1, CacheKind::Instruction)),
        ("l2_cache_size", (2, CacheKind::Unified)),
    ];
    let mut total = Total::new();
    for cpu in cpus.iter() {
        let told = sparc.iter().filter_map(|(file, shape)| {
            Some((*shape, root.number(format!("{}/{file}", cpu::folder(cpu)))?))
        });
        for (shape, bytes) in
            told.chain(info.private_caches.iter().map(|(shape, bytes)| (*shape, *bytes)))
        {
            add(&mut total, shape, bytes);
        }
    }
    total
}

/// Instances and bytes, by level and type.
type Total = BTreeMap<(u32, CacheKind), (u32, u64)>;

fn add(total: &mut Total, shape: (u32, CacheKind), bytes: u64) {
    let (instances, sum) = total.entry(shape).or_default();
    *instances += 1;
    *sum = sum.saturating_add(bytes);
}

#[cfg(test)]
mod tests {
    use super::{caches, size};
    use crate::cpuinfo;
    use crate::cpuset::CpuSet;
    use crate::fixture::tree;

    #[test]
    fn cache_sizes() {
        assert_eq!(size("32K"), Some(32_768));
        assert_eq!(size("8M"), Some(8 << 20));
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("18446744073709551615K"), None);
        assert_eq!(size("K"), None);
    }

    #[test]
    fn shared_caches_count_once_and_sizes_may_differ() {
        let cache = |cpu: u32, index: u32, file: &str| {
            format!("sys/devices/system/cpu/cpu{cpu}/cache/index{index}/{file}")
        };
        let mut files = Vec::new();
        for cpu in 0..4 {
            let die = if cpu < 2 { ("0-1", "98304K") } else { ("2-3", "32768K") };
            let own = cpu.to_string();
            for (index, level, kind, (sharers, size)) in
                [(0, "1", "Data", (own.as_str(), "32K")), (1, "3", "Unified", die)]
            {
                files.push((cache(cpu, index, "level"), level.to_owned()));
                files.push((cache(cpu, index, "type"), kind.to_owned()));
                files.push((cache(cpu, index, "size"), size.to_owned()));
                files.push((cache(cpu, index, "shared_cpu_list"), sharers.to_owned()));
            }
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let cpus = CpuSet::parse_list("0-3").expect("list");
        let found = caches(&tree(&files).root, &cpus, true, &cpuinfo::parse(""));
        let found: Vec<(u32, u32, u64)> = found
            .iter()
            .map(|cache| (cache.level, cache.instances.get(), cache.total_bytes))
            .collect();
        assert_eq!(found, [(1, 4, 128 << 10), (3, 2, 128 << 20)]);
    }

    #[test]
    fn kernels_without_a_tree_of_caches_tell_private_ones() {
        let cpus = CpuSet::parse_list("6-7").expect("list");
        let sparc = tree(&[
            ("sys/devices/system/cpu/cpu6/l1_dcache_size", "16384\n"),
            ("sys/devices/system/cpu/cpu7/l1_dcache_size", "16384\n"),
        ]);
        let found = caches(&sparc.root, &cpus, true, &cpuinfo::parse(""));
        assert_eq!((found[0].instances.get(), found[0].total_bytes), (2, 32 << 10));

        let s390 = "cache0          : level=1 type=Data scope=Private size=128K line_size=256\n\
                    cache4          : level=3 type=Unified scope=Shared size=65536K\n";
        let found = caches(&tree(&[]).root, &cpus, true, &cpuinfo::parse(s390));
        assert_eq!(found.len(), 1, "how many share the other is not said");
        assert_eq!((found[0].instances.get(), found[0].total_bytes), (2, 256 << 10));
    }
}
