//! What the median may be of as many numbers drawn again: not tried at random, but
//! counted, so that it takes no seed and next to no time.
//!
//! Of n draws, how many are among the first i numbers is binomial, so that each order
//! statistic has the distribution of Maritz and Jarrett (A Note on Estimating the
//! Variance of the Sample Median, 1978); the two middle ones of an even n are beside
//! one another when one half of the draws lies below and the other above.

/// Less than this, altogether, is seen in no percentile.
const NEGLIGIBLE: f64 = 1e-12;

/// Draws of `count` numbers, each as likely as the others.
struct Draws {
    count: u32,
    /// Draws at or below the lower middle.
    half: u32,
    /// The logarithm of n!, for each n up to `count`.
    factorials: Vec<f64>,
    /// The logarithm of the share that the first n numbers are, likewise.
    shares: Vec<f64>,
}

impl Draws {
    fn new(count: u32) -> Self {
        let logarithms = || (1..=count).map(|number| f64::from(number).ln());
        let sums = logarithms().scan(0.0, |sum, one| {
            *sum += one;
            Some(*sum)
        });
        let all = f64::from(count).ln();
        let shares = logarithms().map(|one| one - all);
        Self {
            count,
            half: count.div_ceil(2),
            factorials: [0.0].into_iter().chain(sums).collect(),
            shares: [f64::NEG_INFINITY].into_iter().chain(shares).collect(),
        }
    }

    /// In how many ways so many of the draws are chosen: its logarithm.
    fn ways(&self, chosen: u32) -> f64 {
        let of = |number: u32| self.factorials[number as usize];
        of(self.count) - of(chosen) - of(self.count - chosen)
    }

    /// The logarithm of the probability that so many draws all lie among so many of
    /// the numbers.
    fn among(&self, draws: u32, numbers: u32) -> f64 {
        if draws == 0 { 0.0 } else { f64::from(draws) * self.shares[numbers as usize] }
    }

    /// How likely it is that the lower middle is one of the first so many numbers: that
    /// at least half of the draws are.
    fn lower_within(&self, numbers: u32) -> f64 {
        let exactly = |draws: u32| {
            let others = self.among(self.count - draws, self.count - numbers);
            (self.ways(draws) + self.among(draws, numbers) + others).exp()
        };
        // From the most likely one on, both ways, until nothing is left.
        let is_some = |share: &f64| *share > NEGLIGIBLE;
        let up = (numbers.max(self.half)..=self.count).map(exactly).take_while(is_some);
        let down = (self.half..numbers).rev().map(exactly).take_while(is_some);
        up.chain(down).sum::<f64>().min(1.0)
    }

    /// The logarithm of the probability that half of the draws lie among so many of the
    /// numbers, at least one of them on the last of these.
    fn half_up_to(&self, numbers: u32) -> f64 {
        let (most, fewer) = (self.among(self.half, numbers), self.among(self.half, numbers - 1));
        most + (-(fewer - most).exp()).ln_1p()
    }
}

/// What the median may be of as many draws from sorted numbers, the least first, each
/// with how likely it is.
pub(super) fn medians(sorted: &[f64]) -> Vec<(f64, f64)> {
    let draws = Draws::new(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
    // Of an even count, one half lies up to the lower middle and the other, counted from
    // the end, up to the upper one. An odd one has one middle.
    let halves: Vec<f64> = match draws.count % 2 {
        0 => (1..=draws.count).map(|numbers| draws.half_up_to(numbers)).collect(),
        _ => Vec::new(),
    };
    let ways = draws.ways(draws.half);
    let mut medians = Vec::new();
    let mut before = 0.0;
    for ((at, number), numbers) in sorted.iter().enumerate().zip(1..) {
        let within = draws.lower_within(numbers);
        let mut own = within - before;
        before = within;
        let below = halves.get(at).copied().unwrap_or_default();
        let above = halves.iter().rev().skip(at + 1);
        for (other, above) in sorted[at + 1..].iter().zip(above) {
            let both = (ways + below + above).exp();
            if both < NEGLIGIBLE {
                break;
            }
            own -= both;
            medians.push((f64::midpoint(*number, *other), both));
        }
        medians.push((*number, own.max(0.0)));
        if within > 1.0 - NEGLIGIBLE {
            break;
        }
    }
    medians.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    medians
}

/// The least of these medians that so large a share of draws does not exceed.
pub(super) fn percentile(medians: &[(f64, f64)], share: f64) -> Option<f64> {
    let mut seen = 0.0;
    let reaches = |(_, own): &&(f64, f64)| {
        seen += own;
        seen >= share
    };
    medians.iter().find(reaches).or(medians.last()).map(|(median, _)| *median)
}

#[cfg(test)]
mod tests {
    use super::{medians, percentile};
    use crate::random::Random;
    use crate::statistics::median;

    /// How likely medians up to one are.
    fn up_to(medians: &[(f64, f64)], most: f64) -> f64 {
        medians.iter().filter(|(median, _)| *median <= most).map(|(_, share)| share).sum()
    }

    #[test]
    fn every_way_to_draw_is_counted() {
        for count in 1..=6usize {
            let numbers: Vec<f64> = (0..count).map(|power| f64::from(1 << power)).collect();
            let all = count.pow(u32::try_from(count).expect("small"));
            let drawn: Vec<f64> = (0..all)
                .map(|way| {
                    let places = (0..count).scan(way, |left, _| {
                        let place = *left % count;
                        *left /= count;
                        Some(numbers[place])
                    });
                    median(&places.collect::<Vec<f64>>()).expect("some")
                })
                .collect();
            let counted = medians(&numbers);
            for (one, _) in &counted {
                let tried = drawn.iter().filter(|median| *median <= one).count();
                let [tried, all] = [tried, all].map(|n| f64::from(u32::try_from(n).expect("few")));
                assert!((up_to(&counted, *one) - tried / all).abs() < 1e-9, "{count}: {one}");
            }
        }
    }

    #[test]
    fn many_numbers_have_the_percentiles_of_drawing_at_random() {
        for count in [39usize, 40, 3001] {
            let mut random = Random::new(5);
            let mut numbers: Vec<f64> = (0..count)
                .map(|_| f64::from(u32::try_from(random.below(1000)).expect("small")))
                .collect();
            numbers.sort_by(f64::total_cmp);
            let counted = medians(&numbers);
            assert!((up_to(&counted, f64::INFINITY) - 1.0).abs() < 1e-6, "{count}");
            let mut drawn: Vec<f64> = (0..2000)
                .map(|_| {
                    let again = (0..count).map(|_| numbers[random.below(count)]);
                    median(&again.collect::<Vec<f64>>()).expect("some")
                })
                .collect();
            drawn.sort_by(f64::total_cmp);
            for (share, at) in [(0.025, 50), (0.5, 1000), (0.975, 1950)] {
                let [low, high] = [drawn[at - 40], drawn[at + 40]];
                let found = percentile(&counted, share).expect("some");
                assert!((low..=high).contains(&found), "{count}: {found} in {low} to {high}");
            }
        }
    }
}
