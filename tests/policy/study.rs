//! The study again: every rule, on every graph, on every machine.

use std::thread;

use profile::costs::Costs;
use profile::guarded;
use profile::plan::{Value, Workload};
use profile::simulate::guard::Guard;
use profile::simulate::{Outcome, Settings, search, simulate};
use profile::sizing::{Rule, Sizes, sizes};
use profile::{Options, run};

use super::machine::{Case, Kind, case, study};
use super::show;
use super::workload::{Load, loads};

/// Orders of each graph: as many as the study had.
pub(super) const ORDERS: u64 = 3;

/// A way to choose jobs and cores.
struct Policy {
    name: &'static str,
    /// Whether the zram is there that plans advise.
    zram: bool,
    choose: fn(&Case, &Load) -> Settings,
}

const POLICIES: [Policy; 19] = [
    Policy { name: "original", zram: false, choose: |case, _| original(case) },
    Policy { name: "original + zram", zram: true, choose: |case, _| original(case) },
    Policy { name: "NixOS N × N", zram: false, choose: |case, _| square(case.cpus()) },
    Policy { name: "Nix 1 × N", zram: false, choose: |case, _| Settings::new(1, case.cpus()) },
    Policy { name: "√N × √N", zram: false, choose: |case, _| square(root(case.cpus())) },
    Policy { name: "devenv N/4 × 4", zram: false, choose: |case, _| devenv(case) },
    Policy { name: "ghaf-infra", zram: false, choose: |case, _| ghaf(case) },
    Policy { name: "memory-bound", zram: false, choose: |case, _| rule(case, Rule::MemoryBound) },
    Policy {
        name: "memory-bound + zram",
        zram: true,
        choose: |case, _| rule(case, Rule::MemoryBound),
    },
    Policy {
        name: "swap-backed",
        zram: false,
        choose: |case, _| rule(&case.with_zram(), Rule::SwapBacked),
    },
    Policy { name: GENERAL, zram: false, choose: |case, _| planned(case, Workload::General) },
    Policy { name: GENERAL_ZRAM, zram: true, choose: |case, _| planned(case, Workload::General) },
    Policy {
        name: "builder + zram",
        zram: true,
        choose: |case, _| planned(case, Workload::Builder),
    },
    Policy { name: "big + zram", zram: true, choose: |case, _| planned(case, Workload::Big) },
    Policy { name: COSTS, zram: false, choose: by_costs },
    Policy { name: COSTS_ZRAM, zram: true, choose: by_costs },
    Policy { name: GUARDED, zram: false, choose: |case, _| under_guard(case, 0.3) },
    Policy { name: GUARDED_ZRAM, zram: true, choose: |case, _| under_guard(case, 0.3) },
    Policy { name: SURE_ZRAM, zram: true, choose: |case, _| under_guard(case, 0.0) },
];

const GENERAL: &str = "profile";
const GENERAL_ZRAM: &str = "profile + zram";
const COSTS: &str = "profile --costs";
const GUARDED: &str = "profile --guarded";
const GUARDED_ZRAM: &str = "profile --guarded + zram";
const SURE_ZRAM: &str = "profile --guarded that knows every peak + zram";
const COSTS_ZRAM: &str = "profile --costs + zram";

/// `max-jobs` and `cores` of the original design's three tiers.
pub(super) fn original(case: &Case) -> Settings {
    let (cpus, gib) = (case.cpus(), case.memory_bytes() >> 30);
    square(match () {
        () if cpus >= 8 && gib >= 16 => cpus,
        () if cpus >= 4 && gib >= 8 => cpus - 1,
        () => (cpus / 2).max(1),
    })
}

fn square(number: u32) -> Settings {
    Settings::new(number, number)
}

fn root(cpus: u32) -> u32 {
    (1..=cpus).find(|root| root * root >= cpus).unwrap_or(1)
}

fn devenv(case: &Case) -> Settings {
    let jobs = (case.cpus() / 4).max(1);
    Settings::new(jobs, case.cpus() / jobs)
}

fn ghaf(case: &Case) -> Settings {
    let by_memory = u32::try_from(case.memory_bytes() >> 32).expect("little memory");
    let jobs = (case.cpus() / 2).min(by_memory).max(1);
    Settings::new(jobs, (case.cpus() / jobs).max(1))
}

fn rule(case: &Case, rule: Rule) -> Settings {
    let budget = case.budget(Workload::General);
    let (cpus, available) = (budget.whole_cpus(), budget.available_bytes());
    let sizes =
        sizes(rule, cpus.expect("CPUs"), available.expect("memory"), budget.backing_bytes());
    let Sizes { jobs, cores } = sizes;
    Settings::new(jobs, cores)
}

pub(super) fn planned(case: &Case, workload: Workload) -> Settings {
    let (_, Sizes { jobs, cores }) = case.budget(workload).sizes().expect("a known machine");
    Settings::new(jobs, cores)
}

