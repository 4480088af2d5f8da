use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::{Action, Guard, Id, Marks, Moment, RUN, SETTLE, Seen, State, TURN, is_above};

const MARKS: Marks = Marks { high: 0.85, low: 0.70 };
const LIMIT: u64 = 1000;

fn id(age: u32) -> Id {
    Id { started_ticks: u64::from(age), user: 30_000 + age }
}

fn seen(age: u32, memory_bytes: u64, predicted_bytes: u64) -> Seen {
    Seen { id: id(age), memory_bytes, predicted_bytes, has_begun: false }
}

fn moment(milliseconds: u64, builds: &[Seen]) -> Moment {
    Moment {
        now: Duration::from_millis(milliseconds),
        limit_bytes: LIMIT,
        used_bytes: builds.iter().map(|build| build.memory_bytes).sum(),
        is_pressed: false,
        builds: builds.to_vec(),
        patience: None,
    }
}

#[test]
fn what_fits_is_never_touched() {
    let mut guard = Guard::new(MARKS);
    let builds = [seen(1, 10, 300), seen(2, 10, 300), seen(3, 10, 200)];
    assert_eq!(guard.decide(&moment(0, &builds)), []);
}

#[test]
fn what_does_not_fit_waits_until_it_does() {
    let mut guard = Guard::new(MARKS);
    let (old, new) = (seen(1, 10, 500), seen(2, 10, 400));
    assert_eq!(guard.decide(&moment(0, &[old, new])), [Action::Hold(new.id)]);
    assert_eq!(guard.decide(&moment(9000, &[old, new])), []);
    assert_eq!(guard.decide(&moment(9900, &[new])), [Action::Run(new.id)]);
}

#[test]
fn the_oldest_runs_whatever_it_needs() {
    let mut guard = Guard::new(MARKS);
    assert_eq!(guard.decide(&moment(0, &[seen(1, 10, 5000)])), []);
    assert_eq!(
        guard.decide(&moment(9, &[seen(1, 990, 5000), seen(2, 1, 1)])),
        [Action::Hold(id(2))]
    );
}

#[test]
fn what_ran_before_is_not_held() {
    let mut guard = Guard::new(MARKS);
    let (old, begun) = (seen(1, 10, 500), Seen { has_begun: true, ..seen(2, 10, 400) });
    assert_eq!(guard.decide(&moment(0, &[old, begun, seen(3, 10, 1)])), [Action::Hold(id(3))]);
}

#[test]
fn who_waits_keeps_what_it_has() {
    let mut guard = Guard::new(MARKS);
    let builds = [seen(1, 10, 300), seen(2, 200, 600), seen(3, 10, 350)];
    let expected = [Action::Hold(id(2)), Action::Hold(id(3))];
    assert_eq!(guard.decide(&moment(0, &builds)), expected, "300 + 200 + 350, and what errs");
}

#[test]
fn the_small_pass_the_big_only_where_they_will_not_be_in_its_way() {
    let mut guard = Guard::new(MARKS);
    let builds = [seen(1, 10, 300), seen(2, 10, 580), seen(3, 10, 190), seen(4, 10, 100)];
    // 2 does not fit beside 1. 3 fits beside both, each by itself; 4 fits
    // beside 1 and 3, but 2, 3 and 4 would be too much.
    let expected = [Action::Hold(id(2)), Action::Hold(id(4))];
    assert_eq!(guard.decide(&moment(0, &builds)), expected);
    assert_eq!(guard.decide(&moment(50, &builds[1..])), [Action::Run(id(2))]);
}

#[test]
fn above_the_high_mark_the_youngest_freeze_one_by_one() {
    let mut guard = Guard::new(MARKS);
    let at = |used| [seen(1, used, 100), seen(2, 100, 100), seen(3, 100, 100)];
    assert_eq!(guard.decide(&moment(0, &at(100))), []);
    assert_eq!(guard.decide(&moment(100, &at(700))), [Action::Freeze(id(3))]);
    assert_eq!(guard.decide(&moment(200, &at(700))), [], "it must show first");
    assert_eq!(guard.decide(&moment(500, &at(700))), [Action::Freeze(id(2))]);
    assert_eq!(guard.decide(&moment(900, &at(790))), [], "the oldest runs");
    assert_eq!(guard.decide(&moment(1500, &at(600))), [], "between the marks");
    assert_eq!(guard.decide(&moment(2000, &at(400))), [Action::Run(id(3))]);
    assert_eq!(guard.decide(&moment(2100, &at(400))), []);
    assert_eq!(guard.decide(&moment(2400, &at(400))), [Action::Run(id(2))]);
}

#[test]
fn nothing_waits_when_memory_is_all_but_gone() {
    let mut guard = Guard::new(MARKS);
    let at = |used| [seen(1, used, 100), seen(2, 100, 100), seen(3, 100, 100)];
    guard.decide(&moment(0, &at(100)));
    assert_eq!(guard.decide(&moment(1, &at(780))), [Action::Freeze(id(3))]);
    assert_eq!(guard.decide(&moment(2, &at(780))), [Action::Freeze(id(2))]);
}

#[test]
fn the_frozen_take_turns() {
    let mut guard = Guard::new(MARKS);
    let at = |used| [seen(1, used, 100), seen(2, 100, 100), seen(3, 100, 100)];
    guard.decide(&moment(0, &at(100)));
    assert_eq!(guard.decide(&moment(1, &at(700))), [Action::Freeze(id(3))]);
    let turn = u64::try_from(TURN.as_millis()).expect("short");
    let guard_then = guard.clone();
    let swap = [Action::Freeze(id(2)), Action::Run(id(3))];
    assert_eq!(guard.decide(&moment(turn + 1, &at(700))), swap);
    // Not above the mark, and not below the other: it has waited long enough.
    let mut guard = guard_then;
    assert_eq!(guard.decide(&moment(turn + 1, &at(600))), [Action::Run(id(3))]);
}

