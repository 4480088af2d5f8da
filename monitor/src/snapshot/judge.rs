//! What a log says about a build, and what it does not.
//!
//! A log is made when a derivation is first built; who builds it again empties
//! the file, and it keeps its time of birth. So the time from birth to the last
//! change is that of a build only where there was but one. Two things betray
//! another: the file was seen before, or it was written to after its output was
//! registered.
//!
//! One case is not to be told: a build that failed and was then repeated, both
//! since the last snapshot, looks like one long build.

use super::logs::Log;
use super::store_state::Registered;
use crate::recorded::Outcome;

/// How much later than its output's registration, which is in whole seconds, a
/// log may be written to last.
const LATE_SECONDS: f64 = 2.0;

/// How long it may take from a build's end until its output is registered: large
/// ones are read through several times.
const REGISTERING_SECONDS: f64 = 3600.0;

/// What a log says about the last build.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) outcome: Option<Outcome>,
    /// Why something is not known.
    pub(super) reason: Option<String>,
    /// In seconds since 1970.
    pub(super) started: Option<f64>,
    pub(super) ended: f64,
}

/// A log as it was at an earlier snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) born: Option<i64>,
    pub(super) changed: i64,
}

pub(super) fn judge(log: &Log, before: Option<Before>, outputs: Option<Registered>) -> Judged {
    let ended = seconds(log.changed);
    // An output that is older is of another build, as is one that came long after.
    let of_this = outputs.filter(|outputs| {
        let since = outputs.last - ended;
        (-LATE_SECONDS..REGISTERING_SECONDS).contains(&since)
    });
    let outcome = of_this.map(|_| Outcome::Built);
    let was_seen = before.is_some_and(|before| before.born == log.born);
    let is_repeated = was_seen
        || outputs.is_some_and(|outputs| {
            outputs.last + LATE_SECONDS < ended || outputs.first + LATE_SECONDS < outputs.last
        });
    let started = log.born.filter(|_| !is_repeated).map(seconds);
    let reason = if is_repeated {
        Some("built again: its log keeps the time of the first build")
    } else if log.born.is_none() {
        Some("the logs' file system does not keep when a file was made")
    } else if outcome.is_none() {
        Some("no output of it is in the store: it failed, was ended, or is collected")
    } else {
        None
    };
    Judged { outcome, reason: reason.map(str::to_owned), started, ended }
}

/// Nanoseconds as seconds: to a microsecond, which is what a float holds.
pub(super) fn seconds(nanoseconds: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "2^53 microseconds are 285 years")]
    let micros = (nanoseconds / 1000) as f64;
    micros / 1e6
}

#[cfg(test)]
mod tests {
    use super::{Before, Judged, judge};
    use crate::recorded::Outcome;
    use crate::snapshot::logs::Log;
    use crate::snapshot::store_state::Registered;

    const SECOND: i64 = 1_000_000_000;

    fn log(born: Option<i64>, changed: i64) -> Log {
        Log {
            file: "ab/c-x.drv.bz2".to_owned(),
            drv: "/nix/store/abc-x.drv".to_owned(),
            born: born.map(|born| born * SECOND),
            changed: changed * SECOND,
        }
    }

    fn at(first: f64, last: f64) -> Registered {
        Registered { first, last }
    }

    fn wall(judged: &Judged) -> Option<f64> {
        judged.started.map(|started| judged.ended - started)
    }

    #[test]
    fn a_build_and_its_output() {
        for registered in [13.0, 14.0, 300.0] {
            let judged = judge(&log(Some(10), 14), None, Some(at(registered, registered)));
            assert_eq!((wall(&judged), judged.outcome), (Some(4.0), Some(Outcome::Built)));
            assert_eq!(judged.reason, None);
        }
    }

    #[test]
    fn without_an_output_the_end_is_not_known() {
        let judged = judge(&log(Some(10), 14), None, None);
        assert_eq!((wall(&judged), judged.outcome), (Some(4.0), None));
        assert!(judged.reason.is_some_and(|why| why.starts_with("no output")));
        let other = judge(&log(Some(10), 14), None, Some(at(9000.0, 9000.0)));
        assert_eq!(other.outcome, None, "an output of another day");
    }

    #[test]
    fn a_second_build_took_nobody_knows_how_long() {
        // By the output: `nix build --rebuild` after half a minute.
        let judged = judge(&log(Some(10), 45), None, Some(at(11.0, 11.0)));
        assert_eq!((wall(&judged), judged.outcome), (None, None));
        assert!(judged.reason.is_some_and(|why| why.starts_with("built again")));
        // By outputs that came apart.
        let parts = judge(&log(Some(10), 45), None, Some(at(11.0, 45.0)));
        assert_eq!((wall(&parts), parts.outcome), (None, Some(Outcome::Built)));
        // By an earlier look.
        let born = Some(10 * SECOND);
        let before = Some(Before { born, changed: 11 * SECOND });
        assert_eq!(wall(&judge(&log(Some(10), 45), before, Some(at(45.0, 45.0)))), None);
        // A log that was removed and made anew is as good as the first.
        let other = Some(Before { born: Some(SECOND), changed: 11 * SECOND });
        assert_eq!(wall(&judge(&log(Some(10), 45), other, Some(at(45.0, 45.0)))), Some(35.0));
    }

    #[test]
    fn no_time_of_birth_no_duration() {
        let judged = judge(&log(None, 14), None, Some(at(14.0, 14.0)));
        assert_eq!((wall(&judged), judged.outcome), (None, Some(Outcome::Built)));
        assert!(judged.reason.is_some_and(|why| why.contains("file system")));
    }
}
