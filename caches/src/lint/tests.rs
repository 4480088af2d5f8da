//! Configurations, good and bad.

use std::collections::BTreeMap;

use detect::hardware::{Hardware, Level, Nix, Note};
use profile::plan::{Setting, Value, Verdict};
use serde_json::json;

use super::{Configuration, lint};
use crate::base64;
use crate::config::questions;
use crate::verify::{Question, Report};

const KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
const CACHE: &str = "https://cache.nixos.org/";

fn nix(version: &str, settings: &serde_json::Value) -> Nix {
    let settings = settings.as_object().expect("settings").clone();
    let version = Some(version.to_owned());
    Nix { version, settings: settings.into_iter().collect(), ..Nix::default() }
}

fn asked(nix: &Nix) -> Vec<Question> {
    let hardware = Hardware { nix: Some(nix.clone()), ..Hardware::default() };
    let plan = profile::run(hardware, &profile::Options::default()).expect("a plan");
    questions(&plan, &[]).expect("caches")
}

fn notes(nix: &Nix) -> Vec<Note> {
    let (planned, questions) = (&BTreeMap::new(), &asked(nix));
    lint(&Configuration { nix, planned, questions, reports: &[] })
}

/// The ids of what is found, and all its text.
fn found(settings: &serde_json::Value) -> (String, String) {
    let notes = notes(&nix("2.34.8", settings));
    let ids: Vec<&str> = notes.iter().map(|note| note.id.as_str()).collect();
    let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
    (ids.join(" "), texts.join("\n"))
}

#[test]
fn nothing_is_wrong_with_what_is_right() {
    for settings in [
        json!({}),
        json!({"substituters": [CACHE], "trusted-public-keys": [KEY], "fallback": true,
               "connect-timeout": 15, "require-sigs": true}),
        json!({"substituters": ["http://127.0.0.1:5000", "http://[::1]/", "http://localhost",
               "file:///a", "daemon", "/mnt"], "trusted-public-keys": [KEY, KEY]}),
    ] {
        assert_eq!(found(&settings).0, "", "{settings}");
    }
}

#[test]
fn keys_that_end_everything() {
    let secret = base64::encode(&[7; 64]);
    let short = base64::encode(&[7; 31]);
    for (key, id) in [
        ("nocolon".to_owned(), "cache-key-malformed"),
        (format!("a-1:{short}"), "cache-key-malformed"),
        ("a-1:§".to_owned(), "cache-key-malformed"),
        (format!(":{short}"), "cache-key-malformed"),
        (format!("a-1:{secret}"), "cache-key-secret"),
    ] {
        let nix = nix("2.34.8", &json!({"trusted-public-keys": [KEY, key]}));
        let notes = notes(&nix);
        assert_eq!((notes.len(), notes[0].id.as_str()), (1, id), "{key}");
        assert_eq!(notes[0].level, Level::Error);
        assert!(!notes[0].text.contains("BwcH"), "a secret stays one: {}", notes[0].text);
    }
    let (ids, text) = found(&json!({"trusted-public-keys": [secret]}));
    assert_eq!(ids, "cache-key-malformed");
    assert!(text.starts_with("trusted-public-keys: word 1: "), "{text}");
}

#[test]
fn keys_that_are_of_no_use() {
    let other = "cache.nixos.org-1:tLAEn+EeaBUJYqEpTd2yeerr7Ic6+0vWe+aXL/vYUpE=";
    let none = KEY.replace(":6NCH", ":7NCH");
    assert_eq!(found(&json!({"trusted-public-keys": [none]})).0, "cache-key-useless");
    assert_eq!(found(&json!({"trusted-public-keys": [KEY, other]})).0, "cache-key-duplicate");
    let none = json!({"trusted-public-keys": [], "substituters": [CACHE]});
    assert_eq!(found(&none).0, "cache-without-key");
    let none = json!({"trusted-public-keys": [KEY], "substituters": []});
    assert_eq!(found(&none).0, "cache-key-unused");
}

#[test]
fn a_key_by_which_no_cache_was_proven() {
    let other = "other-1:tLAEn+EeaBUJYqEpTd2yeerr7Ic6+0vWe+aXL/vYUpE=";
    let nix = nix("2.34.8", &json!({"substituters": [CACHE], "trusted-public-keys": [KEY, other]}));
    let questions = asked(&nix);
    let mut report = Report::of(&questions[0]);
    let ids = |report: &Report| {
        let reports = std::slice::from_ref(report);
        let planned = &BTreeMap::new();
        let notes = lint(&Configuration { nix: &nix, planned, questions: &questions, reports });
        notes.into_iter().map(|note| note.text).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(ids(&report), "", "nothing is known of a cache that was not proven");
    report.verdict = Verdict::Verified;
    report.key = Some(KEY.to_owned());
    assert_eq!(ids(&report), "trusted-public-keys: other-1: no cache here was proven by it");
}

#[test]
fn addresses() {
    let caches = |caches: &[&str]| found(&json!({"substituters": caches})).0;
    assert_eq!(caches(&[CACHE, "https://cache.nixos.org"]), "cache-twice");
    assert_eq!(caches(&["cache.nixos.org"]), "cache-address");
    assert_eq!(caches(&["http://a.example"]), "cache-without-tls");
    assert_eq!(caches(&["http://192.168.0.1"]), "cache-without-tls");
    assert_eq!(caches(&["https://a.example?trusted=1"]), "cache-trusted");
    assert_eq!(caches(&["https://a.example?trusted=0"]), "");
    assert_eq!(caches(&["https://a.example?priority=10"]), "cache-priority-remembered");
    let (_, text) =
        found(&json!({"substituters": ["http://me:secret@a.example?trusted=1&k=secret"]}));
    assert!(!text.contains("secret") && text.lines().count() == 2, "{text}");
}

#[test]
fn settings_and_rights() {
    assert_eq!(found(&json!({"require-sigs": false})).0, "cache-signatures-off");
    assert_eq!(found(&json!({"connect-timeout": 0})).0, "cache-connect-timeout");
    let mut old = nix("2.8.0", &json!({"fallback": true, "connect-timeout": 0}));
    let ids: Vec<String> = notes(&old).into_iter().map(|note| note.id).collect();
    assert_eq!(ids, ["cache-fallback-aborts", "cache-connect-timeout"], "worst first");
    let setting =
        Setting { value: Value::Integer(5), why: String::new(), stage: "profile".to_owned() };
    let planned = BTreeMap::from([("connect-timeout".to_owned(), setting)]);
    let planned = Configuration { nix: &old, planned: &planned, questions: &[], reports: &[] };
    assert_eq!(lint(&planned).len(), 1, "what a plan mends is not said");

    old = nix(
        "2.34.8",
        &json!({"substituters": [CACHE, "https://a.example", "https://b.example/"],
        "trusted-substituters": ["https://b.example"]}),
    );
    assert_eq!(notes(&old).len(), 0);
    old.trusted = Some(false);
    let notes = notes(&old);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].text.starts_with("https://a.example is not among"), "{}", notes[0].text);
}
