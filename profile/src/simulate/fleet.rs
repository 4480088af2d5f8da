//! Machines that build a graph together, as Nix's distributed builds do.
//!
//! What is ready goes to the machine that runs the fewest builds for its speed, of
//! those with a free job, and to the faster one where that is the same for two
//! (`build-remote.cc`). A machine whose memory runs out builds on with care, as one
//! does by itself, and what ran there is ready again. Copying between machines takes
//! no time here, and the one that asks builds nothing itself.
//!
//! **Invariant:** a fleet of one is that machine by itself.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::graph::{Derivation, Graph};
use super::guard::Need;
use super::machine::Machine;
use super::{Instant, Load, Outcome, Settings, index};

/// A machine, and what it is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member {
    /// The machine.
    pub machine: Machine,
    /// Its settings.
    pub settings: Settings,
}

/// Build a graph on all of these machines. The peak is that of the machine with the
/// highest.
pub fn simulate(graph: &Graph, members: &[Member]) -> Outcome {
    let mut fleet = Fleet::new(graph, members);
    fleet.go();
    let is_built = fleet.built == graph.derivations().len();
    let peaks = fleet.hosts.iter().map(|host| host.peak_gib);
    Outcome {
        seconds: is_built.then_some(fleet.now),
        peak_gib: peaks.fold(0.0, f64::max),
        out_of_memory: fleet.hosts.iter().any(|host| host.out_of_memory),
    }
}

/// A machine while it builds.
struct Host {
    machine: Machine,
    settings: Settings,
    /// Its speed in a list of machines: whole numbers, 1 for the slowest.
    speed: u64,
    /// Parts of phases by the virtual second of this machine in which each ends.
    running: BinaryHeap<Reverse<(Instant, u32)>>,
    load: Load,
    /// What is expected of what runs, for the guard.
    admitted: Need,
    /// Seconds that would have passed here had nobody shared a CPU, at `now`.
    virtual_now: f64,
    now: f64,
    peak_gib: f64,
    out_of_memory: bool,
    /// Cores of a single job, for when memory runs out the next time.
    careful_cores: u32,
}

impl Host {
    fn new(member: &Member, slowest: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least 1, and a cast stops at the largest number there is"
        )]
        let speed = (capacity(&member.machine) / slowest).round().max(1.0) as u64;
        Self {
            machine: member.machine,
            settings: member.settings,
            speed,
            running: BinaryHeap::new(),
            load: Load::default(),
            admitted: Need::default(),
            virtual_now: 0.0,
            now: 0.0,
            peak_gib: 0.0,
            out_of_memory: false,
            careful_cores: member.machine.careful_cores(),
        }
    }

    /// How fast virtual seconds pass.
    fn rate(&self) -> f64 {
        self.machine.speed(self.load.threads) / self.machine.swapping(self.load.gib)
    }

    /// When the next part ends here.
    fn next_end(&self) -> Option<f64> {
        let Reverse((end, _)) = self.running.peek()?;
        Some((self.now + (end.0 - self.virtual_now) / self.rate()).max(self.now))
    }

    /// Let the time pass until `now`, before what runs changes.
    fn advance(&mut self, now: f64) {
        self.virtual_now += (now - self.now) * self.rate();
        self.now = now;
    }

    fn takes(&self, need: Need) -> bool {
        let fits = self.settings.guard.is_none_or(|guard| guard.lets(self.admitted, need));
        self.running.len() < index(self.settings.jobs) && (fits || self.running.is_empty())
    }

    /// Builds by speed, of this one against another's: whether it is less.
    fn is_before(&self, other: &Self) -> bool {
        let count = |host: &Self| u64::try_from(host.running.len()).unwrap_or(u64::MAX);
        let own = count(self).saturating_mul(other.speed);
        let others = count(other).saturating_mul(self.speed);
        own < others || (own == others && self.speed > other.speed)
    }
}

/// What all its threads do together, by what one on a fast core does.
fn capacity(machine: &Machine) -> f64 {
    let threads = f64::from(machine.cpus().max(1));
    machine.speed(threads) * threads
}

struct Fleet<'a> {
    graph: &'a Graph,
    hosts: Vec<Host>,
    /// Needs of each derivation that are not built.
    missing: Vec<usize>,
    built: usize,
    ready: BTreeSet<u32>,
    /// Where each running derivation is: its phase, and whether in its tail.
    at: Vec<(u32, bool)>,
    now: f64,
}

