//! How many jobs of how many cores.
//!
//! A pure function of CPUs, memory and swap, found by simulating 18 build
//! graphs on 16 machines and checked against published build times and runs of
//! real Nix. What it rests on: too many threads cost next to nothing, too few
//! jobs cost most, and memory is the one thing that ends a build. So jobs ×
//! cores may exceed the CPUs, but not what memory carries.

//!
//! `general`, `interactive` and `ci` differ in what they leave to others, and
//! share two rules, one for machines with swap and one for those without. The
//! other two workloads have a queue of builds, as build farms do, and divide
//! the CPUs among them instead of sharing them: `builder` runs as many small
//! builds as it can, `big` few large ones.
//!
//! CPUs are logical ones: second threads and slow cores count as whole. Builds
//! of Chromium gain 19 % from second threads, and what a slow core takes is no
//! less memory.

use std::num::NonZeroU32;

use crate::plan::Workload;

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
    /// Fewest jobs when swap backs them, where there is a compiler's memory for
    /// each and more than two CPUs: two builds, of which one is serial at most
    /// times, and a download.
    pub backed_least_jobs: u32,
    /// Memory and swap together for each job when swap backs them: the largest
    /// links take 8 GiB, and builds of a kind come to theirs at about the same
    /// time.
    pub backed_job_bytes: u64,
    /// Most jobs when swap backs them. Real builds on 49 to 256 threads were
    /// quickest with 16 jobs of all cores, and 1.3 % slower with as many jobs as
    /// threads: between these it hardly matters for time, and memory wants few.
    pub most_jobs: u32,
    /// Cores for each square root of a GiB when nothing backs them: with so
    /// many compilers in all, an even split between jobs and cores risks least.
    pub cores_per_root: f64,
    /// Memory for each core of a job, so that one heavy build by itself fits:
    /// 0.4 to 2 GiB for each compiler, and a link beside them.
    pub core_gib: f64,
    /// Memory for a compiler.
    pub compiler_bytes: u64,
    /// zram that machines without swap are advised to have, in percent of
    /// memory. It takes memory only for what it holds: at the three to one
    /// builds are taken to compress to, half of memory when full, for three
    /// halves swapped out. Chromebooks have had as much since 2013.
    pub zram_percent: u64,
    /// Memory for each job of a build farm: the builders of `NixOS` itself give
    /// jobs of two cores 4 to 6 GiB, of which this is what the system leaves.
    pub farm_job_bytes: u64,
    /// Memory for each of few big builds: 40 to 60 GiB are what those builders
    /// give Chromium, LLVM and their like.
    pub big_job_bytes: u64,
    /// Most big builds at once, as those builders have it.
    pub most_big_jobs: u32,
    /// Memory for each compiler of a big build, its share of links included.
    pub big_compiler_bytes: u64,
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
    version: 2,
    least_jobs: 2,
    cpus_per_job: 2,
    backed_least_jobs: 3,
    backed_job_bytes: 8 * GIB,
    most_jobs: 24,
    cores_per_root: 1.25,
    core_gib: 2.5,
    compiler_bytes: GIB,
    zram_percent: 150,
    farm_job_bytes: GIB * 7 / 2,
    big_job_bytes: 40 * GIB,
    most_big_jobs: 4,
    big_compiler_bytes: GIB * 3 / 2,
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
    /// As many small builds as there are CPUs and memory for.
    Throughput,
    /// A few big builds, among which the CPUs are divided.
    FewBig,
}

impl Rule {
    /// The rule's name, which changes when its answers do.
    pub fn name(self) -> String {
        let name = match self {
            Self::MemoryBound => "memory-bound",
            Self::SwapBacked => "swap-backed",
            Self::Throughput => "throughput",
            Self::FewBig => "few-big",
        };
        format!("{name}-{}", POLICY.version)
    }

    /// The rule for a machine with this much memory and swap.
    pub fn of(workload: Workload, memory_bytes: u64, swap_bytes: u64) -> Self {
        match workload {
            Workload::Builder => Self::Throughput,
            Workload::Big => Self::FewBig,
            _ if is_backed(memory_bytes, swap_bytes) => Self::SwapBacked,
            _ => Self::MemoryBound,
        }
    }
}

