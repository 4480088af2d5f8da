//! What settings would make of a graph of builds on machines that are not here.
//!
//! The simulator is `profile::simulate`, which the sizing rules come from; see
//! profile/README.md for how far to trust it.

mod fleet;

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use detect::hardware::Hardware;
use detect::number::{Cpus, Version};
use profile::budget::budget;
use profile::costs::{self, Costs};
use profile::guarded;
use profile::plan::{Plan, Workload};
use profile::simulate::graph::Graph;
use profile::simulate::guard::Guard;
use profile::simulate::machine::Machine;
use profile::simulate::{Outcome, Settings, search, simulate};
use profile::sizing::{GIB, Sizes, advised_zram};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most machines of a kind in a fleet.
const MOST_ALIKE: usize = 1000;

/// What was simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Derivations of the graph.
    pub derivations: usize,
    /// Each machine with each configuration.
    pub rows: Vec<Row>,
}

/// A configuration on a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The machine, or all of a fleet.
    pub machine: String,
    /// The configuration.
    pub name: String,
    /// `max-jobs`; of a fleet, of all together.
    pub jobs: u32,
    /// `cores`; of a fleet, the most of any machine.
    pub cores: u32,
    /// Until everything was built; `null` when some build never fits.
    pub seconds: Option<f64>,
    /// That by the best jobs and cores there are; `null` of a fleet.
    pub by_best: Option<f64>,
    /// Most memory in use at once on any one machine.
    pub peak_bytes: u64,
    /// Whether memory and swap ran out at least once.
    pub out_of_memory: bool,
}

/// A machine to simulate, under a name.
#[derive(Clone, Debug)]
pub struct Host {
    /// What to call it.
    pub name: String,
    /// What it is.
    pub hardware: Hardware,
}

/// A graph from its file: one of derivations with phases, or what builds have cost.
pub fn graph(text: &[u8]) -> Result<Graph> {
    let value: serde_json::Value = detect::stage::parse(text)?;
    if value.get("packages").is_some() {
        return costs::graph(&serde_json::from_value::<Costs>(value)?);
    }
    Graph::parse(text)
}

impl Host {
    /// Machines as `read` takes one, or so many alike as `COUNTxCPUS/GIB`.
    pub fn read_all(text: &str) -> Result<Vec<Self>> {
        if let Some((count, machine)) = text.split_once('x')
            && let (Ok(count), Some(host)) = (count.parse::<usize>(), Self::parse(machine))
        {
            ensure!((1..=MOST_ALIKE).contains(&count), "{text}: not 1 to {MOST_ALIKE} machines");
            return Ok(vec![host; count]);
        }
        Ok(vec![Self::read(text)?])
    }

    /// A machine as `CPUS/GIB` or `CPUS/GIB/SWAP`, or from the text of a Hardware
    /// document or a plan.
    pub fn read(text: &str) -> Result<Self> {
        if let Some(host) = Self::parse(text) {
            return Ok(host);
        }
        let file = detect::stage::read_file(Path::new(text)).with_context(|| text.to_owned())?;
        let value: serde_json::Value = detect::stage::parse(&file).context(text.to_owned())?;
        let hardware = match value.get("hardware") {
            Some(_) => serde_json::from_value::<Plan>(value).map(|plan| plan.hardware),
            None => serde_json::from_value(value),
        };
        Ok(Self { name: text.to_owned(), hardware: hardware.context(text.to_owned())? })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('/').map(str::parse::<u32>);
        let (cpus, gib) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let swap = numbers.next().map_or(Some(0), Result::ok)?;
        if numbers.next().is_some() || cpus == 0 || gib == 0 {
            return None;
        }
        let mut hardware = Hardware::default();
        hardware.cpu.allowed = cpus.try_into().ok();
        hardware.cpu.cores = hardware.cpu.allowed;
        hardware.cpu.usable = hardware.cpu.allowed.map(Cpus::from);
        hardware.memory.total_bytes = (u64::from(gib) * GIB).try_into().ok();
        hardware.memory.usable_bytes = hardware.memory.total_bytes;
        hardware.memory.swap_bytes = Some(u64::from(swap) * GIB);
        Some(Self { name: text.to_owned(), hardware })
    }

