//! Graphs of builds, as JSON documents, checked whole before anything is
//! simulated.

use anyhow::{Result, bail, ensure};
use detect::number::Version;
use serde::Deserialize;

/// Most derivations of a graph; a whole package collection has fewer.
const MOST_DERIVATIONS: usize = 200_000;

/// Most phases of a derivation.
const MOST_PHASES: usize = 64;

/// More than any build's seconds, threads or GiB. Sums of as many as there can
/// be are still exact enough to order events by.
const MOST: f64 = 1e7;

/// A graph of builds: no cycle, and every number in its range.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    derivations: Vec<Derivation>,
    dependents: Vec<Vec<u32>>,
}

/// A build.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    /// What people call it.
    pub name: String,
    /// What must be built before, by position in the graph.
    pub needs: Vec<u32>,
    /// What it does, one after the other.
    pub phases: Vec<Phase>,
}

/// A phase of a build. In JSON, six numbers in this order.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(from = "[f64; 6]")]
pub struct Phase {
    /// What one thread alone needs.
    pub work_seconds: f64,
    /// Most threads that find something to do, at least 1.
    pub width: f64,
    /// Memory of each thread.
    pub slot_gib: f64,
    /// Memory besides the threads'.
    pub base_gib: f64,
    /// The longest piece of the work, at which one thread is busy while the
    /// others have run out.
    pub tail_seconds: f64,
    /// The share of its time that a thread computes, above 0.
    pub cpu_share: f64,
}

impl From<[f64; 6]> for Phase {
    fn from(numbers: [f64; 6]) -> Self {
        let [work_seconds, width, slot_gib, base_gib, tail_seconds, cpu_share] = numbers;
        Self { work_seconds, width, slot_gib, base_gib, tail_seconds, cpu_share }
    }
}

/// The threads of a part of a phase, and how long it takes when each has a CPU.
pub(crate) struct Part {
    pub(crate) threads: f64,
    pub(crate) seconds: f64,
}

impl Phase {
    /// The part that all threads share, or the tail.
    pub(crate) fn part(&self, cores: u32, is_tail: bool) -> Part {
        let tail = self.tail_seconds.min(self.work_seconds);
        if is_tail {
            return Part { threads: 1.0, seconds: tail };
        }
        let threads = self.threads(cores);
        Part { threads, seconds: (self.work_seconds - tail) / threads }
    }

    /// Memory with so many threads.
    pub(crate) fn gib(&self, threads: f64) -> f64 {
        self.base_gib + threads * self.slot_gib
    }

    fn threads(&self, cores: u32) -> f64 {
        self.width.min(f64::from(cores)).max(1.0)
    }

    fn check(&self) -> Result<()> {
        let numbers = [
            (self.work_seconds, 0.0, MOST, "work"),
            (self.width, 1.0, MOST, "width"),
            (self.slot_gib, 0.0, MOST, "memory per slot"),
            (self.base_gib, 0.0, MOST, "base memory"),
            (self.tail_seconds, 0.0, MOST, "tail"),
            (self.cpu_share, 1e-3, 1.0, "CPU share"),
        ];
        for (number, least, most, what) in numbers {
            // Not a range that NaN is outside of by luck.
            ensure!(
                (least..=most).contains(&number),
                "{what} of {number} is not between {least} and {most}"
            );
        }
        Ok(())
    }
}

impl Derivation {
    /// Most memory it ever needs.
    pub fn peak_gib(&self, cores: u32) -> f64 {
        let peaks = self.phases.iter().map(|phase| phase.gib(phase.threads(cores)));
        peaks.fold(0.0, f64::max)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: Version<1>,
    #[serde(rename = "name")]
    _name: String,
    #[serde(default, rename = "origin")]
    _origin: Option<String>,
    derivations: Vec<Derivation>,
}

impl Graph {
    /// A graph from its JSON: `{"version": 1, "name": …, "derivations": [{name,
    /// needs, phases}]}`.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let document: Document = detect::stage::parse(text)?;
        Self::new(document.derivations)
    }

    /// A graph of these builds, if it is one.
    pub fn new(derivations: Vec<Derivation>) -> Result<Self> {
        ensure!(
            derivations.len() <= MOST_DERIVATIONS,
            "{} derivations, more than {MOST_DERIVATIONS}",
            derivations.len()
        );
        let mut dependents = vec![Vec::new(); derivations.len()];
        for (derivation, number) in derivations.iter().zip(0u32..) {
            let name = &derivation.name;
            ensure!(
                derivation.phases.len() <= MOST_PHASES,
                "{name:?}: more than {MOST_PHASES} phases"
            );
            for phase in &derivation.phases {
                if let Err(error) = phase.check() {
                    bail!("{name:?}: {error}");
                }
            }
            for need in &derivation.needs {
                let Some(dependents) = dependents.get_mut(*need as usize) else {
                    bail!("{name:?}: needs derivation {need}, which is not there");
                };
                dependents.push(number);
            }
        }
        let graph = Self { derivations, dependents };
        if let Some(name) = graph.in_a_cycle() {
            bail!("{name:?}: needs itself, by way of others or not");
        }
        Ok(graph)
    }

    /// All builds.
    pub fn derivations(&self) -> &[Derivation] {
        &self.derivations
    }

    /// Most memory that any one build needs.
    pub fn peak_gib(&self, cores: u32) -> f64 {
        self.derivations.iter().map(|derivation| derivation.peak_gib(cores)).fold(0.0, f64::max)
    }

    /// What needs a build.
    pub(crate) fn dependents(&self, number: u32) -> &[u32] {
        &self.dependents[number as usize]
    }

    /// A derivation that can never start.
    fn in_a_cycle(&self) -> Option<&str> {
        let mut missing: Vec<usize> =
            self.derivations.iter().map(|derivation| derivation.needs.len()).collect();
        let mut ready: Vec<usize> = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
        while let Some(at) = ready.pop() {
            for dependent in &self.dependents[at] {
                let missing = &mut missing[*dependent as usize];
                *missing -= 1;
                if *missing == 0 {
                    ready.push(*dependent as usize);
                }
            }
        }
        let stuck = missing.iter().position(|missing| *missing > 0)?;
        Some(&self.derivations[stuck].name)
    }
}
