//! What we render, every supported Nix reads: exit 0, no warning, our values.

use std::path::Path;
use std::process::{Command, Output};

use detect::hardware::{Environment, Hardware, Limits, Media, Place};
use detect::number::Cpus;
use detect::release::Release;
use profile::Options;
use profile::conf::{Form, render};
use profile::plan::{Plan, Value};
use serde_json::json;

use crate::tools::{RealNix, binaries, document, path_with, real_nix, skip, text, tool};

const GIB: u64 = 1 << 30;

pub(crate) fn machine(cpus: u32, memory_bytes: u64) -> Hardware {
    let system = Some("x86_64-linux".to_owned());
    let mut hardware = Hardware { system, ..Hardware::default() };
    hardware.cpu.allowed = cpus.try_into().ok();
    hardware.cpu.online = hardware.cpu.allowed;
    hardware.cpu.usable = hardware.cpu.allowed.map(Cpus::from);
    hardware.memory.total_bytes = memory_bytes.try_into().ok();
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware
}

fn with(mut hardware: Hardware, change: impl FnOnce(&mut Hardware)) -> Hardware {
    change(&mut hardware);
    hardware
}

/// Machines of every size, and those on which sizing goes wrong elsewhere.
fn machines() -> Vec<(String, Hardware)> {
    let mut machines = Vec::new();
    for cpus in [1, 2, 3, 4, 6, 8, 16, 64, 256, 8192] {
        for quarters in [1_u64, 4, 8, 32] {
            let memory = u64::from(cpus) * quarters * GIB / 4;
            let name = format!("{cpus} CPUs, {quarters}/4 GiB each");
            machines.push((name, machine(cpus, memory)));
        }
    }
    let quota = |cpus: f64| {
        with(machine(64, 256 * GIB), |hardware| {
            hardware.cpu.quota = Cpus::new(cpus);
            hardware.cpu.usable = Cpus::new(cpus);
        })
    };
    let special = vec![
        ("a tenth of a CPU", quota(0.1)),
        ("a quota of 1.5 CPUs", quota(1.5)),
        ("a quota of 7.99 CPUs", quota(7.99)),
        (
            "a limit of 2 GiB",
            with(machine(64, 256 * GIB), |hardware| {
                hardware.memory.limit_bytes = (2 * GIB).try_into().ok();
                hardware.memory.usable_bytes = hardware.memory.limit_bytes;
            }),
        ),
        (
            "a daemon held tighter than we are",
            with(machine(64, 256 * GIB), |hardware| {
                hardware.daemon = Some(Limits {
                    quota: Cpus::new(2.5),
                    memory_limit_bytes: (6 * GIB).try_into().ok(),
                    allowed: 8.try_into().ok(),
                });
            }),
        ),
        (
            "plenty of swap",
            with(machine(16, 32 * GIB), |hardware| {
                hardware.memory.swap_bytes = Some(32 * GIB);
            }),
        ),
        (
            "zram",
            with(machine(16, 32 * GIB), |hardware| {
                hardware.memory.zram_bytes = Some(24 * GIB);
            }),
        ),
        (
            "a laptop",
            with(machine(8, 16 * GIB), |hardware| {
                hardware.environment = Environment { laptop: Some(true), ..Environment::default() };
            }),
        ),
        (
            "a CI runner",
            with(machine(4, 16 * GIB), |hardware| {
                hardware.environment.ci = Some("github-actions".to_owned());
                hardware.environment.virtual_machine = Some("hyperv".to_owned());
            }),
        ),
        (
            "builds in memory",
            with(machine(16, 64 * GIB), |hardware| {
                hardware.storage.build_dir = Some(Place {
                    path: "/nix/var/nix/builds".to_owned(),
                    mount_point: Some("/nix/var/nix/builds".to_owned()),
                    filesystem: Some("tmpfs".to_owned()),
                    options: vec!["size=48g".to_owned()],
                    size_bytes: (48 * GIB).try_into().ok(),
                    inodes: None,
                    media: Media::Memory,
                    stack: vec!["tmpfs".to_owned()],
                    disks: Some(Vec::new()),
                });
            }),
        ),
        (
            "the largest numbers there are",
            with(machine(u32::MAX, u64::MAX), |hardware| {
                hardware.memory.swap_bytes = Some(u64::MAX);
                hardware.memory.zram_bytes = Some(u64::MAX);
            }),
        ),
        ("the smallest", machine(1, 1)),
        ("unknown CPUs", with(machine(8, 16 * GIB), |hardware| hardware.cpu.allowed = None)),
        (
            "unknown memory",
            with(machine(8, 16 * GIB), |hardware| {
                hardware.memory.usable_bytes = None;
            }),
        ),
        ("nothing known", Hardware::default()),
    ];
    machines.extend(special.into_iter().map(|(name, hardware)| (name.to_owned(), hardware)));
    machines
}

