//! What Nix's events say happened: streams that other machines recorded.

/// Real Nix, whose builders say themselves what happened.
mod live;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tools::{document, shared, tool};

/// Every recorded stream, by version and name.
fn streams() -> Vec<(String, PathBuf)> {
    let Some(folder) = shared("nixlogs") else { return Vec::new() };
    let mut found = Vec::new();
    for version in fs::read_dir(folder).expect("folder").flatten() {
        let Ok(files) = fs::read_dir(version.path()) else { continue };
        for file in files.flatten().map(|file| file.path()) {
            if file.extension().is_some_and(|extension| extension == "jsonl") {
                let name = file.file_stem().expect("a name").to_string_lossy();
                found.push((format!("{}/{name}", version.file_name().to_string_lossy()), file));
            }
        }
    }
    found.sort();
    found
}

fn ingest(file: &Path) -> Value {
    let output = tool("monitor").args(["ingest", "--json"]).arg(file).output().expect("runs");
    serde_json::from_str(&document(&output)).expect("JSON")
}

fn list<'a>(document: &'a Value, name: &str) -> &'a Vec<Value> {
    document[name].as_array().expect(name)
}

/// `name outcome` of each build, sorted.
fn outcomes(document: &Value) -> Vec<String> {
    let word = |build: &Value, key: &str| build[key].as_str().unwrap_or("-").to_owned();
    let builds = list(document, "builds").iter();
    let mut words: Vec<String> = builds
        .map(|build| {
            let words = ["name", "outcome", "reason"].map(|key| word(build, key));
            words.join(" ").replace(" -", "")
        })
        .collect();
    words.sort();
    words
}

#[test]
fn recorded_streams_say_what_happened() {
    let streams = streams();
    for (name, file) in &streams {
        let found = ingest(file);
        assert_eq!(found["malformed_lines"], 0, "{name}");
        assert_eq!(found["unknown_events"], 0, "{name}");
        let counts = ["builds", "substitutions", "waits"].map(|what| list(&found, what).len());
        let expected = match name.split('/').next_back().expect("a name") {
            "mixed-daemon-v" => Some([5, 7, 0]),
            "substitute-daemon-v" | "substitute-local-v" => Some([0, 7, 0]),
            "lockwait-second-v" => Some([0, 0, 3]),
            "fail-v" | "fail-keepgoing-v" => Some([3, 0, 0]),
            "build-daemon-v" | "build-local-v" | "build-local-nov" | "hook-local-v" => {
                Some([4, 0, 0])
            }
            "check-nondet2-v" | "fetchurl-v" => Some([1, 0, 0]),
            _ => None,
        };
        assert!(expected.is_none_or(|expected| counts == expected), "{name}: {counts:?}");
        if counts[1] == 7 {
            assert_eq!(found["downloaded_bytes"], 18_005_688, "{name}");
        }
        let reason = "failed builder failed with exit code 3";
        match name.split('/').next_back() {
            Some("fail-v") => assert_eq!(
                outcomes(&found),
                [format!("bad-1.0 {reason}"), "liba-1.0 built".into(), "libb-1.0 cancelled".into()],
                "{name}"
            ),
            Some("fail-keepgoing-v") => assert_eq!(
                outcomes(&found),
                [format!("bad-1.0 {reason}"), "liba-1.0 built".into(), "libb-1.0 built".into()],
                "{name}"
            ),
            Some("check-nondet2-v") => {
                assert_eq!(found["builds"][0]["outcome"], "failed", "{name}");
            }
            _ => {
                let built = |build: &Value| build["outcome"] == "built";
                assert!(list(&found, "builds").iter().all(built), "{name}");
            }
        }
    }
    assert!(streams.is_empty() || streams.len() >= 40, "{}", streams.len());
}