    /// The same with the zram that plans advise, where there is little swap.
    #[must_use]
    pub fn with_zram(mut self) -> Self {
        if budget(&self.hardware, Workload::General, None).is_backed() {
            return self;
        }
        let memory = &mut self.hardware.memory;
        memory.zram_bytes = memory.usable_bytes.map(|bytes| advised_zram(bytes.get()));
        self.name += " + zram";
        self
    }

    /// As the simulator has it.
    pub(crate) fn machine(&self) -> Result<Machine> {
        let budget = budget(&self.hardware, Workload::General, None);
        let machine = costs::machine(&self.hardware, &budget);
        machine.with_context(|| format!("{}: too little is known of it", self.name))
    }
}

/// What to simulate on each machine.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The configurations, as `compare` takes them.
    pub configurations: &'a [String],
    /// Whether a guard holds builds back, in one more row.
    pub is_guarded: bool,
    /// Whether to show all of the grid instead.
    pub is_sweep: bool,
    /// Whether the machines share the graph, instead of each building all of it.
    pub is_fleet: bool,
}

/// Simulate a graph on machines.
pub fn run(graph: &Graph, hosts: &[Host], wish: &Wish) -> Result<Simulated> {
    let derivations = graph.derivations().len();
    if wish.is_fleet {
        return Ok(Simulated {
            version: Version,
            derivations,
            rows: fleet::rows(graph, hosts, wish)?,
        });
    }
    let mut rows = Vec::new();
    for host in hosts {
        let machine = host.machine()?;
        let best = search::oracle(graph, &machine);
        let best_seconds = best.and_then(|best| best.outcome.seconds);
        let mut add = |name: &str, settings: Settings| {
            let outcome = simulate(graph, &machine, settings);
            rows.push(row(&host.name, name, settings, outcome, best_seconds));
        };
        if wish.is_sweep {
            let cpus = machine.cpus();
            for (jobs, cores) in crate::sweep::grid(cpus, sizes("plan", host)?) {
                add("sweep", Settings::new(jobs, cores));
            }
            continue;
        }
        for name in wish.configurations {
            let (jobs, cores) = sizes(name, host)?;
            add(name, Settings::new(jobs, cores));
        }
        if wish.is_guarded {
            add("guarded", guarded(host, &machine)?);
        }
        if let Some(best) = best {
            add("best", best.settings);
        }
    }
    Ok(Simulated { version: Version, derivations, rows })
}

/// What `profile --guarded` plans, under a guard that knows every peak.
fn guarded(host: &Host, machine: &Machine) -> Result<Settings> {
    let budget = budget(&host.hardware, Workload::General, None);
    let known = budget.whole_cpus().zip(budget.available_bytes());
    let Some((cpus, available)) = known else { bail!("{}: too little is known of it", host.name) };
    let Sizes { jobs, cores } = guarded::sizes(cpus, available, None);
    let guard = Guard { memory_gib: machine.memory_gib, doubt: 0.0 };
    Ok(Settings { guard: Some(guard), ..Settings::new(jobs, cores) })
}

/// Jobs and cores of a configuration on a machine.
fn sizes(name: &str, host: &Host) -> Result<(u32, u32)> {
    let settings = crate::configuration::read(name, &host.hardware)?;
    let cpus = budget(&host.hardware, Workload::General, None).whole_cpus();
    let Some(cpus) = cpus else { bail!("{}: unknown number of CPUs", host.name) };
    // `all` stands for as many as there are CPUs.
    let number = |key: &str, all: &str, default: u32| match settings.value(key) {
        None => Ok(default),
        Some(value) if value == all => Ok(cpus.get()),
        Some(value) => value.parse::<u32>().with_context(|| format!("{name}: {key} = {value}")),
    };
    let (jobs, cores) = (number("max-jobs", "auto", 1)?, number("cores", "0", cpus.get())?);
    ensure!(jobs > 0, "{name}: max-jobs = 0 builds nothing");
    Ok((jobs, cores))
}

fn row(machine: &str, name: &str, settings: Settings, outcome: Outcome, best: Option<f64>) -> Row {
    let Settings { jobs, cores, .. } = settings;
    Row {
        machine: machine.to_owned(),
        name: name.to_owned(),
        jobs,
        cores,
        seconds: outcome.seconds.map(|seconds| (seconds * 10.0).round() / 10.0),
        by_best: outcome
            .seconds
            .zip(best)
            .map(|(own, best)| (own / best * 1000.0).round() / 1000.0),
        peak_bytes: bytes(outcome.peak_gib),
        out_of_memory: outcome.out_of_memory,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "never below 0, and a byte is no matter"
)]
fn bytes(gib: f64) -> u64 {
    (gib * GIB as f64) as u64
}

