//! The commands besides comparing: sweeps, simulations, speed factors.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use detect::arguments::Common;
use detect::root::Root;
use detect::stage;
use profile::simulate::machine::{MEASURED_LOSS, Machine};

use super::ended;
use super::work::{Most, Work};
use crate::calibrate::calibrate;
use crate::configuration::read;
use crate::interrupt::Interrupt;
use crate::pairs::Stopped;
use crate::rounds::bar;
use crate::simulate::{Host, Wish, graph, run};
use crate::subject::prepare;
use crate::sweep::{Took, grid, sweep};

/// What to sweep over.
#[derive(Args, Debug)]
pub struct Sweep {
    /// What to build: a name in nixpkgs, whatever `nix build` takes, a .drv
    #[arg(value_name = "INSTALLABLE")]
    pub installable: Option<String>,

    #[command(flatten)]
    pub work: Work,

    #[command(flatten)]
    pub most: Most,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub common: Common,
}

/// What to simulate.
#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Simulate {
    /// The graph: derivations with phases, or what `monitor costs` says
    #[arg(value_name = "GRAPH")]
    pub graph: PathBuf,

    /// A machine: CPUS/GIB, CPUS/GIB/SWAP, a Hardware document or a plan, or in a
    /// fleet also COUNTxCPUS/GIB; this one when none is named
    #[arg(long, value_name = "MACHINE")]
    pub machine: Vec<String>,

    /// A configuration, as compare takes it
    #[arg(long = "with", value_name = "CONFIG")]
    #[arg(default_values_t = ["default", "original", "plan"].map(str::to_owned))]
    pub configurations: Vec<String>,

    /// Also with the zram that plans advise; a fleet only with it
    #[arg(long)]
    pub zram: bool,

    /// Also with builds held back until their memory fits
    #[arg(long)]
    pub guard: bool,

    /// Show each jobs × cores instead
    #[arg(long, conflicts_with = "fleet")]
    pub sweep: bool,

    /// Let the machines build the graph together, as Nix's distributed builds do,
    /// instead of each by itself
    #[arg(long, requires = "machine")]
    pub fleet: bool,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub common: Common,
}

/// How fast this machine is.
#[derive(Args, Debug)]
pub struct Calibrate {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub common: Common,
}

impl Sweep {
    pub(super) fn run(self) -> Result<()> {
        self.common.apply_color();
        let interrupt = Interrupt::listen()?;
        let hardware = detect::run(&Root::live(), &detect::Options::default());
        let planned = read("plan", &hardware)?;
        let number = |name: &str| planned.value(name).and_then(|value| value.parse::<u32>().ok());
        let Some(cpus) = hardware.cpu.usable.map(|cpus| cpus.get().ceil()) else {
            bail!("unknown number of CPUs");
        };
        let cpus = (1..=4096).find(|count| f64::from(*count) >= cpus).unwrap_or(4096);
        // What the plan leaves alone has Nix's default.
        let plan = (number("max-jobs").unwrap_or(1), number("cores").unwrap_or(cpus));
        let prepared =
            prepare(&self.work.wish(self.installable.as_deref())?, &hardware, &interrupt)?;
        let grid = grid(cpus, plan);
        let rules = self.most.rules(self.work.scale());
        let bar = bar("runs", grid.len() * rules.most_pairs, &self.common);
        let mut swept = sweep(
            &prepared.subject,
            &grid,
            plan,
            rules,
            self.most.seed(),
            (&interrupt, &bar),
            |jobs, cores| {
                let settings = format!("max-jobs = {jobs}\ncores = {cores}\n");
                let sample = prepared.sample(&settings, &interrupt)?;
                Ok(sample.map(|sample| Took {
                    seconds: prepared.seconds(&sample),
                    cpu_seconds: sample.cpu_seconds,
                }))
            },
        )?;
        // Who has interrupted it wants what there is, and no more of Nix.
        let graph = match swept.stopped {
            Stopped::Interrupted => None,
            _ => prepared.graph(swept.one_by_one())?,
        };
        if let Some(graph) = graph {
            let host = Host { name: "this machine".to_owned(), hardware };
            let machine = Machine { loss: MEASURED_LOSS, ..host.machine()? };
            swept.simulate(&graph, &machine);
        }
        if self.json || self.common.output.is_some() {
            stage::write(&swept, &self.common)?;
        } else {
            stage::write_text(&swept.table(), &self.common)?;
        }
        ended(swept.stopped, swept.points.iter().map(|point| point.seconds.len()).sum())
    }
}

impl Simulate {
    pub(super) fn run(self) -> Result<()> {
        self.common.apply_color();
        let name = || self.graph.display().to_string();
        let text = stage::read_file(&self.graph).with_context(name)?;
        let graph = graph(&text).with_context(name)?;
        let mut hosts = Vec::new();
        if self.machine.is_empty() {
            let hardware = detect::run(&Root::live(), &detect::Options::default());
            hosts.push(Host { name: "this machine".to_owned(), hardware });
        }
        for machine in &self.machine {
            if self.fleet {
                hosts.extend(Host::read_all(machine)?);
            } else {
                hosts.push(Host::read(machine)?);
            }
        }
        if self.zram {
            let with: Vec<Host> = hosts.iter().cloned().map(Host::with_zram).collect();
            hosts = if self.fleet { with } else { each_twice(hosts, with) };
            // Plans advise none where there is swap.
            hosts.dedup_by(|later, host| !self.fleet && later.name == host.name);
        }
        let wish = Wish {
            configurations: &self.configurations,
            is_guarded: self.guard,
            is_sweep: self.sweep,
            is_fleet: self.fleet,
        };
        let simulated = run(&graph, &hosts, &wish)?;
        if self.json || self.common.output.is_some() {
            return stage::write(&simulated, &self.common);
        }
        stage::write_text(&simulated.table(), &self.common)
    }
}

/// Each machine, and right after it the same with something more.
fn each_twice(hosts: Vec<Host>, with: Vec<Host>) -> Vec<Host> {
    hosts.into_iter().zip(with).flat_map(<[Host; 2]>::from).collect()
}

impl Calibrate {
    pub(super) fn run(self) -> Result<()> {
        self.common.apply_color();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let calibrated = calibrate(u32::try_from(cpus)?);
        if self.json || self.common.output.is_some() {
            return stage::write(&calibrated, &self.common);
        }
        stage::write_text(&calibrated.table(), &self.common)
    }
}
