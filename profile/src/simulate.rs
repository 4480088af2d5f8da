//! How long a graph of builds takes on a machine, and whether its memory lasts.
//!
//! A fluid discrete-event model, after the study that the sizing rules come
//! from: builds go through phases; all threads that run share the CPUs evenly;
//! memory beyond what the machine has is swapped, which slows everything; and
//! where swap ends, so does the build, which is then resumed with care. It
//! knows no disk, no network and no evaluation.
//!
//! **Invariant:** the same graph, machine and settings give the same outcome,
//! to the last bit; and no graph that parses takes more than a step for each
//! phase's two parts.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

pub mod fleet;
pub mod graph;
pub mod guard;
pub mod machine;
pub mod search;
#[cfg(test)]
mod tests;

use graph::{Derivation, Graph, Phase};
use guard::{Guard, Need};
use machine::Machine;

/// `max-jobs` and `cores`, with a gate where there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Builds at a time.
    pub jobs: u32,
    /// Threads of each build.
    pub cores: u32,
    /// What lets builds begin, where something does.
    pub guard: Option<Guard>,
}

impl Settings {
    /// Jobs and cores without a gate.
    pub fn new(jobs: u32, cores: u32) -> Self {
        Self { jobs, cores, guard: None }
    }
}

/// What became of a graph of builds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Until everything was built, what had to be resumed included; `None` when
    /// some build never fits.
    pub seconds: Option<f64>,
    /// Most memory in use at once.
    pub peak_gib: f64,
    /// Whether memory and swap ran out at least once.
    pub out_of_memory: bool,
}

/// Build a graph on a machine.
///
/// Where memory runs out, what was not finished is built again one job at a
/// time with a core for each two GiB, and then with fewer, as a patient user
/// would.
pub fn simulate(graph: &Graph, machine: &Machine, settings: Settings) -> Outcome {
    let mut run = Run::new(graph, machine, settings);
    let mut end = run.go(f64::INFINITY);
    let mut seconds = run.now;
    let mut cores = machine.careful_cores();
    let out_of_memory = end == End::OutOfMemory;
    while end == End::OutOfMemory && cores > 0 {
        run.resume(Settings::new(1, cores));
        end = run.go(f64::INFINITY);
        seconds += run.now;
        cores /= 2;
    }
    let seconds = (end == End::Built).then_some(seconds);
    Outcome { seconds, peak_gib: run.peak_gib, out_of_memory }
}

/// Build a graph once: `None` when memory runs out, or `deadline` passes.
fn attempt(graph: &Graph, machine: &Machine, settings: Settings, deadline: f64) -> Option<Outcome> {
    let mut run = Run::new(graph, machine, settings);
    let built = run.go(deadline) == End::Built;
    let seconds = Some(run.now);
    built.then_some(Outcome { seconds, peak_gib: run.peak_gib, out_of_memory: false })
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Built,
    OutOfMemory,
    TooLate,
}

/// One attempt to build what is not built yet.
struct Run<'a> {
    graph: &'a Graph,
    machine: &'a Machine,
    settings: Settings,
    /// Needs of each derivation that are not built.
    missing: Vec<u32>,
    built: Vec<bool>,
    /// What could start, in the order Nix would take it.
    ready: BTreeSet<u32>,
    /// Running parts of phases by the virtual second in which each ends.
    running: BinaryHeap<Reverse<(Instant, u32)>>,
    /// Where each running derivation is: its phase, and whether in its tail.
    at: Vec<(u32, bool)>,
    load: Load,
    /// What is expected of what runs, for the guard.
    admitted: Need,
    /// Seconds that would have passed had nobody shared a CPU. All that runs is
    /// slowed alike, so the order of events is settled in virtual time, and
    /// nothing running has to be touched when the speed changes.
    virtual_now: f64,
    now: f64,
    peak_gib: f64,
}

/// A virtual second, ordered; never NaN, since phases are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Instant(f64);

impl Eq for Instant {}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// What runs at some instant, added up.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// Threads, each by the share of its time that it computes.
    threads: f64,
    gib: f64,
}

impl Load {
    /// A part of a phase with so many threads.
    fn of(phase: &Phase, threads: f64) -> Self {
        Self { threads: threads * phase.cpu_share, gib: phase.gib(threads) }
    }

    fn add(&mut self, other: Self) {
        self.threads += other.threads;
        self.gib += other.gib;
    }

