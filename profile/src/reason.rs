//! Why so many jobs of so many cores, for people and in numbers.

use std::num::NonZeroU32;

use detect::human::{count, size};

use crate::budget::Budget;
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
        policy: decided.map(|(rule, _)| rule.name()),
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
    let Sizes { jobs, cores } = sizes;
    let cpus = budget.whole_cpus().map_or(0, NonZeroU32::get);
    let left = left(budget);
    let swap = match budget.swap_bytes {
        _ if budget.is_limited => "the memory limit may not allow swap".to_owned(),
        None => "swap is unknown".to_owned(),
        Some(0) => "there is no swap".to_owned(),
        Some(bytes) => match rule {
            Rule::MemoryBound => {
                format!("{} of swap are less than a third of memory", size(bytes))
            }
            Rule::SwapBacked => format!("{} of swap take the peaks", size(bytes)),
        },
    };
    let available = budget.available_bytes().unwrap_or(0);
    match rule {
        Rule::SwapBacked => Reasons {
            jobs: format!(
                "one for every {} of {}, since much of a build is serial; at least {}, so that \
                 no download waits for a build, and at most {} or what memory and swap carry",
                POLICY.cpus_per_job,
                count(cpus, "CPU"),
                POLICY.least_jobs,
                POLICY.most_jobs
            ),
            cores: format!(
                "{left}, and {swap}: a core for every {} GiB, up to {}",
                POLICY.backed_core_gib,
                count(cpus, "CPU")
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
