//! Which builds run: a state, what is seen, and what follows.
//!
//! Builds are let in by what they are predicted to need, in the order of their
//! age; freezing what runs comes last, since what is frozen keeps its memory.
//!
//! What is expected of all that run stays below the mark above which builds are
//! frozen, so that good predictions freeze nobody. What may come instead, were
//! some of them wrong, stays below the one where there is no time left.
//!
//! **Invariant:** whenever there are builds the oldest of them runs, so that
//! something always ends. Nothing that runs is stopped below the high mark, but
//! to give another its turn.

use std::collections::BTreeMap;
use std::time::Duration;

use profile::guarded::{CRITICAL, ERROR};

/// Between two freezes, and between two thaws: what the one changes must show
/// before the next.
pub const SETTLE: Duration = Duration::from_millis(300);

/// How long a build runs at least once it was thawed.
pub const RUN: Duration = Duration::from_secs(2);

/// How long a build stays frozen while another one that could be is not.
pub const TURN: Duration = Duration::from_secs(30);

/// A prediction that was passed is a bad one: so much more is expected.
const GROWTH: f64 = 1.25;

/// The shares of memory at which things happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// Above it builds are frozen.
    pub high: f64,
    /// Below it they are thawed.
    pub low: f64,
}

/// A build, for as long as it runs: its user, who builds one thing at a time,
/// and when its first process started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// When it started, in ticks: the order of age.
    pub started_ticks: u64,
    /// The build user's number.
    pub user: u32,
}

/// A build at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub id: Id,
    /// What it uses.
    pub memory_bytes: u64,
    /// The most that it is predicted to use.
    pub predicted_bytes: u64,
    /// Whether it had been running before anybody looked: it is too late to
    /// hold it.
    pub has_begun: bool,
}

/// All that matters at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Since some fixed moment.
    pub now: Duration,
    /// Memory there is.
    pub limit_bytes: u64,
    /// Memory that is used, by builds and all else.
    pub used_bytes: u64,
    /// Whether the kernel says that processes wait for memory.
    pub is_pressed: bool,
    /// The builds.
    pub builds: Vec<Seen>,
    /// How long Nix lets a build be silent, or run, if that is bounded.
    pub patience: Option<Duration>,
}

/// What to do with a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stop it before it has begun: it would not fit.
    Hold(Id),
    /// Stop it in the middle: memory is short.
    Freeze(Id),
    /// Let it run.
    Run(Id),
}

/// What a build does, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits to begin.
    Held(Duration),
    /// It runs; since it was thawed, if ever.
    Running(Option<Duration>),
    /// It was stopped in the middle.
    Frozen(Duration),
}

/// The builds, and what each does.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    marks: Marks,
    states: BTreeMap<Id, State>,
    changed: Option<Duration>,
}

impl Guard {
    /// Nothing is known yet.
    pub fn new(marks: Marks) -> Self {
        Self { marks, states: BTreeMap::new(), changed: None }
    }

    /// What each build does.
    pub fn states(&self) -> &BTreeMap<Id, State> {
        &self.states
    }

    /// What follows from a moment.
    pub fn decide(&mut self, moment: &Moment) -> Vec<Action> {
        let mut builds = moment.builds.clone();
        builds.sort_unstable_by_key(|build| build.id);
        self.states.retain(|id, _| builds.iter().any(|build| build.id == *id));
        let mut actions = Vec::new();
        if let Some(oldest) = builds.first() {
            self.run(oldest.id, moment.now, &mut actions);
        }
        self.keep_below(moment, &builds, &mut actions);
        self.admit(moment, &builds, &mut actions);
        actions
    }

    /// Freeze and thaw: the last resort.
    fn keep_below(&mut self, moment: &Moment, builds: &[Seen], actions: &mut Vec<Action>) {
        let now = moment.now;
        let has_settled = self.changed.is_none_or(|at| now.saturating_sub(at) >= SETTLE);
        let is_critical = is_above(moment, CRITICAL);
        let mut frozen: Vec<(Duration, Id)> = Vec::new();
        for build in builds {
            if let Some(State::Frozen(since)) = self.states.get(&build.id) {
                frozen.push((*since, build.id));
            }
        }
        frozen.sort_unstable();
        let runs_long = |state: &State| match state {
            State::Running(Some(since)) => is_critical || now.saturating_sub(*since) >= RUN,
            State::Running(None) => true,
            _ => false,
        };
        let others = builds.iter().skip(1).map(|build| build.id);
        let youngest = others.rev().find(|id| self.states.get(id).is_some_and(runs_long));
        let first_frozen = frozen.first().copied();
        if is_above(moment, self.marks.high) {
            let waits_long = |since| now.saturating_sub(since) >= TURN;
            match (youngest, first_frozen) {
                (Some(id), Some((since, first))) if waits_long(since) => {
                    self.freeze(id, now, actions);
                    self.run(first, now, actions);
                }
                (Some(id), _) if has_settled || is_critical => self.freeze(id, now, actions),
                _ => {}
            }
        } else if let Some((since, first)) = first_frozen {
            let has_room = !is_above(moment, self.marks.low);
            // Between the marks it stays as it is, but not for ever.
            if (has_room && has_settled) || now.saturating_sub(since) >= TURN {
                self.changed = Some(now);
                self.run(first, now, actions);
            }
        }
    }

