use detect::hardware::Nix;
use serde_json::json;

use super::{Outcome, parameter, source};
use crate::address::Address;
use crate::why::Link;

fn link(url: &str, outcome: Outcome) -> Link {
    Link {
        url: url.to_owned(),
        is_configured: true,
        is_alive: None,
        priority: None,
        is_present: None,
        signed_by: Vec::new(),
        verdict: None,
        remembered: Vec::new(),
        outcome,
        why: String::new(),
        fix: None,
    }
}

fn nix(version: &str, fallback: bool) -> Nix {
    let mut nix = Nix { version: Some(version.to_owned()), ..Nix::default() };
    nix.settings.insert("fallback".to_owned(), json!(fallback));
    nix
}

#[test]
fn the_first_that_is_usable() {
    use Outcome::{Dead, Malformed, Missing, OtherStore, Unknown, Untrusted, Usable};
    for before in [Dead, Missing, OtherStore, Unknown, Untrusted] {
        let links = [link("a", before), link("b", Usable), link("c", Usable)];
        assert_eq!(source(&links, None).as_deref(), Some("b"), "{before:?}");
    }
    assert_eq!(source(&[link("a", Usable), link("b", Malformed)], None).as_deref(), Some("a"));
    let mut other = link("a", Usable);
    other.is_configured = false;
    assert_eq!(source(&[other], None), None);
    assert_eq!(source(&[], None), None);
}

#[test]
fn one_fatal_cache_is_the_end() {
    let links = [link("a", Outcome::Usable), link("b", Outcome::Fatal)];
    assert_eq!(source(&links, None), None);
}

/// The measured matrix of caches that fail, by version and `fallback`.
#[test]
fn what_a_failing_cache_before_it_does() {
    let goes_on = |outcome, version, fallback| {
        let links = [link("a", outcome), link("b", Outcome::Usable)];
        source(&links, Some(&nix(version, fallback))).is_some()
    };
    for (version, failing, malformed) in [
        ("2.8.0", [false, false], [false, true]),
        ("2.26.3", [false, true], [false, true]),
        ("2.34.8", [true, true], [true, true]),
    ] {
        for (index, fallback) in [false, true].into_iter().enumerate() {
            let what = format!("{version}, {fallback}");
            assert_eq!(goes_on(Outcome::Failing, version, fallback), failing[index], "{what}");
            assert_eq!(goes_on(Outcome::Malformed, version, fallback), malformed[index], "{what}");
        }
    }
}

#[test]
fn parameters() {
    let cache = Address::parse("https://a.example/?priority=5&trusted=1").expect("an address");
    assert_eq!(parameter(&cache, "priority").as_deref(), Some("5"));
    assert_eq!(parameter(&cache, "nothing"), None);
}
