//! All jobs and cores that make sense on a machine, each measured, and how far from
//! the best a plan is.
//!
//! Each round runs what is left in a random order, so that a slow minute hits all;
//! what is far behind the best is measured no more, the sooner the farther. Rounds have a
//! pace of their own, which is taken out: a point of two slow rounds is compared with
//! what the others took in these.

use std::time::Instant;

use anyhow::Result;
use detect::number::Version;
use indicatif::ProgressBar;
use profile::simulate::graph::Graph;
use profile::simulate::machine::Machine;
use profile::simulate::{Settings, simulate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compared::{Subject, change};
use crate::interrupt::Interrupt;
use crate::pairs::{Rules, Stopped};
use crate::random::Random;
use crate::statistics::{Estimate, estimate, median, rank_correlation};

/// A point this much slower than the best is not measured again. Of few rounds more
/// may be luck: after two it takes 1.5, after three 1.33.
const BEHIND: f64 = 1.25;

/// Times less than this apart are the same: about the error of the simulator beside
/// real builds, and less than the noise of most machines.
const SAME: f64 = 0.04;

/// Rounds before anything is left out.
const LEAST_ROUNDS: usize = 2;

/// What a sweep found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Swept {
    /// Version of this document's format.
    pub version: Version<1>,
    /// What was run.
    pub subject: Subject,
    /// Every point, the fastest first.
    pub points: Vec<Point>,
    /// The plan's time by that of the fastest other point, in the same rounds; `null`
    /// of fewer than two. Which one is the fastest is told by the same rounds, luck
    /// included, so the plan is a little better than this says.
    pub plan_by_best: Option<Estimate>,
    /// How far the simulator has the points in the same order: Spearman's rank
    /// correlation, where times less than 4 % apart share a rank. `null` where it has
    /// no times.
    #[serde(default)]
    pub rank_correlation: Option<f64>,
    /// What the order of runs came from.
    pub seed: u64,
    /// Why no more rounds were run.
    pub stopped: Stopped,
}

/// Jobs and cores, and how long they take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// `max-jobs`.
    pub jobs: u32,
    /// `cores`.
    pub cores: u32,
    /// Whether it is the plan's.
    pub is_planned: bool,
    /// The median, each round's own pace taken out; `null` where nothing was measured.
    pub median_seconds: Option<f64>,
    /// The median of the CPU time of Nix and all it started, where no daemon builds.
    #[serde(default)]
    pub cpu_seconds: Option<f64>,
    /// What the simulator says, of synthetic graphs.
    #[serde(default)]
    pub simulated_seconds: Option<f64>,
    /// Each round's time, the first ones first.
    pub seconds: Vec<f64>,
}

/// Jobs and cores to try on so many CPUs: each of a power of two up to twice as many,
/// and as many as there are. The plan's are among them.
pub fn grid(cpus: u32, plan: (u32, u32)) -> Vec<(u32, u32)> {
    let mut sides: Vec<u32> =
        (0..32).map(|power| 1 << power).take_while(|n| *n <= 2 * cpus).collect();
    sides.push(cpus);
    let mut all: Vec<(u32, u32)> =
        sides.iter().flat_map(|jobs| sides.iter().map(|cores| (*jobs, *cores))).collect();
    all.push(plan);
    all.sort_unstable();
    all.dedup();
    all
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// What is compared.
    pub seconds: f64,
    /// CPU time, where it is known.
    pub cpu_seconds: Option<f64>,
}

