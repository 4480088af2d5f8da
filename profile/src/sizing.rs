//! How many jobs of how many cores.
//!
//! A pure function of CPUs, memory and swap, found by simulating 18 build
//! graphs on 16 machines and checked against published build times and runs of
//! real Nix. What it rests on: too many threads cost next to nothing, too few
//! jobs cost most, and memory is the one thing that ends a build. So jobs ×
//! cores may exceed the CPUs, but not what memory carries.

use std::num::NonZeroU32;

/// A gibibyte.
pub const GIB: u64 = 1 << 30;

/// The constants of the rules, in one place and with a version, so that figures
/// measured on a machine can replace them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Part of each rule's name; changes with any constant or rule.
    pub version: u32,
    /// Fewest jobs: a download takes a job, and with one job it would wait for
    /// a build, or a build for it.
    pub least_jobs: u32,
    /// CPUs for each job: 25 to 70 % of a small build is serial, so half as
    /// many builds as CPUs keep the CPUs busy.
    pub cpus_per_job: u32,
    /// Most jobs when swap backs them: more gained less than 1.5 %, and ended
    /// in out-of-memory at 64 threads and up.
    pub most_jobs: u32,
    /// Memory for each core of a job when swap backs them: one heavy C++ build
    /// needs 0.4 to 2 GiB for each compiler and up to 8 GiB for a link.
    pub backed_core_gib: f64,
    /// Cores for each square root of a GiB when nothing backs them: with so
    /// many compilers in all, an even split between jobs and cores risks least.
    pub cores_per_root: f64,
    /// Memory for each core of a job when nothing backs them, so that one heavy
    /// build by itself fits.
    pub bound_core_gib: f64,
    /// Memory for a compiler: for each of them when nothing backs them, for one
    /// of each job, out of memory and swap together, when swap does.
    pub compiler_bytes: u64,
    /// Memory builds are taken to have even where less is left.
    pub least_available_bytes: u64,
    /// Left to a desktop: a session and a browser.
    pub desktop_bytes: u64,
    /// Left to a server, besides the share below.
    pub server_bytes: u64,
    /// One part in this many of memory is left to a server too.
    pub server_share: u64,
    /// Left to a CI runner.
    pub ci_bytes: u64,
    /// Left to a board of at most `board_most_bytes`.
    pub board_bytes: u64,
    /// Memory of the largest board.
    pub board_most_bytes: u64,
}

/// The constants in use.
pub const POLICY: Policy = Policy {
    version: 1,
    least_jobs: 2,
    cpus_per_job: 2,
    most_jobs: 16,
    backed_core_gib: 3.0,
    cores_per_root: 1.25,
    bound_core_gib: 2.5,
    compiler_bytes: GIB,
    least_available_bytes: GIB / 2,
    desktop_bytes: 3 * GIB,
    server_bytes: GIB,
    server_share: 50,
    ci_bytes: GIB,
    board_bytes: GIB * 7 / 10,
    board_most_bytes: 4 * GIB,
};

/// Which rule sizes jobs and cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// There is little swap: memory bounds all compilers together.
    MemoryBound,
    /// Swap of at least a third of memory takes the peaks.
    SwapBacked,
}

impl Rule {
    /// The rule's name, which changes when its answers do.
    pub fn name(self) -> String {
        let name = match self {
            Self::MemoryBound => "memory-bound",
            Self::SwapBacked => "swap-backed",
        };
        format!("{name}-{}", POLICY.version)
    }

    /// The rule for a machine with this much memory and swap.
    pub fn of(memory_bytes: u64, swap_bytes: u64) -> Self {
        if u128::from(swap_bytes) * 3 >= u128::from(memory_bytes) {
            Self::SwapBacked
        } else {
            Self::MemoryBound
        }
    }
}

/// How many jobs of how many cores each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `max-jobs`, at least 2.
    pub jobs: u32,
    /// `cores`, at least 1 and at most the CPUs.
    pub cores: u32,
}

