//! Kinds of core and their caches, as `sysctl` tells.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::sysctl::Sysctl;
use crate::hardware::{Cache, CacheKind};

/// Cores of one level of performance, as `hw.perflevelN` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    number: u64,
    /// Hardware threads.
    pub cpus: NonZeroU32,
    /// Physical cores.
    pub cores: NonZeroU32,
}

/// More than any processor has.
const MOST_LEVELS: u64 = 8;

/// Likewise, of caches.
const MOST_CACHES: u32 = 8;

/// Levels of performance, fastest first, which is the kernel's own order; none
/// unless it tells them all (macOS 12 was the first to).
pub fn levels(sysctl: &Sysctl) -> Vec<Level> {
    let levels = sysctl.number("hw.nperflevels").unwrap_or(0).min(MOST_LEVELS);
    let level = |number| {
        let count = |what| sysctl.count(&format!("hw.perflevel{number}.{what}"));
        Some(Level { number, cpus: count("logicalcpu")?, cores: count("physicalcpu")? })
    };
    (0..levels).map(level).collect::<Option<_>>().unwrap_or_default()
}

/// Caches that `cpus` hardware threads use.
///
/// Where there are levels of performance, each has its own: `hw.l2cachesize`
/// and `hw.cachesize` are then those of the slowest level alone.
pub fn caches(sysctl: &Sysctl, levels: &[Level], cpus: Option<NonZeroU32>) -> Vec<Cache> {
    let mut total = BTreeMap::new();
    for level in levels {
        add_level(sysctl, *level, &mut total);
    }
    if let (true, Some(cpus)) = (levels.is_empty(), cpus) {
        add_alike(sysctl, cpus.get(), &mut total);
    }
    let cache = |((level, kind), (instances, total_bytes)): (_, (u32, u64))| {
        Some(Cache { level, kind, instances: NonZeroU32::new(instances)?, total_bytes })
    };
    total.into_iter().filter_map(cache).collect()
}

/// Instances and bytes, by level and type.
type Total = BTreeMap<(u32, CacheKind), (u32, u64)>;

fn add_level(sysctl: &Sysctl, level: Level, total: &mut Total) {
    let Level { number, cpus, cores } = level;
    let name = |what: &str| format!("hw.perflevel{number}.{what}");
    let mut add_if = |shape, size: &str, instances| {
        if let (Some(size), Some(instances)) = (sysctl.number(&name(size)), instances) {
            add(total, shape, instances, size);
        }
    };
    add_if((1, CacheKind::Data), "l1dcachesize", Some(cores.get()));
    add_if((1, CacheKind::Instruction), "l1icachesize", Some(cores.get()));
    for (level, size, sharers) in [(2, "l2cachesize", "cpusperl2"), (3, "l3cachesize", "cpusperl3")]
    {
        let sharers = sysctl.count(&name(sharers));
        let instances = sharers.map(|sharers| cpus.get().div_ceil(sharers.get()));
        add_if((level, CacheKind::Unified), size, instances);
    }
}

/// Caches of a processor whose cores are alike: `hw.cachesize` has the size of
/// memory and then of each level of cache, and `hw.cacheconfig` how many
/// hardware threads share one.
fn add_alike(sysctl: &Sysctl, cpus: u32, total: &mut Total) {
    let sizes = sysctl.words("hw.cachesize").map(|word| word.parse().ok());
    let sharers = sysctl.words("hw.cacheconfig").map(|word| word.parse().ok());
    for (level, (size, sharers)) in (0..=MOST_CACHES).zip(sizes.zip(sharers)).skip(1) {
        // Where a level is missing, so are those above it.
        let (Some(size @ 1_u64..), Some(sharers @ 1_u32..)) = (size, sharers) else { return };
        let instances = cpus.div_ceil(sharers);
        if level == 1 {
            add(total, (1, CacheKind::Data), instances, size);
            if let Some(size) = sysctl.number("hw.l1icachesize") {
                add(total, (1, CacheKind::Instruction), instances, size);
            }
        } else {
            add(total, (level, CacheKind::Unified), instances, size);
        }
    }
}

fn add(total: &mut Total, shape: (u32, CacheKind), instances: u32, size: u64) {
    if size == 0 {
        return;
    }
    let (known, bytes) = total.entry(shape).or_default();
    *known = known.saturating_add(instances);
    *bytes = bytes.saturating_add(size.saturating_mul(instances.into()));
}

#[cfg(test)]
mod tests {
    use super::{caches, levels};
    use crate::darwin::sysctl::Sysctl;
    use crate::hardware::CacheKind;

    #[test]
    fn caches_of_alike_cores_by_how_many_share_one() {
        let text = "hw.cacheconfig: 8 2 2 8 0 0 0 0 0 0\nhw.l1icachesize: 32768\n\
                    hw.cachesize: 17179869184 32768 262144 6291456 0 0 0 0 0 0\n";
        let cpus = std::num::NonZeroU32::new(8);
        let found: Vec<_> = caches(&Sysctl::parse(text), &[], cpus)
            .iter()
            .map(|cache| (cache.level, cache.kind, cache.instances.get(), cache.total_bytes))
            .collect();
        assert_eq!(
            found,
            [
                (1, CacheKind::Data, 4, 128 << 10),
                (1, CacheKind::Instruction, 4, 128 << 10),
                (2, CacheKind::Unified, 4, 1 << 20),
                (3, CacheKind::Unified, 1, 6 << 20),
            ]
        );
    }

    #[test]
    fn half_told_levels_are_none() {
        let text = "hw.nperflevels: 2\nhw.perflevel0.logicalcpu: 4\nhw.perflevel0.physicalcpu: 4\n\
                    hw.perflevel1.logicalcpu: 0\nhw.perflevel1.physicalcpu: 4\n";
        assert_eq!(levels(&Sysctl::parse(text)), []);
        let many = "hw.nperflevels: 18446744073709551615\n";
        assert_eq!(levels(&Sysctl::parse(many)), []);
    }
}