/// Run a grid. `run` takes jobs and cores; `None` is the wish to stop.
pub fn sweep(
    subject: &Subject,
    grid: &[(u32, u32)],
    plan: (u32, u32),
    rules: Rules,
    seed: u64,
    (interrupt, bar): (&Interrupt, &ProgressBar),
    mut run: impl FnMut(u32, u32) -> Result<Option<Took>>,
) -> Result<Swept> {
    let mut random = Random::new(seed);
    let began = Instant::now();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); grid.len()];
    let mut cpu: Vec<Vec<f64>> = vec![Vec::new(); grid.len()];
    let mut left: Vec<usize> = (0..grid.len()).collect();
    let mut stopped = Stopped::MostPairs;
    // As with pairs, the first run of all warms up.
    let mut is_warm = false;
    'rounds: for round in 0..rules.most_pairs {
        for end in (1..left.len()).rev() {
            left.swap(end, random.below(end + 1));
        }
        for at in &left {
            let (jobs, cores) = grid[*at];
            if !is_warm && run(jobs, cores)?.is_some() {
                is_warm = true;
            }
            if round > 0 && began.elapsed() >= rules.time {
                stopped = Stopped::Time;
                break 'rounds;
            }
            let took = if interrupt.came() { None } else { run(jobs, cores)? };
            let Some(took) = took else {
                stopped = Stopped::Interrupted;
                break 'rounds;
            };
            times[*at].push(took.seconds);
            cpu[*at].extend(took.cpu_seconds);
            bar.inc(1);
        }
        if began.elapsed() >= rules.time {
            stopped = Stopped::Time;
            break;
        }
        if round + 1 >= LEAST_ROUNDS {
            let levels = levels(&times);
            let best = levels.iter().flatten().copied().fold(f64::INFINITY, f64::min);
            let rounds = f64::from(u32::try_from(round + 1).unwrap_or(u32::MAX));
            let most = best * BEHIND.max(1.0 + 1.0 / rounds);
            left.retain(|at| grid[*at] == plan || levels[*at].is_some_and(|level| level <= most));
        }
    }
    bar.finish_and_clear();
    let mut points: Vec<Point> = grid
        .iter()
        .zip(levels(&times))
        .zip(times.iter().zip(&cpu))
        .map(|((&(jobs, cores), level), (seconds, cpu))| Point {
            jobs,
            cores,
            is_planned: (jobs, cores) == plan,
            median_seconds: level,
            cpu_seconds: median(cpu),
            simulated_seconds: None,
            seconds: seconds.clone(),
        })
        .collect();
    let rank = |point: &Point| point.median_seconds.unwrap_or(f64::INFINITY);
    points.sort_by(|one, other| rank(one).total_cmp(&rank(other)));
    let plan_by_best = by_best(&points);
    Ok(Swept {
        version: Version,
        subject: subject.clone(),
        points,
        plan_by_best,
        rank_correlation: None,
        seed,
        stopped,
    })
}

/// What each point takes in a round of median pace, of the times of each in the rounds
/// from the first one on: by turns the medians of points without the paces and of paces
/// without the points (Tukey's median polish, on logarithms), until little changes.
fn levels(times: &[Vec<f64>]) -> Vec<Option<f64>> {
    const TURNS: usize = 20;
    let rounds = times.iter().map(Vec::len).max().unwrap_or(0);
    let mut paces = vec![0.0; rounds];
    let mut levels = vec![None; times.len()];
    for _ in 0..TURNS {
        for (level, times) in levels.iter_mut().zip(times) {
            let without: Vec<f64> =
                times.iter().zip(&paces).map(|(time, pace)| time.ln() - pace).collect();
            *level = median(&without);
        }
        for (round, pace) in paces.iter_mut().enumerate() {
            let without: Vec<f64> = (times.iter().zip(&levels))
                .filter_map(|(times, level)| Some(times.get(round)?.ln() - (*level)?))
                .collect();
            *pace = median(&without).unwrap_or_default();
        }
        let middle = median(&paces).unwrap_or_default();
        for pace in &mut paces {
            *pace -= middle;
        }
    }
    levels.into_iter().map(|level| level.map(f64::exp)).collect()
}

/// The plan against the fastest other point, round by round.
fn by_best(points: &[Point]) -> Option<Estimate> {
    let planned = points.iter().find(|point| point.is_planned)?;
    let best = points.iter().find(|point| !point.is_planned)?;
    let ratios: Vec<f64> =
        planned.seconds.iter().zip(&best.seconds).map(|(plan, best)| plan / best).collect();
    estimate(&ratios)
}

impl Swept {
    /// What one job with one core takes.
    pub fn one_by_one(&self) -> Option<Took> {
        let point = self.points.iter().find(|point| (point.jobs, point.cores) == (1, 1))?;
        Some(Took { seconds: point.median_seconds?, cpu_seconds: point.cpu_seconds })
    }

