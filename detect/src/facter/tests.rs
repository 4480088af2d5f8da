//! Reports of machines that do not exist.

use std::num::{NonZeroU32, NonZeroU64};

use super::{least, parse};
use crate::hardware::Hardware;

/// Flags up to level 3, as they stand in a report.
const FLAGS: &str = r#""fpu","cx8","cmov","mmx","fxsr","sse","sse2","syscall","lm","pni",
    "ssse3","fma","cx16","sse4_1","sse4_2","movbe","popcnt","xsave","avx","f16c","lahf_lm",
    "abm","bmi1","avx2","bmi2""#;

fn look(report: &str) -> Hardware {
    parse(report.replace("FLAGS", FLAGS).as_bytes()).expect(report)
}

fn ids(hardware: &Hardware) -> Vec<&str> {
    hardware.notes.iter().map(|note| note.id.as_str()).collect()
}

fn error_of(text: &str) -> String {
    format!("{:#}", parse(text.as_bytes()).expect_err(text))
}

const SERVER: &str = r#"{
  "version": 1,
  "system": "x86_64-linux",
  "virtualisation": "none",
  "uefi": {"supported": true},
  "hardware": {
    "cpu": [
      {"architecture": "x86_64", "vendor_name": "AuthenticAMD", "model_name": "Example 9000",
       "features": [FLAGS, "avx512f"], "physical_id": 0, "siblings": 48, "cores": 24},
      {"architecture": "x86_64", "vendor_name": "AuthenticAMD", "model_name": "Example 9000",
       "features": [FLAGS], "physical_id": 1, "siblings": 48, "cores": 24}
    ],
    "disk": [{"index": 30, "class_list": ["disk"], "resources": [{"type": "size"}]}],
    "memory": [{"index": 9, "model": "Main Memory",
                "resources": [{"type": "phys_mem", "range": 64424509440}]}]
  },
  "smbios": {"chassis": [{"handle": 3, "chassis_type": {"hex": "0017", "value": 23}}]},
  "swap": [
    {"type": "partition", "path": "/dev/disk/by-uuid/0", "size": 8388604, "used": 0},
    {"type": "partition", "path": "/dev/zram0", "size": 1048576, "used": 0}
  ]
}"#;

#[test]
fn a_server_of_two_packages() {
    let hardware = look(SERVER);
    assert_eq!(hardware.system.as_deref(), Some("x86_64-linux"));
    let cpu = &hardware.cpu;
    assert_eq!(cpu.vendor.as_deref(), Some("AuthenticAMD"));
    assert_eq!(cpu.model.as_deref(), Some("Example 9000"));
    assert_eq!(cpu.isa_level.as_deref(), Some("x86-64-v3"));
    let counts = [cpu.present, cpu.online, cpu.allowed, cpu.cores, cpu.sockets];
    assert_eq!(counts.map(|count| count.map_or(0, NonZeroU32::get)), [96, 96, 0, 48, 2]);
    assert_eq!(cpu.usable.map(crate::number::Cpus::get), Some(96.0));

    let memory = &hardware.memory;
    assert_eq!(memory.total_bytes, None, "60 GiB are rounded");
    assert_eq!(memory.usable_bytes, NonZeroU64::new(58 << 30));
    assert_eq!((memory.swap_bytes, memory.zram_bytes), (Some(8_388_604 << 10), Some(1 << 30)));

    let environment = &hardware.environment;
    assert_eq!((&environment.virtual_machine, &environment.container), (&None, &None));
    assert_eq!((environment.laptop, environment.kvm), (Some(false), None));
    assert!(hardware.storage.store.is_none(), "no disk is tied to a path");
    assert_eq!(ids(&hardware), ["from-facter", "facter-memory-rounded"]);
}

#[test]
fn an_aarch64_board_that_counts_nothing() {
    let hardware = look(
        r#"{"version": 1, "system": "aarch64-linux", "virtualisation": "none",
            "hardware": {"cpu": [null, {"architecture": "aarch64", "vendor_name": "ARM Limited",
            "features": ["fp", "asimd"], "physical_id": 0}], "memory": [{"resources": [
            {"type": "mem", "base": 0, "range": 8291160064, "enabled": true},
            {"type": "phys_mem", "range": 8053063680}]}]}, "smbios": {}}"#,
    );
    let cpu = &hardware.cpu;
    assert_eq!(cpu.vendor.as_deref(), Some("ARM Limited"));
    assert_eq!((&cpu.model, &cpu.isa_level, cpu.cores), (&None, &None, None));
    assert_eq!((cpu.present, cpu.sockets, cpu.usable), (None, None, None));
    let memory = &hardware.memory;
    assert_eq!(memory.total_bytes, NonZeroU64::new(8_291_160_064), "an older version's report");
    assert_eq!(memory.usable_bytes, memory.total_bytes);
    assert_eq!((memory.swap_bytes, memory.zram_bytes), (None, None), "not asked for");
    assert_eq!(hardware.environment.laptop, None);
    assert_eq!(ids(&hardware), ["from-facter", "facter-empty-cpus", "cpu-unknown"]);
}

