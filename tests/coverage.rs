//! `caches coverage` and `caches bench`, on caches of our own.

use std::collections::HashMap;
use std::ops::Range;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use caches::forge::Forge;
use rusqlite::Connection;
use serde_json::Value;

use crate::served::{Cache, Page, serve, serve_files, serve_strictly};
use crate::tools::{feed, text, tool, workspace};

const NOW: Duration = Duration::ZERO;

fn info() -> (String, Vec<u8>) {
    ("nix-cache-info".to_owned(), b"StoreDir: /nix/store\nPriority: 40\n".to_vec())
}

/// Files of a cache with these paths, each of which needs the next one.
fn files(forge: &Forge, paths: Range<usize>, size: Option<u64>) -> HashMap<String, Vec<u8>> {
    let narinfos = paths.map(|number| {
        let forged = forge.narinfo(number, &[number + 1], size);
        (format!("{}.narinfo", forged.path.hash()), forged.text.into_bytes())
    });
    narinfos.chain([info()]).collect()
}

fn list(paths: Range<usize>) -> String {
    let paths: Vec<String> =
        paths.map(|number| format!("/nix/store/{}\n", Forge::path(number))).collect();
    paths.concat()
}

/// Run with caches and their keys only, and with paths on stdin.
fn run(arguments: &[&str], caches: &[(&str, &Forge)], stdin: &str) -> Output {
    let mut command = tool("caches");
    command.args(arguments).arg("--only");
    for (url, forge) in caches {
        command.args(["--cache", &format!("{url}={}", forge.key())]);
    }
    command.env("NIX_STATE_DIR", "/nonexistent");
    feed(command, stdin.as_bytes())
}

/// The document, which keeps to its schema.
fn document(output: &Output, schema: &str) -> Value {
    let errors = text(&output.stderr);
    let found: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    let schema = std::fs::read_to_string(workspace().join("caches").join(schema)).expect("schema");
    let schema = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&found), "{found:#}");
    found
}

fn covered(output: &Output) -> Value {
    document(output, "coverage.schema.json")
}

#[test]
fn shares_and_their_union() {
    let (one, two) = (Forge::new("one-1"), Forge::new("two-1"));
    let left = serve_files(NOW, files(&one, 0..60, Some(100)));
    let right = serve_files(NOW, files(&two, 40..90, None));
    let caches = [(left.url.as_str(), &one), (right.url.as_str(), &two)];
    let output = run(&["coverage", "--json", "--display-missing", "-"], &caches, &list(0..100));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "caches: 10 of 100 are in no cache\n");
    let found = covered(&output);
    let figures = |cache: usize| {
        ["covered", "unique", "missing", "failed"].map(|name| found["caches"][cache][name].clone())
    };
    assert_eq!(figures(0), [60, 40, 40, 0]);
    assert_eq!(figures(1), [50, 30, 50, 0]);
    assert_eq!(found["caches"][0]["download"]["bytes"], 6000);
    assert_eq!(found["caches"][0]["download"]["is_least"], false);
    assert_eq!(found["caches"][1]["download"]["is_least"], true);
    assert_eq!(
        (&found["union"]["covered"], &found["union"]["nar_bytes"]),
        (&90.into(), &90_000.into())
    );
    assert_eq!(found["missing"].as_array().map(Vec::len), Some(10));
    for cache in [&left, &right] {
        assert!(cache.counts.most_open.load(Ordering::Relaxed) <= 24);
        assert_eq!(cache.counts.requests.load(Ordering::Relaxed), 101);
    }

    let output = run(&["coverage", "-"], &caches, &list(0..90));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("66.6 % covered (60 of 90), 40 in no other cache"), "{table}");
    assert!(table.contains("100.0 % covered by all together"), "{table}");
    assert!(output.stderr.is_empty(), "no progress where there is no terminal");
}

