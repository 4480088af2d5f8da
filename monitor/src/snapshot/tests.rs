use std::collections::HashSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use tempfile::TempDir;

use super::{Running, Taken, Traces, keep, now, store_state, take};
use crate::history::History;
use crate::history::attempt::{Attempt, Filter, Witness, attempts};
use crate::recorded::Outcome;

const TABLES: &str = "\
    create table ValidPaths (id integer primary key autoincrement not null, \
      path text unique not null, hash text not null, registrationTime integer not null, \
      deriver text, narSize integer, ultimate integer, sigs text, ca text);";

/// A store of Nix's, with logs, and a history.
struct Bed {
    folder: TempDir,
    traces: Traces,
    nix: Connection,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let database = folder.path().join("db.sqlite");
        let nix = Connection::open(&database).expect("open");
        nix.execute_batch(TABLES).expect("tables");
        let traces = Traces {
            database,
            logs: folder.path().join("log"),
            store_dir: "/nix/store".to_owned(),
        };
        Self { folder, traces, nix }
    }

    fn history(&self) -> History {
        History::open(&self.folder.path().join("history.sqlite")).expect("a history")
    }

    fn take(&self, running: &Running) -> Taken {
        // Logs are written to in what is the future here.
        take(&mut self.history(), &self.traces, running, now() + 1e5).expect("a snapshot")
    }

    fn attempts(&self) -> Vec<Attempt> {
        let filter = Filter::default();
        self.history().ask(|connection| attempts(connection, &filter)).expect("attempts")
    }

    /// A log that was written to for so long, if its file system keeps when it
    /// was made.
    fn log(&self, name: &str, seconds: u64) -> Option<SystemTime> {
        let folder = self.traces.logs.join("drvs/ib");
        fs::create_dir_all(&folder).expect("a folder");
        let log = folder.join(format!("zx00wpszg959bxhbva99mwk4001dxf-{name}.drv.bz2"));
        let file = File::options().append(true).create(true).open(&log).expect("a log");
        let born = file.metadata().expect("a log").created().ok();
        let ended = born.unwrap_or_else(SystemTime::now) + Duration::from_secs(seconds);
        file.set_modified(ended).expect("a time");
        born.map(|_| ended)
    }

    fn output(&self, name: &str, registered: SystemTime) {
        let time = registered
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("a time")
            .as_secs_f64()
            .floor();
        let drv = format!("/nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-{name}.drv");
        self.nix
            .execute(
                "insert into ValidPaths (path, hash, registrationTime, deriver, narSize, ultimate) \
                 values (?1, '', ?2, ?3, 100, 1)",
                rusqlite::params![format!("/nix/store/x-{name}"), time, drv],
            )
            .expect("a path");
    }
}

fn rounded(seconds: Option<f64>) -> Option<f64> {
    seconds.map(f64::round)
}

#[test]
fn builds_are_found_by_their_logs_once() {
    let bed = Bed::new();
    assert_eq!(bed.take(&Running::default()), Taken::default(), "no logs is no error");
    let Some(ended) = bed.log("a-1", 5) else { return };
    bed.output("a-1", ended);
    bed.log("b-1", 7);
    fs::write(bed.traces.logs.join("drvs/ib/other"), "").expect("no log");
    fs::write(bed.traces.logs.join("drvs/other"), "").expect("no folder");
    assert_eq!(bed.take(&Running::default()), Taken { builds: 2, paths: 1 });
    assert_eq!(bed.take(&Running::default()), Taken::default());
    let [b, a] = &bed.attempts()[..] else { panic!("two builds") };
    assert_eq!((a.name.as_str(), a.pname.as_str(), a.source), ("a-1", "a", Witness::Log));
    assert_eq!((a.outcome, rounded(a.wall_seconds)), (Some(Outcome::Built), Some(5.0)));
    assert_eq!((b.outcome, rounded(b.wall_seconds)), (None, Some(7.0)));
}

#[test]
fn a_build_that_is_repeated_has_no_duration_and_hides_none() {
    let bed = Bed::new();
    let Some(ended) = bed.log("a-1", 5) else { return };
    bed.output("a-1", ended);
    bed.take(&Running::default());
    bed.log("a-1", 3600);
    assert_eq!(bed.take(&Running::default()), Taken { builds: 1, paths: 0 });
    let walls: Vec<_> = bed.attempts().iter().map(|found| rounded(found.wall_seconds)).collect();
    assert_eq!(walls, [None, Some(5.0)]);
}