#[test]
fn some_counts_are_not_all() {
    let of = |cpus: &str| {
        let report = format!(r#"{{"version": 1, "hardware": {{"cpu": {cpus}}}}}"#);
        let hardware = look(&report);
        let cpu = &hardware.cpu;
        [cpu.online, cpu.cores, cpu.sockets].map(|count| count.map_or(0, NonZeroU32::get))
    };
    assert_eq!(of("[]"), [0; 3]);
    assert_eq!(of("[null, null]"), [0; 3]);
    assert_eq!(of(r#"[null, {"siblings": 1, "cores": 1}, {"siblings": 1, "cores": 1}]"#), [2; 3]);
    assert_eq!(of(r#"[{"siblings": 4}, {"siblings": 4, "cores": 2}]"#), [8, 0, 2]);
    assert_eq!(of(r#"[{"siblings": 4}, {}]"#), [0; 3]);
    assert_eq!(of(r#"[{"siblings": 4}, {"siblings": 0}]"#), [0; 3]);
    assert_eq!(of(r#"[{"siblings": 4294967295}, {"siblings": 1}]"#), [0; 3], "no overflow");
}

#[test]
fn virtualisation_by_the_names_detect_uses() {
    let of = |word: &str| {
        let report = format!(r#"{{"version": 1, "virtualisation": "{word}", "hardware": {{}}}}"#);
        let environment = look(&report).environment;
        (environment.virtual_machine.unwrap_or_default(), environment.container.unwrap_or_default())
    };
    let pair = |vm: &str, container: &str| (vm.to_owned(), container.to_owned());
    assert_eq!(of("kvm"), pair("kvm", ""));
    assert_eq!(of("microsoft"), pair("hyperv", ""));
    assert_eq!(of("vm_other"), pair("unknown", ""));
    assert_eq!(of("systemd_nspawn"), pair("", "systemd-nspawn"));
    assert_eq!(of("none"), pair("", ""));
    assert_eq!(of("of the future"), pair("", ""));
}

#[test]
fn a_notebook_by_its_chassis() {
    let of = |chassis: &str| {
        let chassis = format!(r#"{{"chassis": {chassis}}}"#);
        look(&format!(r#"{{"version": 1, "hardware": {{}}, "smbios": {chassis}}}"#))
            .environment
            .laptop
    };
    assert_eq!(of(r#"[{"chassis_type": {"name": "Notebook", "value": 10}}]"#), Some(true));
    assert_eq!(of(r#"{"chassis_type": {"value": 9}}"#), Some(true), "an older version's report");
    assert_eq!(of(r#"[{"chassis_type": {"value": 3}}, {"chassis_type": {"value": 31}}]"#), {
        Some(true)
    });
    assert_eq!(of(r#"[{"chassis_type": "Desktop"}, {"chassis_type": null}, {}]"#), None);
    assert_eq!(of("[]"), None);
    assert_eq!(of("null"), None);
}

#[test]
fn what_is_no_report_is_refused() {
    let error = error_of(&SERVER.replace("\"version\": 1", "\"version\": 2").replace("FLAGS", ""));
    assert!(error.starts_with("document version 2, but this program reads"), "{error}");
    let error = error_of(r#"{"version": 1, "system": "x86_64-linux", "cpu": {}}"#);
    assert!(error.starts_with("missing field `hardware`"), "a Hardware document: {error}");
    assert!(error_of("{}").contains("missing field"), "no report");
    assert!(error_of("").starts_with("empty"), "no text");
    assert!(error_of(r#"{"version": 1, "hardware": {"cpu": [{"cores": -1}]}}"#).contains("column"));
    let deep = format!(r#"{{"version": 1, "hardware": {{"cpu": {}"#, "[".repeat(100_000));
    assert!(!error_of(&deep).is_empty(), "no overflow of the stack");
}

#[test]
fn rounded_memory_counts_for_the_least_it_may_be() {
    assert_eq!(least(60 << 30), 58 << 30);
    assert_eq!(least(15 << 30), (15 << 30) - (1 << 29));
    assert_eq!(least(16 << 30), (16 << 30) - (1 << 29), "what is below rounds in smaller steps");
    assert_eq!(least(1), 0);
    assert_eq!(least(0), 0);
    assert_eq!(least(u64::MAX), u64::MAX - (1 << 59));
}