impl<'a> Fleet<'a> {
    fn new(graph: &'a Graph, members: &[Member]) -> Self {
        let derivations = graph.derivations();
        let missing: Vec<usize> =
            derivations.iter().map(|derivation| derivation.needs.len()).collect();
        let ready = missing.iter().zip(0u32..).filter(|(missing, _)| **missing == 0);
        let slowest = members.iter().map(|member| capacity(&member.machine));
        let slowest = slowest.fold(f64::INFINITY, f64::min);
        Self {
            graph,
            hosts: members.iter().map(|member| Host::new(member, slowest)).collect(),
            ready: ready.map(|(_, number)| number).collect(),
            missing,
            built: 0,
            at: vec![(0, false); derivations.len()],
            now: 0.0,
        }
    }

    fn go(&mut self) {
        loop {
            self.start();
            let mut has_failed = false;
            for at in 0..self.hosts.len() {
                let host = &mut self.hosts[at];
                host.peak_gib = host.peak_gib.max(host.load.gib);
                if host.load.gib > host.machine.memory_gib + host.machine.swap_gib {
                    self.fail(at);
                    has_failed = true;
                }
            }
            if has_failed {
                continue;
            }
            let ends = self.hosts.iter().zip(0usize..);
            let ends = ends.filter_map(|(host, at)| Some((host.next_end()?, at)));
            let Some((now, at)) = ends.min_by(|one, other| one.0.total_cmp(&other.0)) else {
                return;
            };
            self.now = now;
            let host = &mut self.hosts[at];
            if let Some(Reverse((end, number))) = host.running.pop() {
                (host.virtual_now, host.now) = (end.0, now);
                self.next_part(at, number);
            }
        }
    }

    /// Give what is ready to who is free.
    fn start(&mut self) {
        while let Some(number) = self.ready.first().copied() {
            let derivation = self.derivation(number);
            let mut best: Option<usize> = None;
            for (at, host) in self.hosts.iter().enumerate() {
                let takes = host.takes(Need::of(host.settings, number, derivation));
                if takes && best.is_none_or(|best| host.is_before(&self.hosts[best])) {
                    best = Some(at);
                }
            }
            let Some(at) = best else { return };
            self.ready.remove(&number);
            self.at[index(number)] = (0, false);
            let host = &mut self.hosts[at];
            host.advance(self.now);
            host.admitted.add(Need::of(host.settings, number, derivation));
            self.enter(at, number);
        }
    }

    /// Memory has run out on a machine.
    fn fail(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        host.out_of_memory = true;
        self.ready.extend(host.running.drain().map(|Reverse((_, number))| number));
        (host.load, host.admitted) = (Load::default(), Need::default());
        let jobs = u32::from(host.careful_cores > 0);
        host.settings = Settings::new(jobs, host.careful_cores);
        host.careful_cores /= 2;
    }

    /// Leave a part of a phase, for the next or for good.
    fn next_part(&mut self, at: usize, number: u32) {
        let (phase_number, in_tail) = self.at[index(number)];
        let host = &mut self.hosts[at];
        if let Some(phase) = self.graph.derivations()[index(number)].phases.get(index(phase_number))
        {
            let threads = phase.part(host.settings.cores, in_tail).threads;
            host.load.remove(Load::of(phase, threads));
        }
        self.at[index(number)] = after((phase_number, in_tail));
        self.enter(at, number);
    }

    /// Begin the part that a derivation is at; past the last, it is built.
    fn enter(&mut self, at: usize, number: u32) {
        let derivation = self.derivation(number);
        let host = &mut self.hosts[at];
        while let Some(phase) = derivation.phases.get(index(self.at[index(number)].0)) {
            let part = phase.part(host.settings.cores, self.at[index(number)].1);
            if part.seconds > 0.0 {
                host.load.add(Load::of(phase, part.threads));
                let end = Instant(host.virtual_now + part.seconds);
                host.running.push(Reverse((end, number)));
                return;
            }
            self.at[index(number)] = after(self.at[index(number)]);
        }
        self.built += 1;
        host.admitted.remove(Need::of(host.settings, number, derivation));
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

/// What comes after the part that all threads share, and after the tail.
fn after((phase_number, in_tail): (u32, bool)) -> (u32, bool) {
    if in_tail { (phase_number + 1, false) } else { (phase_number, true) }
}