/// Whether swap takes the peaks of builds: at least a third of memory.
pub fn is_backed(memory_bytes: u64, swap_bytes: u64) -> bool {
    u128::from(swap_bytes) * 3 >= u128::from(memory_bytes)
}

/// zram that a machine with so much memory and little swap is advised to have.
pub fn advised_zram(memory_bytes: u64) -> u64 {
    part(memory_bytes, POLICY.zram_percent, 100)
}

/// What so much zram adds to memory: at three to one, a page swapped out still
/// takes a third of one.
pub fn added_by_zram(zram_bytes: u64) -> u64 {
    part(zram_bytes, 2, 3)
}

fn part(bytes: u64, of: u64, whole: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(of) / u128::from(whole);
    u64::try_from(part).unwrap_or(u64::MAX)
}

/// How many jobs of how many cores each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `max-jobs`, at least 2.
    pub jobs: u32,
    /// `cores`, at least 1 and at most the CPUs.
    pub cores: u32,
}

/// Jobs and cores for so many CPUs, so much memory left to builds, and so much
/// swap that takes their peaks.
pub fn sizes(rule: Rule, cpus: NonZeroU32, available_bytes: u64, swap_bytes: u64) -> Sizes {
    let cpus = cpus.get();
    let available_bytes = available_bytes.max(POLICY.least_available_bytes);
    let gib = gib(available_bytes);
    let half = cpus.div_ceil(POLICY.cpus_per_job);
    let with_swap = available_bytes.saturating_add(swap_bytes);
    match rule {
        Rule::SwapBacked => {
            // One more than keep the CPUs busy, for a download.
            let most = half.saturating_add(1).min(POLICY.most_jobs);
            let compilers = with_swap / POLICY.compiler_bytes;
            let least = at_most(compilers, POLICY.backed_least_jobs.min(most));
            let jobs = at_most(with_swap / POLICY.backed_job_bytes, most);
            let jobs = jobs.max(least).max(POLICY.least_jobs);
            Sizes { jobs, cores: round(gib / POLICY.core_gib).clamp(1, cpus) }
        }
        Rule::MemoryBound => {
            let compilers = available_bytes / POLICY.compiler_bytes;
            let even = POLICY.cores_per_root * gib.sqrt();
            let cores = round(even.min(gib / POLICY.core_gib)).clamp(1, cpus);
            let jobs = at_most(compilers / u64::from(cores), half);
            if jobs >= POLICY.least_jobs {
                return Sizes { jobs, cores };
            }
            let jobs = POLICY.least_jobs;
            let cores = at_most(compilers / u64::from(jobs), cpus).max(1);
            Sizes { jobs, cores }
        }
        Rule::Throughput => {
            let jobs = at_most(available_bytes / POLICY.farm_job_bytes, half);
            let jobs = jobs.max(POLICY.least_jobs);
            Sizes { jobs, cores: divided(cpus, jobs, jobs, with_swap / POLICY.compiler_bytes) }
        }
        Rule::FewBig => {
            let builds = at_most(available_bytes / POLICY.big_job_bytes, half);
            let builds = builds.clamp(1, POLICY.most_big_jobs);
            // Where but one fits, it has all CPUs, and the other job is for
            // what it needs.
            let jobs = builds.max(POLICY.least_jobs);
            let compilers = with_swap / POLICY.big_compiler_bytes;
            Sizes { jobs, cores: divided(cpus, builds, jobs, compilers) }
        }
    }
}

/// Cores of each of so many builds that divide the CPUs, with no more compilers
/// in all jobs than memory carries.
fn divided(cpus: u32, builds: u32, jobs: u32, compilers: u64) -> u32 {
    at_most(compilers / u64::from(jobs), cpus / builds).max(1)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits hold every memory there is to the byte; beyond, the loss is too small to see"
)]
pub(crate) fn gib(bytes: u64) -> f64 {
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
mod tests;