/// Jobs and cores for so many CPUs, and so much memory and swap left to builds.
pub fn sizes(rule: Rule, cpus: NonZeroU32, available_bytes: u64, swap_bytes: u64) -> Sizes {
    let cpus = cpus.get();
    let available_bytes = available_bytes.max(POLICY.least_available_bytes);
    let gib = gib(available_bytes);
    let half = cpus.div_ceil(POLICY.cpus_per_job);
    match rule {
        Rule::SwapBacked => {
            // The machines of the study all had this much: it binds only where
            // there are many CPUs to little memory.
            let compilers = available_bytes.saturating_add(swap_bytes) / POLICY.compiler_bytes;
            let jobs = at_most(compilers, half).clamp(POLICY.least_jobs, POLICY.most_jobs);
            Sizes { jobs, cores: round(gib / POLICY.backed_core_gib).clamp(1, cpus) }
        }
        Rule::MemoryBound => {
            let compilers = available_bytes / POLICY.compiler_bytes;
            let even = POLICY.cores_per_root * gib.sqrt();
            let cores = round(even.min(gib / POLICY.bound_core_gib)).clamp(1, cpus);
            let jobs = at_most(compilers / u64::from(cores), half);
            if jobs >= POLICY.least_jobs {
                return Sizes { jobs, cores };
            }
            let jobs = POLICY.least_jobs;
            let cores = at_most(compilers / u64::from(jobs), cpus).max(1);
            Sizes { jobs, cores }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits hold every memory there is to the byte; beyond, the loss is too small to see"
)]
fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never below 0, and what is above the range becomes its end"
)]
fn round(number: f64) -> u32 {
    number.round() as u32
}

fn at_most(number: u64, most: u32) -> u32 {
    u32::try_from(number).map_or(most, |number| number.min(most))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::{GIB, POLICY, Rule, Sizes, sizes};

    /// Swap as the rule needs it at least, where there is any.
    fn size(rule: Rule, cpus: u32, available_bytes: u64) -> Sizes {
        let cpus = NonZeroU32::new(cpus).expect("CPUs");
        let swap = if rule == Rule::SwapBacked { available_bytes / 3 } else { 0 };
        sizes(rule, cpus, available_bytes, swap)
    }

    #[test]
    fn a_third_of_memory_as_swap_backs_it() {
        assert_eq!(Rule::of(9 * GIB, 3 * GIB), Rule::SwapBacked);
        assert_eq!(Rule::of(9 * GIB, 3 * GIB - 1), Rule::MemoryBound);
        assert_eq!(Rule::of(u64::MAX, u64::MAX), Rule::SwapBacked);
        assert_eq!(Rule::MemoryBound.name(), "memory-bound-1");
        assert_eq!(Rule::SwapBacked.name(), "swap-backed-1");
    }

    #[test]
    fn one_cpu_has_a_job_for_downloads_too() {
        for rule in [Rule::MemoryBound, Rule::SwapBacked] {
            for available in [0, GIB, 64 * GIB, u64::MAX] {
                assert_eq!(size(rule, 1, available), Sizes { jobs: 2, cores: 1 });
            }
        }
    }

    #[test]
    fn many_cpus_do_not_make_jobs_without_memory() {
        assert_eq!(size(Rule::SwapBacked, 64, GIB), Sizes { jobs: 2, cores: 1 });
        assert_eq!(size(Rule::SwapBacked, 64, 6 * GIB), Sizes { jobs: 8, cores: 2 });
        assert_eq!(size(Rule::SwapBacked, 64, 64 * GIB).jobs, 16);
    }

    #[test]
    fn eight_cores_on_seven_gigabytes_stay_within_them() {
        // 7 compilers: two jobs of three, not one of seven.
        let sizes = size(Rule::MemoryBound, 8, 7 * GIB);
        assert_eq!(sizes, Sizes { jobs: 2, cores: 3 });
    }

    proptest! {
        #[test]
        fn bounds_hold_everywhere(cpus in 1u32.., available in any::<u64>(), backed: bool) {
            let rule = if backed { Rule::SwapBacked } else { Rule::MemoryBound };
            let Sizes { jobs, cores } = size(rule, cpus, available);
            prop_assert!(jobs >= POLICY.least_jobs);
            prop_assert!(jobs <= cpus.div_ceil(2).max(POLICY.least_jobs));
            prop_assert!((1..=cpus).contains(&cores));
            match rule {
                Rule::SwapBacked => {
                    prop_assert!(jobs <= POLICY.most_jobs);
                    let carried = (available.max(GIB / 2) / 3).saturating_mul(4) / GIB + 1;
                    prop_assert!(u64::from(jobs) <= carried.max(2));
                }
                Rule::MemoryBound => {
                    let used = u128::from(jobs) * u128::from(cores) * u128::from(GIB);
                    prop_assert!(available < 2 * GIB || used <= u128::from(available));
                }
            }
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
}
