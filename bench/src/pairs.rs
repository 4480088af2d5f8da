//! In which order A and B run, and when enough of them have.

use std::time::Duration;

use crate::random::Random;
use crate::statistics::estimate;

/// One of the two that are compared.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// What the other is compared with.
    A,
    /// What is judged.
    B,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Of five pairs, even the whole range holds the median only 94 times in a hundred:
/// of fewer than six nothing can be shown.
pub const LEAST_PAIRS: usize = 6;

/// When enough has been measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Half the width of the interval that is good enough, as a share.
    pub precision: f64,
    /// Fewest pairs before it may be enough.
    pub least_pairs: usize,
    /// Most pairs.
    pub most_pairs: usize,
    /// No pair is begun after this.
    pub time: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            precision: 0.02,
            least_pairs: LEAST_PAIRS,
            most_pairs: 40,
            time: Duration::from_secs(600),
        }
    }
}

/// The order of pairs: ABBA or BAAB, as a coin falls, again and again. A steady drift
/// then favours neither, nor does whatever happens every so often.
#[derive(Debug)]
pub struct Order {
    random: Random,
    pending: Option<Side>,
}

impl Order {
    /// The order of a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), pending: None }
    }

    /// The next pair.
    pub fn pair(&mut self) -> [Side; 2] {
        if let Some(first) = self.pending.take() {
            return [first, first.other()];
        }
        let first = if self.random.coin() { Side::A } else { Side::B };
        self.pending = Some(first.other());
        [first, first.other()]
    }
}

/// Why no more pairs were run.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stopped {
    /// The interval is as narrow as was asked for.
    Precise,
    /// As many pairs were run as may be.
    MostPairs,
    /// The time was over.
    Time,
    /// Somebody wished so.
    Interrupted,
}

/// Looks at the ratios as they come.
///
/// Whoever looks after each pair and stops at the first narrow interval stops at
/// those that are narrow by luck. So there are few looks, each after a third more
/// pairs, and two in a row must be content.
#[derive(Debug)]
pub struct Watch {
    rules: Rules,
    next_look: usize,
    was_narrow: bool,
}

impl Watch {
    /// Look by these rules.
    pub fn new(rules: Rules) -> Self {
        let next_look = rules.least_pairs.max(2);
        Self { rules, next_look, was_narrow: false }
    }

    /// Whether so many pairs, with these ratios after so much time, are enough.
    pub fn enough(&mut self, ratios: &[f64], elapsed: Duration) -> Option<Stopped> {
        if ratios.len() >= self.next_look {
            self.next_look = ratios.len() + ratios.len().div_ceil(3);
            let is_narrow = estimate(ratios)
                .is_some_and(|estimate| estimate.half_width() < self.rules.precision);
            if is_narrow && self.was_narrow {
                return Some(Stopped::Precise);
            }
            self.was_narrow = is_narrow;
        }
        if ratios.len() >= self.rules.most_pairs {
            return Some(Stopped::MostPairs);
        }
        (elapsed >= self.rules.time).then_some(Stopped::Time)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Order, Rules, Side, Stopped, Watch};

    #[test]
    fn pairs_are_abba_or_baab() {
        let mut order = Order::new(7);
        let mut starts = [0, 0];
        for _ in 0..1000 {
            let ([first, second], [third, last]) = (order.pair(), order.pair());
            assert_eq!((first, second), (last, third));
            assert_ne!(first, second);
            starts[usize::from(first == Side::B)] += 1;
        }
        assert!(starts.iter().all(|count| *count > 440), "{starts:?}");
        let mut again = Order::new(7);
        let mut once = Order::new(7);
        assert!((0..50).all(|_| again.pair() == once.pair()), "the seed decides");
    }

    #[test]
    fn two_narrow_looks_end_it() {
        let quiet = |pairs| vec![1.0; pairs];
        let mut watch = Watch::new(Rules::default());
        let looks: Vec<usize> = (1..=40)
            .filter(|pairs| watch.enough(&quiet(*pairs), Duration::ZERO).is_some())
            .collect();
        assert_eq!(looks[0], 8, "at 6 and at 8");
        let mut watch = Watch::new(Rules { least_pairs: 10, ..Rules::default() });
        assert_eq!(watch.enough(&quiet(10), Duration::ZERO), None);
        assert_eq!(watch.enough(&quiet(13), Duration::ZERO), None, "not looked at");
        assert_eq!(watch.enough(&quiet(14), Duration::ZERO), Some(Stopped::Precise));
    }

    #[test]
    fn pairs_and_time_are_bounded() {
        let noisy: Vec<f64> = (0..40).map(|pair| if pair % 2 == 0 { 0.5 } else { 2.0 }).collect();
        let mut watch = Watch::new(Rules::default());
        assert_eq!(watch.enough(&noisy[..39], Duration::ZERO), None);
        assert_eq!(watch.enough(&noisy, Duration::ZERO), Some(Stopped::MostPairs));
        assert_eq!(watch.enough(&noisy[..2], Duration::from_secs(600)), Some(Stopped::Time));
    }
}
