//! What we render, every supported Nix reads: exit 0, no warning, our values.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use detect::hardware::{Environment, Hardware, Limits, Media, Nix, Place};
use detect::number::Cpus;
use detect::release::Release;
use profile::Options;
use profile::form::{Form, render, settings};
use profile::plan::{Plan, Value, Workload};
use serde_json::json;

use crate::fixtures;
use crate::tools::{RealNix, binaries, document, path_with, real_nix, skip, text, tool};

const GIB: u64 = 1 << 30;

const WORKLOADS: [Workload; 5] =
    [Workload::General, Workload::Interactive, Workload::Ci, Workload::Builder, Workload::Big];

/// All that the stages plan on some machine for some release.
const PLANNED: [&str; 15] = [
    "always-allow-substitutes",
    "auto-optimise-store",
    "build-dir",
    "builders-use-substitutes",
    "connect-timeout",
    "cores",
    "download-buffer-size",
    "http-connections",
    "keep-outputs",
    "log-lines",
    "max-free",
    "max-jobs",
    "max-silent-time",
    "min-free",
    "timeout",
];

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

fn place(path: &str, filesystem: &str, bytes: u64) -> Place {
    Place {
        path: path.to_owned(),
        mount_point: Some(path.to_owned()),
        filesystem: Some(filesystem.to_owned()),
        options: Vec::new(),
        size_bytes: bytes.try_into().ok(),
        inodes: None,
        media: Media::Unknown,
        stack: vec![filesystem.to_owned()],
        disks: None,
    }
}

fn with(mut hardware: Hardware, change: impl FnOnce(&mut Hardware)) -> Hardware {
    change(&mut hardware);
    hardware
}

/// Machines of every size, and those on which sizing goes wrong elsewhere.
#[expect(clippy::too_many_lines, reason = "a table")]
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
                let place = place("/nix/var/nix/builds", "tmpfs", 48 * GIB);
                hardware.storage.build_dir = Some(place);
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
        (
            "several caches, builders, a fast link and a large store",
            with(machine(32, 128 * GIB), |hardware| {
                hardware.network.link_speed_mbps = 10_000.try_into().ok();
                let settings = [
                    ("builders", json!("ssh://builder x86_64-linux")),
                    ("substituters", json!(["https://cache.nixos.org", "https://cache.example"])),
                ];
                let settings = settings.map(|(name, value)| (name.to_owned(), value));
                hardware.nix = Some(Nix { settings: settings.into(), ..Nix::default() });
                hardware.storage.store = Some(place("/nix/store", "ext4", 1 << 40));
            }),
        ),
        (
            "a slow store and a fast root",
            with(machine(8, 16 * GIB), |hardware| {
                let slow = |path| Some(Place { media: Media::Hdd, ..place(path, "ext4", 1 << 40) });
                hardware.storage.store = slow("/nix");
                hardware.storage.build_dir = slow("/nix/var/nix/builds");
                let root = Place { media: Media::Nvme, ..place("/", "ext4", 1 << 40) };
                hardware.storage.tmp = Some(root);
            }),
        ),
        ("unknown CPUs", with(machine(8, 16 * GIB), |hardware| hardware.cpu.allowed = None)),
        (
            "unknown memory",
            with(machine(8, 16 * GIB), |hardware| {
                hardware.memory.usable_bytes = None;
            }),
        ),
        ("nothing known", Hardware::default()),
    ];
    machines.extend(fixtures::machines());
    machines.extend(special.into_iter().map(|(name, hardware)| (name.to_owned(), hardware)));
    machines
}

/// Let a real Nix print its settings, with `conf` as its only file.
pub(crate) fn show(nix: &RealNix, conf: &Path) -> Output {
    show_command(nix, conf).output().expect("nix runs")
}

