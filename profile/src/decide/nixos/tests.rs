//! What `NixOS` and nix-darwin are told, and of which machines not.

use std::num::NonZeroU64;

use detect::hardware::{ConfOwner, Hardware, Media, Nix, Place};

use crate::plan::{Plan, Setting, Value, Workload};
use crate::sizing::GIB;
use crate::{Options, run};

const HIGH: &str = "systemd.services.nix-daemon.serviceConfig.MemoryHigh";

fn server() -> Hardware {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.memory.total_bytes = NonZeroU64::new(64 * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(32 * GIB);
    hardware
}

fn plan(hardware: &Hardware, workload: Workload) -> Plan {
    let options = Options { workload, ..Options::default() };
    run(hardware.clone(), &options).expect("a plan")
}

fn value(hardware: &Hardware, workload: Workload, path: &str) -> Option<Value> {
    plan(hardware, workload).nixos.get(path).map(|setting| setting.value.clone())
}

fn store(bytes: u64) -> Place {
    Place {
        path: "/nix/store".to_owned(),
        mount_point: None,
        filesystem: None,
        options: Vec::new(),
        size_bytes: NonZeroU64::new(bytes),
        inodes: None,
        media: Media::Ssd,
        stack: Vec::new(),
        disks: None,
    }
}

#[test]
fn servers_with_swap_hold_all_builds_together() {
    let of = |hardware: &Hardware, workload| value(hardware, workload, HIGH);
    let Some(Value::Integer(high)) = of(&server(), Workload::Builder) else { panic!("planned") };
    assert!(high < 64 * GIB && high > 60 * GIB, "{high}");
    assert!(of(&server(), Workload::General).is_some());
    assert!(of(&server(), Workload::Interactive).is_none());
    assert!(of(&server(), Workload::Ci).is_none());

    let mut other = server();
    other.memory.swap_bytes = Some(0);
    assert!(of(&other, Workload::Builder).is_none(), "builds would stand still");
    let mut other = server();
    other.memory.zram_bytes = Some(64 * GIB);
    assert!(of(&other, Workload::Builder).is_none(), "zram takes what the limit leaves");
    let mut other = server();
    other.memory.limit_bytes = NonZeroU64::new(32 * GIB);
    assert!(of(&other, Workload::Builder).is_none(), "there is a limit");
    let mut other = server();
    other.environment.container = Some("lxc".to_owned());
    assert!(of(&other, Workload::Builder).is_none());
    let mut other = server();
    other.memory.total_bytes = NonZeroU64::new(8 * GIB);
    other.memory.usable_bytes = other.memory.total_bytes;
    assert!(of(&other, Workload::Builder).is_none(), "too little to share");
}

#[test]
fn garbage_is_collected_by_how_fast_it_grows() {
    let dates = |bytes, workload| {
        let mut hardware = server();
        hardware.storage.store = Some(store(bytes));
        value(&hardware, workload, "nix.gc.dates").map(|value| value.to_string())
    };
    assert_eq!(dates(100_000_000_000, Workload::Builder).as_deref(), Some("daily"));
    assert_eq!(dates(500_000_000_000, Workload::Builder).as_deref(), Some("weekly"));
    assert_eq!(dates(100_000_000_000, Workload::General).as_deref(), Some("weekly"));
    assert_eq!(dates(0, Workload::Builder).as_deref(), Some("weekly"), "not known");
}

#[test]
fn no_generation_is_ever_deleted() {
    for workload in
        [Workload::General, Workload::Interactive, Workload::Ci, Workload::Builder, Workload::Big]
    {
        let plan = plan(&server(), workload);
        let says = |setting: &Setting| setting.value.to_string().contains("delete");
        assert!(!plan.nixos.contains_key("nix.gc.options"));
        assert!(!plan.nixos.values().any(says));
        assert_eq!(plan.nixos["nix.gc.automatic"].value, Value::Bool(true));
    }
}

#[test]
fn a_store_of_others_is_left_to_them() {
    let timers = |hardware: &Hardware| {
        let plan = plan(hardware, Workload::General);
        let timers = plan.nixos.keys().filter(|path| path.contains(".automatic"));
        timers.cloned().collect::<Vec<_>>()
    };
    assert_eq!(timers(&server()), ["nix.gc.automatic", "nix.optimise.automatic"]);
    let mut other = server();
    other.environment.container = Some("docker".to_owned());
    assert_eq!(timers(&other), [""; 0]);
    let mut other = server();
    other.environment.ci = Some("github-actions".to_owned());
    assert_eq!(timers(&other), [""; 0]);
}

#[test]
fn old_nixos_takes_the_types() {
    let plan = plan(&server(), Workload::General);
    assert_eq!(plan.nixos["nix.gc.dates"].value, Value::Text("weekly".to_owned()));
    assert_eq!(plan.nixos["nix.optimise.dates"].value, Value::List(vec!["weekly".to_owned()]));
    let newer = ["nix.optimise.persistent", "nix.optimise.randomizedDelaySec", "nix.daemonUser"];
    assert!(!newer.iter().any(|path| plan.nixos.contains_key(*path)), "not in 22.05");
}

#[test]
fn the_disk_is_yielded_unless_builds_are_all_there_is() {
    let path = "nix.daemonIOSchedClass";
    let idle = Some(Value::Text("idle".to_owned()));
    assert_eq!(value(&server(), Workload::General, path), idle);
    assert_eq!(value(&server(), Workload::Interactive, path), idle);
    assert_eq!(value(&server(), Workload::Builder, path), None);
    assert_eq!(value(&server(), Workload::Ci, path), None);
}

#[test]
fn a_mac_is_told_only_what_nix_darwin_has() {
    let mac = |owner| Hardware {
        system: Some("aarch64-darwin".to_owned()),
        nix: Some(Nix { conf_owner: Some(owner), ..Nix::default() }),
        ..Hardware::default()
    };
    let paths = |owner, workload| {
        let plan = plan(&mac(owner), workload);
        assert!(plan.nixos.is_empty());
        plan.darwin.into_keys().collect::<Vec<_>>().join(" ")
    };
    let both = "nix.daemonIOLowPriority nix.gc.automatic";
    assert_eq!(paths(ConfOwner::Darwin, Workload::General), both);
    assert_eq!(paths(ConfOwner::Darwin, Workload::Builder), "nix.gc.automatic");
    assert_eq!(paths(ConfOwner::Determinate, Workload::General), "", "nix.enable is off");
    let linux = plan(&server(), Workload::General);
    assert!(linux.darwin.is_empty());
    let text = detect::stage::text(&linux).expect("JSON");
    assert!(!text.contains("\"darwin\""), "whoever knows no such field still reads it");
    assert!(plan(&Hardware::default(), Workload::General).darwin.is_empty(), "not known");
}
