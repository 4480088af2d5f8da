//! The statistics on timings made up, of which the truth is known: how often they
//! find a difference, claim one that is not there, and hold the truth; and what
//! hyperfine's say of the same.
//!
//! The table of README.md is printed by
//! `cargo test -p bench statistics -- --nocapture`.

use std::io::Write;
use std::time::Duration;

use super::{Verdict, estimate, median, outliers, rank_correlation, spread, student};
use crate::pairs::{Order, Rules, Side, Watch};
use crate::random::Random;

/// Series of timings made up for each row.
const SEEDS: u64 = 1000;

/// How a machine's timings vary.
struct Noise {
    name: &'static str,
    /// Of each run by itself.
    own: f64,
    /// What lasts: each run keeps four fifths of the one before (AR(1)).
    lasting: f64,
    /// The share of runs that something disturbs, by up to half.
    disturbed: f64,
}

const NOISES: [Noise; 3] = [
    Noise { name: "quiet", own: 0.01, lasting: 0.01, disturbed: 0.0 },
    Noise { name: "busy", own: 0.03, lasting: 0.04, disturbed: 0.0 },
    Noise { name: "disturbed", own: 0.03, lasting: 0.04, disturbed: 0.08 },
];

/// How much slower the machine is at the end, as laptops get.
const DRIFT: f64 = 0.3;

/// A machine whose timings are made up.
struct Machine<'a> {
    noise: &'a Noise,
    random: Random,
    lasting: f64,
    runs: f64,
    effect: f64,
}

impl<'a> Machine<'a> {
    fn new(noise: &'a Noise, effect: f64, seed: u64) -> Self {
        let mut random = Random::new(seed.wrapping_mul(7919));
        let lasting = noise.lasting * normal(&mut random);
        Self { noise, random, lasting, runs: 0.0, effect }
    }

    fn run(&mut self, side: Side, most_runs: usize) -> f64 {
        let noise = self.noise;
        self.lasting = 0.8 * self.lasting + 0.6 * noise.lasting * normal(&mut self.random);
        let drift = 1.0 + DRIFT * self.runs / float(most_runs);
        self.runs += 1.0;
        let own = noise.own * normal(&mut self.random);
        let disturbed = share(&mut self.random) < noise.disturbed;
        let more = if disturbed { 0.5 * share(&mut self.random) } else { 0.0 };
        let effect = if side == Side::B { 1.0 + self.effect } else { 1.0 };
        10.0 * drift * effect * (self.lasting + own + more).exp()
    }
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).expect("small"))
}

fn share(random: &mut Random) -> f64 {
    f64::from(u32::try_from(random.number() >> 32).expect("32 bits")) / f64::from(u32::MAX)
}

/// A normal number, by Box and Muller.
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * share(random).max(1e-12).ln()).sqrt();
    radius * (std::f64::consts::TAU * share(random)).cos()
}

/// Of how many series what was said.
#[derive(Debug, Default)]
struct Tally {
    shown: u64,
    held: u64,
    pairs: usize,
}

/// What we say of series with an effect.
fn ours(noise: &Noise, effect: f64) -> Tally {
    let rules = Rules::default();
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let mut machine = Machine::new(noise, effect, seed);
        let (mut order, mut watch) = (Order::new(seed), Watch::new(rules));
        let mut ratios = Vec::new();
        loop {
            let mut seconds = [0.0, 0.0];
            for side in order.pair() {
                seconds[usize::from(side == Side::B)] = machine.run(side, 2 * rules.most_pairs);
            }
            ratios.push(seconds[1] / seconds[0]);
            if watch.enough(&ratios, Duration::ZERO).is_some() {
                break;
            }
        }
        let found = estimate(&ratios).expect("pairs");
        let truth = 1.0 + effect;
        tally.shown += u64::from(Verdict::of(Some(&found)) != Verdict::NoDifferenceShown);
        tally.held += u64::from((found.interval.low..=found.interval.high).contains(&truth));
        tally.pairs += ratios.len();
    }
    tally
}

/// What hyperfine says of them: all runs of A, then as many of B; the ratio of means,
/// with the deviations of both propagated (`src/benchmark/relative_speed.rs`). It
/// gives no verdict; people take a difference for shown when the ratio's ± leaves 1
/// out.
fn hyperfines(noise: &Noise, effect: f64, runs: usize, is_error_of_mean: bool) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let mut machine = Machine::new(noise, effect, seed);
        let mut times = |side| -> Vec<f64> {
            (0..runs).map(|_| machine.run(side, 2 * Rules::default().most_pairs)).collect()
        };
        let [(a, a_deviation), (b, b_deviation)] = [times(Side::A), times(Side::B)].map(|times| {
            let count = float(times.len());
            let mean = times.iter().sum::<f64>() / count;
            let squares = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
            (mean, (squares / (count - 1.0)).sqrt())
        });
        let ratio = b / a;
        let deviation = ratio * ((a_deviation / a).powi(2) + (b_deviation / b).powi(2)).sqrt();
        let width =
            if is_error_of_mean { 1.96 * deviation / float(runs).sqrt() } else { deviation };
        tally.shown += u64::from((ratio - 1.0).abs() > width);
        tally.held += u64::from((ratio - 1.0 - effect).abs() <= width);
        tally.pairs += runs;
    }
    tally
}

