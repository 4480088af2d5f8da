use std::collections::BTreeMap;

use anyhow::anyhow;
use detect::hardware::{Hardware, Note};
use detect::number::Version;
use profile::plan::Plan;
use serde_json::json;

use super::drift::{Drift, drift};
use super::screen::screen;
use super::{Figure, Settings, Status, shown};
use crate::active::Active;
use crate::remembered::Remembered;
use crate::store::{Amount, Kept, Origin, Rate, Store, Window};

fn plan(settings: &serde_json::Value) -> Plan {
    let plan = profile::run(Hardware::default(), &profile::Options::default()).expect("a plan");
    let mut plan = serde_json::to_value(plan).expect("JSON");
    let with_reasons = settings.as_object().expect("settings").iter().map(|(name, value)| {
        (name.clone(), json!({"value": value, "why": "", "stage": "profile"}))
    });
    plan["settings"] = with_reasons.collect();
    serde_json::from_value(plan).expect("a plan")
}

#[test]
fn only_what_differs_is_drift() {
    let plan = plan(&json!({
        "cores": 4, "extra-substituters": ["https://b"], "max-jobs": 8, "sandbox": true,
        "substituters": ["https://a", "https://b"], "unheard-of": 1,
    }));
    let settings = json!({
        "cores": 4, "max-jobs": 2, "sandbox": "true", "substituters": ["https://a", "https://b"],
    });
    let settings = serde_json::from_value(settings).expect("settings");
    let expected = [("max-jobs", "8", Some("2")), ("unheard-of", "1", None)];
    let expected = expected.map(|(setting, planned, actual)| Drift {
        setting: setting.to_owned(),
        planned: planned.to_owned(),
        actual: actual.map(str::to_owned),
    });
    assert_eq!(drift(&plan, &settings), expected);
}

fn figure<T>(found: T) -> Figure<T> {
    Figure::new("/source", Ok(found))
}

fn missing<T>() -> Figure<T> {
    let why = "Permission denied for a very long reason that takes more than a line to say";
    Figure::new("/root/.cache/nix", Err(anyhow!("/root/.cache/nix: {why}")))
}

#[test]
fn builds_that_cannot_be_seen_are_not_none() {
    let of = |notes| shown(Active { version: Version, builds: Vec::new(), notes }, None);
    assert_eq!(of(Vec::new()).found, Some(Vec::new()));
    assert_eq!(of(vec![Note::info("builds-mixed", "some")]).found, Some(Vec::new()));
    let unseen = of(vec![Note::warning("locks-unseen", "/proc/locks cannot be read")]);
    assert_eq!(unseen.found, None);
    assert_eq!(unseen.why.as_deref(), Some("/proc/locks cannot be read"));
}

#[test]
fn a_screen_fits_a_terminal_whatever_is_known() {
    let amount = Amount { paths: 1_000_000, nar_bytes: u64::MAX };
    let rate = Rate {
        window: Window::Month,
        substituted: amount,
        built: amount,
        hit_rate: Some(0.5),
        hit_rate_by_bytes: Some(1.0),
    };
    let store = Store {
        registered_paths: u64::MAX,
        total: amount,
        origins: Origin::ALL.map(|origin| (origin, amount)).into(),
        signed_by: [("x".repeat(200), amount), ("a\x1b[2J".to_owned(), amount)].into(),
        rates: vec![rate],
        days: Vec::new(),
    };
    let settings = json!({"max-jobs": 4, "substituters": ["https://a.example", "b".repeat(100)]});
    let settings = Settings {
        implementation: None,
        version: None,
        settings: serde_json::from_value(settings).expect("settings"),
        drift: Some(vec![Drift {
            setting: "max-jobs".to_owned(),
            planned: "8".to_owned(),
            actual: None,
        }]),
    };
    let cache = [("https://".repeat(30), Remembered::default())].into();
    let full = Status {
        version: Version,
        nix: figure(settings),
        store: figure(store),
        kept: figure(Kept { live: amount, dead: amount }),
        caches: vec![missing(), figure(cache)],
        active: figure(Vec::new()),
        recent: figure(Vec::new()),
        guard: missing(),
    };
    let empty = Status {
        version: Version,
        nix: missing(),
        store: missing(),
        kept: missing(),
        caches: vec![missing(), missing::<BTreeMap<_, _>>()],
        active: missing(),
        recent: missing(),
        guard: missing(),
    };
    for status in [full, empty] {
        let text = screen(&status, 0.0);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        for part in ["Nix", "Store", "Caches", "Active", "Builds"] {
            assert!(text.lines().any(|line| line.starts_with(part)), "{part}: {text}");
        }
    }
}