/// What `profile --guarded` plans, with a guard whose expectations are so far off.
fn under_guard(case: &Case, doubt: f64) -> Settings {
    let budget = case.budget(Workload::General);
    let (cpus, available) = (budget.whole_cpus(), budget.available_bytes());
    let Sizes { jobs, cores } =
        guarded::sizes(cpus.expect("CPUs"), available.expect("memory"), None);
    let guard = Guard { memory_gib: case.machine().memory_gib, doubt };
    Settings { guard: Some(guard), ..Settings::new(jobs, cores) }
}

/// The whole way: recorded costs in, settings out of the plan.
fn by_costs(case: &Case, load: &Load) -> Settings {
    let costs: Costs = load.costs(case.cpus());
    let options = Options { costs: Some(costs), ..Options::default() };
    let plan = run(case.hardware.clone(), &options).expect("a plan");
    let number = |name: &str| match plan.settings[name].value {
        Value::Integer(number) => u32::try_from(number).expect("few"),
        _ => panic!("{name} is a number"),
    };
    Settings::new(number("max-jobs"), number("cores"))
}

/// What a policy made of a graph on a machine.
struct Result {
    policy: usize,
    machine: &'static str,
    load: String,
    is_held_out: bool,
    /// By the best static settings of the machine as it is.
    regret: f64,
    out_of_memory: bool,
}

