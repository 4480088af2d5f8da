use std::borrow::Cow;
use std::io::BufReader;

use proptest::prelude::*;

use super::{Answer, Kind, LONGEST_BYTES, Line, Progress, Said, Start, each, inside, read};

#[test]
fn progress_is_the_same_by_both_readers() {
    let line =
        br#"@nix {"action":"result","fields":[8192,3000640,0,0],"id":78267189035038,"type":105}"#;
    let expected = Progress { id: 78_267_189_035_038, done: 8192, expected: 3_000_640 };
    assert_eq!(read(line), Said::Progress(expected));
    // A space is enough for the other reader to be asked.
    let spaced =
        br#"{"action": "result","fields":[8192,3000640,0,0],"id":78267189035038,"type":105}"#;
    assert_eq!(Progress::read(spaced), None);
    assert_eq!(read(spaced), Said::Progress(expected));
}

#[test]
fn numbers_that_are_none_are_not_read() {
    for fields in ["00,1,0,0", "-1,1,0,0", "1.5,1,0,0", "1,1,0", "99999999999999999999,1,0,0"] {
        let line = format!(r#"@nix {{"action":"result","fields":[{fields}],"id":1,"type":105}}"#);
        assert!(!matches!(Progress::read(&line.as_bytes()[5..]), Some(_)), "{fields}");
    }
}

#[test]
fn events_are_read_with_and_without_their_mark() {
    let start = r#"{"action":"start","fields":["/nix/store/x-a.drv","",1,1],"id":5,"level":3,"parent":0,"text":"building \"a\"","type":105}"#;
    let expected = || {
        Said::Start(Start {
            id: 5,
            kind: Kind::Build,
            parent: Some(0),
            text: Cow::Borrowed("building \"a\""),
            fields: vec!["/nix/store/x-a.drv".into(), "".into()],
        })
    };
    assert_eq!(read(start.as_bytes()), expected());
    assert_eq!(read(format!("@nix {start}").as_bytes()), expected());
    assert_eq!(read(br#"@nix {"action":"stop","id":5}"#), Said::Stop { id: 5 });
    let phase = br#"@nix {"action":"result","fields":["buildPhase"],"id":5,"type":104}"#;
    let name = "buildPhase".into();
    assert_eq!(read(phase), Said::Result(Answer::Phase { id: 5, name }));
    let message =
        br#"@nix {"action":"msg","column":null,"level":0,"msg":"error: no","raw_msg":"no"}"#;
    assert_eq!(read(message), Said::Message { level: 0, text: "error: no".into() });
}

#[test]
fn what_is_not_known_is_left_alone() {
    let unknown: [&[u8]; 3] = [
        br#"@nix {"action":"start","id":1,"level":3,"text":"","type":199}"#,
        br#"@nix {"action":"result","fields":[],"id":1,"type":111}"#,
        br#"@nix {"action":"sing","id":1}"#,
    ];
    for line in unknown {
        assert_eq!(read(line), Said::Unknown);
    }
    let determinate = br#"@nix {"action":"result","id":1,"payload":{"a":[1]},"type":110}"#;
    assert_eq!(read(determinate), Said::Result(Answer::Other));
}

#[test]
fn malformed_events_are_told_from_text() {
    let malformed: [&[u8]; 8] = [
        b"@nix ",
        b"@nix {}",
        b"@nix [1]",
        b"@nix {\"action\":\"stop\"}",
        b"@nix {\"action\":\"stop\",\"id\":-1}",
        b"{\"action\":\"stop\",\"id\":1",
        b"@nix {\"action\":\"stop\",\"id\":1}garbage",
        b"@nix {\"action\":\"msg\",\"level\":0,\"msg\":\"\xff\"}",
    ];
    for line in malformed {
        assert_eq!(read(line), Said::Malformed, "{}", String::from_utf8_lossy(line));
    }
    for line in [&b""[..], b"@nix", b"{\"a\":1}", b"building...", b"\xff\0"] {
        assert_eq!(read(line), Said::Text(line));
    }
}

#[test]
fn an_event_after_unended_text_is_found() {
    assert_eq!(inside(br#"working...@nix {"action":"stop","id":5}"#), Some(10));
    assert_eq!(inside(br#"@nix {"act@nix {"action":"stop","id":5}"#), Some(10));
    assert_eq!(inside(br#"@nix {"action":"stop","id":5}"#), None);
    // A builder that quotes an event has its quotes escaped.
    assert_eq!(inside(br#"@nix {"x":"@nix {\"action\":\"stop\"}"}"#), None);
}

fn lines(text: &[u8], buffer: usize) -> Vec<Option<Vec<u8>>> {
    let mut found = Vec::new();
    each(BufReader::with_capacity(buffer, text), |line| {
        found.push(match line {
            Line::Whole(line) => Some(line.to_vec()),
            Line::TooLong => None,
        });
        Ok(())
    })
    .expect("memory can be read");
    found
}

#[test]
fn long_lines_are_skipped_and_what_follows_is_read() {
    let mut text = b"one\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', LONGEST_BYTES + 1));
    text.extend(b"\n\nthree");
    let expected = [Some(b"one".to_vec()), None, Some(Vec::new()), Some(b"three".to_vec())];
    assert_eq!(lines(&text, 7), expected);
    assert_eq!(lines(&text, 4 << 20), expected);
}

proptest! {
    #[test]
    fn any_bytes_are_read(line: Vec<u8>) {
        let _ = read(&line);
        let _ = inside(&line);
        let _ = read(&[b"@nix {\"action\":", &line[..]].concat());
    }

    #[test]
    fn lines_are_those_of_the_text(text in "[ab\n]{0,64}", buffer in 1_usize..16) {
        let expected: Vec<_> = text.split('\n').collect();
        let whole = text.strip_suffix('\n').unwrap_or(&text);
        let found = lines(text.as_bytes(), buffer);
        if text.is_empty() {
            prop_assert!(found.is_empty());
        } else {
            let split: Vec<_> = whole.split('\n').map(|l| Some(l.as_bytes().to_vec())).collect();
            prop_assert_eq!(&found, &split);
            prop_assert!(expected.len() >= found.len());
        }
    }

    #[test]
    fn progress_is_what_was_written(id: u64, done: u64, expected: u64) {
        let line = format!(
            r#"@nix {{"action":"result","fields":[{done},{expected},0,0],"id":{id},"type":105}}"#
        );
        prop_assert_eq!(read(line.as_bytes()), Said::Progress(Progress { id, done, expected }));
    }
}
