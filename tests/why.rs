//! Why a path is fetched or not: what `caches why` says, real Nix does.

/// A store with real Nix, caches made by it, and a server for them.
mod bed;

use std::fs;
use std::process::Command;

use caches::derivation::Derivation;
use serde_json::Value;

use self::bed::{Bed, dead, serve};
use crate::tools::{binaries, document, real_nix, text};

const NAME: &str = "cache.a-1";

fn config(caches: &[&String], keys: &[&String]) -> String {
    let words = |list: &[&String]| list.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" ");
    format!("substituters = {}\ntrusted-public-keys = {}\n", words(caches), words(keys))
}

/// The links of the first path, by address.
fn link<'a>(why: &'a Value, url: &str) -> &'a Value {
    let links = why["paths"][0]["caches"].as_array().expect("links");
    links.iter().find(|link| link["url"] == url).unwrap_or_else(|| panic!("{url}: {why:#}"))
}

#[test]
fn every_link_of_the_chain_as_real_nix_sees_it() {
    for nix in real_nix() {
        let bed = Bed::new(&nix);
        let drv = bed.derivation("{ }");
        let path = bed.build("nix-store", &["-r", &drv]);
        let (key, other) = (bed.key(NAME, "good"), bed.key("cache.b-1", "other"));
        let stale = bed.key(NAME, "stale");
        bed.upload(&path, "good", Some("good"));
        bed.upload(&path, "unsigned", None);
        bed.upload(&path, "other", Some("other"));
        bed.upload(&path, "elsewhere", Some("good"));
        fs::write(bed.path("elsewhere/nix-cache-info"), "StoreDir: /gnu/store\n").expect("info");
        for name in ["empty", "fatal", "late"] {
            fs::create_dir(bed.path(name)).expect("a folder");
            let info = format!("StoreDir: {}\nPriority: 50\n", bed.store());
            fs::write(bed.path(name).join("nix-cache-info"), info).expect("info");
        }
        let info = format!("StoreDir: {}\nPriority: high\n", bed.store());
        fs::write(bed.path("fatal/nix-cache-info"), info).expect("info");
        fs::create_dir(bed.path("page")).expect("a folder");
        fs::write(bed.path("page/nix-cache-info"), "<html>Log in").expect("a page");
        let serve = |name: &str| serve(&bed.path(name));
        let (good, unsigned, foreign) = (serve("good"), serve("unsigned"), serve("other"));
        let (elsewhere, empty, fatal) = (serve("elsewhere"), serve("empty"), serve("fatal"));
        let (page, dead) = (serve("page"), dead());

        // Each alone, with what its user trusts.
        for (index, (url, keys, outcome, verdict)) in [
            (&good, &[&key] as &[&String], "usable", "verified"),
            (&good, &[&other], "untrusted", "other-key"),
            (&good, &[&stale, &key], "untrusted", "bad-signature"),
            (&good, &[&key, &stale], "usable", "verified"),
            (&unsigned, &[&key], "untrusted", "unsigned"),
            (&foreign, &[&key], "untrusted", "other-key"),
            (&foreign, &[&key, &other], "usable", "verified"),
            (&elsewhere, &[&key], "other-store", ""),
            (&empty, &[&key], "missing", ""),
            (&fatal, &[&key], "fatal", ""),
            (&page, &[&key], "malformed", ""),
            (&dead, &[&key], "dead", ""),
        ]
        .into_iter()
        .enumerate()
        {
            let machine = format!("client{index}");
            let config = config(&[url], keys);
            let (why, output) = bed.why(&machine, &config, &[&path]);
            let what = format!("Nix {}, {outcome} {verdict} {index}: {why:#}", nix.version);
            let found = link(&why, url);
            assert_eq!(found["outcome"], outcome, "{what}");
            assert_eq!(found["verdict"].as_str().unwrap_or_default(), verdict, "{what}");
            assert_eq!(found["fix"].is_null(), outcome == "usable", "{what}");
            let fetches = bed.fetches(&machine, &config, &path);
            assert_eq!(fetches, outcome == "usable", "what Nix does; {what}");
            assert_eq!(output.status.success(), fetches, "{what}");
            assert_eq!(why["paths"][0]["is_substitutable"], fetches, "{what}");
        }

        // All together: Nix takes it from the one that is good, unless one is fatal.
        let all = [&dead, &elsewhere, &empty, &unsigned, &foreign, &good];
        let (why, output) = bed.why("client", &config(&all, &[&key]), &[&path]);
        assert!(output.status.success(), "{why:#}");
        assert_eq!(why["paths"][0]["from"], good, "{why:#}");
        assert!(bed.fetches("client", &config(&all, &[&key]), &path));
        let all = [&good, &fatal];
        let (why, output) = bed.why("client-b", &config(&all, &[&key]), &[&path]);
        assert!(!output.status.success(), "{why:#}");
        assert!(!bed.fetches("client-b", &config(&all, &[&key]), &path));
    }
}