    /// Let in what fits, the oldest first.
    fn admit(&mut self, moment: &Moment, builds: &[Seen], actions: &mut Vec<Action>) {
        let room = Room::of(moment, self.marks);
        let is_short = (moment.is_pressed && is_above(moment, self.marks.low))
            || is_above(moment, self.marks.high)
            || self.states.values().any(|state| matches!(state, State::Frozen(_)));
        let mut taken = Need::default();
        // Whoever is stopped keeps the memory it has.
        let runs = |id| matches!(self.states.get(&id), Some(State::Running(_)));
        let stopped = builds.iter().filter(|build| !runs(build.id));
        let mut stopped = stopped.map(|build| build.memory_bytes).fold(0, u64::saturating_add);
        // The most that one which does not fit will need together with all that
        // run and are younger: they must not be in its way once it is the oldest.
        let mut kept: Option<Need> = None;
        for build in builds {
            let need = Need::of(build);
            let state = self.states.get(&build.id).copied();
            let is_in = match state {
                Some(State::Running(_)) => {
                    taken = taken.and(need);
                    continue;
                }
                None if build.has_begun => true,
                Some(State::Frozen(_)) => continue,
                Some(State::Held(_)) | None => {
                    let all = taken.and(need).and(taken_by_later(builds, build.id, &self.states));
                    let own = Need::sure(stopped.saturating_sub(build.memory_bytes));
                    let fits = room.has(all.and(own))
                        && kept.is_none_or(|kept| room.has(kept.and(need).and(own)));
                    let waited = match state {
                        Some(State::Held(since)) => moment.now.saturating_sub(since),
                        _ => Duration::ZERO,
                    };
                    let is_late = moment.patience.is_some_and(|patience| waited >= patience / 2);
                    (fits && !is_short) || (is_late && !is_above(moment, self.marks.high))
                }
            };
            if is_in {
                stopped = stopped.saturating_sub(build.memory_bytes);
                taken = taken.and(need);
                kept = kept.map(|kept| kept.and(need));
                self.run(build.id, moment.now, actions);
            } else {
                let later = need.and(taken_by_later(builds, build.id, &self.states));
                kept = Some(kept.map_or(later, |kept| kept.larger(later)));
                if state.is_none() {
                    self.states.insert(build.id, State::Held(moment.now));
                    actions.push(Action::Hold(build.id));
                }
            }
        }
    }

    /// Whether one more build would fit, did it need so much.
    pub fn has_room_for(&self, bytes: u64, moment: &Moment) -> bool {
        let room = Room::of(moment, self.marks);
        let another = Need::expected(bytes);
        room.has(moment.builds.iter().map(Need::of).fold(another, Need::and))
    }

    fn run(&mut self, id: Id, now: Duration, actions: &mut Vec<Action>) {
        let since = match self.states.get(&id) {
            Some(State::Running(_)) => return,
            Some(State::Held(_) | State::Frozen(_)) => {
                actions.push(Action::Run(id));
                Some(now)
            }
            None => None,
        };
        self.states.insert(id, State::Running(since));
    }

    fn freeze(&mut self, id: Id, now: Duration, actions: &mut Vec<Action>) {
        self.changed = Some(now);
        self.states.insert(id, State::Frozen(now));
        actions.push(Action::Freeze(id));
    }
}

/// What builds need together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Need {
    /// As expected.
    bytes: u64,
    /// The sum of the squares of what each may need more.
    errors: f64,
}

impl Need {
    /// The most that a build is expected to use by now.
    fn of(build: &Seen) -> Self {
        let is_wrong = build.memory_bytes > build.predicted_bytes;
        let bytes =
            if is_wrong { share(build.memory_bytes, GROWTH) } else { build.predicted_bytes };
        Self::expected(bytes)
    }

    /// What may be wrong.
    fn expected(bytes: u64) -> Self {
        Self { bytes, errors: float(share(bytes, ERROR)).powi(2) }
    }

    /// What is known for sure.
    fn sure(bytes: u64) -> Self {
        Self { bytes, errors: 0.0 }
    }

    fn and(self, other: Self) -> Self {
        let bytes = self.bytes.saturating_add(other.bytes);
        Self { bytes, errors: self.errors + other.errors }
    }

    /// The larger of both in each way.
    fn larger(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), errors: self.errors.max(other.errors) }
    }
}

/// Where builds have to fit.
struct Room {
    limit_bytes: u64,
    high: f64,
    /// What others than builds use.
    others_bytes: u64,
}

impl Room {
    fn of(moment: &Moment, marks: Marks) -> Self {
        let of_builds = moment.builds.iter().map(|build| build.memory_bytes);
        let of_builds = of_builds.fold(0, u64::saturating_add);
        Self {
            limit_bytes: moment.limit_bytes,
            high: marks.high,
            others_bytes: moment.used_bytes.saturating_sub(of_builds),
        }
    }

    fn has(&self, need: Need) -> bool {
        let expected = float(need.bytes.saturating_add(self.others_bytes));
        let limit = float(self.limit_bytes);
        expected <= limit * self.high && expected + need.errors.sqrt() <= limit * CRITICAL
    }
}

/// What those that run and are younger than a build will need.
fn taken_by_later(builds: &[Seen], id: Id, states: &BTreeMap<Id, State>) -> Need {
    let later = builds.iter().filter(|build| build.id > id);
    let runs = |build: &&Seen| matches!(states.get(&build.id), Some(State::Running(_)));
    later.filter(runs).map(Need::of).fold(Need::default(), Need::and)
}

fn is_above(moment: &Moment, mark: f64) -> bool {
    moment.used_bytes > share(moment.limit_bytes, mark)
}

fn share(bytes: u64, share: f64) -> u64 {
    let bytes = float(bytes) * share;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never below 0, and what is above the range becomes its end"
    )]
    let whole = bytes as u64;
    whole
}

#[expect(clippy::cast_precision_loss, reason = "a byte is no matter")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}

#[cfg(test)]
mod tests;