#[test]
fn what_is_running_is_left_for_later() {
    let bed = Bed::new();
    if bed.log("a-1", 5).is_none() {
        return;
    }
    let running = Running { names: HashSet::from(["a-1".to_owned()]), ..Running::default() };
    assert_eq!(bed.take(&running), Taken::default());
    let ended = bed.log("a-1", 9).expect("a log");
    bed.output("a-1", ended);
    assert_eq!(bed.take(&Running::default()), Taken { builds: 1, paths: 1 });
    assert_eq!(rounded(bed.attempts()[0].wall_seconds), Some(9.0));
}

#[test]
fn an_output_may_come_after_its_log() {
    let bed = Bed::new();
    let Some(ended) = bed.log("a-1", 5) else { return };
    assert_eq!(bed.take(&Running::default()), Taken { builds: 1, paths: 0 });
    assert_eq!(bed.attempts()[0].outcome, None);
    bed.output("a-1", ended);
    assert_eq!(bed.take(&Running::default()), Taken { builds: 0, paths: 1 });
    let found = &bed.attempts()[0];
    assert_eq!((found.outcome, &found.reason), (Some(Outcome::Built), &None));
    assert_eq!(rounded(found.wall_seconds), Some(5.0));
}

#[test]
fn what_is_written_to_since_is_left_for_later() {
    let bed = Bed::new();
    bed.log("a-1", 100);
    let before = take(&mut bed.history(), &bed.traces, &Running::default(), now());
    assert_eq!(before.expect("a snapshot"), Taken::default());
    assert_eq!(bed.take(&Running::default()), Taken { builds: 1, paths: 0 });
}

#[test]
fn new_paths_are_counted_though_they_are_collected() {
    let bed = Bed::new();
    let day = SystemTime::UNIX_EPOCH + Duration::from_secs(20_000 * 86400);
    let later = || day + Duration::from_secs(10);
    bed.output("a", day);
    let at = 20_000.0 * 86400.0;
    let take_at = |now| {
        take(&mut bed.history(), &bed.traces, &Running::default(), now).expect("a snapshot").paths
    };
    assert_eq!(take_at(at), 1);
    bed.nix.execute_batch("delete from ValidPaths").expect("collected");
    bed.output("b", later());
    bed.output("c", later());
    assert_eq!((take_at(at + 1.0), take_at(at + 2.0)), (2, 0));
    let arrived = || {
        let query = "select sum(paths), sum(nar_bytes), count(*) from arrivals";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        bed.history().ask(|connection| connection.query_row(query, [], read)).expect("arrivals")
    };
    assert_eq!(arrived(), (3, 300, 1));
    let query = "select registered, paths from samples";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let sample: (i64, i64) =
        bed.history().ask(|connection| connection.query_row(query, [], read)).expect("a sample");
    assert_eq!(sample, (3, 2));
    // Another store in the same place has lower ids.
    bed.nix.execute_batch("drop table ValidPaths").expect("gone");
    bed.nix.execute_batch(TABLES).expect("tables");
    bed.output("d", later());
    assert_eq!((take_at(at + 3.0), take_at(at + 4.0)), (1, 0));
    assert_eq!(arrived(), (4, 400, 1));
}

#[test]
fn of_two_snapshots_at_once_one_counts() {
    let bed = Bed::new();
    let arrived = || {
        let query = "select sum(paths) from arrivals";
        let ask = |connection: &Connection| connection.query_row(query, [], |row| row.get(0));
        bed.history().ask::<i64>(ask).expect("arrivals")
    };
    let keep = |state| {
        let (traces, at) = (&bed.traces, now());
        let kept = bed
            .history()
            .write(|transaction| keep::keep(transaction, traces, &[], &[], &[], &state, at));
        kept.expect("kept").paths
    };
    let read = |since| {
        store_state::read(&bed.traces.database, &HashSet::new(), Some(since)).expect("a state")
    };
    bed.output("a", SystemTime::now());
    let slower = read(-1);
    bed.output("b", SystemTime::now());
    assert_eq!((keep(read(-1)), keep(slower), arrived()), (2, 0, 2));
    // The same where another store is in its place.
    bed.nix.execute_batch("drop table ValidPaths").expect("gone");
    bed.nix.execute_batch(TABLES).expect("tables");
    bed.output("c", SystemTime::now());
    let slower = read(2);
    assert_eq!((keep(read(2)), keep(slower), arrived()), (1, 0, 3));
}

#[test]
fn a_store_that_cannot_be_read_is_an_error() {
    let bed = Bed::new();
    let database = Path::new("/nonexistent/db.sqlite").to_owned();
    let traces = Traces { database, ..bed.traces.clone() };
    let error = take(&mut bed.history(), &traces, &Running::default(), now());
    let error = format!("{:#}", error.expect_err("no database"));
    assert!(error.starts_with("/nonexistent/db.sqlite: "), "{error}");
}