#[test]
fn the_cache_that_nix_asks_first() {
    for nix in real_nix() {
        let bed = Bed::new(&nix);
        let path = bed.build("nix-store", &["-r", &bed.derivation("{ }")]);
        let key = bed.key(NAME, "good");
        for (name, priority) in [("early", "7"), ("late", "50")] {
            bed.upload(&path, name, Some("good"));
            let info = format!("StoreDir: {}\nPriority: {priority}\n", bed.store());
            fs::write(bed.path(name).join("nix-cache-info"), info).expect("info");
        }
        let (early, late) = (serve(&bed.path("early")), serve(&bed.path("late")));
        let first = format!("{late}?priority=5");
        // What an address says of its priority, Nix remembers as the cache's own.
        for (machine, asked, from) in [
            ("a", [&late, &early], &early),
            ("b", [&early, &first], &late),
            ("b", [&early, &late], &late),
            ("c", [&early, &late], &early),
        ] {
            let config = config(&asked, &[&key]);
            let (why, _) = bed.why(machine, &config, &[&path]);
            let ours = why["paths"][0]["from"].as_str().expect("a cache").to_owned();
            let theirs = bed.source(machine, &config, &path).expect("a cache");
            let what = format!("Nix {}, {machine}: {theirs}: {why:#}", nix.version);
            assert!(theirs.starts_with(from), "{what}");
            assert!(ours.starts_with(from), "{what}");
        }
    }
}

#[test]
fn what_nix_remembers_holds_until_it_forgets() {
    for nix in real_nix() {
        let bed = Bed::new(&nix);
        let path = bed.build("nix-store", &["-r", &bed.derivation("{ }")]);
        let key = bed.key(NAME, "good");
        fs::create_dir(bed.path("late")).expect("a folder");
        let info = format!("StoreDir: {}\nPriority: 50\n", bed.store());
        fs::write(bed.path("late/nix-cache-info"), info).expect("info");
        let late = serve(&bed.path("late"));
        let config = config(&[&late], &[&key]);

        assert!(!bed.fetches("client", &config, &path), "it is not there yet");
        bed.upload(&path, "late", None);
        let (why, output) = bed.why("client", &config, &[&path]);
        let what = format!("Nix {}: {why:#}", nix.version);
        assert_eq!(link(&why, &late)["outcome"], "untrusted", "the worse of two; {what}");
        fs::remove_dir_all(bed.path("late")).expect("the cache");
        bed.upload(&path, "late", Some("good"));
        let (why, again) = bed.why("client", &config, &[&path]);
        let what = format!("Nix {}: {why:#}", nix.version);
        assert!(!output.status.success() && !again.status.success());
        let found = link(&why, &late);
        assert_eq!(found["outcome"], "remembered-missing", "{what}");
        assert_eq!((&found["is_present"], &found["verdict"]), (&true.into(), &"verified".into()));
        let memory = &found["remembered"][0];
        assert_eq!(memory["is_used"], true, "{what}");
        let seconds = |name: &str| memory[name].as_u64().expect("seconds");
        assert_eq!(seconds("age_seconds") + seconds("expires_in_seconds"), 3600, "{what}");
        assert!(!bed.fetches("client", &config, &path), "Nix does remember");

        // With no such memory, both would fetch it.
        let forgetful = format!("{config}narinfo-cache-negative-ttl = 0\n");
        let (why, output) = bed.why("client", &forgetful, &[&path]);
        assert!(output.status.success(), "{why:#}");
        assert!(bed.fetches("client", &forgetful, &path));
        let (why, _) = bed.why("other", &config, &[&path]);
        assert_eq!(link(&why, &late)["outcome"], "usable");

        // An unsigned narinfo is remembered for thirty days, signed since or not.
        bed.upload(&path, "fixed", None);
        let fixed = serve(&bed.path("fixed"));
        let config = self::config(&[&fixed], &[&key]);
        assert!(!bed.fetches("client", &config, &path), "it is not signed yet");
        fs::remove_dir_all(bed.path("fixed")).expect("the cache");
        bed.upload(&path, "fixed", Some("good"));
        let (why, output) = bed.why("client", &config, &[&path]);
        let what = format!("Nix {}: {why:#}", nix.version);
        assert_eq!(link(&why, &fixed)["outcome"], "remembered-untrusted", "{what}");
        assert!(!output.status.success());
        assert!(!bed.fetches("client", &config, &path), "Nix does remember; {what}");
    }
}