#[test]
fn whom_nix_would_end_is_let_in() {
    let mut guard = Guard::new(MARKS);
    let mut now = moment(0, &[seen(1, 10, 500), seen(2, 10, 400)]);
    now.patience = Some(Duration::from_secs(60));
    assert_eq!(guard.decide(&now), [Action::Hold(id(2))]);
    now.now = Duration::from_secs(29);
    assert_eq!(guard.decide(&now), []);
    now.now = Duration::from_secs(30);
    assert_eq!(guard.decide(&now), [Action::Run(id(2))]);
}

/// Time that passes, what else takes memory, and builds: age, memory, prediction.
type Step = (u64, u64, Vec<(u32, u64, u64)>);

/// What happens between two looks: some time passes, builds come, grow and go.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let build = (0..12_u32, 0..700_u64, 0..1200_u64);
    prop::collection::vec((1..40_000_u64, 0..300_u64, prop::collection::vec(build, 0..8)), 1..30)
}

proptest! {
    #[test]
    fn the_invariants_hold(steps in steps()) {
        let mut guard = Guard::new(MARKS);
        let mut stopped: BTreeSet<Id> = BTreeSet::new();
        let mut now = 0;
        let mut last_freeze: Option<u64> = None;
        for (passed, others, list) in steps {
            now += passed % if passed % 3 == 0 { 400 } else { 40_000 };
            let mut ages = BTreeSet::new();
            let builds: Vec<Seen> = list
                .into_iter()
                .filter(|(age, ..)| ages.insert(*age))
                .map(|(age, memory, predicted)| seen(age, memory, predicted))
                .collect();
            let mut moment = moment(now, &builds);
            moment.used_bytes += others;
            let before = guard.states().clone();
            let actions = guard.decide(&moment);
            stopped.retain(|id| builds.iter().any(|build| build.id == *id));
            for action in &actions {
                match *action {
                    Action::Hold(id) => prop_assert!(!before.contains_key(&id) && stopped.insert(id)),
                    Action::Freeze(id) => {
                        prop_assert!(is_above(&moment, MARKS.high), "not below the high mark");
                        prop_assert!(stopped.insert(id), "stopped once");
                        let since = last_freeze.map(|at| Duration::from_millis(now - at));
                        prop_assert!(since.is_none_or(|since| since >= SETTLE)
                            || is_above(&moment, 0.95)
                            || actions.iter().any(|action| matches!(action, Action::Run(_))));
                        if let Some(State::Running(Some(thawed))) = before.get(&id) {
                            let ran = Duration::from_millis(now).saturating_sub(*thawed);
                            prop_assert!(ran >= RUN || is_above(&moment, 0.95), "no flapping");
                        }
                        last_freeze = Some(now);
                    }
                    Action::Run(id) => prop_assert!(stopped.remove(&id), "only what is stopped"),
                }
            }
            // What was done is what is known.
            for (id, state) in guard.states() {
                prop_assert_eq!(stopped.contains(id), !matches!(state, State::Running(_)));
            }
            prop_assert_eq!(guard.states().len(), builds.len());
            if let Some(oldest) = builds.iter().map(|build| build.id).min() {
                prop_assert!(!stopped.contains(&oldest), "the oldest runs");
            }
            // Nobody stays frozen long while memory is below the high mark.
            if !is_above(&moment, MARKS.high) && !actions.iter().any(|a| matches!(a, Action::Run(_))) {
                for state in guard.states().values() {
                    if let State::Frozen(since) = state {
                        prop_assert!(moment.now.saturating_sub(*since) < TURN);
                    }
                }
            }
        }
    }

    /// Builds that need no more than was predicted never pass the mark together.
    #[test]
    fn good_predictions_leave_nothing_to_freeze(
        needs in prop::collection::vec(1..800_u64, 1..20), gaps in prop::collection::vec(0..4_u64, 20),
    ) {
        let mut guard = Guard::new(MARKS);
        let mut running: Vec<(u32, u64)> = Vec::new();
        let mut waiting: Vec<(u32, u64)> = (0..).zip(needs).collect();
        let mut now = 0;
        for step in 0..200 {
            now += 100;
            for _ in 0..gaps[step % gaps.len()] {
                if !waiting.is_empty() {
                    running.push(waiting.remove(0));
                }
            }
            // All that run at once use all they need.
            let memory = |age: u32, need| match guard.states().get(&id(age)) {
                Some(State::Running(_)) => need,
                _ => 0,
            };
            let builds: Vec<Seen> =
                running.iter().map(|&(age, need)| seen(age, memory(age, need), need)).collect();
            let used: u64 = builds.iter().map(|build| build.memory_bytes).sum();
            prop_assert!(used <= LIMIT * 85 / 100, "{used} of {LIMIT}");
            for action in guard.decide(&moment(now, &builds)) {
                prop_assert!(!matches!(action, Action::Freeze(_)));
            }
            // Some build that runs ends.
            let ends = running.iter().position(|(age, _)| {
                step % 3 == 0 && matches!(guard.states().get(&id(*age)), Some(State::Running(_)))
            });
            if let Some(at) = ends {
                running.remove(at);
            }
        }
    }
}