impl Simulated {
    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} derivations\n\n| Machine | Configuration | Jobs × cores | Time | ÷ best | Peak | |\n\
             |---|---|---:|---:|---:|---:|---|\n",
            self.derivations
        );
        for row in &self.rows {
            let time = row.seconds.map_or("never".to_owned(), |seconds| format!("{seconds:.0} s"));
            let by_best = row.by_best.map_or("–".to_owned(), |by_best| format!("{by_best:.2}"));
            let peak = detect::human::size(row.peak_bytes);
            let fate = if row.out_of_memory { "out of memory" } else { "" };
            let Row { machine, name, jobs, cores, .. } = row;
            text += &format!(
                "| {machine} | {name} | {jobs} × {cores} | {time} | {by_best} | {peak} | {fate} |\n"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Wish, graph, run};

    const GRAPH: &str = r#"{"version": 1, "name": "two", "derivations": [
        {"name": "a", "needs": [], "phases": [[10, 4, 0.5, 0.1, 0, 1]]},
        {"name": "b", "needs": [], "phases": [[10, 4, 0.5, 0.1, 0, 1]]}]}"#;

    fn table(machines: &[&str], configurations: &[&str], is_sweep: bool) -> super::Simulated {
        let hosts: Vec<Host> =
            machines.iter().map(|text| Host::read(text).expect("a machine")).collect();
        let configurations: Vec<String> = configurations.iter().map(ToString::to_string).collect();
        let wish =
            Wish { configurations: &configurations, is_guarded: true, is_sweep, is_fleet: false };
        run(&graph(GRAPH.as_bytes()).expect("a graph"), &hosts, &wish).expect("simulated")
    }

    #[test]
    fn configurations_are_beside_the_best() {
        let found = table(
            &["4/16", "2/8/8"],
            &["default", "original", "plan", "max-jobs=2,cores=1"],
            false,
        );
        let names: Vec<&str> = found.rows.iter().take(6).map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["default", "original", "plan", "max-jobs=2,cores=1", "guarded", "best"]);
        assert_eq!(found.rows.len(), 12);
        let narrow = &found.rows[3];
        assert_eq!((narrow.seconds, narrow.by_best), (Some(10.0), Some(2.0)), "{narrow:?}");
        assert!(found.table().contains("| 2/8/8 | plan | 2 × "), "{}", found.table());
    }

    #[test]
    fn a_sweep_is_the_grid() {
        let found = table(&["2/8"], &[], true);
        assert_eq!(found.rows.len(), 9);
    }

    #[test]
    fn a_fleet_shares_the_graph() {
        let read = |text: &str| Host::read_all(text).expect("machines");
        let hosts = [read("2x1/8"), read("4/16")].concat();
        let configurations = ["max-jobs=1,cores=4".to_owned(), "plan".to_owned()];
        let wish = Wish {
            configurations: &configurations,
            is_guarded: true,
            is_sweep: false,
            is_fleet: true,
        };
        let found =
            run(&graph(GRAPH.as_bytes()).expect("a graph"), &hosts, &wish).expect("simulated");
        let names: Vec<&str> = found.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["max-jobs=1,cores=4", "plan", "guarded"]);
        let first = &found.rows[0];
        assert_eq!((first.machine.as_str(), first.jobs, first.cores), ("2 × 1/8, 4/16", 3, 4));
        // 2.5 s on the large one, and on a small one all of the work and a loss.
        assert!(first.seconds > Some(10.0) && first.by_best.is_none(), "{first:?}");
        assert!(Host::read_all("0x4/8").is_err() && Host::read_all("1001x4/8").is_err());
    }

    #[test]
    fn machines_are_cpus_and_memory_or_files() {
        for bad in ["0/8", "4/0", "4/8/1/2", "nowhere.json"] {
            assert!(Host::read(bad).is_err(), "{bad}");
        }
        let host = Host::read("4/8").expect("a machine").with_zram();
        assert_eq!(host.hardware.memory.zram_bytes, Some(12 << 30), "adds 8 GiB");
    }
}