/// Let a real Nix print its settings, with `conf` as its only file.
fn show(nix: &RealNix, conf: &Path) -> Output {
    let release = Release::parse(&nix.version).expect("a release");
    let show: &[&str] = if release.has_nix(2, 20) { &["config", "show"] } else { &["show-config"] };
    Command::new(nix.bin.join("nix"))
        .args(["--extra-experimental-features", "nix-command"])
        .args(show)
        .arg("--json")
        .env("NIX_CONF_DIR", "/nonexistent")
        .env("NIX_USER_CONF_FILES", conf)
        .env_remove("NIX_CONFIG")
        .env("HOME", conf.parent().expect("folder"))
        .output()
        .expect("nix runs")
}

#[test]
fn every_nix_reads_what_is_rendered_for_it() {
    let machines = machines();
    assert!(machines.len() >= 40);
    let folder = tempfile::tempdir().expect("folder");
    let conf = folder.path().join("nix.conf");
    for nix in real_nix() {
        for (name, hardware) in &machines {
            let what = format!("{name}, for Nix {}", nix.version);
            let options = Options { for_nix: Release::parse(&nix.version), ..Options::default() };
            let plan = profile::run(hardware.clone(), &options).expect(&what);
            let rendered = render(&plan, Form::NixConf).expect(&what);
            std::fs::write(&conf, &rendered).expect("nix.conf");

            let output = show(&nix, &conf);
            assert!(output.status.success(), "{what}: {}", text(&output.stderr));
            assert_eq!(text(&output.stderr), "", "{what}:\n{rendered}");
            let values: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            for (name, setting) in &plan.settings {
                assert_eq!(values[name]["value"], json(&setting.value), "{what}: {name}");
            }
        }
    }
}

/// A value as `nix config show --json` prints it.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).expect("JSON")
}

#[test]
fn a_bad_name_would_be_noticed() {
    // The test above is worth nothing if a warning would pass it.
    let folder = tempfile::tempdir().expect("folder");
    let conf = folder.path().join("nix.conf");
    std::fs::write(&conf, "parallel-builds = true\n").expect("nix.conf");
    for nix in real_nix() {
        let errors = text(&show(&nix, &conf).stderr);
        assert!(errors.contains("unknown setting"), "Nix {}: {errors}", nix.version);
    }
}

#[test]
fn the_nix_on_the_path_is_the_target_and_takes_our_values() {
    for nix in real_nix() {
        let script = "set -euo pipefail
            detect -q > hardware.json
            profile -q -o plan.json hardware.json
            NIX_CONFIG=\"$(detect -q | profile -q | nix-conf-write -q --as env)\"
            export NIX_CONFIG
            nix --extra-experimental-features nix-command show-config --json";
        let folder = tempfile::tempdir().expect("folder");
        let output = Command::new("bash")
            .args(["-c", script])
            .current_dir(folder.path())
            .env("PATH", path_with(&[binaries(), &nix.bin]))
            .env("HOME", folder.path())
            .env_remove("NIX_CONFIG")
            .output()
            .expect("bash runs");
        let errors = text(&output.stderr);
        assert!(output.status.success(), "Nix {}: {errors}", nix.version);
        assert!(!errors.contains("unknown setting"), "Nix {}: {errors}", nix.version);

        let read = |name: &str| std::fs::read(folder.path().join(name)).expect(name);
        let plan: Plan = detect::stage::parse(&read("plan.json")).expect("a plan");
        assert!(plan.profile.target.version.starts_with(&nix.version), "{:?}", plan.profile.target);
        let installed = plan.hardware.nix.as_ref().expect("Nix is found");
        assert!(installed.settings.contains_key("max-jobs"), "its settings are read");
        let values: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        for (name, setting) in &plan.settings {
            assert_eq!(values[name]["value"], json(&setting.value), "Nix {}: {name}", nix.version);
        }
        assert!(plan.settings.contains_key("max-jobs"));
    }
}

#[test]
fn without_nix_the_target_is_assumed_and_said() {
    let hardware: serde_json::Value =
        serde_json::from_str(&document(&tool("detect").arg("-q").output().expect("runs")))
            .expect("JSON");
    if !hardware["nix"].is_null() {
        skip("this machine has a Nix");
        return;
    }
    let output = crate::tools::shell("detect | profile -v");
    let plan: Plan = detect::stage::parse(&output.stdout).expect("a plan");
    assert_eq!(json!(plan.profile.target.source), "assumed");
    assert!(text(&output.stderr).contains("2.34"), "{}", text(&output.stderr));
}
