use proptest::prelude::*;

use super::failure::Failure;
use super::{Change, LONGEST_TEXT, MOST_INSIDE, Stream, name};
use crate::event::Line;
use crate::recorded::{Outcome, Recorded};

/// What a stream says happened, whose lines come a second after each other.
fn happened(lines: &[&str]) -> Recorded {
    let mut stream = Stream::default();
    let mut at = 0.0;
    for line in lines {
        stream.line(Line::Whole(line.as_bytes()), Some(at), &mut |_| {});
        at += 1.0;
    }
    stream.finish()
}

/// The outcomes and reasons of its builds.
fn outcomes(lines: &[&str]) -> Vec<(String, Outcome, Option<String>)> {
    let builds = happened(lines).builds;
    builds.into_iter().map(|build| (build.name, build.outcome, build.reason)).collect()
}

const BUILDS: &str = r#"@nix {"action":"start","id":1,"level":0,"text":"","type":104}"#;

fn start(id: u64, name: &str) -> String {
    format!(
        r#"@nix {{"action":"start","fields":["{}","",1,1],"id":{id},"level":3,"text":"building","type":105}}"#,
        drv(name)
    )
}

fn drv(name: &str) -> String {
    format!("/nix/store/{}-{name}.drv", "0".repeat(32))
}

