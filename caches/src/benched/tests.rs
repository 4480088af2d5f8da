//! What follows from what was measured.

use super::{Benchmark, Death, Latency, Measured, State, with_priority};

fn cache(name: &str, state: State, priority: i32, seconds: f64) -> Measured {
    let latency = Latency { p50_seconds: seconds, p95_seconds: seconds, probes: 1 };
    Measured {
        url: format!("https://{name}.example"),
        state,
        priority: Some(priority),
        hits: 5,
        hit: Some(latency),
        miss: Some(latency),
        ..Measured::default()
    }
}

#[test]
fn the_near_one_first_and_the_dead_one_out() {
    let caches = vec![
        cache("far", State::Alive, 10, 0.7),
        cache("dead", State::Dead, 5, 0.0),
        cache("near", State::Alive, 40, 0.01),
        cache("twin", State::Alive, 40, 0.01),
    ];
    let paths: Vec<(Vec<bool>, u64)> =
        (0..10).map(|path| (vec![true, false, path < 5, path < 5], 100)).collect();
    let found = Benchmark::new(caches, &paths, Death::of(None));
    let urls = ["https://near.example/?priority=10", "https://far.example/?priority=20"];
    assert_eq!(found.substituters, urls);
    assert_eq!(found.caches[0].state, State::Slow);
    assert_eq!(found.caches[0].unique, 5);
    assert!((found.now_seconds.expect("found") - 7.0).abs() < 1e-9, "the far one is asked first");
    assert!((found.best_seconds.expect("found") - 3.6).abs() < 1e-9);
    let text = found.table();
    assert!(text.contains("left out: https://dead.example: dead\n"), "{text}");
    assert!(text.contains("left out: https://twin.example: it has nothing"), "{text}");
    assert!(!text.contains("left out: https://near"), "{text}");
}

#[test]
fn what_only_nix_can_ask_stays() {
    let mut other = cache("b", State::Unmeasured, 0, 0.0);
    other.url = "s3://bucket".to_owned();
    (other.hit, other.miss, other.hits) = (None, None, 0);
    let caches = vec![other, cache("a", State::Alive, 40, 0.1)];
    let found = Benchmark::new(caches, &[(vec![false, true], 1)], Death::of(None));
    let urls = ["https://a.example/?priority=10", "s3://bucket?priority=20"];
    assert_eq!(found.substituters, urls);
    let text = found.table();
    assert!(text.contains("not measured, so last: s3://bucket"), "{text}");
    assert!(!text.contains("left out") && !text.contains("dead\n"), "{text}");
}

#[test]
fn nothing_found_is_nothing_ranked() {
    let caches = vec![cache("b", State::Alive, 2, 0.1), cache("a", State::Alive, 1, 0.2)];
    let found = Benchmark::new(caches, &[(vec![false, false], 0)], Death::of(None));
    assert_eq!((found.now_seconds, found.best_seconds), (None, None));
    assert!(found.substituters[0].starts_with("https://a"), "as Nix has them now");
    assert!(found.table().contains("nothing to rank by"));
    assert!(Benchmark::new(Vec::new(), &[], Death::of(None)).substituters.is_empty());
}

#[test]
fn percentiles() {
    let latency = Latency::of((1..=20).rev().map(f64::from).collect()).expect("answers");
    assert!((latency.p50_seconds - 10.0).abs() < 1e-9);
    assert!((latency.p95_seconds - 19.0).abs() < 1e-9);
    assert_eq!(Latency::of(Vec::new()), None);
}

#[test]
fn priorities_replace_priorities() {
    let text = with_priority("https://a.example/?priority=7&trusted=1", 20);
    assert_eq!(text, "https://a.example/?trusted=1&priority=20");
    assert_eq!(with_priority("file:///a", 10), "file:///a?priority=10");
}

#[test]
fn what_a_dead_cache_costs() {
    let silent = |version| Death::of(version).silent_seconds;
    assert_eq!((silent(Some("2.8.0")), silent(Some("2.26.3"))), (None, None));
    assert_eq!((silent(Some("2.34.8")), silent(None)), (Some(80.0), Some(80.0)));
    assert_eq!(silent(Some("lix-2.93.0")), None, "it is what Nix was at 2.18");
    assert!(Death::of(Some("2.18pre")).to_string().contains("every substitution"));
}
