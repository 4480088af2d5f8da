//! Each warning on settings that deserve it, and none on those that do not.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::{ConfOwner, Hardware, Level, Nix, Note};
use detect::number::Cpus;
use detect::release::Release;
use serde_json::{Value, json};

use crate::sizing::GIB;
use crate::{Options, run};

const IDS: [&str; 9] = [
    "build-dir-open",
    "fallback-aborts",
    "few-build-users",
    "jobs-auto-limited",
    "jobs-times-cores",
    "max-free-too-low",
    "sandbox-off",
    "signatures-off",
    "trusted-users",
];

/// 16 CPUs, 64 GiB, and Nix as its installer leaves it.
fn machine() -> Hardware {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.cpu.online = NonZeroU32::new(16);
    hardware.cpu.allowed = hardware.cpu.online;
    hardware.memory.total_bytes = NonZeroU64::new(64 * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    let mut nix = Nix {
        version: Some("2.34.9".to_owned()),
        build_users: Some(32),
        conf_owner: Some(ConfOwner::Plain),
        ..Nix::default()
    };
    let settings = json!({
        "build-dir": null, "cores": 0, "fallback": false, "max-free": i64::MAX, "max-jobs": 1,
        "min-free": 0, "require-sigs": true, "sandbox": true, "trusted-users": ["root"],
    });
    let settings = settings.as_object().expect("an object");
    nix.settings.extend(settings.iter().map(|(name, value)| (name.clone(), value.clone())));
    hardware.nix = Some(nix);
    hardware
}

/// What is said of that machine with these settings.
fn of(change: impl FnOnce(&mut Hardware), settings: &[(&str, Value)]) -> Vec<(String, String)> {
    let mut hardware = machine();
    change(&mut hardware);
    let nix = hardware.nix.get_or_insert_default();
    for (name, value) in settings {
        nix.settings.insert((*name).to_owned(), value.clone());
    }
    let plan = run(hardware, &Options::default()).expect("a plan");
    let ours = plan.notes.into_iter().filter(|note| IDS.contains(&note.id.as_str()));
    ours.map(|note| {
        assert_eq!(note.level, Level::Warning);
        (note.id, note.text)
    })
    .collect()
}

fn ids(settings: &[(&str, Value)]) -> String {
    ids_of(|_| {}, settings)
}

fn ids_of(change: impl FnOnce(&mut Hardware), settings: &[(&str, Value)]) -> String {
    of(change, settings).into_iter().map(|(id, _)| id).collect::<Vec<_>>().join(" ")
}

#[test]
fn nothing_is_wrong_with_the_defaults() {
    assert_eq!(ids(&[]), "");
    let mut hardware = machine();
    hardware.nix = Some(Nix::default());
    let plan = run(hardware.clone(), &Options::default()).expect("a plan");
    assert!(plan.notes.iter().all(|note| !IDS.contains(&note.id.as_str())));
    hardware.nix = None;
    let plan = run(hardware, &Options::default()).expect("a plan");
    assert!(plan.notes.iter().all(|note| !IDS.contains(&note.id.as_str())));
}

#[test]
fn jobs_times_cores_beyond_what_there_is() {
    let said = of(|_| {}, &[("max-jobs", json!("auto")), ("cores", json!(0))]);
    assert_eq!(said[0].0, "jobs-times-cores");
    assert!(said[0].1.contains("16 builds of 16 processes each on 16 CPUs, 256 at once"));
    assert_eq!(ids(&[("max-jobs", json!(16)), ("cores", json!(16))]), "jobs-times-cores");
    assert_eq!(ids(&[("max-jobs", json!(u64::MAX)), ("cores", json!(9))]), "jobs-times-cores");
    assert_eq!(ids(&[("max-jobs", json!(4)), ("cores", json!(4))]), "");
    assert_eq!(ids(&[("max-jobs", json!(1)), ("cores", json!(0))]), "", "the default");
    assert_eq!(ids(&[("max-jobs", json!(16)), ("cores", json!(1))]), "");
}

#[test]
fn auto_sees_no_quota() {
    let quota = |hardware: &mut Hardware| hardware.cpu.quota = Cpus::new(2.5);
    let settings = [("max-jobs", json!("auto")), ("cores", json!(1))];
    assert!(ids_of(quota, &settings).contains("jobs-auto-limited"));
    let affinity = |hardware: &mut Hardware| hardware.cpu.allowed = NonZeroU32::new(4);
    assert!(ids_of(affinity, &settings).contains("jobs-auto-limited"));
    assert_eq!(ids(&settings), "");
    assert_eq!(ids_of(quota, &[]), "", "a number was chosen");
    let both = ids_of(quota, &[("max-jobs", json!("auto"))]);
    assert_eq!(both, "jobs-times-cores jobs-auto-limited", "16 builds of 3");
}

#[test]
fn fewer_build_users_than_jobs() {
    let users = |number: u32, owner| {
        move |hardware: &mut Hardware| {
            let nix = hardware.nix.get_or_insert_default();
            nix.build_users = Some(number);
            nix.conf_owner = Some(owner);
        }
    };
    assert_eq!(ids_of(users(1, ConfOwner::Plain), &[]), "few-build-users");
    assert_eq!(ids_of(users(1, ConfOwner::Nixos), &[]), "", "it follows max-jobs");
    assert_eq!(ids_of(users(0, ConfOwner::Plain), &[]), "", "a single-user Nix");
    let allocates = [("auto-allocate-uids", json!(true))];
    assert_eq!(ids_of(users(1, ConfOwner::Plain), &allocates), "");
}

#[test]
fn max_free_must_be_above_min_free() {
    let free = |min: u64, max: u64| ids(&[("min-free", json!(min)), ("max-free", json!(max))]);
    assert_eq!(free(GIB, GIB), "max-free-too-low");
    assert_eq!(free(GIB, 0), "max-free-too-low");
    assert_eq!(free(GIB, 3 * GIB), "");
    assert_eq!(free(0, 0), "", "off");
}

#[test]
fn builds_where_everyone_may_write() {
    for place in ["/tmp", "/tmp/nix-build", "/var/tmp/x", "/dev/shm"] {
        assert_eq!(ids(&[("build-dir", json!(place))]), "build-dir-open", "{place}");
    }
    for place in ["/tmpfs", "/var/builds", ""] {
        assert_eq!(ids(&[("build-dir", json!(place))]), "", "{place}");
    }
    let text = |version: &str| {
        let old = |hardware: &mut Hardware| {
            hardware.nix.get_or_insert_default().version = Some(version.to_owned());
        };
        of(old, &[("build-dir", json!("/tmp"))])[0].1.clone()
    };
    assert!(text("2.34.9").contains("refuses"));
    assert!(text("2.28.8").contains("CVE"));
}

#[test]
fn users_as_good_as_root() {
    let said = of(|_| {}, &[("trusted-users", json!(["root", "@wheel", "a\u{1b}[2Jb"]))]);
    assert_eq!(said[0].0, "trusted-users");
    assert!(said[0].1.contains(r#""@wheel", "a\u{1b}[2Jb" beside root"#), "{}", said[0].1);
    let many: Vec<String> = (0..1000).map(|number| format!("user{number}")).collect();
    let said = of(|_| {}, &[("trusted-users", json!(many))]);
    assert!(said[0].1.contains(" and 995 more "), "{}", said[0].1);
}

#[test]
fn fallback_aborts_where_it_does() {
    let with = |version: &str| {
        let set = |hardware: &mut Hardware| {
            hardware.nix.get_or_insert_default().version = Some(version.to_owned());
        };
        ids_of(set, &[("fallback", json!(true))])
    };
    assert_eq!(with("2.8.0"), "fallback-aborts");
    assert_eq!(with("2.34.9"), "");
    assert_eq!(with("2.26.3"), "");
}

#[test]
fn the_installed_nix_is_judged_whatever_is_planned_for() {
    let mut hardware = machine();
    let nix = hardware.nix.get_or_insert_default();
    nix.version = Some("2.8.0".to_owned());
    nix.settings.insert("fallback".to_owned(), json!(true));
    let options = Options { for_nix: Release::parse("2.34.9"), ..Options::default() };
    let plan = run(hardware, &options).expect("a plan");
    assert!(plan.notes.iter().any(|note| note.id == "fallback-aborts"));
}

#[test]
fn what_detect_read_in_files_is_repeated() {
    let mut hardware = machine();
    hardware.notes = vec![
        Note::warning("nix-extra-forgotten", "extra-x\u{1b}[2J is forgotten"),
        Note::warning("nix-unknown-setting", "x".repeat(1 << 20)),
        Note::warning("cpu-unknown", "not about settings"),
    ];
    let plan = run(hardware, &Options::default()).expect("a plan");
    let find = |id: &str| plan.notes.iter().find(|note| note.id == id);
    let note = find("nix-extra-forgotten").expect("repeated");
    assert_eq!(note.text, "extra-x [2J is forgotten");
    let note = find("nix-unknown-setting").expect("repeated");
    assert_eq!(note.text.len(), 1000);
    assert_eq!(find("cpu-unknown"), None);
}

#[test]
fn checks_that_are_off() {
    assert_eq!(ids(&[("sandbox", json!(false))]), "sandbox-off");
    assert_eq!(ids(&[("sandbox", json!("false"))]), "sandbox-off");
    assert_eq!(ids(&[("sandbox", json!("relaxed"))]), "");
    assert_eq!(ids(&[("require-sigs", json!(false))]), "signatures-off");
}
