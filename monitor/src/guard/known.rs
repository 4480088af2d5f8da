//! What the guard knows of a build besides what it does, and says of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use detect::human::size;

use super::decide::{Action, Id, Moment};
use super::stop::Stopped;

/// How long a build must have run for what it used to be what it needs.
const ENOUGH: Duration = Duration::from_secs(2);

/// What is known of a build for as long as it runs.
pub(super) struct Known {
    pub(super) name: String,
    /// What its costs are known by.
    pub(super) package: String,
    /// The most that is expected of it.
    pub(super) peak_bytes: u64,
    /// The most that it was seen to use.
    pub(super) used_bytes: u64,
    pub(super) stopped: Stopped,
    /// Since when it is stopped, if it is.
    pub(super) since: Option<Instant>,
    /// Since when it was seen to run.
    runs: Instant,
}

impl Known {
    /// One that is seen for the first time.
    pub(super) fn new(name: String, package: String, peak_bytes: u64, stopped: Stopped) -> Self {
        let runs = Instant::now();
        Self { name, package, peak_bytes, used_bytes: 0, stopped, since: None, runs }
    }

    /// It goes on, or is gone: how many seconds it was stopped.
    pub(super) fn goes_on(&mut self) -> f64 {
        let Some(since) = self.since.take() else { return 0.0 };
        self.runs = Instant::now();
        since.elapsed().as_secs_f64()
    }

    /// Whether what it was seen to use tells what its package needs: one that ended
    /// while it was stopped, or soon after, has not shown that, unless it was more
    /// than expected.
    pub(super) fn tells_its_need(&self) -> bool {
        self.since.is_none() && (self.runs.elapsed() >= ENOUGH || self.used_bytes > self.peak_bytes)
    }
}

/// One line on what is done with a build, and why.
pub(super) fn describe(action: &Action, moment: &Moment, known: &BTreeMap<Id, Known>) -> String {
    let (verb, id) = match action {
        Action::Hold(id) => ("hold", id),
        Action::Freeze(id) => ("freeze", id),
        Action::Run(id) => ("let go on", id),
    };
    let known = known.get(id);
    let peak = known.map_or(0, |known| known.peak_bytes);
    let name = known.map_or("?", |known| known.name.as_str());
    let since = known.and_then(|known| known.since);
    let waited = since
        .map_or(String::new(), |since| format!(" after {:.1} s", since.elapsed().as_secs_f64()));
    format!(
        "{verb} {name} of user {}{waited}: predicted {}, {} of {} used",
        id.user,
        size(peak),
        size(moment.used_bytes),
        size(moment.limit_bytes)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{ENOUGH, Known};
    use crate::guard::stop::Stopped;

    #[test]
    fn what_has_not_run_tells_nothing() {
        let stopped = Stopped { user: 4_000_000_000, group: None };
        let mut known = Known::new("a-1".to_owned(), "a".to_owned(), 1000, stopped);
        known.used_bytes = 4;
        assert!(!known.tells_its_need(), "it has only begun");
        let Some(before) = Instant::now().checked_sub(ENOUGH) else { return };
        known.runs = before;
        assert!(known.tells_its_need());
        known.since = Some(before);
        assert!(!known.tells_its_need(), "it is stopped");
        assert!(known.goes_on() >= ENOUGH.as_secs_f64());
        assert!(!known.tells_its_need(), "it has only begun to go on");
        assert_eq!(known.goes_on().to_bits(), 0, "it is stopped no more");
        known.used_bytes = 2000;
        assert!(known.tells_its_need(), "at least so much");
    }
}