#[test]
fn recorded_times_are_those_of_the_lines() {
    for (name, file) in streams() {
        // Read here by another parser, line by line.
        let times = fs::read_to_string(file.with_extension("times")).expect("times");
        let times: Vec<f64> = times.lines().map(|time| time.parse().expect("seconds")).collect();
        let lines = fs::read(&file).expect("lines");
        let mut began: BTreeMap<u64, (u64, f64)> = BTreeMap::new();
        let mut walls: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (line, at) in lines.split(|byte| *byte == b'\n').zip(times) {
            let Some(json) = line.strip_prefix(b"@nix ") else { continue };
            let event: Value = serde_json::from_slice(json).expect("an event");
            let number = |key: &str| event[key].as_u64();
            match event["action"].as_str() {
                Some("start") => {
                    began.insert(number("id").expect("id"), (number("type").expect("type"), at));
                }
                Some("stop") => {
                    if let Some((kind, from)) = began.remove(&number("id").expect("id")) {
                        walls.entry(kind).or_default().push(at - from);
                    }
                }
                _ => {}
            }
        }
        let found = ingest(&file);
        for (kind, what) in [(105, "builds"), (108, "substitutions"), (111, "waits")] {
            let mut ours: Vec<f64> = list(&found, what)
                .iter()
                .map(|one| one["wall_seconds"].as_f64().expect("ended"))
                .collect();
            let mut theirs = walls.remove(&kind).unwrap_or_default();
            ours.sort_by(f64::total_cmp);
            theirs.sort_by(f64::total_cmp);
            assert_eq!(ours.len(), theirs.len(), "{name}: {what}");
            let apart = ours.iter().zip(&theirs).map(|(one, other)| (one - other).abs());
            assert!(apart.fold(0.0, f64::max) < 1e-3, "{name}: {what}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn timelines_of_recorded_streams_nest() {
    for (name, file) in streams() {
        let output = tool("monitor").arg("trace").arg(&file).output().expect("runs");
        let trace: Value = serde_json::from_str(&document(&output)).expect("JSON");
        let mut lanes: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
        for event in list(&trace, "traceEvents") {
            let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{name}: {key}"));
            match event["ph"].as_str() {
                Some("M") => assert!(event["args"]["name"].is_string(), "{name}"),
                Some("X") => {
                    let from = number("ts");
                    let lane = lanes.entry((number("pid"), number("tid"))).or_default();
                    lane.push((from, from + number("dur")));
                }
                other => panic!("{name}: {other:?}"),
            }
        }
        for lane in lanes.values() {
            for (index, one) in lane.iter().enumerate() {
                for other in &lane[index + 1..] {
                    let apart = one.1 <= other.0 || other.1 <= one.0;
                    let nests = (one.0 <= other.0 && other.1 <= one.1)
                        || (other.0 <= one.0 && one.1 <= other.1);
                    assert!(apart || nests, "{name}: {one:?} {other:?}");
                }
            }
        }
    }
}

#[test]
fn a_live_stream_is_timed_as_it_comes_and_a_file_is_not() {
    let events = r#"@nix {"action":"start","fields":["/nix/store/x-a.drv","",1,1],"id":1,"level":3,"text":"","type":105}
@nix {"action":"stop","id":1}
"#;
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("a.jsonl");
    fs::write(&file, events).expect("file");
    assert!(ingest(&file)["builds"][0]["wall_seconds"].is_null());
    let script = |how: &str| {
        let mut shell = Command::new("bash");
        shell.args(["-c", how]).current_dir(folder.path());
        shell.env("PATH", crate::tools::path_with(&[crate::tools::binaries()]));
        let output = shell.output().expect("bash runs");
        serde_json::from_str::<Value>(&document(&output)).expect("JSON")
    };
    assert!(script("monitor ingest --json - < a.jsonl")["builds"][0]["wall_seconds"].is_null());
    let live = script("(head -1 a.jsonl; sleep 0.2; tail -1 a.jsonl) | monitor ingest --json -");
    let wall = live["builds"][0]["wall_seconds"].as_f64().expect("timed");
    assert!(wall >= 0.19, "{wall}");
}

#[test]
fn a_recorded_stream_is_remembered_once() {
    let start = r#"@nix {"action":"start","fields":["/nix/store/x-a.drv","",1,1],"id":1,"level":3,"text":"","type":105}"#;
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let events = format!("{start}\n@nix {{\"action\":\"stop\",\"id\":1}}\n");
    fs::write(at("a.jsonl"), &events).expect("events");
    fs::write(at("a.times"), "0.5\n2.0\n").expect("times");
    let remember = |file: &str| {
        let mut command = tool("monitor");
        command.arg("ingest").arg(at(file)).arg("--db").arg(at("history"));
        document(&command.output().expect("it runs"));
    };
    remember("a.jsonl");
    remember("a.jsonl");
    // Elsewhere and later, it is the same; at other times, it is another.
    fs::copy(at("a.jsonl"), at("b.jsonl")).expect("a copy");
    fs::copy(at("a.times"), at("b.times")).expect("a copy");
    remember("b.jsonl");
    fs::write(at("b.times"), "0.5\n4.0\n").expect("times");
    remember("b.jsonl");
    let mut builds = tool("monitor");
    builds.args(["builds", "--json", "--db"]).arg(at("history"));
    let said: Value =
        serde_json::from_str(&document(&builds.output().expect("it runs"))).expect("JSON");
    let mut walls: Vec<f64> =
        list(&said, "builds").iter().filter_map(|build| build["wall_seconds"].as_f64()).collect();
    walls.sort_by(f64::total_cmp);
    assert_eq!(walls, [1.5, 3.5], "{said}");
    let written = fs::metadata(at("a.jsonl")).and_then(|file| file.modified()).expect("a time");
    let written = written.duration_since(std::time::UNIX_EPOCH).expect("a time").as_secs_f64();
    let ended =
        list(&said, "builds").iter().filter_map(|build| build["ended_unix_seconds"].as_f64());
    assert!(ended.into_iter().any(|ended| (ended - written).abs() < 0.01), "{said}");
}
