use detect::number::Version;
use proptest::prelude::*;
use serde_json::Value;

use super::lanes::{Span, lanes};
use super::trace;
use crate::recorded::{Build, Outcome, Phase, Recorded, Substitution};

fn build(from: f64, wall: Option<f64>, phases: &[f64]) -> Build {
    let phase = |wall: &f64| Phase { name: "p".to_owned(), wall_seconds: Some(*wall) };
    Build {
        drv: "/nix/store/a.drv".to_owned(),
        name: "a".to_owned(),
        outcome: Outcome::Built,
        reason: None,
        machine: None,
        started_seconds: Some(from),
        wall_seconds: wall,
        phases: phases.iter().map(phase).collect(),
        usage: None,
    }
}

fn recorded(builds: Vec<Build>) -> Recorded {
    let substitutions = vec![Substitution {
        path: "/nix/store/b".to_owned(),
        cache: "http://c".to_owned(),
        started_seconds: Some(0.5),
        wall_seconds: Some(1.0),
        downloaded_bytes: Some(7),
        nar_bytes: None,
    }];
    Recorded {
        version: Version,
        builds,
        substitutions,
        waits: Vec::new(),
        downloaded_bytes: 7,
        unknown_events: 0,
        malformed_lines: 0,
    }
}

/// Lanes, and what each holds: from, to.
fn drawn(recorded: &Recorded) -> Vec<(u64, u64, u64, u64)> {
    let trace: Value = serde_json::to_value(trace(recorded)).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("events").iter();
    let lasting = events.filter(|event| event["ph"] == "X");
    let number = |event: &Value, name: &str| event[name].as_u64().expect(name);
    lasting
        .map(|event| {
            let from = number(event, "ts");
            (number(event, "pid"), number(event, "tid"), from, from + number(event, "dur"))
        })
        .collect()
}

#[test]
fn phases_lie_in_their_builds_and_downloads_beside() {
    let builds =
        vec![build(1.0, Some(2.0), &[0.5, 1.0]), build(1.5, None, &[]), build(3.0, Some(1.0), &[])];
    let expected = [
        (1, 1, 1_000_000, 3_000_000),
        (1, 1, 1_500_000, 2_000_000),
        (1, 1, 2_000_000, 3_000_000),
        (1, 2, 1_500_000, 4_000_000),
        (1, 1, 3_000_000, 4_000_000),
        (2, 1, 500_000, 1_500_000),
    ];
    assert_eq!(drawn(&recorded(builds)), expected);
}

proptest! {
    #[test]
    fn lanes_never_overlap_and_are_no_more_than_needed(
        spans in prop::collection::vec((0_u64..50, 0_u64..20), 0..40)
    ) {
        let spans: Vec<Span> =
            spans.into_iter().map(|(from, long)| Span { from, to: from + long }).collect();
        let placed = lanes(&spans);
        for (index, one) in spans.iter().enumerate() {
            for (other_index, other) in spans.iter().enumerate().skip(index + 1) {
                let apart = one.to <= other.from || other.to <= one.from;
                prop_assert!(apart || placed[index] != placed[other_index]);
            }
        }
        let at_once = |at: u64| spans.iter().filter(|s| s.from <= at && at < s.to.max(s.from + 1)).count();
        let most = (0..80).map(at_once).max().unwrap_or(0);
        prop_assert!(placed.iter().all(|lane| *lane <= most));
    }

    #[test]
    fn everything_in_a_lane_nests(
        builds in prop::collection::vec(
            (0.0..9.0_f64, prop::option::of(0.0..5.0_f64), prop::collection::vec(0.0..3.0_f64, 0..4)),
            1..12,
        )
    ) {
        let builds = builds.iter().map(|(from, wall, phases)| build(*from, *wall, phases)).collect();
        let drawn = drawn(&recorded(builds));
        for (index, one) in drawn.iter().enumerate() {
            for other in &drawn[index + 1..] {
                if (one.0, one.1) == (other.0, other.1) {
                    let apart = one.3 <= other.2 || other.3 <= one.2;
                    let within = (one.2 <= other.2 && other.3 <= one.3)
                        || (other.2 <= one.2 && one.3 <= other.3);
                    prop_assert!(apart || within, "{one:?} {other:?}");
                }
            }
        }
    }
}
