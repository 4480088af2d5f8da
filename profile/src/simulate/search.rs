//! The best jobs and cores there are for a graph, by trying them.

use super::graph::Graph;
use super::machine::Machine;
use super::{Outcome, Settings, attempt};

/// The best of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// With which settings.
    pub settings: Settings,
    /// What they make of the graph.
    pub outcome: Outcome,
}

/// Each number tried is this part of the one before above it: a fifth makes less
/// of a difference than the model's error.
const SHARE: u32 = 5;

/// Numbers to try, from 1 to `most` with it among them.
fn steps(most: u32) -> Vec<u32> {
    let mut steps = vec![1];
    while let Some(last) = steps.last().copied()
        && last < most
    {
        steps.push(last.saturating_add((last / SHARE).max(1)).min(most));
    }
    steps
}

/// The best static settings for a graph on a machine, memory lasting; `None`
/// where it never does.
pub fn oracle(graph: &Graph, machine: &Machine) -> Option<Best> {
    best(graph, machine, 1, f64::INFINITY)
}

/// The same among at least two jobs, which downloads need, and with no more than
/// `most_gib` in use.
pub fn plan(graph: &Graph, machine: &Machine, most_gib: f64) -> Option<Best> {
    best(graph, machine, 2, most_gib)
}

fn best(graph: &Graph, machine: &Machine, least_jobs: u32, most_gib: f64) -> Option<Best> {
    let cpus = machine.cpus();
    let memory_gib = most_gib.min(machine.memory_gib + machine.swap_gib);
    let mut best: Option<Best> = None;
    let mut deadline = f64::INFINITY;
    // The largest numbers first: they are seldom far from the best, and a good
    // time found early ends all slower attempts early.
    let builds = u32::try_from(graph.derivations().len()).unwrap_or(u32::MAX);
    for jobs in steps(cpus.min(builds).max(2)).into_iter().rev().filter(|jobs| *jobs >= least_jobs)
    {
        for cores in steps(cpus).into_iter().rev() {
            // What does not fit by itself need not be tried with others.
            if graph.peak_gib(cores) > memory_gib {
                continue;
            }
            let settings = Settings::new(jobs, cores);
            let Some(outcome) = attempt(graph, machine, settings, deadline) else { continue };
            if outcome.peak_gib <= memory_gib {
                deadline = outcome.seconds.unwrap_or(deadline);
                best = Some(Best { settings, outcome });
            }
        }
    }
    best
}
