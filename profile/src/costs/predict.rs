//! From what was recorded to what can be simulated.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use detect::hardware::Hardware;

use super::{Cost, Costs};
use crate::budget::Budget;
use crate::guarded::{BASE_BYTES, SLOT_BYTES};
use crate::simulate::graph::{Derivation, Graph, Phase};
use crate::simulate::machine::{LOSS, Machine};
use crate::sizing::gib;

/// Most packages that a record may have.
const MOST_PACKAGES: usize = 10_000;

/// Longest name of a package: store paths have no longer ones.
const LONGEST_NAME: usize = 211;

/// What a peak may be above the one recorded.
const HEADROOM: f64 = 1.25;

/// The recorded packages as builds, in the order of their names as Nix takes
/// them.
pub fn graph(costs: &Costs) -> Result<Graph> {
    let count = costs.packages.len();
    ensure!(count <= MOST_PACKAGES, "{count} packages, more than {MOST_PACKAGES}");
    let numbers: BTreeMap<&str, u32> =
        costs.packages.keys().map(String::as_str).zip(0u32..).collect();
    let mut derivations = Vec::with_capacity(count);
    for (name, cost) in &costs.packages {
        let is_name = |name: &str| {
            !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control)
        };
        ensure!(is_name(name), "{:?}: not a package's name", name.get(..40).unwrap_or(name));
        if let Err(error) = check(cost) {
            bail!("{name:?}: {error}");
        }
        let needs = cost.needs.iter().filter_map(|need| numbers.get(need.as_str()).copied());
        let phases = phases(cost);
        derivations.push(Derivation { name: name.clone(), needs: needs.collect(), phases });
    }
    Graph::new(derivations)
}

fn check(cost: &Cost) -> Result<()> {
    let numbers = [
        (Some(cost.wall_seconds), 1e7, "wall_seconds"),
        (cost.cpu_seconds, 1e7, "cpu_seconds"),
        (cost.parallelism, 1e5, "parallelism"),
        (cost.width, 1e5, "width"),
        (cost.peak_memory_bytes.map(gib), 1e5, "peak_memory_bytes, in GiB,"),
        (cost.base_memory_bytes.map(gib), 1e5, "base_memory_bytes, in GiB,"),
        (cost.slot_memory_bytes.map(gib), 1e5, "slot_memory_bytes, in GiB,"),
    ];
    for (number, most, what) in numbers {
        if let Some(number) = number {
            ensure!((0.0..=most).contains(&number), "{what} of {number} is not within 0 to {most}");
        }
    }
    Ok(())
}

/// A serial phase and a parallel one that together take the time and the CPU
/// time recorded.
fn phases(cost: &Cost) -> Vec<Phase> {
    let wall = cost.wall_seconds;
    if wall <= 0.0 {
        return Vec::new();
    }
    let parallelism = cost.parallelism.unwrap_or(1.0);
    let cpu = cost.cpu_seconds.unwrap_or(wall * parallelism);
    // It was seen to be as wide as it was on average, whatever else is said.
    let width = cost.width.unwrap_or(0.0).max(parallelism).max(cpu / wall).ceil().max(1.0);
    let (slot_gib, base_gib) = memory(cost, width);
    let phase = |work_seconds, width, cpu_share| Phase {
        work_seconds,
        width,
        slot_gib,
        base_gib,
        tail_seconds: 0.0,
        cpu_share,
    };
    if cpu <= wall || width <= 1.0 {
        // It waited for the rest of the time.
        return vec![phase(wall, 1.0, (cpu / wall).clamp(1e-3, 1.0))];
    }
    // Of `serial + parallel = cpu` and `serial + parallel / width = wall`.
    let serial = ((wall - cpu / width) / (1.0 - 1.0 / width)).clamp(0.0, cpu);
    vec![phase(serial, 1.0, 1.0), phase(cpu - serial, width, 1.0)]
}

/// Memory of each thread and besides them, never less than was seen.
fn memory(cost: &Cost, width: f64) -> (f64, f64) {
    let peak = cost.peak_memory_bytes.map(|bytes| gib(bytes) * HEADROOM);
    let base = cost.base_memory_bytes.map(gib);
    let slot = cost.slot_memory_bytes.map(gib);
    let base_or = base.unwrap_or(gib(BASE_BYTES));
    let slot = slot.unwrap_or_else(|| {
        // Without a fit, all that was seen may have been its threads'.
        peak.map_or(gib(SLOT_BYTES), |peak| (peak - base_or).max(0.0) / width)
    });
    let missing = peak.map_or(0.0, |peak| peak - (base_or + slot * width));
    (slot, base_or + missing.max(0.0))
}

/// The machine to simulate: as many CPUs as builds may use, the fastest first.
pub fn machine(hardware: &Hardware, budget: &Budget) -> Option<Machine> {
    let cpus = budget.whole_cpus()?.get();
    let cores = |kind: &detect::hardware::Kind| kind.cores.unwrap_or(kind.cpus).get();
    let (fast, slow) = match hardware.cpu.kinds.as_slice() {
        [fastest, others @ ..] if !others.is_empty() => {
            (cores(fastest), others.iter().map(cores).fold(0, u32::saturating_add))
        }
        _ => (hardware.cpu.cores.map_or(cpus, std::num::NonZeroU32::get), 0),
    };
    let fast = fast.min(cpus);
    let slow = slow.min(cpus - fast);
    Some(Machine {
        fast,
        slow,
        siblings: cpus - fast - slow,
        memory_gib: gib(budget.available_bytes()?),
        swap_gib: gib(budget.swap_bytes.unwrap_or(0)),
        loss: LOSS,
    })
}
