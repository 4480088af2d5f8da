use super::render;
use crate::guard::told::Guarded;
use crate::history::attempt::{Attempt, Witness};
use crate::recorded::{Outcome, Recorded};
use crate::remembered::Remembered;
use crate::report::{Arrival, LastRun, Package, Report};
use crate::status::Figure;
use crate::store::{Amount, Kept, Origin};

fn known<T>(value: T) -> Figure<T> {
    Figure::new("a test", Ok(value))
}

fn missing<T>(why: &str) -> Figure<T> {
    Figure::missing("a test", why)
}

fn empty() -> Report {
    Report {
        version: detect::number::Version,
        since_unix_seconds: 1_795_000_000,
        until_unix_seconds: 1_795_386_309,
        builds: missing("run `monitor snapshot`"),
        arrivals: missing("none"),
        caches: missing("none"),
        store: missing("none"),
        kept: missing("none"),
        slowest: missing("none"),
        hungriest: missing("none"),
        guard: missing("none"),
        last_run: missing("none"),
    }
}

/// A page whose every text is as hostile as can be.
fn hostile(text: &str) -> Report {
    let words = || text.to_owned();
    let attempt = Attempt {
        drv: words(),
        name: words(),
        pname: words(),
        outcome: Some(Outcome::Failed),
        reason: Some(words()),
        machine: Some(words()),
        started_unix_seconds: Some(f64::NAN),
        ended_unix_seconds: 1_795_300_000.0,
        wall_seconds: Some(f64::INFINITY),
        cpu_seconds: None,
        peak_memory_bytes: Some(u64::MAX),
        usage_source: None,
        cores: None,
        source: Witness::Events,
    };
    let build = |wall_seconds| crate::recorded::Build {
        drv: words(),
        name: words(),
        outcome: Outcome::Cancelled,
        reason: None,
        machine: None,
        started_seconds: Some(1.0),
        wall_seconds: Some(wall_seconds),
        phases: vec![crate::recorded::Phase { name: words(), wall_seconds: Some(f64::NAN) }; 3],
        usage: None,
    };
    let substitution = crate::recorded::Substitution {
        path: words(),
        cache: words(),
        started_seconds: Some(-1e300),
        wall_seconds: Some(1e300),
        downloaded_bytes: None,
        nar_bytes: None,
    };
    let package = Package {
        pname: words(),
        builds: u64::MAX,
        median_wall_seconds: Some(0.0),
        total_wall_seconds: f64::NAN,
        parallelism: Some(f64::NAN),
        peak_memory_bytes: Some(0),
    };
    let arrival = |origin: Origin| Arrival {
        day_unix_seconds: i64::MIN / 2,
        origin,
        cache: Some(words()),
        paths: u64::MAX,
        nar_bytes: u64::MAX,
    };
    let most = Amount { paths: u64::MAX, nar_bytes: u64::MAX };
    let cache = Remembered { hits: u64::MAX, misses: u64::MAX, ..Remembered::default() };
    Report {
        builds: known(vec![attempt.clone(), attempt]),
        arrivals: known(Origin::ALL.map(arrival).into()),
        caches: known([(words(), cache)].into()),
        store: known(Origin::ALL.map(|origin| (origin, most)).into()),
        kept: known(Kept { live: most, dead: most }),
        slowest: known(vec![package.clone()]),
        hungriest: known(vec![package]),
        guard: known(Guarded {
            is_running: true,
            stopped: u64::MAX,
            holds: u64::MAX / 2,
            freezes: u64::MAX / 2,
            stopped_seconds: f64::NAN,
            spared_bytes: u64::MAX,
        }),
        last_run: known(LastRun {
            command: vec![words(), words()],
            exit_code: Some(-1),
            started_unix_seconds: f64::NAN,
            wall_seconds: f64::NAN,
            recorded: Recorded {
                version: detect::number::Version,
                builds: vec![build(1.0), build(f64::NAN), build(0.0)],
                substitutions: vec![substitution],
                waits: Vec::new(),
                downloaded_bytes: 0,
                unknown_events: 0,
                malformed_lines: 0,
            },
        }),
        ..empty()
    }
}

/// The names of the tags of a page, and how deep they are at its end.
fn tags(html: &str) -> (Vec<&str>, i64) {
    const VOID: [&str; 3] = ["meta", "link", "!DOCTYPE"];
    let mut names = Vec::new();
    let mut depth = 0;
    for (start, _) in html.match_indices('<') {
        let tag = html[start + 1..].split('>').next().expect("an end");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().expect("a name");
        if !VOID.contains(&name) && !tag.ends_with('/') {
            depth += if tag.starts_with('/') { -1 } else { 1 };
        }
        names.push(name);
    }
    (names, depth)
}

#[test]
fn hostile_texts_and_numbers_stay_text_and_numbers() {
    let plain = render(&hostile("name"));
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "'><style>*{display:none}</style>",
        "</title></desc></svg></style><!--",
        "`<b>`<i>",
        "\u{202e}\u{0}\r\n&#x3c;b&#x3e;",
        &"x".repeat(1 << 16),
    ] {
        let html = render(&hostile(text));
        let (names, depth) = tags(&html);
        assert_eq!(names.len(), tags(&plain).0.len(), "{text:.40}: a tag came out of it");
        assert_eq!(depth, 0, "{text:.40}");
        assert!(!html.contains(['\u{202e}', '\0']));
        for number in ["NaN", "inf"] {
            let found = html.find(number).map(|at| &html[at.saturating_sub(60)..at + 9]);
            assert_eq!(found, None, "{text:.40}");
        }
        // It is in the page a few times, and short each time.
        assert!(html.len() < plain.len() + 20_000, "{text:.40}: {}", html.len());
    }
}

#[test]
fn what_is_missing_says_what_to_do() {
    let html = render(&empty());
    assert!(html.contains("Not known: run <code>monitor snapshot</code>.<"), "{html}");
    assert_eq!(html.matches("class=\"missing\"").count(), 7, "one for each figure");
    assert_eq!(tags(&html).1, 0);
    let nothing = Report { builds: known(Vec::new()), arrivals: known(Vec::new()), ..empty() };
    assert!(render(&nothing).contains("Nothing was built in this time."));
}

#[test]
fn a_page_asks_nobody_and_runs_nothing() {
    for report in [empty(), hostile("name")] {
        let html = render(&report);
        assert!(!tags(&html).0.iter().any(|name| ["script", "iframe", "img"].contains(name)));
        for address in ["src=", "url(", "@import", "http://", "https://"] {
            let mut found = html.matches(address).count();
            if address == "http://" {
                // The name of SVG, which is no address.
                found -= html.matches("http://www.w3.org/2000/svg").count();
            }
            assert_eq!(found, 0, "{address}");
        }
        for (start, _) in html.match_indices("href=\"") {
            let target = &html[start + 6..];
            assert!(target.starts_with('#') || target.starts_with("data:"), "{target:.40}");
        }
    }
}