fn show_command(nix: &RealNix, conf: &Path) -> Command {
    let release = Release::parse(&nix.version).expect("a release");
    let show: &[&str] = if release.has_nix(2, 20) { &["config", "show"] } else { &["show-config"] };
    let mut command = Command::new(nix.bin.join("nix"));
    command
        .args(["--extra-experimental-features", "nix-command"])
        .args(show)
        .arg("--json")
        .env("NIX_CONF_DIR", "/nonexistent")
        .env("NIX_USER_CONF_FILES", conf)
        .env_remove("NIX_CONFIG")
        .env("HOME", conf.parent().expect("folder"));
    command
}

#[test]
fn every_nix_reads_what_is_rendered_for_it() {
    let machines = machines();
    assert!(machines.len() >= 40);
    let folder = tempfile::tempdir().expect("folder");
    let conf = folder.path().join("nix.conf");
    let cases =
        || machines.iter().flat_map(|machine| WORKLOADS.map(|workload| (machine, workload)));
    let (installed, mut planned) = (real_nix(), BTreeSet::new());
    for nix in &installed {
        // Many say the same, which one reading proves.
        let mut seen = BTreeSet::new();
        for ((name, hardware), workload) in cases() {
            let what = format!("{name}, for {workload:?} and Nix {}", nix.version);
            let for_nix = Release::parse(&nix.version);
            let options = Options { workload, for_nix, ..Options::default() };
            let plan = profile::run(hardware.clone(), &options).expect(&what);
            let plan = storage::run(plan).expect(&what);
            let rendered = render(&plan, Form::NixConf).expect(&what);
            if !seen.insert(render(&plan, Form::Env).expect(&what)) {
                continue;
            }
            std::fs::write(&conf, &rendered).expect("nix.conf");

            let output = show(nix, &conf);
            assert!(output.status.success(), "{what}: {}", text(&output.stderr));
            assert_eq!(text(&output.stderr), "", "{what}:\n{rendered}");
            let values: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            for (name, setting) in &plan.settings {
                assert_eq!(values[name]["value"], json(&setting.value), "{what}: {name}");
            }
            planned.extend(plan.settings.into_keys());
        }
    }
    // Nothing is planned that was not read; each release has some alone.
    if installed.len() == 3 {
        let planned: Vec<String> = planned.into_iter().collect();
        assert_eq!(planned, PLANNED);
    }
}

/// A value as `nix config show --json` prints it.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).expect("JSON")
}

#[test]
fn every_nix_reads_the_environment_s_value_too() {
    let folder = tempfile::tempdir().expect("folder");
    for nix in real_nix() {
        for (name, hardware) in fixtures::machines() {
            let what = format!("{name}, for Nix {}", nix.version);
            let options = Options { for_nix: Release::parse(&nix.version), ..Options::default() };
            let plan = profile::run(hardware, &options).expect(&what);
            let mut show = show_command(&nix, &folder.path().join("none"));
            show.env("NIX_CONFIG", render(&plan, Form::Env).expect(&what));
            let output = show.output().expect("nix runs");
            assert_eq!(text(&output.stderr), "", "{what}");
            let values: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
            for (name, setting) in settings(&plan, Form::Env) {
                assert_eq!(values[name]["value"], json(&setting.value), "{what}: {name}");
            }
        }
    }
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
fn names_that_do_nothing_are_noted() {
    let folder = tempfile::tempdir().expect("folder");
    let conf = folder.path().join("nix.conf");
    for nix in real_nix() {
        let noted = |text: &str| {
            std::fs::write(&conf, text).expect("nix.conf");
            let mut program = tool("detect");
            program.arg("-q").env("PATH", path_with(&[&nix.bin])).env("HOME", folder.path());
            program.env("NIX_USER_CONF_FILES", &conf).env_remove("NIX_CONFIG");
            let machine = document(&program.output().expect("detect runs"));
            let machine: Hardware = detect::stage::parse(machine.as_bytes()).expect("a document");
            let note = machine.notes.into_iter().find(|note| note.id == "nix-unknown-setting");
            note.map(|note| note.text)
        };
        let text = noted("parallel-builds = true\ncores = 2\n").expect("a note");
        assert!(text.ends_with(": parallel-builds"), "Nix {}: {text}", nix.version);
        assert_eq!(noted("cores = 2\n"), None, "Nix {}", nix.version);
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
