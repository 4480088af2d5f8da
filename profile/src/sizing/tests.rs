//! The rules by themselves: CPUs, memory and swap in, jobs and cores out.

use std::num::NonZeroU32;

use proptest::prelude::*;

use super::{GIB, POLICY, Rule, Sizes, is_backed, sizes};
use crate::plan::Workload;

const RULES: [Rule; 4] = [Rule::MemoryBound, Rule::SwapBacked, Rule::Throughput, Rule::FewBig];

/// Swap as the rule needs it at least, where there is any.
fn size(rule: Rule, cpus: u32, available_bytes: u64) -> Sizes {
    let cpus = NonZeroU32::new(cpus).expect("CPUs");
    let swap = if rule == Rule::SwapBacked { available_bytes / 3 } else { 0 };
    sizes(rule, cpus, available_bytes, swap)
}

#[test]
fn a_third_of_memory_as_swap_backs_it() {
    let of = |memory, swap| Rule::of(Workload::General, memory, swap);
    assert_eq!(of(9 * GIB, 3 * GIB), Rule::SwapBacked);
    assert_eq!(of(9 * GIB, 3 * GIB - 1), Rule::MemoryBound);
    assert!(is_backed(u64::MAX, u64::MAX));
    assert_eq!(Rule::of(Workload::Interactive, GIB, 0), Rule::MemoryBound);
    assert_eq!(Rule::of(Workload::Ci, GIB, GIB), Rule::SwapBacked);
    assert_eq!(Rule::of(Workload::Builder, GIB, GIB), Rule::Throughput);
    assert_eq!(Rule::of(Workload::Big, GIB, GIB), Rule::FewBig);
    assert_eq!(Rule::MemoryBound.name(), "memory-bound-2");
    assert_eq!(Rule::SwapBacked.name(), "swap-backed-2");
}

#[test]
fn one_cpu_has_a_job_for_downloads_too() {
    for rule in RULES {
        for available in [0, GIB, 64 * GIB, u64::MAX] {
            assert_eq!(size(rule, 1, available), Sizes { jobs: 2, cores: 1 });
        }
    }
}

#[test]
fn many_cpus_do_not_make_jobs_without_memory() {
    assert_eq!(size(Rule::SwapBacked, 64, GIB), Sizes { jobs: 2, cores: 1 });
    assert_eq!(size(Rule::SwapBacked, 64, 6 * GIB), Sizes { jobs: 3, cores: 2 });
    assert_eq!(size(Rule::SwapBacked, 64, 48 * GIB).jobs, 8);
    assert_eq!(size(Rule::SwapBacked, 1000, 4000 * GIB).jobs, 24);
}

/// What professionals set by hand on their builders (`NixOS`/infra, ngipkgs).
#[test]
fn builders_as_professionals_size_them() {
    let less_reserve = |gib: u64| gib * GIB - GIB - gib * GIB / 50;
    for (rule, cpus, gib, jobs, cores) in [
        (Rule::Throughput, 96, 256, 48, 2),
        (Rule::Throughput, 80, 256, 40, 2),
        (Rule::Throughput, 8, 16, 4, 2),
        (Rule::FewBig, 96, 256, 4, 24),
        (Rule::FewBig, 80, 128, 3, 26),
    ] {
        let found = size(rule, cpus, less_reserve(gib));
        assert_eq!(found, Sizes { jobs, cores }, "{rule:?} {cpus}/{gib}");
    }
}

#[test]
fn small_machines_have_one_big_build_and_a_job_for_its_needs() {
    assert_eq!(size(Rule::FewBig, 16, 61 * GIB), Sizes { jobs: 2, cores: 16 });
    assert_eq!(size(Rule::FewBig, 16, 30 * GIB), Sizes { jobs: 2, cores: 10 });
    assert_eq!(size(Rule::FewBig, 4, 5 * GIB), Sizes { jobs: 2, cores: 1 });
}

#[test]
fn eight_cores_on_seven_gigabytes_stay_within_them() {
    // 7 compilers: two jobs of three, not one of seven.
    let sizes = size(Rule::MemoryBound, 8, 7 * GIB);
    assert_eq!(sizes, Sizes { jobs: 2, cores: 3 });
}

fn rule() -> impl Strategy<Value = Rule> {
    prop::sample::select(&RULES[..])
}

proptest! {
    #[test]
    fn bounds_hold_everywhere(cpus in 1u32.., available in any::<u64>(), rule in rule()) {
        let Sizes { jobs, cores } = size(rule, cpus, available);
        prop_assert!(jobs >= POLICY.least_jobs);
        let spare = u32::from(rule == Rule::SwapBacked);
        prop_assert!(jobs <= (cpus.div_ceil(2) + spare).max(POLICY.least_jobs));
        prop_assert!((1..=cpus).contains(&cores));
        let threads = u128::from(jobs) * u128::from(cores);
        let used = threads * u128::from(GIB);
        match rule {
            Rule::SwapBacked => {
                prop_assert!(jobs <= POLICY.most_jobs);
                let carried = (available.max(GIB / 2) / 3).saturating_mul(4) / GIB + 1;
                prop_assert!(u64::from(jobs) <= carried.max(2));
                prop_assert!(u64::from(jobs) <= (carried / 8).max(3));
            }
            Rule::FewBig => {
                prop_assert!(jobs <= POLICY.most_big_jobs);
                prop_assert!(available < 3 * GIB || used * 3 / 2 <= u128::from(available));
            }
            Rule::Throughput => {
                prop_assert!(threads <= u128::from(cpus.max(2)));
                prop_assert!(available < 2 * GIB || used <= u128::from(available));
            }
            Rule::MemoryBound => prop_assert!(available < 2 * GIB || used <= u128::from(available)),
        }
    }

    /// What is aimed at are threads of all jobs together; rounding may cost a
    /// job, or a core of each.
    #[test]
    fn more_of_anything_never_makes_less_but_for_rounding(
        cpus in 1u32..2000, more_cpus in 0u32..200,
        mib in 1u64..1 << 22, more_mib in 0u64..1 << 20, rule in rule(),
    ) {
        let less = size(rule, cpus, mib << 20);
        let more = size(rule, cpus + more_cpus, (mib + more_mib) << 20);
        let threads = |sizes: Sizes| sizes.jobs * sizes.cores;
        // A second big build divides the CPUs that one had for itself.
        let builds = |sizes: Sizes| if sizes.jobs > 2 { sizes.jobs } else { 1 };
        let aimed = |sizes: Sizes| match rule {
            Rule::FewBig => builds(sizes) * sizes.cores,
            _ => threads(sizes),
        };
        let rounding = more.jobs + more.cores;
        prop_assert!(aimed(more) + rounding >= aimed(less), "{less:?} {more:?}");
    }

    #[test]
    fn real_machines_stay_within_memory(cpus in 1u32..=512, mib in 512u64..2_097_152) {
        let Sizes { jobs, cores } = size(Rule::MemoryBound, cpus, mib << 20);
        let gib = u64::from(jobs) * u64::from(cores);
        prop_assert!(mib < 2048 || gib << 10 <= mib);
    }

    #[test]
    fn more_of_anything_never_makes_less_with_swap(
        cpus in 1u32..100_000, more_cpus in 0u32..1000,
        bytes in 0u64..1 << 50, more_bytes in 0u64..1 << 45,
    ) {
        let less = size(Rule::SwapBacked, cpus, bytes);
        let more = size(Rule::SwapBacked, cpus + more_cpus, bytes + more_bytes);
        prop_assert!(less.jobs <= more.jobs && less.cores <= more.cores);
    }
}
