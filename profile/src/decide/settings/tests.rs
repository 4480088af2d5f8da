//! Each decision on a machine for which it is taken, and on one for which not.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::{ConfOwner, Hardware, Media, Nix, Place};
use detect::release::Release;
use serde_json::json;

use crate::plan::{Plan, Value, Workload};
use crate::sizing::GIB;
use crate::{Options, run};

fn machine(memory_bytes: u64) -> Hardware {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.cpu.allowed = NonZeroU32::new(16);
    hardware.memory.total_bytes = NonZeroU64::new(memory_bytes);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware.nix = Some(Nix::default());
    hardware
}

fn plan(hardware: &Hardware, workload: Workload, version: &str) -> Plan {
    let options = Options { workload, for_nix: Release::parse(version), ..Options::default() };
    run(hardware.clone(), &options).expect("a plan")
}

fn planned(hardware: &Hardware, workload: Workload, version: &str, name: &str) -> Option<Value> {
    let plan = plan(hardware, workload, version);
    plan.settings.get(name).map(|setting| setting.value.clone())
}

fn set(hardware: &mut Hardware, name: &str, value: serde_json::Value) {
    let nix = hardware.nix.get_or_insert_default();
    nix.settings.insert(name.to_owned(), value);
}

#[test]
fn what_is_set_to_more_stays() {
    for (now, expected) in [(10, Some(25)), (25, Some(25)), (100, None)] {
        let mut machine = machine(16 * GIB);
        set(&mut machine, "log-lines", json!(now));
        let found = planned(&machine, Workload::General, "2.18", "log-lines");
        assert_eq!(found, expected.map(Value::Integer), "{now}");
    }
}

#[test]
fn only_ci_ends_builds_that_hang() {
    for name in ["timeout", "max-silent-time"] {
        let of = |hardware, workload| planned(hardware, workload, "2.34", name).is_some();
        let machine = machine(16 * GIB);
        assert!(of(&machine, Workload::Ci));
        assert!(!of(&machine, Workload::General) && !of(&machine, Workload::Builder));
        let mut runner = machine.clone();
        runner.environment.ci = Some("github-actions".to_owned());
        assert!(of(&runner, Workload::General));
        assert!(!of(&runner, Workload::Interactive), "as asked");
    }
}

#[test]
fn ci_may_always_substitute_where_nix_can() {
    let name = "always-allow-substitutes";
    let of = |workload, version| planned(&machine(16 * GIB), workload, version, name);
    assert_eq!(of(Workload::Ci, "2.19"), Some(Value::Bool(true)));
    assert_eq!(of(Workload::Ci, "2.18"), None);
    assert_eq!(of(Workload::General, "2.34"), None);
}

#[test]
fn several_caches_behind_a_fast_link_are_asked_by_more_threads() {
    let mut fast = machine(16 * GIB);
    fast.network.link_speed_mbps = NonZeroU32::new(1000);
    set(&mut fast, "substituters", json!(["https://a.example", "https://b.example"]));
    let of = |hardware: &Hardware, version: &str| {
        planned(hardware, Workload::General, version, "http-connections")
    };
    assert_eq!(of(&fast, "2.34"), Some(Value::Integer(50)));
    assert_eq!(of(&fast, "2.8"), Some(Value::Integer(50)));
    assert_eq!(of(&fast, "2.35"), None, "no threads any more");
    assert_eq!(of(&fast, "lix-2.93"), None, "not known");

    let mut other = fast.clone();
    other.network.link_speed_mbps = NonZeroU32::new(100);
    assert_eq!(of(&other, "2.34"), None);
    other.network.link_speed_mbps = None;
    assert_eq!(of(&other, "2.34"), None);
    let mut other = fast.clone();
    other.network.wireless = Some(true);
    assert_eq!(of(&other, "2.34"), None);
    set(&mut fast, "substituters", json!(["https://a.example"]));
    assert_eq!(of(&fast, "2.34"), None);
}

#[test]
fn downloads_get_a_buffer_where_it_stalls_them_and_memory_is_plentiful() {
    let of = |gib: u64, version| {
        planned(&machine(gib * GIB), Workload::Ci, version, "download-buffer-size")
    };
    assert_eq!(of(64, "2.26.3"), Some(Value::Integer(256 << 20)));
    assert_eq!(of(33, "2.24"), Some(Value::Integer(256 << 20)));
    assert_eq!(of(32, "2.24"), None, "an eighth of 31 GiB is less than 16 times 256 MiB");
    assert_eq!(of(64, "2.33"), None);
    assert_eq!(of(64, "2.23"), None);
}

#[test]
fn who_works_there_keeps_what_built_it_if_there_is_room() {
    let with = |bytes: u64| {
        let mut hardware = machine(16 * GIB);
        hardware.storage.store = Some(Place {
            path: "/nix/store".to_owned(),
            mount_point: None,
            filesystem: None,
            options: Vec::new(),
            size_bytes: NonZeroU64::new(bytes),
            inodes: None,
            media: Media::Nvme,
            stack: Vec::new(),
            disks: None,
        });
        hardware
    };
    let of = |bytes, workload| planned(&with(bytes), workload, "2.34", "keep-outputs");
    assert_eq!(of(480_000_000_000, Workload::Interactive), Some(Value::Bool(true)));
    assert_eq!(of(250_000_000_000, Workload::Interactive), None);
    assert_eq!(of(0, Workload::Interactive), None, "not known");
    assert_eq!(of(480_000_000_000, Workload::General), None);
}

#[test]
fn builders_fetch_for_themselves_where_there_are_any() {
    let of = |builders: &str, owner| {
        let mut hardware = machine(16 * GIB);
        set(&mut hardware, "builders", json!(builders));
        hardware.nix.get_or_insert_default().conf_owner = Some(owner);
        planned(&hardware, Workload::General, "2.34", "builders-use-substitutes").is_some()
    };
    assert!(of("ssh://builder x86_64-linux", ConfOwner::Plain));
    assert!(of("@/etc/nix/my-machines", ConfOwner::Plain));
    assert!(!of("@/etc/nix/machines", ConfOwner::Plain), "the default, file or not");
    assert!(of("@/etc/nix/machines", ConfOwner::Nixos), "empty without distributed builds");
    assert!(!of("", ConfOwner::Nixos) && !of(" ", ConfOwner::Plain));
}