fn results(loads: &[Load], cases: &[Case]) -> Vec<Result> {
    let halves = loads.chunks(loads.len().div_ceil(2));
    thread::scope(|scope| {
        let parts: Vec<_> = halves
            .map(|half| {
                scope.spawn(|| half.iter().flat_map(|load| on_all(load, cases)).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("simulated")).collect()
    })
}

fn on_all(load: &Load, cases: &[Case]) -> Vec<Result> {
    let mut results = Vec::new();
    for case in cases {
        let Some(oracle) = search::oracle(&load.graph, &case.machine()) else { continue };
        for (number, policy) in POLICIES.iter().enumerate() {
            let case = if policy.zram { case.with_zram() } else { case.clone() };
            let settings = (policy.choose)(&case, load);
            let outcome = simulate(&load.graph, &case.machine(), settings);
            results.push(Result {
                policy: number,
                machine: case.name,
                load: load.name.clone(),
                is_held_out: load.is_held_out,
                regret: seconds(&outcome) / seconds(&oracle.outcome),
                out_of_memory: outcome.out_of_memory,
            });
        }
    }
    results
}

fn seconds(outcome: &Outcome) -> f64 {
    outcome.seconds.expect("some settings build it, so one job of one core does")
}

/// Many results in three numbers.
#[derive(Clone, Copy)]
struct Summary {
    regret: f64,
    /// Nine of ten are no worse.
    worst_tenth: f64,
    out_of_memory_percent: f64,
}

#[expect(clippy::cast_precision_loss, reason = "hundreds")]
fn summary<'a>(results: impl Iterator<Item = &'a Result>) -> Summary {
    let (mut regrets, mut ran_out) = (Vec::new(), 0);
    for result in results {
        regrets.push(result.regret);
        ran_out += usize::from(result.out_of_memory);
    }
    regrets.sort_by(f64::total_cmp);
    let count = regrets.len() as f64;
    Summary {
        regret: (regrets.iter().map(|regret| regret.ln()).sum::<f64>() / count).exp(),
        worst_tenth: regrets[regrets.len() * 9 / 10],
        out_of_memory_percent: 100.0 * ran_out as f64 / count,
    }
}

/// What the project promises of its rules, on the study's graphs and machines.
#[test]
fn the_rules_are_near_the_best_there_is() {
    let Some(loads) = loads(ORDERS) else { return };
    let cases = study();
    let results = results(&loads, &cases);
    let of = |name: &str| {
        let number = POLICIES.iter().position(|policy| policy.name == name).expect("a policy");
        results.iter().filter(move |result| result.policy == number)
    };
    let mut table = format!(
        "\n{} cases; × the best static settings, in the mean and for nine of ten; out of memory\n\n\
         | policy | × best | 9 of 10 | OOM % | held out × | OOM % |\n|---|---|---|---|---|---|\n",
        of(GENERAL).count()
    );
    for policy in &POLICIES {
        let (all, held) = (
            summary(of(policy.name)),
            summary(of(policy.name).filter(|result| result.is_held_out)),
        );
        table += &format!(
            "| {} | {:.3} | {:.2} | {:.1} | {:.3} | {:.1} |\n",
            policy.name,
            all.regret,
            all.worst_tenth,
            all.out_of_memory_percent,
            held.regret,
            held.out_of_memory_percent
        );
    }
    let columns = ["original", GENERAL, GENERAL_ZRAM, COSTS_ZRAM, GUARDED_ZRAM];
    let mut row = |name: &str, size: String, is_it: &dyn Fn(&Result) -> bool| {
        table += &format!("| {name} | {size}");
        for column in columns {
            let cell = summary(of(column).filter(|result| is_it(result)));
            table += &format!(" {:.2} ({:.0} %) |", cell.regret, cell.out_of_memory_percent);
        }
        table += "\n";
    };
    row("by machine: jobs × cores", "| ".to_owned(), &|_| true);
    for case in &cases {
        let size = |settings: Settings| format!("{} × {}", settings.jobs, settings.cores);
        let sizes = [
            size(original(case)),
            size(planned(case, Workload::General)),
            size(planned(&case.with_zram(), Workload::General)),
        ];
        row(case.name, sizes.join(", ") + " |", &|result| result.machine == case.name);
    }
    for load in loads.iter().step_by(usize::try_from(ORDERS).expect("few")) {
        row(&load.name, "|".to_owned(), &|result| result.load == load.name);
    }
    show(&table);

    let bar = |name: &str, most: f64, most_percent: f64| {
        let Summary { regret, out_of_memory_percent, .. } = summary(of(name));
        assert!(regret <= most, "{name}: {regret:.3} × the best, more than {most}");
        assert!(
            out_of_memory_percent <= most_percent,
            "{name}: out of memory in {out_of_memory_percent:.1} %, more than {most_percent}"
        );
    };
    bar(GENERAL_ZRAM, 1.09, 1.0);
    bar("memory-bound", 1.32, 6.5);
    bar("memory-bound + zram", 1.32, 0.5);
    bar(COSTS, 1.18, 4.5);
    bar(COSTS_ZRAM, 1.04, 1.0);
    bar(GUARDED, 1.09, 8.5);
    bar(GUARDED_ZRAM, 1.06, 0.6);
    bar(SURE_ZRAM, 1.03, 0.5);
    let held = summary(of(GENERAL_ZRAM).filter(|result| result.is_held_out));
    assert!(held.regret <= 1.09 && held.out_of_memory_percent < 0.5);
    let original = summary(of("original"));
    assert!(original.regret > 1.2 && original.out_of_memory_percent > 25.0, "as the study found");
}

/// What professionals set by hand, beside what we plan for the same machine.
#[test]
fn beside_what_professionals_set() {
    let Some(loads) = loads(1) else { return };
    let (builder, big) = (Workload::Builder, Workload::Big);
    let general = Workload::General;
    let machines = [
        (case("infra 96/256", [48, 0, 48], 256, 0, Kind::Plain), builder, (48, 2)),
        (case("infra 96/256 big", [48, 0, 48], 256, 0, Kind::Plain), big, (4, 24)),
        (case("infra 80/256", [80, 0, 0], 256, 0, Kind::Plain), builder, (40, 2)),
        (case("infra 80/128 big", [80, 0, 0], 128, 0, Kind::Plain), big, (3, 26)),
        (case("infra M1 8/16", [4, 4, 0], 16, 0, Kind::Plain), builder, (4, 2)),
        (case("ngipkgs 16/32", [8, 0, 8], 32, 0, Kind::Plain), builder, (4, 4)),
        (case("devenv 16/32", [8, 0, 8], 32, 0, Kind::Plain), general, (4, 4)),
        (case("ghaf 32/64", [16, 0, 16], 64, 0, Kind::Plain), general, (16, 2)),
    ];
    let mut table = "\n| machine | by hand | planned | by hand / planned | OOM by hand, planned | \
                     general with zram | by hand / it |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (case, workload, (jobs, cores)) in machines {
        let ours = planned(&case, workload);
        let with_zram = planned(&case.with_zram(), general);
        let over = |machine: &Case, settings: Settings| {
            let outcomes =
                loads.iter().map(|load| simulate(&load.graph, &machine.machine(), settings));
            let outcomes: Vec<Outcome> = outcomes.collect();
            let ran_out = outcomes.iter().filter(|outcome| outcome.out_of_memory).count();
            // What never fits, fits with no settings.
            let logs = outcomes.iter().filter_map(|outcome| outcome.seconds).map(f64::ln);
            (logs.sum::<f64>() / 18.0, ran_out)
        };
        let by_hand = over(&case, Settings::new(jobs, cores));
        let (plan, zram) = (over(&case, ours), over(&case.with_zram(), with_zram));
        table += &format!(
            "| {} | {jobs} × {cores} | {} × {} | {:.2} | {}, {} of 18 | {} × {} | {:.2} |\n",
            case.name,
            ours.jobs,
            ours.cores,
            (by_hand.0 - plan.0).exp(),
            by_hand.1,
            plan.1,
            with_zram.jobs,
            with_zram.cores,
            (by_hand.0 - zram.0).exp(),
        );
    }
    show(&table);
}
