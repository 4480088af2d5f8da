//! The catalogue against itself, and against what Nix says of itself.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use detect::release::Release;
use serde_json::Value as Json;

use super::{Entry, Kind, Preset, find, find_alias, table::TABLE};

fn release(text: &str) -> Release {
    Release::parse(text).expect(text)
}

fn entry(name: &str) -> &'static Entry {
    find(name).expect(name)
}

fn default(name: &str, text: &str) -> Option<Preset> {
    entry(name).default(release(text))
}

#[test]
fn sorted_and_without_a_name_twice() {
    for pair in TABLE.windows(2) {
        assert!(pair[0].name < pair[1].name, "{}", pair[1].name);
    }
    for entry in TABLE {
        for history in [entry.later, entry.lix_later] {
            assert!(history.is_sorted_by_key(|(since, _)| since), "{}", entry.name);
        }
        for alias in entry.aliases {
            let owners = TABLE.iter().filter(|other| other.aliases.contains(alias));
            assert_eq!(owners.count(), 1, "{alias}");
        }
    }
}

#[test]
fn connect_timeout_grew_in_patch_releases() {
    for (version, seconds) in [
        ("2.8", 0),
        ("2.28.7", 0),
        ("2.29.0", 5),
        ("2.30.3", 5),
        ("2.30.4", 15),
        ("2.31.1", 5),
        ("2.31.2", 15),
        ("2.32.0", 15),
        ("2.35.2", 15),
        ("lix-2.92", 0),
        ("lix-2.93", 5),
    ] {
        let preset = Some(Preset::Number(seconds));
        assert_eq!(default("connect-timeout", version), preset, "{version}");
    }
    let lix = release("lix-2.94");
    assert!(!entry("connect-timeout").known(lix));
    let current = find_alias("connect-timeout").expect("an alias");
    assert_eq!(current.name, "max-connect-timeout");
    assert!(current.known(lix) && !current.known(release("lix-2.93")));
}

#[test]
fn settings_come_go_and_change_their_names() {
    let knows = |name: &str, text: &str| entry(name).known(release(text));
    assert!(knows("repeat", "2.12.1") && !knows("repeat", "2.13.0"));
    assert!(!knows("repeat", "lix-2.90"), "gone before Lix began");
    assert!(knows("build-dir", "2.22") && !knows("build-dir", "2.21.5"));
    assert!(knows("build-dir", "lix-2.91") && !knows("build-dir", "lix-2.90"));
    assert!(knows("eval-cores", "determinate-2.32.1") && !knows("eval-cores", "2.35"));
    assert!(!knows("filter-syscalls", "lix-2.90"));
    assert!(knows("download-attempts", "2.34.8") && !knows("download-attempts", "2.35"));
    let alias = |name| find_alias(name).map(|entry| entry.name);
    assert_eq!(alias("download-attempts"), Some("filetransfer-retry-attempts"));
    assert_eq!(alias("build-use-chroot"), Some("sandbox"));
    assert_eq!(alias("sandbox"), None);
    assert_eq!(default("log-lines", "2.19.7"), Some(Preset::Number(10)));
    assert_eq!(default("log-lines", "2.20"), Some(Preset::Number(25)));
    assert_eq!(default("log-lines", "lix-2.90"), Some(Preset::Number(25)));
}

#[test]
fn the_original_design_named_two_settings_that_no_nix_has() {
    assert!(find("parallel-builds").is_none());
    assert!(find("use-xz-binary-cache-substituter").is_none());
}

/// What the project does not own, kept beside it.
fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NIXPACE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = folder.join(path);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "missing: {}", path.display());
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "SKIPPED: no {}", path.display()).expect("stderr");
    None
}

#[test]
fn agrees_with_what_nix_says_of_itself() {
    // The exact releases that printed the files.
    for (file, version) in [("2.8", "2.8.0"), ("2.26", "2.26.3"), ("2.34", "2.34.8")] {
        let Some(path) = shared(&format!("nix-conf/show-config-{file}.json")) else {
            return;
        };
        let text = std::fs::read_to_string(&path).expect("readable");
        let theirs: BTreeMap<String, Json> = serde_json::from_str(&text).expect("JSON");
        let nix = release(version);

        for (name, json) in &theirs {
            // It is an own setting there still, but only to tell people its
            // new name: writing it draws a warning.
            if name == "warn-short-path-literals" {
                continue;
            }
            let entry = find(name).unwrap_or_else(|| panic!("{version}: {name}: missing"));
            let preset = entry.default(nix);
            let preset = preset.unwrap_or_else(|| panic!("{version}: {name}: unknown"));
            assert!(
                same(preset, &json["defaultValue"]),
                "{version}: {name}: {preset:?}, not {}",
                json["defaultValue"]
            );
            // It was one path before 2.17; no plan may set it in any case.
            let changed = name == "build-hook" && nix.version < (2, 17, 0);
            let default = &json["defaultValue"];
            assert!(changed || fits(entry.kind, default), "{version}: {name}: {default}");
            let gate = json.get("experimentalFeature").and_then(Json::as_str);
            if let Some(gate) = gate {
                assert_eq!(entry.feature, Some(gate), "{version}: {name}");
            }
            for alias in json["aliases"].as_array().expect("aliases") {
                let alias = alias.as_str().expect("a name");
                let found = find_alias(alias).map(|entry| entry.name);
                assert_eq!(found, Some(name.as_str()), "{version}: {alias}");
            }
        }
        for entry in TABLE.iter().filter(|entry| entry.known(nix)) {
            let elsewhere = entry.platform == Some("darwin");
            assert!(
                elsewhere || theirs.contains_key(entry.name),
                "{version}: {}: no such setting",
                entry.name
            );
        }
    }
}

/// Whether Nix prints a setting as one of this kind takes it. It prints `false`
/// for a choice that has the word, and `null` for a path that is not set.
fn fits(kind: Kind, json: &Json) -> bool {
    match kind {
        Kind::Bool => json.is_boolean(),
        Kind::Number | Kind::Large | Kind::Jobs => json.is_u64(),
        Kind::Text => json.is_string(),
        Kind::Path => json.is_string() || json.is_null(),
        Kind::Choice(words) => {
            json.is_boolean() || json.as_str().is_some_and(|word| words.contains(&word))
        }
        Kind::Words => json.is_array() || json.is_object(),
    }
}

/// Whether a default is as Nix prints it.
fn same(preset: Preset, json: &Json) -> bool {
    match preset {
        Preset::Varies => true,
        Preset::Unset => json.is_null(),
        Preset::Bool(value) => json.as_bool() == Some(value),
        Preset::Number(value) => json.as_u64() == Some(value),
        Preset::Text(text) => json.as_str() == Some(text),
        Preset::Words(words) => match json {
            Json::Object(map) => words.is_empty() && map.is_empty(),
            _ => *json == Json::from(words.to_vec()),
        },
    }
}