#[test]
fn what_a_derivation_forbids() {
    for nix in real_nix() {
        let bed = Bed::new(&nix);
        let key = bed.key(NAME, "good");
        let free = bed.derivation("{ }");
        let own = bed.derivation("{ allowSubstitutes = false; preferLocalBuild = true; }");
        for drv in [&free, &own] {
            let path = bed.build("nix-store", &["-r", drv]);
            bed.upload(&path, "cache", Some("good"));
        }
        let cache = serve(&bed.path("cache"));
        let config = config(&[&cache], &[&key]);
        let (why, output) = bed.why("client", &config, &[&free]);
        assert!(output.status.success(), "{why:#}");
        assert_eq!(
            (&why["paths"][0]["output"], &why["paths"][0]["from"]),
            (&"out".into(), &cache.as_str().into())
        );
        let (why, output) = bed.why("client", &config, &[&format!("{own}^out")]);
        assert!(!output.status.success(), "{why:#}");
        let cause = &why["paths"][0]["obstacles"][0];
        assert!(cause["why"].as_str().expect("why").contains("allowSubstitutes = false"));
        assert_eq!(link(&why, &cache)["outcome"], "usable", "the cache is not to blame");
        let (why, _) = bed.why("client", &format!("{config}substitute = false\n"), &[&free]);
        assert_eq!(why["obstacles"][0]["fix"], "set substitute = true", "{why:#}");

        let human = bed.command("caches", "client", &config).args(["why", &own]).output();
        let human = text(&human.expect("it runs").stdout);
        assert!(human.contains("allowSubstitutes") && human.contains("Nix would not fetch it"));
    }
}

#[test]
fn derivations_of_real_nix_are_read_as_it_reads_them() {
    for nix in real_nix() {
        let bed = Bed::new(&nix);
        for (extra, allows) in [
            ("{ }", true),
            (
                "{ name = \"b\"; nl = \"a\\nb\\rc\\td\\\\e\\\"f\"; allowSubstitutes = false; }",
                false,
            ),
            ("{ outputs = [ \"out\" \"dev\" ]; allowSubstitutes = true; }", true),
            ("{ __structuredAttrs = true; allowSubstitutes = false; x.y = [ 1 ]; }", false),
            (
                "{ outputHashMode = \"flat\"; outputHashAlgo = \"sha256\"; outputHash = \
              \"0000000000000000000000000000000000000000000000000000\"; }",
                true,
            ),
            (
                "{ __contentAddressed = true; outputHashMode = \"recursive\"; outputHashAlgo = \
              \"sha256\"; }",
                true,
            ),
        ] {
            let path = bed.derivation(extra);
            let what = format!("Nix {}: {extra}", nix.version);
            let ours = fs::read(&path).expect("the file");
            let ours = Derivation::parse(&ours, &bed.store()).expect(&what);
            assert_eq!(ours.allows_substitutes(), allows, "{what}");
            let shown: Value =
                serde_json::from_str(&bed.build("nix", &["show-derivation", &path])).expect("JSON");
            // Newer versions put all of it under `derivations`.
            let shown = shown.get("derivations").unwrap_or(&shown);
            let shown = shown.as_object().expect("one").values().next().expect("one");
            let outputs = shown["outputs"].as_object().expect("outputs");
            assert_eq!(outputs.len(), ours.outputs.len(), "{what}");
            for output in &ours.outputs {
                let path = outputs[&output.name].get("path").and_then(Value::as_str);
                let base = path.and_then(|path| path.rsplit('/').next()).map(str::to_owned);
                // Of fixed outputs newer versions say only what fixes them.
                if base.is_some() || !extra.contains("outputHash =") {
                    assert_eq!(output.path.as_ref().map(ToString::to_string), base, "{what}");
                }
            }
            assert_eq!(shown["system"], ours.platform, "{what}");
            let environment = shown["env"].as_object().expect("an environment");
            for (name, value) in environment {
                assert_eq!(
                    value.as_str(),
                    ours.environment.get(name).map(String::as_str),
                    "{what}"
                );
            }
        }
    }
}

#[test]
fn arguments_that_mean_nothing() {
    let run = |path: &str| {
        let output = Command::new(binaries().join("caches")).args(["why", path]).output();
        let output = output.expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{path}");
        text(&output.stderr)
    };
    assert!(run("/nonexistent/a").contains("is not in /nix/store"));
    let drv = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-none.drv";
    assert!(run(drv).contains("No such file"), "{}", run(drv));
    let help = Command::new(binaries().join("caches")).args(["why", "--help"]).output();
    assert!(document(&help.expect("it runs")).contains("DRV^OUTPUT"));
}