    /// Put what the simulator says beside what was measured.
    pub fn simulate(&mut self, graph: &Graph, machine: &Machine) {
        let (mut measured, mut simulated) = (Vec::new(), Vec::new());
        for point in &mut self.points {
            let outcome = simulate(graph, machine, Settings::new(point.jobs, point.cores));
            point.simulated_seconds = outcome.seconds;
            if let (Some(own), Some(its)) = (point.median_seconds, outcome.seconds) {
                measured.push(own);
                simulated.push(its);
            }
        }
        self.rank_correlation = rank_correlation(&measured, &simulated, SAME);
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "### {}\n\n| Jobs × cores | Median | ÷ fastest | Simulated | Rounds |\n\
             |---|---:|---:|---:|---:|\n",
            self.subject.name
        );
        let best = self.points.first().and_then(|point| point.median_seconds);
        for point in &self.points {
            let (Some(median), Some(best)) = (point.median_seconds, best) else { continue };
            let name = format!("{} × {}", point.jobs, point.cores);
            let name = if point.is_planned { format!("**{name}** (plan)") } else { name };
            let ratio = median / best;
            let simulated = point.simulated_seconds;
            let simulated = simulated.map_or("–".to_owned(), |seconds| format!("{seconds:.3} s"));
            let rounds = point.seconds.len();
            text += &format!("| {name} | {median:.3} s | {ratio:.3} | {simulated} | {rounds} |\n");
        }
        if let Some(Estimate { value, interval }) = self.plan_by_best {
            text += &format!(
                "\nThe plan against the fastest other: {} time ({} to {}), seed {}\n",
                change(value),
                change(interval.low),
                change(interval.high),
                self.seed
            );
        }
        if let Some(found) = self.rank_correlation {
            text +=
                &format!("\nThe simulator has them in the same order to {found:.2} (Spearman)\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressBar;

    use super::{Took, grid, levels, sweep};
    use crate::compared::tests::compared;
    use crate::interrupt::Interrupt;
    use crate::pairs::{Rules, Stopped};

    #[test]
    fn grids_hold_powers_of_two_the_cpus_and_the_plan() {
        assert_eq!(grid(2, (2, 2)).len(), 9);
        let all = grid(6, (3, 5));
        for point in [(1, 1), (8, 8), (6, 6), (3, 5)] {
            assert!(all.contains(&point), "{point:?}");
        }
        assert!(!all.contains(&(16, 1)));
    }

    #[test]
    fn slow_points_are_left_out_and_the_plan_is_not() {
        let rules = Rules { most_pairs: 8, ..Rules::default() };
        let subject = compared(&[], &[]).subject;
        let mut runs = 0;
        let swept = sweep(
            &subject,
            &grid(2, (1, 1)),
            (1, 1),
            rules,
            1,
            (&Interrupt::default(), &ProgressBar::hidden()),
            |jobs, cores| {
                runs += 1;
                // A little noise, the same for all, so that intervals have a width.
                let noise = 1.0 + f64::from(runs % 5) / 1000.0;
                let seconds = noise * 4.0 / f64::from((jobs * cores).min(2));
                Ok(Some(Took { seconds, cpu_seconds: Some(4.0) }))
            },
        )
        .expect("swept");
        let one_by_one = swept.one_by_one().expect("measured");
        assert!((one_by_one.seconds - 4.0).abs() < 0.02, "{one_by_one:?}");
        assert_eq!(one_by_one.cpu_seconds, Some(4.0));
        assert_eq!(swept.stopped, Stopped::MostPairs);
        let planned = swept.points.iter().find(|point| point.is_planned).expect("the plan");
        assert_eq!(planned.seconds.len(), 8, "measured though it is slow");
        let best = &swept.points[0];
        assert!(best.jobs * best.cores >= 2 && best.seconds.len() == 8, "{best:?}");
        let by_best = swept.plan_by_best.expect("an estimate");
        assert!((by_best.value - 2.0).abs() < 0.02, "{by_best:?}");
        assert!(swept.table().contains("| **1 × 1** (plan) |"), "{}", swept.table());
    }

    #[test]
    fn a_slow_round_makes_no_point_slow() {
        // The third point was measured in the first two rounds alone, which were slow.
        let times = [vec![2.0, 3.0, 1.0, 1.0, 1.0], vec![4.0, 6.0, 2.0, 2.0, 2.0], vec![3.0, 4.5]];
        let levels = levels(&times);
        for (level, truth) in levels.iter().zip([1.0, 2.0, 1.5]) {
            assert!(level.is_some_and(|level| (level - truth).abs() < 1e-6), "{levels:?}");
        }
        assert_eq!(super::levels(&[vec![], vec![1.0]])[0], None);
    }
}
