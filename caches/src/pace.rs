//! How many questions to have open with a cache at once.
//!
//! A cache that is asked too often says so (429, 503), sometimes with when to
//! come back. Then half as many are asked at once, and after each round of good
//! answers one more, as TCP does. Nix itself has 25 connections open.

use std::time::Duration;

/// Questions that are open with a cache at once, when it does not mind.
pub const MOST: usize = 24;

/// The first wait after a cache was asked too often and did not say until when;
/// each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait that we come up with ourselves.
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// How many questions to have open. Times are since the asking began.
#[derive(Clone, Debug)]
pub struct Pace {
    limit: usize,
    good: usize,
    wait: Duration,
    changed: Duration,
    resume: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let zero = Duration::ZERO;
        Self { limit: MOST, good: 0, wait: FIRST_WAIT, changed: zero, resume: zero }
    }
}

impl Pace {
    /// Questions that may be open.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Nothing is asked before.
    pub fn resume(&self) -> Duration {
        self.resume
    }

    /// An answer came.
    pub fn good(&mut self) {
        self.good += 1;
        if self.good >= self.limit {
            self.good = 0;
            self.wait = FIRST_WAIT;
            self.limit = (self.limit + 1).min(MOST);
        }
    }

    /// The cache was asked too often. Answers to what was asked before it was
    /// last heard say nothing new, but for a later time to come back.
    pub fn busy(&mut self, asked: Duration, now: Duration, retry_after: Option<Duration>) {
        if asked >= self.changed {
            self.limit = (self.limit / 2).max(1);
            self.good = 0;
            self.changed = now;
            self.resume = self.resume.max(now + self.wait);
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        if let Some(seconds) = retry_after {
            self.resume = self.resume.max(now.saturating_add(seconds));
        }
        self.changed = self.changed.max(self.resume);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{FIRST_WAIT, MOST, Pace};

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn halves_once_for_all_that_were_open() {
        let mut pace = Pace::default();
        for _ in 0..MOST {
            pace.busy(ms(10), ms(30), None);
        }
        // The first one counts; the others were asked before it was heard.
        assert_eq!((pace.limit(), pace.resume()), (MOST / 2, ms(30) + FIRST_WAIT));
        let again = pace.resume();
        pace.busy(again, again + ms(20), None);
        assert_eq!(pace.limit(), MOST / 4);
        assert_eq!(pace.resume(), again + ms(20) + FIRST_WAIT * 2, "twice as long");
    }

    #[test]
    fn comes_back_when_it_is_told_to() {
        let mut pace = Pace::default();
        pace.busy(ms(0), ms(20), Some(ms(7000)));
        pace.busy(ms(0), ms(30), Some(ms(9000)));
        pace.busy(ms(0), ms(40), Some(ms(1)));
        assert_eq!((pace.limit(), pace.resume()), (MOST / 2, ms(9030)));
        pace.busy(ms(0), ms(50), Some(Duration::MAX));
        assert_eq!(pace.resume(), Duration::MAX, "and no panic");
    }

    #[test]
    fn goes_up_again_by_one_a_round() {
        let mut pace = Pace::default();
        pace.busy(ms(0), ms(1), None);
        let rounds: usize = (MOST / 2..MOST).sum();
        (0..rounds - 1).for_each(|_| pace.good());
        assert_eq!(pace.limit(), MOST - 1);
        pace.good();
        assert_eq!(pace.limit(), MOST);
        (0..1000).for_each(|_| pace.good());
        assert_eq!(pace.limit(), MOST, "and no further");
    }

    /// A cache that takes so many questions in each second and refuses more; how
    /// many it refuses of so many, and when all were answered.
    fn simulate(allowed: usize, questions: usize) -> (usize, Duration) {
        const TRIP: Duration = ms(20);
        let mut pace = Pace::default();
        let mut open: VecDeque<(Duration, bool)> = VecDeque::new();
        let (mut now, mut left, mut refused) = (ms(0), questions, 0);
        let mut window = (0, 0);
        while left > 0 || !open.is_empty() {
            while left > 0 && open.len() < pace.limit() && now >= pace.resume() {
                if window.0 != now.as_secs() {
                    window = (now.as_secs(), 0);
                }
                window.1 += 1;
                open.push_back((now, window.1 <= allowed));
                left -= 1;
            }
            match open.pop_front() {
                Some((asked, is_good)) => {
                    now = now.max(asked + TRIP);
                    if is_good {
                        pace.good();
                    } else {
                        refused += 1;
                        left += 1;
                        pace.busy(asked, now, None);
                    }
                }
                None => now = now.max(pace.resume()),
            }
        }
        (refused, now)
    }

    #[test]
    fn settles_where_a_cache_has_a_limit() {
        // 100 a second: 1,000 take ten seconds at best.
        let (refused, took) = simulate(100, 1000);
        assert!(refused < 300, "{refused} refused");
        assert!(took < ms(40_000), "{took:?}");
        let (refused, took) = simulate(usize::MAX, 2400);
        assert_eq!((refused, took), (0, ms(2000)), "24 each 20 ms");
    }

    proptest! {
        #[test]
        fn always_asks_on(steps in prop::collection::vec((any::<bool>(), 0_u64..100_000, prop::option::of(any::<u64>())), 0..200)) {
            let mut pace = Pace::default();
            let mut now = ms(0);
            for (is_good, later, retry) in steps {
                now += ms(later);
                if is_good {
                    pace.good();
                } else {
                    pace.busy(now, now, retry.map(Duration::from_secs));
                }
                prop_assert!((1..=MOST).contains(&pace.limit()));
            }
        }
    }
}
