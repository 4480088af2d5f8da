//! How many evaluators, of which size, beside how many builds.
//!
//! nix-fast-build starts an evaluator for each CPU and lets each grow to 4 GiB, while
//! builds run beside them: 64 GiB on a machine of 16 CPUs, whatever it has. And each of
//! its builds is a Nix of its own with as many jobs as nix.conf says, since the daemon
//! knows no bound for all of its clients together.

use std::num::NonZeroU32;

use detect::hardware::Note;
use detect::human::count;

use crate::plan::{Plan, Value};
use crate::sizing::{GIB, Rule, Sizes, sizes};

/// What an evaluator may grow to before it starts anew: nix-eval-jobs' own default,
/// and enough for one `NixOS` system.
const EVALUATOR_BYTES: u64 = 4 * GIB;

/// What else takes of memory while evaluators run: builds take half.
const SHARE: u64 = 2;

/// Sizes for one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Evaluation {
    workers: u32,
    worker_bytes: u64,
    builds: Sizes,
    available_bytes: u64,
}

/// The flags of nix-fast-build; none where the machine is not known.
pub(crate) fn fast_build(plan: &Plan) -> String {
    let Some(Evaluation { workers, worker_bytes, builds, .. }) = evaluation(plan, SHARE) else {
        return "\n".to_owned();
    };
    let (mib, Sizes { jobs, cores }) = (mib(worker_bytes), builds);
    // One job in each of its Nix, so that there are no more than so many in all.
    format!(
        "--eval-workers {workers} --eval-max-memory-size {mib} --max-jobs {jobs} \
         --option max-jobs 1 --option cores {cores}\n"
    )
}

/// The flags of nix-eval-jobs, which has memory for itself.
pub(crate) fn eval_jobs(plan: &Plan) -> String {
    evaluation(plan, 1).map_or_else(
        || "\n".to_owned(),
        |Evaluation { workers, worker_bytes, .. }| {
            format!("--workers {workers} --max-memory-size {}\n", mib(worker_bytes))
        },
    )
}

/// Why these, for people.
pub(crate) fn notes(plan: &Plan, with_builds: bool) -> Vec<Note> {
    let share = if with_builds { SHARE } else { 1 };
    let Some(found) = evaluation(plan, share) else {
        let text = "no flags: neither CPUs nor memory are known well enough";
        return vec![Note::warning("evaluation-unknown", text)];
    };
    let Evaluation { workers, worker_bytes, builds, available_bytes } = found;
    let gib = |bytes| crate::sizing::gib(bytes);
    let part = if with_builds { "within half of" } else { "within" };
    let mut text = format!(
        "{} of {:.1} GiB each: at most one for each CPU, and {part} the {:.1} GiB that builds may use",
        count(workers, "evaluator"),
        gib(worker_bytes),
        gib(available_bytes)
    );
    if with_builds {
        text.push_str(&format!(
            "; the rest carries {} of {} each, which are one in each Nix that nix-fast-build \
             starts, since the daemon does not bound its clients together",
            count(builds.jobs, "build"),
            count(builds.cores, "core")
        ));
    }
    vec![Note::info("evaluation", text)]
}

/// What a plan's machine carries, with this part of memory for evaluators.
fn evaluation(plan: &Plan, share: u64) -> Option<Evaluation> {
    let rule = &plan.profile.rule;
    let cpus = NonZeroU32::new(rule.cpus?)?;
    let available_bytes = rule.available_bytes?;
    let for_evaluators = available_bytes / share;
    let most = for_evaluators / EVALUATOR_BYTES;
    let workers = u32::try_from(most).map_or(cpus.get(), |most| most.clamp(1, cpus.get()));
    let worker_bytes = EVALUATOR_BYTES.min(for_evaluators);
    let left = available_bytes.saturating_sub(worker_bytes.saturating_mul(workers.into()));
    let swap = rule.swap_bytes.unwrap_or(0);
    let sizing = Rule::of(plan.profile.workload, rule.memory_bytes?, swap);
    let backing = if sizing == Rule::SwapBacked { swap } else { 0 };
    let Sizes { jobs, cores } = sizes(sizing, cpus, left, backing);
    // Never more than without evaluators, whatever the plan's own sizes rest on.
    let planned = |name| match plan.settings.get(name).map(|setting| &setting.value) {
        Some(Value::Integer(number)) => u32::try_from(*number).unwrap_or(u32::MAX).max(1),
        _ => u32::MAX,
    };
    let builds = Sizes { jobs: jobs.min(planned("max-jobs")), cores: cores.min(planned("cores")) };
    Some(Evaluation { workers, worker_bytes, builds, available_bytes })
}

