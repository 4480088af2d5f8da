use super::{Facts, families, open_metrics, prometheus};
use crate::guard::told::Guarded;
use crate::history::tally::Tally;
use crate::recorded::Outcome;
use crate::store::{Amount, Kept, Origin, Store};

fn tally(outcome: Option<Outcome>, within_seconds: Option<f64>, builds: u64) -> Tally {
    Tally { outcome, within_seconds, builds, wall_seconds: 1.5 }
}

fn facts() -> Facts {
    let amount = Amount { paths: 3, nar_bytes: 1 << 40 };
    let store = Store {
        registered_paths: 9,
        origins: [(Origin::Built, amount)].into(),
        ..Store::default()
    };
    let caches = [("a\\b\"c\nd".to_owned(), amount)];
    Facts {
        version: Some("2.34.8".to_owned()),
        store: Some(store),
        kept: Some(Kept { live: Amount::default(), dead: amount }),
        active: Some(2),
        builds: Some(vec![
            tally(Some(Outcome::Built), Some(1.0), 4),
            tally(Some(Outcome::Built), Some(f64::INFINITY), 1),
            tally(Some(Outcome::Built), None, 7),
            tally(None, Some(60.0), 1),
        ]),
        substituted: Some(caches.into()),
        built_paths: Some(6),
        guard: Some(Guarded {
            is_running: true,
            stopped: 1,
            holds: 7,
            freezes: 0,
            stopped_seconds: 2.5,
            spared_bytes: 9,
        }),
        last_snapshot: Some(1_795_386_309.25),
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    assert_eq!(prometheus(&families(&Facts::default())), "");
    assert_eq!(open_metrics(&families(&Facts::default())), "# EOF\n");
}

#[test]
fn both_formats_have_the_same_samples() {
    let families = families(&facts());
    let (old, new) = (prometheus(&families), open_metrics(&families));
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(samples(&old), samples(&new));
    for line in [
        "nix_info{version=\"2.34.8\"} 1",
        "nix_store_paths{origin=\"built\"} 3",
        "nix_store_nar_bytes{origin=\"built\"} 1099511627776",
        "nix_store_dead_bytes 1099511627776",
        "nix_store_registered_paths_total 9",
        "nix_builds_active 2",
        "nix_guard_holds_total 7",
        "nix_guard_stopped_seconds_total 2.5",
        "nix_guard_running 1",
        "nix_builds_total{outcome=\"built\"} 12",
        "nix_builds_total{outcome=\"failed\"} 0",
        "nix_build_seconds_bucket{outcome=\"built\",le=\"1.0\"} 4",
        "nix_build_seconds_bucket{outcome=\"built\",le=\"36000.0\"} 4",
        "nix_build_seconds_bucket{outcome=\"built\",le=\"+Inf\"} 5",
        "nix_build_seconds_count{outcome=\"built\"} 5",
        "nix_build_seconds_sum{outcome=\"built\"} 3",
        "nix_built_paths_total 6",
        "nix_substitutions_total{cache=\"a\\\\b\\\"c\\nd\"} 3",
        "nix_perf_last_run_timestamp_seconds 1795386309.25",
    ] {
        assert!(old.lines().any(|found| found == line), "{line}:\n{old}");
    }
    assert!(
        old.contains("# TYPE nix_builds_total counter\n")
            && old.contains("# TYPE nix_info gauge\n")
    );
    assert!(new.contains("# TYPE nix_builds counter\n") && new.contains("# TYPE nix info\n"));
    assert!(new.contains("# UNIT nix_substituted_nar_bytes bytes\n") && new.ends_with("# EOF\n"));
}

#[test]
fn caches_without_end_are_few_series() {
    let amount = |paths| Amount { paths, nar_bytes: 1 };
    let caches = (0..1000).map(|number| (format!("c{number}"), amount(number)));
    let facts = Facts { substituted: Some(caches.collect()), ..Facts::default() };
    let text = prometheus(&families(&facts));
    assert_eq!(text.matches("nix_substitutions_total{").count(), 51);
    assert!(text.contains("nix_substitutions_total{cache=\"\"} 450775"), "{text}");
}
