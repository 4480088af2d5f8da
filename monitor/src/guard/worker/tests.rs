use std::fs;
use std::path::Path;
use std::time::Instant;

use super::{Id, Known, Worker};
use crate::guard::Options;
use crate::guard::record::{Keeper, Record};
use crate::guard::stop::Stopped;

/// A user of whom there are no processes.
const NOBODY: u32 = 4_000_000_000;

fn options() -> Options {
    Options {
        once: false,
        dry_run: false,
        high: 0.85,
        low: 0.7,
        costs: None,
        thaw: false,
        worker: true,
        users: Vec::new(),
        patience: None,
    }
}

fn stopped() -> Stopped {
    Stopped { user: NOBODY, group: None }
}

fn keeper(folder: &Path) -> Keeper {
    Keeper::at(folder.join("guard.json"))
}

#[test]
fn who_only_looks_leaves_another_guard_its_record() {
    let folder = tempfile::tempdir().expect("folder");
    let record = Record { stopped: vec![stopped()], holds: 3, ..Record::default() };
    keeper(folder.path()).write(&record).expect("written");
    let text = || fs::read(folder.path().join("guard.json")).expect("there");
    let before = text();
    for options in [Options { dry_run: true, ..options() }, Options { once: true, ..options() }] {
        let mut worker = Worker::with(options, keeper(folder.path())).expect("a worker");
        worker.step();
        worker.let_all_go();
        assert!(worker.record.stopped.is_empty(), "not its own");
    }
    assert_eq!(text(), before);
}

#[test]
fn costs_that_cannot_be_read_are_the_end_of_a_look_alone() {
    let folder = tempfile::tempdir().expect("folder");
    let bad = folder.path().join("bad.json");
    fs::write(&bad, "{").expect("written");
    for costs in [bad, folder.path().join("none.json")] {
        let options = Options { costs: Some(costs), ..options() };
        Worker::with(options.clone(), keeper(folder.path())).expect("it guards");
        let once = Options { once: true, ..options };
        assert!(Worker::with(once, keeper(folder.path())).is_err());
    }
}

#[test]
fn only_what_is_held_is_known_to_be_stopped() {
    let folder = tempfile::tempdir().expect("folder");
    let mut worker = Worker::with(options(), keeper(folder.path())).expect("a worker");
    let id = Id { started_ticks: 1, user: NOBODY };
    let mut known = Known::new("a-1".to_owned(), "a".to_owned(), 1, stopped());
    known.since = Some(Instant::now());
    worker.known.insert(id, known);
    worker.record.stopped = vec![stopped()];
    worker.let_gone_go();
    assert_eq!(worker.record.stopped, [stopped()]);

    // There is nobody to tell.
    worker.told = Some(Instant::now());
    worker.let_all_go();
    assert!(worker.record.stopped.is_empty());
    assert!(worker.record.stopped_seconds > 0.0, "the time counts");

    // The build that was stopped is gone, and its user builds this one.
    worker.record.stopped = vec![stopped()];
    worker.let_gone_go();
    assert!(worker.record.stopped.is_empty());
    assert_eq!(keeper(folder.path()).read().expect("written"), worker.record);
}