fn mib(bytes: u64) -> u64 {
    (bytes >> 20).max(1)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use detect::hardware::Hardware;
    use detect::number::Cpus;

    use super::{GIB, eval_jobs, fast_build, notes};
    use crate::plan::{Plan, Workload};
    use crate::{Options, run};

    fn plan(cpus: u32, memory_bytes: u64) -> Plan {
        let mut hardware = Hardware::default();
        hardware.cpu.online = NonZeroU32::new(cpus);
        hardware.cpu.usable = NonZeroU32::new(cpus).map(Cpus::from);
        hardware.memory.total_bytes = NonZeroU64::new(memory_bytes);
        hardware.memory.usable_bytes = NonZeroU64::new(memory_bytes);
        hardware.memory.swap_bytes = Some(0);
        let options = Options { workload: Workload::Ci, ..Options::default() };
        run(hardware, &options).expect("a plan")
    }

    #[test]
    fn flags_are_bounded_by_memory_and_by_cpus() {
        for (cpus, gib, fast, eval) in [
            // A runner of GitHub: four evaluators of 4 GiB would be all it has.
            (
                4,
                16,
                "--eval-workers 1 --eval-max-memory-size 4096 --max-jobs 2 --option max-jobs 1 \
                 --option cores 4",
                "--workers 3 --max-memory-size 4096",
            ),
            (
                2,
                7,
                "--eval-workers 1 --eval-max-memory-size 3072 --max-jobs 2 --option max-jobs 1 \
                 --option cores 1",
                "--workers 1 --max-memory-size 4096",
            ),
            (
                64,
                256,
                "--eval-workers 31 --eval-max-memory-size 4096 --max-jobs 9 --option max-jobs 1 \
                 --option cores 14",
                "--workers 63 --max-memory-size 4096",
            ),
            (
                16,
                2,
                "--eval-workers 1 --eval-max-memory-size 512 --max-jobs 2 --option max-jobs 1 \
                 --option cores 1",
                "--workers 1 --max-memory-size 1024",
            ),
        ] {
            let plan = plan(cpus, gib * GIB);
            assert_eq!(fast_build(&plan), format!("{fast}\n"), "{cpus} CPUs, {gib} GiB");
            assert_eq!(eval_jobs(&plan), format!("{eval}\n"), "{cpus} CPUs, {gib} GiB");
        }
    }

    #[test]
    fn everything_at_once_fits_into_memory() {
        for cpus in [1, 2, 3, 4, 8, 16, 64, 256] {
            for gib in [2, 4, 6, 8, 16, 32, 64, 128, 512, 2048] {
                let plan = plan(cpus, gib * GIB);
                let flags = fast_build(&plan);
                let mut words = flags.split_whitespace();
                let mut number = |flag: &str| -> u64 {
                    words.find(|word| *word == flag);
                    words.next().expect(flag).parse().expect("a number")
                };
                let (workers, mib) = (number("--eval-workers"), number("--eval-max-memory-size"));
                let (jobs, cores) = (number("--max-jobs"), number("cores"));
                assert!(workers <= cpus.into(), "{flags}");
                // A GiB for each compiler, as the rule has it; two must always run.
                let all = ((workers * mib) << 20) + jobs * cores * GIB;
                assert!(all <= (gib * GIB).max(3 * GIB), "{cpus} CPUs, {gib} GiB: {flags}");
            }
        }
    }

    #[test]
    fn a_machine_that_is_not_known_gets_none() {
        let plan = run(Hardware::default(), &Options::default()).expect("a plan");
        assert_eq!((fast_build(&plan), eval_jobs(&plan)), ("\n".to_owned(), "\n".to_owned()));
        assert_eq!(notes(&plan, true)[0].id, "evaluation-unknown");
    }

    #[test]
    fn the_reason_is_said() {
        let text = &notes(&plan(4, 16 * GIB), true)[0].text;
        assert!(text.starts_with("1 evaluator of 4.0 GiB each"), "{text}");
        assert!(text.contains("the rest carries 2 builds of 4 cores each"), "{text}");
    }
}
