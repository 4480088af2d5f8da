//! Thousands of real processors, each with little memory and with much.

use std::fs;
use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::Hardware;
use detect::number::Cpus;
use profile::budget::budget;
use profile::plan::Workload;
use profile::sizing::{GIB, Rule, advised_zram};

use super::show;
use crate::tools::shared;

/// CPUs of each machine type that says how many it has, and of how many types
/// that cannot be told.
fn machine_types(text: &str) -> (Vec<NonZeroU32>, usize) {
    let lines = text.lines().skip(1);
    let cpus: Vec<Option<NonZeroU32>> =
        lines.map(|line| line.split('\t').nth(3)?.trim().parse().ok()).collect();
    let known: Vec<NonZeroU32> = cpus.iter().copied().flatten().collect();
    let unknown = cpus.len() - known.len();
    (known, unknown)
}

/// Quantiles of numbers, for a cell of a table.
fn quantiles(mut numbers: Vec<f64>) -> String {
    numbers.sort_by(f64::total_cmp);
    let at = |part: usize| numbers[(numbers.len() - 1) * part / 10];
    format!("{:.1} · {:.1} · {:.1}", at(1), at(5), at(9))
}

#[test]
fn no_machine_gets_an_absurd_plan() {
    use Workload::{Big, Builder, Ci, General, Interactive};
    let Some(path) = shared("machine-types.tsv") else { return };
    let (types, unknown) = machine_types(&fs::read_to_string(path).expect("machine types"));
    assert!(types.len() >= 2300, "only {} machine types are known", types.len());
    let mut table = format!(
        "\n{} machine types ({unknown} more say no number of CPUs); tenth, half and nine tenths \
         of them\n\n| workload | swap | GiB a CPU | jobs | cores | threads a CPU | GiB a thread |\n\
         |---|---|---|---|---|---|---|\n",
        types.len()
    );
    let mut plans = 0;
    let workloads = [General, Interactive, Ci, Builder, Big];
    for workload in workloads {
        for zram in [false, true] {
            for per_cpu in 1..=8 {
                let mut columns = [const { Vec::new() }; 4];
                for cpus in &types {
                    for (column, number) in
                        columns.iter_mut().zip(plan(*cpus, per_cpu, zram, workload))
                    {
                        column.push(number);
                    }
                    plans += 1;
                }
                if matches!(per_cpu, 1 | 2 | 4 | 8) {
                    table += &format!(
                        "| {workload:?} | {} | {per_cpu} | {} |\n",
                        if zram { "zram" } else { "none" },
                        columns.map(quantiles).join(" | ")
                    );
                }
            }
        }
    }
    table += &format!("\n{plans} plans\n");
    show(&table);
}

/// Jobs, cores, threads for each CPU and GiB for each thread.
fn plan(cpus: NonZeroU32, per_cpu: u64, zram: bool, workload: Workload) -> [f64; 4] {
    let bytes = u64::from(cpus.get()) * per_cpu * GIB;
    let mut hardware = Hardware::default();
    hardware.cpu.allowed = Some(cpus);
    hardware.cpu.usable = Some(Cpus::from(cpus));
    hardware.memory.total_bytes = NonZeroU64::new(bytes);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware.memory.zram_bytes = Some(if zram { advised_zram(bytes) } else { 0 });
    let budget = budget(&hardware, workload, None);
    let (rule, sizes) = budget.sizes().expect("a known machine");
    let available = super::machine::gib(budget.available_bytes().expect("memory"));
    let backed = available + super::machine::gib(budget.backing_bytes());
    let threads = f64::from(sizes.jobs) * f64::from(sizes.cores);
    let all = f64::from(cpus.get());
    let what = format!("{cpus} CPUs, {per_cpu} GiB each, {workload:?}, zram {zram}: {sizes:?}");

    // Enough to do where there is memory for it: not a third of what CPUs and
    // memory both carry lies idle.
    let compiler = if rule == Rule::FewBig { 1.5 } else { 1.0 };
    let carried = (backed / compiler).min(all);
    let enough = match rule {
        // A core for every 2.5 GiB of memory, whatever the swap.
        Rule::SwapBacked => threads >= carried / 3.0,
        Rule::MemoryBound => threads >= carried / 2.0,
        Rule::Throughput | Rule::FewBig => threads + f64::from(sizes.jobs) > carried * 0.66,
    };
    assert!(enough, "idle: {what}");
    // And not more than real builds were seen to be no slower with.
    assert!(threads <= 24.0 * all.max(2.0), "oversubscribed: {what}");
    assert!(sizes.jobs >= 2 && sizes.cores >= 1 && sizes.cores <= cpus.get(), "{what}");
    assert!(
        rule == Rule::SwapBacked || threads <= 2.0 || threads * compiler <= backed,
        "out of memory: {what}"
    );
    [f64::from(sizes.jobs), f64::from(sizes.cores), threads / all, available / threads]
}
