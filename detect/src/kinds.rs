//! Kinds of core in one machine: performance and efficiency cores, big and
//! little ones.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use crate::cpu;
use crate::cpuinfo::CpuInfo;
use crate::cpuset::CpuSet;
use crate::hardware::Kind;
use crate::number::Cpus;
use crate::root::Root;

/// What tells cores of different kinds apart, best evidence first; see
/// [`kinds`].
type Evidence = fn(&Root, &CpuSet, &CpuInfo) -> Option<Vec<CpuSet>>;

/// Kinds among `cpus`, fastest first; one when they are alike, none when there
/// is no CPU.
///
/// The evidence is, in this order: what performance counters Intel's cores
/// have; which ARM design a core is; the scheduler's capacity; the guaranteed
/// frequency; the highest frequency, if it differs by more than 15 % (favoured
/// cores of one kind differ by less). Frequencies and capacities differ a
/// little within a kind, so what comes first wins outright. hwloc ranks its
/// evidence alike (`hwloc/topology-linux.c`, "cpukinds").
pub fn kinds(root: &Root, cpus: &CpuSet, cores: Option<&[CpuSet]>, info: &CpuInfo) -> Vec<Kind> {
    let evidence: [Evidence; 4] = [by_counters, by_arm_design, by_capacity, by_frequency];
    let sets = evidence
        .iter()
        .find_map(|look| look(root, cpus, info))
        .unwrap_or_else(|| vec![cpus.clone()]);
    let mut kinds: Vec<(Option<f64>, Kind)> = sets
        .iter()
        .filter_map(|set| {
            let cores = cores.and_then(|cores| {
                let among = cores.iter().filter(|core| !core.intersection(set).is_empty());
                NonZeroU32::new(u32::try_from(among.count()).ok()?)
            });
            let cpus = NonZeroU32::new(set.len())?;
            let speed = if sets.len() == 1 { Some(1.0) } else { speed(root, set) };
            Some((speed, Kind { cpus, cores, relative_speed: None }))
        })
        .collect();
    // Without figures, the order in which the evidence names them stands.
    if kinds.iter().all(|(speed, _)| speed.is_some()) {
        kinds.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
    }
    let fastest = kinds.first().and_then(|(speed, _)| *speed);
    for (speed, kind) in &mut kinds {
        let relative = speed.zip(fastest).map(|(speed, fastest)| speed / fastest);
        kind.relative_speed = relative.and_then(|speed| Cpus::new((speed * 100.0).round() / 100.0));
    }
    kinds.into_iter().map(|(_, kind)| kind).collect()
}

/// Intel's kinds have separate performance-monitoring units.
fn by_counters(root: &Root, cpus: &CpuSet, _: &CpuInfo) -> Option<Vec<CpuSet>> {
    if !root.exists("sys/devices/cpu_atom") {
        return None;
    }
    let sets = ["cpu_core", "cpu_atom", "cpu_lowpower"].iter().filter_map(|unit| {
        let list = root.word(format!("sys/devices/{unit}/cpus"))?;
        let set = CpuSet::parse_list(&list)?.intersection(cpus);
        (!set.is_empty()).then_some(set)
    });
    Some(sets.collect())
        .filter(|sets: &Vec<CpuSet>| sets.iter().map(CpuSet::len).sum::<u32>() == cpus.len())
}

/// Implementer and part number, from the register where the kernel shows it and
/// else from /proc/cpuinfo. Variant and revision differ within a design.
fn by_arm_design(root: &Root, cpus: &CpuSet, info: &CpuInfo) -> Option<Vec<CpuSet>> {
    let register = |cpu| {
        let path = format!("{}/regs/identification/midr_el1", cpu::folder(cpu));
        let text = root.word(path)?;
        let midr = u64::from_str_radix(text.trim_start_matches("0x"), 16).ok()?;
        Some(midr & 0xff00_fff0)
    };
    let designs: BTreeSet<_> = info.designs.values().collect();
    let listed = |cpu| {
        let design = info.designs.get(&cpu)?;
        designs.iter().position(|known| *known == design)
    };
    by_value(cpus, register).or_else(|| by_value(cpus, listed))
}

fn by_capacity(root: &Root, cpus: &CpuSet, _: &CpuInfo) -> Option<Vec<CpuSet>> {
    by_value(cpus, |cpu| figure(root, cpu, "cpu_capacity"))
}

fn by_frequency(root: &Root, cpus: &CpuSet, _: &CpuInfo) -> Option<Vec<CpuSet>> {
    let by_base = by_value(cpus, |cpu| figure(root, cpu, "cpufreq/base_frequency"));
    let by_nominal = || by_value(cpus, |cpu| figure(root, cpu, "acpi_cppc/nominal_perf"));
    let several = |sets: &Vec<CpuSet>| sets.len() > 1;
    by_base
        .filter(several)
        .or_else(|| by_nominal().filter(several))
        .or_else(|| by_highest_frequency(root, cpus))
}

/// More than 15 % below the top is another kind.
fn by_highest_frequency(root: &Root, cpus: &CpuSet) -> Option<Vec<CpuSet>> {
    let highest: BTreeMap<usize, u64> = cpus
        .iter()
        .map(|cpu| Some((cpu, figure(root, cpu, "cpufreq/cpuinfo_max_freq")?)))
        .collect::<Option<_>>()?;
    let top = *highest.values().max()?;
    by_value(cpus, |cpu| Some(u64::from(highest[&cpu] * 100 >= top * 85)))
}

/// CPUs grouped by a value that each of them must have, highest value first.
fn by_value<T: Ord>(cpus: &CpuSet, value: impl Fn(usize) -> Option<T>) -> Option<Vec<CpuSet>> {
    let mut sets: BTreeMap<T, CpuSet> = BTreeMap::new();
    for cpu in cpus.iter() {
        sets.entry(value(cpu)?).or_default().insert(cpu);
    }
    Some(sets.into_values().rev().collect())
}

/// A figure that is not 0 and small enough to compute with.
fn figure(root: &Root, cpu: usize, file: &str) -> Option<u64> {
    let figure = root.number(format!("{}/{file}", cpu::folder(cpu)))?;
    (1..1 << 40).contains(&figure).then_some(figure)
}

/// How fast a kind's fastest CPU is, in a unit that all kinds of a machine share.
fn speed(root: &Root, cpus: &CpuSet) -> Option<f64> {
    let files = [
        "cpu_capacity",
        "acpi_cppc/highest_perf",
        "cpufreq/base_frequency",
        "cpufreq/cpuinfo_max_freq",
    ];
    #[expect(clippy::cast_precision_loss, reason = "below 2^40")]
    files.iter().find_map(|file| {
        cpus.iter().filter_map(|cpu| figure(root, cpu, file)).max().map(|speed| speed as f64)
    })
}
