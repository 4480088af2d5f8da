use std::path::{Path, PathBuf};

use detect::number::Version;
use detect::report::reason;
use rusqlite::Connection;
use tempfile::TempDir;

use super::History;
use super::attempt::{Attempt, Filter, Witness, attempts, last_built};
use super::keep::Keep;
use super::reader::Reader;
use super::run::Run;
use super::tally::tallies;
use crate::recorded::{Build, Outcome, Phase, Recorded, Source, Substitution, Usage, Wait};

const HASH: &str = "/nix/store/ibzx00wpszg959bxhbva99mwk4001dxf";

fn build(name: &str, outcome: Outcome) -> Build {
    Build {
        drv: format!("{HASH}-{name}.drv"),
        name: name.to_owned(),
        outcome,
        reason: None,
        machine: None,
        started_seconds: Some(1.0),
        wall_seconds: Some(2.5),
        phases: vec![Phase { name: "buildPhase".to_owned(), wall_seconds: Some(2.0) }],
        usage: Some(Usage {
            cpu_seconds: 4.0,
            peak_memory_bytes: Some(1 << 30),
            source: Source::Cgroup,
        }),
    }
}

fn run(started: f64, builds: Vec<Build>) -> Run {
    Run {
        started,
        ended: started + 10.0,
        command: vec!["nix".to_owned(), "build".to_owned()],
        exit_code: Some(0),
        nix_version: Some("2.34.8".to_owned()),
        jobs: Some(2),
        cores: Some(4),
        recorded: Recorded {
            version: Version,
            builds,
            substitutions: vec![Substitution {
                path: format!("{HASH}-b"),
                cache: "https://cache.example".to_owned(),
                started_seconds: Some(0.0),
                wall_seconds: Some(0.5),
                downloaded_bytes: None,
                nar_bytes: Some(u64::MAX),
            }],
            waits: vec![Wait { drv: None, what: "a lock".to_owned(), wall_seconds: None }],
            downloaded_bytes: 1000,
            unknown_events: 0,
            malformed_lines: 0,
        },
        digest: None,
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("state/history.sqlite");
    (folder, file)
}

fn ask(file: &Path, filter: &Filter) -> Vec<Attempt> {
    let reader = Reader::open(file).expect("a history").expect("not empty");
    reader.ask(|connection| attempts(connection, filter)).expect("attempts")
}

fn count(file: &Path, table: &str) -> i64 {
    let query = format!("select count(*) from {table}");
    let reader = Reader::open(file).expect("a history").expect("not empty");
    reader.ask(|connection| connection.query_row(&query, [], |row| row.get(0))).expect("a count")
}

#[test]
fn what_is_recorded_comes_back() {
    let (_folder, file) = place();
    assert!(Reader::open(&file).expect("nothing there").is_none());
    let mut history = History::open(&file).expect("a new one");
    history.record(&run(1000.0, vec![build("hello-2.12.1", Outcome::Built)])).expect("recorded");
    let expected = Attempt {
        drv: format!("{HASH}-hello-2.12.1.drv"),
        name: "hello-2.12.1".to_owned(),
        pname: "hello".to_owned(),
        outcome: Some(Outcome::Built),
        reason: None,
        machine: None,
        started_unix_seconds: Some(1001.0),
        ended_unix_seconds: 1003.5,
        wall_seconds: Some(2.5),
        cpu_seconds: Some(4.0),
        peak_memory_bytes: Some(1 << 30),
        usage_source: Some(Source::Cgroup),
        cores: Some(4),
        source: Witness::Events,
    };
    assert_eq!(ask(&file, &Filter::default()), [expected]);
    let counts = ["runs", "builds", "phases", "substitutions", "waits"];
    assert_eq!(counts.map(|table| count(&file, table)), [1; 5]);
}

#[test]
fn again_is_not_twice() {
    let (_folder, file) = place();
    let one = run(1000.0, vec![build("a", Outcome::Built)]);
    History::open(&file).expect("a new one").record(&one).expect("recorded");
    History::open(&file).expect("open").record(&one).expect("again");
    assert_eq!((count(&file, "builds"), count(&file, "waits")), (1, 1));
    let mut other = one.clone();
    other.command.push("a".to_owned());
    History::open(&file).expect("open").record(&other).expect("another");
    assert_eq!((count(&file, "runs"), count(&file, "builds")), (2, 2));
}

#[test]
fn attempts_are_chosen() {
    let (_folder, file) = place();
    let mut history = History::open(&file).expect("a new one");
    let mut slow = build("slow-1", Outcome::Failed);
    slow.wall_seconds = Some(8.0);
    let mut unknown = build("unknown-1", Outcome::Cancelled);
    (unknown.started_seconds, unknown.wall_seconds, unknown.usage) = (None, None, None);
    history.record(&run(1000.0, vec![slow, build("a-1", Outcome::Built)])).expect("recorded");
    history.record(&run(2000.0, vec![unknown, build("a-2", Outcome::Built)])).expect("recorded");
    let names = |filter: Filter| {
        ask(&file, &filter).into_iter().map(|attempt| attempt.name).collect::<Vec<_>>()
    };
    let all = Filter::default;
    assert_eq!(names(all()), ["unknown-1", "a-2", "slow-1", "a-1"]);
    assert_eq!(names(Filter { since: 1500.0, ..all() }), ["unknown-1", "a-2"]);
    assert_eq!(names(Filter { name: Some("a-".to_owned()), ..all() }), ["a-2", "a-1"]);
    assert_eq!(names(Filter { name: Some("%".to_owned()), ..all() }), [""; 0]);
    assert_eq!(names(Filter { failed: true, ..all() }), ["slow-1"]);
    assert_eq!(names(Filter { slowest: true, most: 2, ..all() }), ["slow-1", "a-2"]);
    let reader = Reader::open(&file).expect("a history").expect("not empty");
    let last = |most| reader.ask(|connection| last_built(connection, most)).expect("attempts");
    assert_eq!(last(5).iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["a-2", "a-1"]);
    assert_eq!(last(1).len(), 1);
}

#[test]
fn the_old_and_the_many_go() {
    let (_folder, file) = place();
    let mut history = History::open(&file).expect("a new one");
    let day = 86400.0;
    for (at, name) in [(0.0, "a"), (399.0, "b"), (399.5, "b"), (9e6, "c")] {
        history.record(&run(at * day, vec![build(name, Outcome::Built)])).expect("recorded");
    }
    assert_eq!(count(&file, "builds"), 4, "one day of a wrong clock makes nothing old");
    let mut keep = |keep: Keep| history.write(|transaction| keep.apply(transaction));
    keep(Keep { days: 3, ..Keep::default() }).expect("as it was");
    assert_eq!(count(&file, "builds"), 4);
    keep(Keep { days: 2, ..Keep::default() }).expect("less");
    let of = ["runs", "builds", "phases", "substitutions", "waits"];
    assert_eq!(of.map(|table| count(&file, table)), [3; 5]);
    keep(Keep { builds: 1, ..Keep::default() }).expect("less");
    assert_eq!(ask(&file, &Filter::default())[0].name, "c");
    assert_eq!((count(&file, "runs"), count(&file, "builds")), (3, 1));
    let reader = Reader::open(&file).expect("a history").expect("not empty");
    let tallies = reader.ask(tallies).expect("sums");
    assert_eq!(tallies.iter().map(|tally| tally.builds).sum::<u64>(), 4, "a sum never falls");
    assert!(tallies.iter().all(|tally| tally.outcome == Some(Outcome::Built)), "{tallies:?}");
}

#[test]
fn a_newer_history_is_left_alone() {
    let (_folder, file) = place();
    drop(History::open(&file).expect("a new one"));
    let connection = Connection::open(&file).expect("open");
    connection.pragma_update(None, "user_version", 7).expect("newer");
    drop(connection);
    let before = std::fs::read(&file).expect("read");
    for error in
        [History::open(&file).err().expect("newer"), Reader::open(&file).expect_err("newer")]
    {
        let error = reason(&error);
        assert!(error.contains("history.sqlite: history version 7, but "), "{error}");
    }
    assert_eq!(std::fs::read(&file).expect("read"), before);
    std::fs::write(&file, "no database, but long enough to be looked at as one").expect("junk");
    assert!(History::open(&file).is_err());
}

#[test]
fn writers_wait_for_each_other() {
    let (_folder, file) = place();
    let write = |writer: u32| {
        for turn in 0..20 {
            let mut history = History::open(&file).expect("open");
            let started = f64::from(writer * 1000 + turn);
            history.record(&run(started, vec![build("a", Outcome::Built)])).expect("recorded");
        }
    };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            scope.spawn(move || write(writer));
        }
    });
    assert_eq!(count(&file, "builds"), 80);
}

#[test]
fn what_came_long_ago_stays_counted() {
    let (_folder, file) = place();
    let mut history = History::open(&file).expect("a new one");
    let add =
        |day: u32| format!("insert into arrivals values ('db', {day}, 'substituted', 'a', 2, 30);");
    let days = [0, 1, 2, 900].map(add).concat();
    for _ in 0..2 {
        history
            .write(|transaction| {
                if count_of(transaction) == 0 {
                    transaction.execute_batch(&days)?;
                    let samples = "insert into samples values ('db', ?1, 0, 0, 0, 0)";
                    for day in [2, 900, 901] {
                        transaction.execute(samples, [day])?;
                    }
                }
                Keep { days: 2, ..Keep::default() }.apply(transaction)
            })
            .expect("rolled up");
    }
    let sums = "select count(*), sum(paths), sum(nar_bytes) from arrivals";
    let found: (i64, i64, i64) = history
        .write(|transaction| {
            transaction.query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })
        .expect("sums");
    assert_eq!(found, (2, 8, 120));
}

fn count_of(connection: &Connection) -> i64 {
    connection.query_row("select count(*) from arrivals", [], |row| row.get(0)).expect("a count")
}