    /// Sums of floats drift, but never below nothing.
    fn remove(&mut self, other: Self) {
        self.threads = (self.threads - other.threads).max(0.0);
        self.gib = (self.gib - other.gib).max(0.0);
    }
}

impl<'a> Run<'a> {
    fn new(graph: &'a Graph, machine: &'a Machine, settings: Settings) -> Self {
        let count = graph.derivations().len();
        let mut run = Self {
            graph,
            machine,
            settings,
            missing: vec![0; count],
            built: vec![false; count],
            ready: BTreeSet::new(),
            running: BinaryHeap::new(),
            at: vec![(0, false); count],
            load: Load::default(),
            admitted: Need::default(),
            virtual_now: 0.0,
            now: 0.0,
            peak_gib: 0.0,
        };
        run.resume(settings);
        run
    }

    /// Start over with what is not built.
    fn resume(&mut self, settings: Settings) {
        self.settings = settings;
        self.running.clear();
        self.load = Load::default();
        self.admitted = Need::default();
        (self.virtual_now, self.now) = (0.0, 0.0);
        self.ready.clear();
        for (derivation, number) in self.graph.derivations().iter().zip(0u32..) {
            let missing = derivation.needs.iter().filter(|need| !self.built[index(**need)]);
            let missing = missing.zip(0u32..).count();
            self.missing[index(number)] = u32::try_from(missing).unwrap_or(u32::MAX);
            if missing == 0 && !self.built[index(number)] {
                self.ready.insert(number);
            }
        }
    }

    /// Build until all is built, or memory has run out, or time.
    fn go(&mut self, deadline: f64) -> End {
        loop {
            self.start();
            self.peak_gib = self.peak_gib.max(self.load.gib);
            if self.load.gib > self.machine.memory_gib + self.machine.swap_gib {
                return End::OutOfMemory;
            }
            let Some(Reverse((end, number))) = self.running.pop() else {
                return End::Built;
            };
            let speed =
                self.machine.speed(self.load.threads) / self.machine.swapping(self.load.gib);
            self.now += (end.0 - self.virtual_now) / speed;
            self.virtual_now = end.0;
            if self.now > deadline {
                return End::TooLate;
            }
            self.next_part(number);
        }
    }

    /// Fill free jobs with what is ready.
    fn start(&mut self) {
        while self.running.len() < index(self.settings.jobs)
            && let Some(number) = self.ready.first().copied()
        {
            let need = Need::of(self.settings, number, self.derivation(number));
            let fits = self.settings.guard.is_none_or(|guard| guard.lets(self.admitted, need));
            if !fits && !self.running.is_empty() {
                return;
            }
            self.ready.remove(&number);
            self.admitted.add(need);
            self.at[index(number)] = (0, false);
            self.enter(number);
        }
    }

    /// Leave a part of a phase, for the next or for good.
    fn next_part(&mut self, number: u32) {
        let (phase_number, in_tail) = self.at[index(number)];
        if let Some(phase) = self.derivation(number).phases.get(index(phase_number)) {
            self.load.remove(Load::of(phase, phase.part(self.settings.cores, in_tail).threads));
        }
        self.at[index(number)] =
            if in_tail { (phase_number + 1, false) } else { (phase_number, true) };
        self.enter(number);
    }

    /// Begin the part that a derivation is at; past the last, it is built.
    fn enter(&mut self, number: u32) {
        loop {
            let (phase_number, in_tail) = self.at[index(number)];
            let Some(phase) = self.derivation(number).phases.get(index(phase_number)) else {
                return self.complete(number);
            };
            let part = phase.part(self.settings.cores, in_tail);
            if part.seconds > 0.0 {
                self.load.add(Load::of(phase, part.threads));
                let end = Instant(self.virtual_now + part.seconds);
                self.running.push(Reverse((end, number)));
                return;
            }
            self.at[index(number)] =
                if in_tail { (phase_number + 1, false) } else { (phase_number, true) };
        }
    }

    fn complete(&mut self, number: u32) {
        self.built[index(number)] = true;
        let need = Need::of(self.settings, number, self.derivation(number));
        self.admitted.remove(need);
        let graph = self.graph;
        for dependent in graph.dependents(number) {
            let missing = &mut self.missing[index(*dependent)];
            *missing -= 1;
            if *missing == 0 {
                self.ready.insert(*dependent);
            }
        }
    }

    fn derivation(&self, number: u32) -> &'a Derivation {
        &self.graph.derivations()[index(number)]
    }
}

/// A number of a derivation as an index; no machine we run on is narrower.
fn index(number: u32) -> usize {
    number as usize
}
