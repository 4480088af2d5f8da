//! What pairs of runs say about two configurations.
//!
//! Each pair is an A and a B right after one another, so that a machine that gets
//! slower slows both. Of each, the logarithm of B's time by A's is kept; the median
//! of these is the estimate, which one disturbed pair does not move; and how sure it
//! is comes from what it would be were the pairs drawn again (the bootstrap).
//!
//! **Invariant:** no pair is dropped. Outliers are named, and count.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod bootstrap;

/// How sure intervals are.
pub const CONFIDENCE: f64 = 0.95;

/// The 97.5th percentile of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// By how much intervals are wider than drawing again says, besides what few pairs
/// take. Runs end when the interval is narrow, which it is sometimes by luck: without
/// this, it would hold the truth 94 to 97 times in a hundred instead of 95 to 97.
const FOR_STOPPING: f64 = 1.04;

/// Beyond this modified z-score (Iglewicz and Hoaglin), a pair is called an outlier.
const OUTLIER: f64 = 3.5;

/// The median absolute deviation of a normal distribution, by its standard deviation.
const DEVIATION: f64 = 0.6745;

/// Where the truth is, with [`CONFIDENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// What is known of a ratio, or of a time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The median.
    pub value: f64,
    /// Where the truth is, 95 times in a hundred.
    pub interval: Interval,
}

impl Estimate {
    /// Half of the interval, as a share of the value.
    pub fn half_width(&self) -> f64 {
        (self.interval.high / self.interval.low).ln() / 2.0
    }
}

/// What a comparison shows of B against A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// B takes less time.
    Faster,
    /// B takes more time.
    Slower,
    /// The interval holds 1: there may be a difference, within it.
    NoDifferenceShown,
}

impl Verdict {
    /// What an estimate of B's time by A's shows.
    pub fn of(estimate: Option<&Estimate>) -> Self {
        match estimate {
            Some(estimate) if estimate.interval.high < 1.0 => Self::Faster,
            Some(estimate) if estimate.interval.low > 1.0 => Self::Slower,
            _ => Self::NoDifferenceShown,
        }
    }

    /// As it is written in documents.
    pub fn text(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifferenceShown => "no difference shown",
        }
    }
}

/// The middle of some numbers; `None` of none.
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    middle(&sorted)
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The median of numbers above 0, and where the true one is: `None` of fewer than
/// two, which say nothing of their spread.
pub fn estimate(numbers: &[f64]) -> Option<Estimate> {
    let mut sorted: Vec<f64> = numbers.iter().map(|number| number.ln()).collect();
    sorted.sort_by(f64::total_cmp);
    if sorted.len() < 2 || sorted.iter().any(|number| !number.is_finite()) {
        return None;
    }
    let value = middle(&sorted)?;
    let medians = bootstrap::medians(&sorted);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let spread = spread(sorted.len());
    let low = value - (value - bootstrap::percentile(&medians, tail)?) * spread;
    let high = value + (bootstrap::percentile(&medians, 1.0 - tail)? - value) * spread;
    let interval = Interval { low: low.exp(), high: high.exp() };
    Some(Estimate { value: value.exp(), interval })
}

/// By how much the percentiles of so many numbers are spread: the bootstrap's are too
/// narrow for few of them, as a normal distribution is that stands in for Student's
/// (Hesterberg, What Teachers Should Know about the Bootstrap, 2015).
fn spread(count: usize) -> f64 {
    let freedom = u32::try_from(count).map_or(f64::MAX, f64::from) - 1.0;
    student(freedom) / NORMAL * ((freedom + 1.0) / freedom).sqrt() * FOR_STOPPING
}

/// The 97.5th percentile of Student's distribution (Abramowitz and Stegun, 26.7.5).
fn student(freedom: f64) -> f64 {
    let z = NORMAL;
    let terms = [
        z,
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| sum / freedom + term)
}

/// Which of some numbers above 0 are far from the rest, by their position.
pub fn outliers(numbers: &[f64]) -> Vec<usize> {
    let logarithms: Vec<f64> = numbers.iter().map(|number| number.ln()).collect();
    let Some(center) = median(&logarithms) else { return Vec::new() };
    let away: Vec<f64> = logarithms.iter().map(|number| (number - center).abs()).collect();
    let Some(typical) = median(&away).filter(|typical| *typical > 0.0) else { return Vec::new() };
    let is_far = |away: &f64| DEVIATION * away / typical > OUTLIER;
    (0..away.len()).filter(|at| is_far(&away[*at])).collect()
}

/// Spearman's rank correlation: 1 where both have the same order, -1 where one has the
/// other's backwards. Figures less than `same` apart, as a share, share a rank. `None`
/// where one has no order at all.
pub fn rank_correlation(one: &[f64], other: &[f64], same: f64) -> Option<f64> {
    let (one, other) = (ranks(one, same), ranks(other, same));
    let mean = |all: &[f64]| all.iter().sum::<f64>() / count(all);
    let (middle, others) = (mean(&one), mean(&other));
    let (mut both, mut own, mut its) = (0.0, 0.0, 0.0);
    for (left, right) in one.iter().zip(&other) {
        let (left, right) = (left - middle, right - others);
        both += left * right;
        own += left * left;
        its += right * right;
    }
    let scale = f64::sqrt(own * its);
    (scale > 0.0).then(|| both / scale)
}

/// The rank of each figure; those that share one have the mean of theirs.
fn ranks(figures: &[f64], same: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..figures.len()).collect();
    order.sort_by(|one, other| figures[*one].total_cmp(&figures[*other]));
    let mut ranks = vec![0.0; figures.len()];
    let mut before = 0.0;
    let mut at = 0;
    while at < order.len() {
        let least = figures[order[at]];
        let alike = order[at..].iter().take_while(|one| figures[**one] <= least * (1.0 + same));
        let alike: Vec<usize> = alike.copied().collect();
        let many = count(&alike);
        for one in &alike {
            ranks[*one] = before + f64::midpoint(many, 1.0);
        }
        before += many;
        at += alike.len();
    }
    ranks
}

fn count<T>(all: &[T]) -> f64 {
    f64::from(u32::try_from(all.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests;
