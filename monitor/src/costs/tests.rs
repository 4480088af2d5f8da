use std::collections::{BTreeMap, BTreeSet};

use detect::hardware::Hardware;
use detect::stage;
use profile::costs::Costs;
use rusqlite::Connection;

use super::needs::{needs, without_cycles};
use super::{costs, fit};
use crate::history::attempt::{Attempt, Witness};
use crate::recorded::{Outcome, Source};

fn attempt(pname: &str, wall: f64, cpu: Option<f64>, memory: Option<(u32, u64)>) -> Attempt {
    Attempt {
        drv: format!("/nix/store/x-{pname}.drv"),
        name: format!("{pname}-1"),
        pname: pname.to_owned(),
        outcome: Some(Outcome::Built),
        reason: None,
        machine: None,
        started_unix_seconds: None,
        ended_unix_seconds: 0.0,
        wall_seconds: Some(wall),
        cpu_seconds: cpu,
        peak_memory_bytes: memory.map(|(_, bytes)| bytes),
        usage_source: Some(Source::Sampled),
        cores: memory.map(|(cores, _)| cores),
        source: Witness::Events,
    }
}

#[test]
fn several_builds_become_one_figure() {
    let attempts = [
        attempt("a", 10.0, Some(30.0), Some((2, 300))),
        attempt("a", 12.0, Some(36.0), Some((4, 500))),
        attempt("a", 90.0, None, Some((0, 9000))),
        attempt("b", 0.0, Some(0.0), None),
        attempt("bad\n", 1.0, None, None),
        attempt("worse", f64::NAN, None, None),
    ];
    let found = costs(&attempts, &[("a".to_owned(), 40)].into());
    assert_eq!(found.packages.keys().collect::<Vec<_>>(), ["a", "b"]);
    let a = &found.packages["a"];
    assert_eq!((a.builds.get(), a.wall_seconds), (40, 12.0));
    assert_eq!((a.cpu_seconds, a.parallelism), (Some(33.0), Some(3.0)));
    assert_eq!(a.peak_memory_bytes, Some(9000));
    assert_eq!((a.base_memory_bytes, a.slot_memory_bytes), (Some(100), Some(100)));
    let b = &found.packages["b"];
    assert_eq!((b.builds.get(), b.parallelism, b.peak_memory_bytes), (1, None, None));
    assert_eq!((b.base_memory_bytes, b.slot_memory_bytes), (None, None));
}

#[test]
fn nine_of_ten() {
    assert_eq!(fit::ninth_tenth([].into_iter()), None);
    assert_eq!(fit::ninth_tenth([3, 1, 2].into_iter()), Some(3));
    assert_eq!(fit::ninth_tenth(1..=10), Some(9));
    assert_eq!(fit::ninth_tenth(1..=20), Some(18));
}

#[test]
fn threads_never_need_less_than_nothing() {
    let fit = |points: &[(u32, u64)]| {
        let attempts: Vec<Attempt> =
            points.iter().map(|&point| attempt("a", 1.0, None, Some(point))).collect();
        fit::memory(&attempts.iter().collect::<Vec<_>>())
            .map(|fitted| (fitted.base_bytes, fitted.slot_bytes))
    };
    assert_eq!(fit(&[(2, 500), (4, 300)]), Some((400, 0)));
    assert_eq!(fit(&[(1, 100), (4, 1000)]), Some((0, 220)), "and no base below nothing");
    assert_eq!(fit(&[(2, 500), (2, 300)]), None);
    assert_eq!(fit(&[(2, 500)]), None);
    assert_eq!(fit(&[]), None);
}

#[test]
fn no_package_waits_for_itself() {
    let edges = |pairs: &[(&'static str, &[&'static str])]| -> BTreeMap<_, _> {
        pairs.iter().map(|(name, needs)| (*name, needs.iter().copied().collect())).collect()
    };
    let kept: BTreeMap<&str, BTreeSet<&str>> =
        edges(&[("a", &["a", "b"]), ("b", &["c"]), ("c", &["a", "d"]), ("d", &[])]);
    let found = without_cycles(&kept);
    assert_eq!(found["a"], ["b"]);
    assert_eq!(found["b"], ["c"]);
    assert_eq!(found["c"], ["d"]);
    assert!(!found.contains_key("d"));
}

#[test]
fn needs_go_through_what_was_not_built_here() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("db.sqlite");
    let connection = Connection::open(&file).expect("open");
    connection
        .execute_batch(
            "create table ValidPaths (id integer primary key, path text);
             create table Refs (referrer integer, reference integer);
             insert into ValidPaths values (1, 'app.drv'), (2, 'fetched.drv'), (3, 'lib.drv'), \
               (4, 'source'), (5, 'base.drv');
             insert into Refs values (1, 1), (1, 2), (1, 4), (2, 3), (3, 5);",
        )
        .expect("tables");
    let drvs = [("app", "app.drv"), ("base", "base.drv"), ("gone", "x.drv"), ("lib", "lib.drv")];
    let found = needs(&file, &drvs.into()).expect("needs");
    let expected = [("app", vec!["lib".to_owned()]), ("lib", vec!["base".to_owned()])];
    assert_eq!(found, expected.map(|(name, needs)| (name.to_owned(), needs)).into());
    assert!(needs("/nonexistent".as_ref(), &drvs.into()).is_err());
}

#[test]
fn profile_takes_them() {
    let attempts: Vec<Attempt> = (0..30)
        .map(|number| attempt(&format!("p{number}"), 60.0, Some(200.0), Some((4, 2 << 30))))
        .collect();
    let text = stage::text(&costs(&attempts, &BTreeMap::new())).expect("JSON");
    let costs: Costs = stage::parse(text.as_bytes()).expect("the same");
    let options = profile::Options { costs: Some(costs), ..profile::Options::default() };
    let plan = profile::run(Hardware::default(), &options).expect("a plan");
    assert!(plan.notes.iter().any(|note| note.id.starts_with("costs-")), "{:?}", plan.notes);
}