#[test]
fn no_paths_are_not_all_covered() {
    let forge = Forge::new("one-1");
    let cache = serve_files(Duration::ZERO, files(&forge, 0..1, None));
    for nothing in ["", "\n \n"] {
        let output = run(&["coverage", "-"], &[(&cache.url, &forge)], nothing);
        assert_eq!(output.status.code(), Some(1), "{nothing:?}");
        assert!(text(&output.stderr).contains("stdin: empty (did the previous stage fail?)"));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn many_are_asked_at_once() {
    let forge = Forge::new("one-1");
    let cache = serve_files(Duration::from_millis(20), files(&forge, 0..240, None));
    let output = run(&["coverage", "-"], &[(&cache.url, &forge)], &list(0..240));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(cache.counts.most_open.load(Ordering::Relaxed) > 12);
}

#[test]
fn what_no_trusted_key_signed_is_not_covered() {
    let (good, other) = (Forge::new("one-1"), Forge::new("two-1"));
    let mut files = files(&good, 0..10, None);
    files.extend(self::files(&other, 4..6, None));
    // The narinfo of one path in place of another's, and one that is none.
    let name = |number| format!("{}.narinfo", Forge::path(number).hash());
    let wrong = files[&name(8)].clone();
    files.insert(name(7), wrong);
    files.insert(name(9), b"<html>".to_vec());
    let cache = serve_files(NOW, files);
    let output = run(&["coverage", "--json", "-"], &[(&cache.url, &good)], &list(0..10));
    assert_eq!(output.status.code(), Some(1));
    let found = covered(&output);
    let share = &found["caches"][0];
    assert_eq!((&share["covered"], &share["untrusted"]), (&6.into(), &4.into()));
    assert!(share["why"].is_string());
    assert_eq!(found["missing"], serde_json::json!([]), "nobody wanted to know them");
}

#[test]
fn a_closure_by_what_narinfos_say() {
    let forge = Forge::new("one-1");
    // The first needs the second and so on; the last needs one that nobody has.
    let cache = serve_files(NOW, files(&forge, 0..30, Some(7)));
    let root = format!("/nix/store/{}", Forge::path(0));
    let arguments = ["coverage", "--json", "--display-missing", "--closure", &root];
    let output = run(&arguments, &[(&cache.url, &forge)], "");
    let found = covered(&output);
    assert_eq!((&found["paths"], &found["union"]["covered"]), (&31.into(), &30.into()));
    assert_eq!(found["is_complete"], false);
    assert_eq!(found["missing"][0], format!("/nix/store/{}", Forge::path(30)));
    assert_eq!(found["caches"][0]["download"]["bytes"], 210);
    assert_eq!(cache.counts.requests.load(Ordering::Relaxed), 32);
}

#[test]
fn a_closure_by_the_database() {
    let forge = Forge::new("one-1");
    let cache = serve_files(NOW, files(&forge, 0..5, None));
    let state = tempfile::tempdir().expect("folder");
    std::fs::create_dir(state.path().join("db")).expect("folder");
    let database = Connection::open(state.path().join("db/db.sqlite")).expect("open");
    let tables = "create table ValidPaths (id integer primary key, path text, sigs text); \
                  create table Refs (referrer integer, reference integer); \
                  insert into Refs values (1, 2), (2, 3), (3, 3);";
    database.execute_batch(tables).expect("tables");
    for id in 1..=5 {
        let path = format!("/nix/store/{}", Forge::path(id - 1));
        let insert = "insert into ValidPaths (id, path) values (?1, ?2)";
        database.execute(insert, (i64::try_from(id).expect("small"), path)).expect("a row");
    }
    let mut command = tool("caches");
    command
        .args(["coverage", "--json", "--only", "--cache"])
        .arg(format!("{}={}", cache.url, forge.key()))
        .args(["--closure", &format!("/nix/store/{}", Forge::path(0))])
        .env("NIX_STATE_DIR", state.path());
    let output = feed(command, b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = covered(&output);
    assert_eq!((&found["paths"], &found["is_complete"]), (&3.into(), &true.into()));
}

#[test]
fn a_busy_cache_is_asked_less_and_answers_all() {
    let forge = Forge::new("one-1");
    let busy = Page { headers: "Retry-After: 1\r\n".to_owned(), ..Page::status(429) };
    let mut until = None;
    let cache = serve_strictly(files(&forge, 0..200, None), move |path| {
        if path == "/nix-cache-info" {
            return None;
        }
        let until = *until.get_or_insert_with(|| Instant::now() + Duration::from_millis(900));
        (Instant::now() < until).then(|| busy.clone())
    });
    let output = run(&["coverage", "--json", "-"], &[(&cache.url, &forge)], &list(0..200));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = covered(&output);
    assert_eq!(found["caches"][0]["covered"], 200);
    assert!(found["caches"][0]["elapsed_seconds"].as_f64().expect("a time") >= 1.0, "it waited");
    assert!(cache.counts.requests.load(Ordering::Relaxed) <= 201 + 24);
}

#[test]
fn no_answer_is_not_missing() {
    let forge = Forge::new("one-1");
    let good = serve_files(NOW, files(&forge, 0..300, None));
    let sick = serve(NOW, |path| match path {
        "/nix-cache-info" => Page::ok(info().1),
        _ => Page::status(500),
    });
    let away = "http://127.0.0.1:9";
    let other_store = serve(NOW, |_| Page::ok("StoreDir: /gnu/store\n"));
    let caches: Vec<(&str, &Forge)> =
        [away, &sick.url, &other_store.url, &good.url].map(|url| (url, &forge)).to_vec();
    let output = run(&["coverage", "--json", "-"], &caches, &list(0..300));
    assert!(output.status.success(), "the last one has all: {}", text(&output.stderr));
    let found = covered(&output);
    for cache in 0..3 {
        assert_eq!(found["caches"][cache]["failed"], 300);
        assert!(found["caches"][cache]["why"].is_string());
    }
    assert_eq!(found["caches"][3]["unique"], 300);
    assert!(sick.counts.requests.load(Ordering::Relaxed) < 150, "it is left alone");
    assert_eq!(other_store.counts.requests.load(Ordering::Relaxed), 1);
}

#[test]
fn mistakes_are_said() {
    let forge = Forge::new("one-1");
    let fails = |arguments: &[&str], stdin: &str, code, why: &str| {
        let output = run(arguments, &[("http://127.0.0.1:9", &forge)], stdin);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(why), "{errors}");
    };
    fails(
        &["coverage", "-"],
        "/etc/passwd\n",
        1,
        "stdin: line 1: \"/etc/passwd\" is not in /nix/store",
    );
    let nowhere = "\"/nonexistent\" is not in /nix/store, and leads nowhere: No such file";
    fails(&["coverage", "/nonexistent"], "", 1, nowhere);
    let output = feed(
        {
            let mut command = tool("caches");
            command.args(["coverage", "--only", "-"]);
            command
        },
        b"",
    );
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

fn bench(caches: &[&Cache], forge: &Forge, paths: &str) -> (Value, String) {
    let caches: Vec<(&str, &Forge)> =
        caches.iter().map(|cache| (cache.url.as_str(), forge)).collect();
    let output = run(&["bench", "--json", "--path", "-"], &caches, paths);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = run(&["bench", "--path", "-"], &caches, paths);
    (document(&output, "bench.schema.json"), text(&table.stdout))
}

#[test]
fn the_nearest_first_and_the_useless_left_out() {
    const ARCHIVE: u64 = 1_500_000;
    let forge = Forge::new("one-1");
    let archive = Forge::path(0).hash().to_owned();
    let mut all = files(&forge, 0..40, Some(ARCHIVE));
    all.insert(format!("nar/{archive}.nar.xz"), vec![0; 1_500_000]);
    for number in 0..40 {
        all.insert(format!("nar/{}.nar.xz", Forge::path(number).hash()), vec![0; 1_500_000]);
    }
    let far = serve_files(Duration::from_millis(30), all);
    let near = serve_files(NOW, files(&forge, 0..20, None));
    let empty = serve_files(NOW, HashMap::from([info()]));
    let away = Cache { url: "http://127.0.0.1:9".to_owned(), counts: Arc::default() };
    let (found, table) = bench(&[&far, &empty, &away, &near], &forge, &list(0..40));
    let urls = [format!("{}/?priority=10", near.url), format!("{}/?priority=20", far.url)];
    assert_eq!(found["substituters"], serde_json::json!(urls));
    let [far, empty, away, near] = [0, 1, 2, 3].map(|index| &found["caches"][index]);
    assert_eq!((&far["hits"], &far["unique"]), (&40.into(), &20.into()));
    assert_eq!((&near["hits"], &near["unique"]), (&20.into(), &0.into()));
    assert_eq!((&empty["state"], &away["state"]), (&"alive".into(), &"dead".into()));
    assert!(far["miss"]["p50_seconds"].as_f64() >= Some(0.03));
    assert!(far["hit"]["p50_seconds"].as_f64() >= Some(0.03));
    assert!(far["steps"]["first_byte_seconds"].as_f64() >= Some(0.03));
    assert!(far["bytes_per_second"].as_f64() > Some(0.0));
    assert_eq!(near["bytes_per_second"], Value::Null, "it says no sizes");
    assert!(found["best_seconds"].as_f64() < found["now_seconds"].as_f64());
    for line in ["left out: http://127.0.0.1:9: dead", "7 days", "substituters = http"] {
        assert!(table.contains(line), "{table}");
    }
}