fn stop(id: u64) -> String {
    format!(r#"@nix {{"action":"stop","id":{id}}}"#)
}

fn done(count: u64, failed: u64) -> String {
    format!(r#"@nix {{"action":"result","fields":[{count},4,1,{failed}],"id":1,"type":105}}"#)
}

fn message(text: &str) -> String {
    let text = serde_json::to_string(text).expect("a text");
    format!(r#"@nix {{"action":"msg","level":0,"msg":{text}}}"#)
}

fn refs(lines: &[String]) -> Vec<&str> {
    lines.iter().map(String::as_str).collect()
}

#[test]
fn the_failed_is_told_from_the_cancelled_whichever_ends_first() {
    let older = format!(
        "\u{1b}[31;1merror:\u{1b}[0m builder for '{}' failed with exit code 3;\n       last 1 log lines:\n       > error: building of 'x.drv' failed",
        drv("bad")
    );
    let newer = format!(
        "error: Cannot build '{}'.\n       Reason: builder failed with exit code 3.\n       Output paths:\n",
        drv("bad")
    );
    for told in [older, newer] {
        for order in [[3, 4], [4, 3]] {
            for told_first in [true, false] {
                let mut lines =
                    vec![BUILDS.to_owned(), start(2, "a-1.0"), start(3, "bad"), start(4, "b")];
                lines.extend([done(1, 0), stop(2), done(1, 1)]);
                if told_first {
                    lines.push(message(&told));
                }
                lines.extend(order.map(stop));
                if !told_first {
                    lines.push(message(&told));
                }
                // A list of all that was asked for names the cancelled too.
                lines.push(message(&format!(
                    "error: build of '{}', '{}' failed",
                    drv("b"),
                    drv("bad")
                )));
                let reason = Some("builder failed with exit code 3".to_owned());
                let expected = [
                    ("a-1.0".to_owned(), Outcome::Built, None),
                    ("bad".to_owned(), Outcome::Failed, reason),
                    ("b".to_owned(), Outcome::Cancelled, None),
                ];
                assert_eq!(outcomes(&refs(&lines)), expected);
            }
        }
    }
}

#[test]
fn two_that_are_done_at_once_are_both_built() {
    let begin = || vec![BUILDS.to_owned(), start(2, "a-1.0"), start(3, "b")];
    let both = [begin(), vec![done(1, 0), done(2, 0), stop(2), stop(3)]].concat();
    assert!(outcomes(&refs(&both)).iter().all(|(_, outcome, _)| *outcome == Outcome::Built));
    // What began later had no part in that.
    let later = [begin(), vec![done(2, 0), stop(2), start(4, "c"), stop(4), stop(3)]].concat();
    let outcomes: Vec<_> = outcomes(&refs(&later)).into_iter().map(|found| found.1).collect();
    assert_eq!(outcomes, [Outcome::Built, Outcome::Built, Outcome::Cancelled]);
}

#[test]
fn what_never_began_is_no_build() {
    let dependents = [
        format!("error: 1 dependencies of derivation '{}' failed to build", drv("a")),
        format!("error: Cannot build '{}'.\n       Reason: 1 dependency failed.\n", drv("a")),
        format!("error: Cannot build '{}'.\n       Reason: 2 dependencies failed.\n", drv("a")),
        format!("these 2 derivations will be built:\n  {}", drv("a")),
        format!("error: build of '{}' failed", drv("a")),
    ];
    for text in dependents {
        assert_eq!(Failure::read(&text), None, "{text}");
    }
    assert!(
        happened(&[&message(&format!("error: Cannot build '{}'.", drv("a")))]).builds.is_empty()
    );
}

#[test]
fn reasons_are_in_nix_s_words() {
    let path = drv("a");
    let reasons = [
        (
            format!("error: builder for '{path}' failed due to signal 9 (Killed);"),
            "builder failed due to signal 9 (Killed)".to_owned(),
        ),
        (
            format!("error: hash mismatch in fixed-output derivation '{path}':\n  specified: x\n"),
            format!("hash mismatch in fixed-output derivation '{path}'"),
        ),
        (
            format!(
                "error:\n       … while evaluating\n\n       error: builder for '{path}' failed with exit code 1"
            ),
            "builder failed with exit code 1".to_owned(),
        ),
        (
            format!("error: build of '{path}' on 'ssh://host' failed: builder failed"),
            format!("build of '{path}' on 'ssh://host' failed: builder failed"),
        ),
    ];
    for (text, reason) in reasons {
        let expected = Failure { what: path.clone(), reason };
        assert_eq!(Failure::read(&text), Some(expected), "{text}");
    }
}

#[test]
fn a_refused_output_is_its_build_s() {
    let output = format!("/nix/store/{}-a-dev", "1".repeat(32));
    let told =
        format!("error: output '{output}' is not allowed to refer to the following paths:\n  x");
    let lines = [BUILDS.to_owned(), start(2, "a"), start(3, "b"), stop(2), stop(3), message(&told)];
    let found = outcomes(&refs(&lines));
    assert_eq!(found[0].1, Outcome::Failed);
    assert_eq!(found[1].1, Outcome::Cancelled);
}

#[test]
fn phases_last_until_the_next_and_waits_until_they_end() {
    let phase =
        |name| format!(r#"@nix {{"action":"result","fields":["{name}"],"id":2,"type":104}}"#);
    let wait = r#"@nix {"action":"start","id":9,"level":1,"text":"waiting for a free build user ID for '\u001b[35;1m/nix/store/x-a.drv\u001b[0m'","type":111}"#;
    let lines = [
        BUILDS.to_owned(),
        wait.to_owned(),
        start(2, "a"),
        phase("one"),
        phase("two"),
        stop(9),
        done(1, 0),
        stop(2),
    ];
    let found = happened(&refs(&lines));
    let phases =
        found.builds[0].phases.iter().map(|phase| (phase.name.as_str(), phase.wall_seconds));
    assert_eq!(phases.collect::<Vec<_>>(), [("one", Some(1.0)), ("two", Some(3.0))]);
    assert_eq!(found.builds[0].started_seconds, Some(2.0));
    assert_eq!(found.builds[0].wall_seconds, Some(5.0));
    assert_eq!(found.waits[0].what, "a free build user ID");
    assert_eq!(found.waits[0].drv.as_deref(), Some("/nix/store/x-a.drv"));
    assert_eq!(found.waits[0].wall_seconds, Some(4.0));
}

/// A path that comes from a cache, with or without saying what is a part of what.
fn hit(id: u64, path: &str, parents: bool) -> [String; 5] {
    let parent = |of: u64| if parents { format!(r#""parent":{of},"#) } else { String::new() };
    let (copy, transfer) = (id + 1, id + 2);
    [
        format!(
            r#"{{"action":"start","fields":["/nix/store/{path}","http://c"],"id":{id},"level":0,{}"text":"","type":108}}"#,
            parent(0)
        ),
        format!(
            r#"{{"action":"start","fields":["/nix/store/{path}","http://c","local"],"id":{copy},"level":3,{}"text":"","type":100}}"#,
            parent(id)
        ),
        format!(
            r#"{{"action":"start","fields":["http://c/nar/{path}"],"id":{transfer},"level":4,{}"text":"","type":101}}"#,
            parent(copy)
        ),
        format!(r#"{{"action":"result","fields":[7,9,0,0],"id":{transfer},"type":105}}"#),
        format!(r#"{{"action":"result","fields":[20,30,0,0],"id":{copy},"type":105}}"#),
    ]
}

#[test]
fn downloads_belong_to_their_paths_where_parents_are_said() {
    for parents in [true, false] {
        let narinfo = r#"{"action":"start","fields":["http://c/x.narinfo"],"id":2,"level":4,"text":"","type":101}"#;
        let asked = r#"{"action":"result","fields":[500,500,0,0],"id":2,"type":105}"#;
        let mut lines = vec![narinfo.to_owned(), asked.to_owned()];
        lines.extend(hit(10, "a", parents));
        lines.extend(hit(20, "b", parents));
        lines.extend([12, 11, 10, 22, 21, 20].map(stop));
        let found = happened(&refs(&lines));
        assert_eq!(found.downloaded_bytes, 14);
        let bytes = found.substitutions.iter().map(|path| (path.downloaded_bytes, path.nar_bytes));
        let each = (parents.then_some(7), Some(30));
        assert_eq!(bytes.collect::<Vec<_>>(), [each, each]);
    }
}

#[test]
fn a_path_that_did_not_come_is_none() {
    let paths = r#"{"action":"start","id":5,"level":0,"text":"","type":103}"#;
    let come =
        |count: u64| format!(r#"{{"action":"result","fields":[{count},3,1,0],"id":5,"type":105}}"#);
    let mut lines = vec![paths.to_owned()];
    // The first cache fails, the second has it; of another, both fail.
    lines.extend(hit(10, "a", true).into_iter().chain([10].map(stop)));
    lines.extend(hit(20, "a", true).into_iter().chain([20].map(stop)).chain([come(1)]));
    lines.extend(hit(30, "b", true).into_iter().chain([30].map(stop)));
    lines.extend(hit(40, "c", true).into_iter().chain([40].map(stop)).chain([come(2)]));
    lines.extend(hit(50, "d", true));
    let found = happened(&refs(&lines));
    let paths = found.substitutions.iter().map(|hit| hit.path.as_str());
    assert_eq!(paths.collect::<Vec<_>>(), ["/nix/store/a", "/nix/store/c"]);
}

#[test]
fn what_takes_long_comes_after_many_that_began_later() {
    let paths = r#"{"action":"start","id":5,"level":0,"text":"","type":103}"#;
    let come = |count: u64| {
        format!(r#"{{"action":"result","fields":[{count},999,1,0],"id":5,"type":105}}"#)
    };
    let mut lines = vec![paths.to_owned()];
    lines.extend(hit(10, "large", true));
    for number in 0..300 {
        let id = 1000 + 10 * number;
        lines.extend(hit(id, &format!("small-{number}"), true));
        lines.extend([stop(id), come(number + 1)]);
    }
    lines.extend([stop(10), come(301)]);
    let found = happened(&refs(&lines));
    assert_eq!(found.substitutions.len(), 301);
    assert!(found.substitutions.iter().any(|hit| hit.path == "/nix/store/large"));
}

#[test]
fn broken_lines_do_no_harm() {
    let glued = format!("working... {}", start(2, "a"));
    let halved = format!("@nix {{\"action\":\"st{}", done(1, 0));
    let cut = &stop(2)[..20];
    let lines = [BUILDS, &glued, "garbage \u{fffd}", &halved, cut, "@nix", &stop(2)];
    let found = happened(&lines);
    assert_eq!(found.malformed_lines, 2);
    assert_eq!(found.builds[0].outcome, Outcome::Built);
}

#[test]
fn names_are_without_folder_and_hash() {
    assert_eq!(name(&drv("hello-2.12")), "hello-2.12");
    assert_eq!(name("/nix/store/short-a.drv"), "short-a");
    assert_eq!(name("a"), "a");
}

#[test]
fn memory_is_bounded() {
    let mut stream = Stream { room: 4 * LONGEST_TEXT, ..Stream::default() };
    let mut shown = 0;
    for id in 0..100 {
        let line = start(id, &"x".repeat(LONGEST_TEXT / 4));
        stream.line(Line::Whole(line.as_bytes()), None, &mut |change| {
            shown += u32::from(matches!(change, Change::Began(_)));
        });
    }
    assert_eq!(stream.left_out(), 100 - u64::from(shown));
    assert!(stream.builds.len() < 16, "{}", stream.builds.len());
    let mut glued = "@nix {\"action\":".repeat(10_000);
    stream.line(Line::Whole(glued.as_bytes()), None, &mut |_| {});
    glued.insert_str(0, "text ");
    stream.line(Line::Whole(glued.as_bytes()), None, &mut |_| {});
    // Of each so many, but for the text, and then the rest of the line.
    assert_eq!(stream.finish().malformed_lines, 2 * MOST_INSIDE as u64 + 1);
}

proptest! {
    #[test]
    fn any_order_of_events_is_taken(picks in prop::collection::vec((0_usize..9, 1_u64..6), 0..60)) {
        let mut lines = vec![BUILDS.to_owned()];
        for (what, id) in picks {
            lines.push(match what {
                0 => start(id, "a"),
                1 => stop(id),
                2 => done(id, 0),
                3 => message(&format!("error: builder for '{}' failed with exit code 1", drv("a"))),
                4 => hit(id, "a", true)[0].clone(),
                5 => hit(id, "a", false)[1].clone(),
                6 => hit(id, "a", false)[2].clone(),
                7 => format!(r#"{{"action":"result","fields":["p"],"id":{id},"type":104}}"#),
                _ => hit(id, "a", true)[4].clone(),
            });
        }
        let found = happened(&refs(&lines));
        prop_assert_eq!(found.malformed_lines, 0);
        prop_assert_eq!(found.unknown_events, 0);
        for build in found.builds {
            prop_assert_eq!(build.reason.is_some(), build.outcome == Outcome::Failed);
        }
    }
}