#[test]
fn differences_are_found_and_none_is_made_up() {
    let mut table = "| Timings | Method | Pairs | 5 % found | A/A: difference claimed | \
                     Truth within, of 5 % | of A/A |\n|---|---|---|---|---|---|---|\n"
        .to_owned();
    let mut row = |noise: &str, method: &str, found: &Tally, null: &Tally| {
        let percent = |count: u64| f64::from(u32::try_from(count).expect("few")) / 10.0;
        let pairs = float(found.pairs + null.pairs) / 2000.0;
        table += &format!(
            "| {noise} | {method} | {pairs:.0} | {} % | {} % | {} % | {} % |\n",
            percent(found.shown),
            percent(null.shown),
            percent(found.held),
            percent(null.held),
        );
    };
    let mut all = Vec::new();
    for noise in &NOISES {
        let (found, null) = (ours(noise, 0.05), ours(noise, 0.0));
        let pairs = found.pairs / 1000;
        row(noise.name, "bench", &found, &null);
        for (method, of_mean) in [("ratio ± σ", false), ("ratio ± 1.96 σ/√n", true)] {
            let of = |effect| hyperfines(noise, effect, pairs, of_mean);
            row("", &format!("hyperfine's, {method}"), &of(0.05), &of(0.0));
        }
        all.push((noise.name, found, null));
    }
    let _ = std::io::stderr().write_all(table.as_bytes());
    for (name, found, null) in all {
        assert!(found.shown >= 950, "{name}: found {} of {SEEDS}", found.shown);
        assert!(null.shown <= 50, "{name}: made up {} of {SEEDS}", null.shown);
        for held in [found.held, null.held] {
            assert!((930..=970).contains(&held), "{name}: held {held} of {SEEDS}");
        }
    }
}

#[test]
fn the_median_of_few() {
    assert_eq!(median(&[]), None);
    assert_eq!(median(&[3.0]), Some(3.0));
    assert_eq!(median(&[3.0, 1.0]), Some(2.0));
    assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
}

#[test]
fn an_estimate_is_between_the_ends() {
    let ratios = [1.04, 1.06, 1.05, 1.02, 1.07, 1.05, 1.03, 1.06];
    let found = estimate(&ratios).expect("an estimate");
    assert!((found.value - 1.05).abs() < 1e-9, "{found:?}");
    assert!(found.interval.low > 1.01 && found.interval.high < 1.09, "{found:?}");
    assert_eq!(Verdict::of(Some(&found)), Verdict::Slower);
    for few in [&ratios[..0], &ratios[..1], &[1.0, 0.0], &[1.0, f64::NAN]] {
        assert_eq!(estimate(few), None, "{few:?}");
    }
}

#[test]
fn faster_and_slower_are_of_b() {
    let of = |factor: f64| {
        let ratios: Vec<f64> =
            (0..9).map(|pair| factor * (1.0 + f64::from(pair) / 900.0)).collect();
        Verdict::of(estimate(&ratios).as_ref())
    };
    assert_eq!(of(0.9), Verdict::Faster);
    assert_eq!(of(1.1), Verdict::Slower);
    assert_eq!(of(0.995), Verdict::NoDifferenceShown);
    assert_eq!(Verdict::of(None), Verdict::NoDifferenceShown);
}

#[test]
fn outliers_are_named() {
    assert_eq!(outliers(&[1.0, 1.01, 0.99, 1.02, 3.0, 0.98]), [4]);
    assert_eq!(outliers(&[1.0, 1.01, 0.99, 1.02, 1.03, 0.98]), [0usize; 0]);
    assert_eq!(outliers(&[1.0, 1.0, 1.0, 5.0]), [0usize; 0], "no typical distance, none is far");
    assert_eq!(outliers(&[]), [0usize; 0]);
}

#[test]
fn few_numbers_spread_wider() {
    assert!((student(5.0) - 2.571).abs() < 0.01, "{}", student(5.0));
    assert!((student(30.0) - 2.042).abs() < 0.001, "{}", student(30.0));
    assert!(spread(6) > spread(12) && spread(12) > spread(1000));
}

#[test]
fn ranks_agree_or_do_not() {
    let of = |one: &[f64], other: &[f64]| rank_correlation(one, other, 0.04);
    assert_eq!(of(&[1.0, 2.0, 3.0], &[10.0, 20.0, 40.0]), Some(1.0));
    assert_eq!(of(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
    // The first two are one and the same, in whatever order.
    assert_eq!(of(&[1.00, 1.02, 3.0], &[1.01, 1.0, 3.0]), Some(1.0));
    assert_eq!(of(&[1.0, 1.01], &[1.0, 2.0]), None);
    assert_eq!(of(&[], &[]), None);
    let found = of(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]).expect("an order");
    assert!((found - 0.8).abs() < 1e-9, "{found}");
}
