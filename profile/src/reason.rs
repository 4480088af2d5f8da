//! Why so many jobs of so many cores, for people and in numbers.

use std::num::NonZeroU32;

use detect::human::{count, size};

use crate::budget::Budget;
use crate::costs::{self, Measured};
use crate::guarded;
use crate::plan::Rule as PlanRule;
use crate::sizing::{POLICY, Rule, Sizes};

/// The rule applied, with what it was given.
pub(crate) fn rule(budget: &Budget) -> PlanRule {
    let decided = budget.sizes();
    let text = match decided {
        Some((rule, sizes)) => {
            let reasons = reasons(budget, rule, sizes);
            format!("{}; {}", reasons.cores, reasons.jobs)
        }
        None => format!("no rule: {} unknown", missing(budget)),
    };
    PlanRule {
        policy: decided.map(|(rule, _)| match (budget.guarded, &budget.measured) {
            (Some(_), _) => guarded::policy(),
            (None, Some(_)) => costs::policy(),
            (None, None) => rule.name(),
        }),
        cpus: budget.whole_cpus().map(NonZeroU32::get),
        memory_bytes: budget.memory_bytes,
        swap_bytes: budget.swap_bytes,
        reserve_bytes: budget.reserve.map(|reserve| reserve.bytes),
        tmpfs_bytes: budget.tmpfs_bytes,
        available_bytes: budget.available_bytes(),
        text,
    }
}

/// What is not known, for `… unknown`.
pub(crate) fn missing(budget: &Budget) -> &'static str {
    match (budget.cpus, budget.memory_bytes) {
        (None, None) => "the number of CPUs and the amount of memory are",
        (None, _) => "the number of CPUs is",
        _ => "the amount of memory is",
    }
}

/// Reasons for the two sizes.
pub(crate) struct Reasons {
    /// For `max-jobs`.
    pub(crate) jobs: String,
    /// For `cores`.
    pub(crate) cores: String,
}

/// Why so many jobs of so many cores.
pub(crate) fn reasons(budget: &Budget, rule: Rule, sizes: Sizes) -> Reasons {
    if let Some(sizes) = budget.guarded {
        let cpus = budget.whole_cpus().map_or(0, NonZeroU32::get);
        let (jobs, cores) = guarded::reasons(&left(budget), cpus, sizes);
        return Reasons { jobs, cores };
    }
    if let Some(measured) = &budget.measured {
        return recorded(budget, measured, rule);
    }
    let Sizes { jobs, cores } = sizes;
    let cpus = budget.whole_cpus().map_or(0, NonZeroU32::get);
    let left = left(budget);
    let swap = match budget.swap_bytes {
        _ if budget.is_limited => "the memory limit may not allow swap".to_owned(),
        None => "swap is unknown".to_owned(),
        Some(0) => "there is no swap".to_owned(),
        Some(bytes) if budget.is_backed() => format!("{} of swap take the peaks", size(bytes)),
        Some(bytes) => format!("{} of swap are less than a third of memory", size(bytes)),
    };
    let available = budget.available_bytes().unwrap_or(0);
    match rule {
        Rule::SwapBacked => Reasons {
            jobs: format!(
                "one for every {} of memory and swap, which the largest links take, but no more \
                 than one for every {} of {}, since much of a build is serial, and one for \
                 downloads; {} to {} in any case",
                size(POLICY.backed_job_bytes),
                POLICY.cpus_per_job,
                count(cpus, "CPU"),
                POLICY.least_jobs,
                POLICY.most_jobs
            ),
            cores: format!(
                "{left}, and {swap}: a core for every {} GiB, up to {}",
                POLICY.core_gib,
                count(cpus, "CPU")
            ),
        },
        Rule::Throughput => Reasons {
            jobs: format!(
                "{left}: a job for every {} of it, but no more than one for every {} of {}; at \
                 least {}, so that no download waits for a build",
                size(POLICY.farm_job_bytes),
                POLICY.cpus_per_job,
                count(cpus, "CPU"),
                POLICY.least_jobs
            ),
            cores: format!(
                "builds are many: {} divided by {}, with {} for each compiler; {swap}",
                count(cpus, "CPU"),
                count(jobs, "job"),
                size(POLICY.compiler_bytes)
            ),
        },
        Rule::FewBig => Reasons {
            jobs: format!(
                "{left}: a big build for every {} of it, up to {}; at least {} jobs, so that no \
                 download waits for a build",
                size(POLICY.big_job_bytes),
                POLICY.most_big_jobs,
                POLICY.least_jobs
            ),
            cores: format!(
                "{} divided by the big builds that fit, with {} for each compiler of {}; {swap}",
                count(cpus, "CPU"),
                size(POLICY.big_compiler_bytes),
                count(jobs, "job")
            ),
        },
        Rule::MemoryBound => Reasons {
            jobs: format!(
                "at most one for every {} of {}, and no more than memory carries with {} each; at \
                 least {}, so that no download waits for a build",
                POLICY.cpus_per_job,
                count(cpus, "CPU"),
                count(cores, "core"),
                POLICY.least_jobs
            ),
            cores: format!(
                "{left}; {swap}, so all compilers together must fit: {} of {} leave {} to each",
                count(jobs, "job"),
                count(cores, "core"),
                size(available / (u64::from(jobs) * u64::from(cores)))
            ),
        },
    }
}

/// What the simulation of recorded builds says.
fn recorded(budget: &Budget, measured: &Measured, rule: Rule) -> Reasons {
    let by_rule = match measured.rule_seconds {
        Some(seconds) => format!("{seconds:.0} s"),
        None => "running out of memory".to_owned(),
    };
    Reasons {
        jobs: format!(
            "simulated on {} builds of {} recorded, these jobs × cores take {:.0} s instead of \
             {by_rule} by the rule {}",
            measured.builds,
            count(measured.packages, "package"),
            measured.seconds,
            rule.name()
        ),
        cores: format!(
            "{}, of which the recorded builds are predicted to use {} at most",
            left(budget),
            size(measured.peak_bytes)
        ),
    }
}

/// `16 GiB less 3 GiB for a desktop leaves 13 GiB`.
pub(crate) fn left(budget: &Budget) -> String {
    let whole = size(budget.memory_bytes.unwrap_or(0));
    let reserve =
        budget.reserve.map(|reserve| format!(" less {} {}", size(reserve.bytes), reserve.whom));
    let tmpfs =
        budget.tmpfs_bytes.map(|bytes| format!(" less {} of tmpfs for builds", size(bytes)));
    let less = [reserve, tmpfs].into_iter().flatten().collect::<String>();
    let left = budget.left_bytes().unwrap_or(0);
    if left < POLICY.least_available_bytes {
        return format!("{whole}{less} leaves less than {}", size(POLICY.least_available_bytes));
    }
    format!("{whole}{less} leaves {}", size(left))
}
