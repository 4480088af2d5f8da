//! Hostile documents and trees: no panic, and nothing forbidden gets out.

use detect::hardware::Hardware;
use detect::root::Root;
use detect::stage;
use profile::form::{Form, render};
use profile::plan::{Plan, Setting, Value};
use profile::{Options, run};
use proptest::prelude::*;

use crate::tools::{text, tool};

/// Names that must never be written, each as invariant 3 of the design has it.
const FORBIDDEN: [&str; 22] = [
    "trusted-users",
    "allowed-users",
    "require-sigs",
    "sandbox",
    "sandbox-paths",
    "sandbox-fallback",
    "sandbox-build-dir",
    "sandbox-dev-shm-size",
    "build-use-sandbox",
    "build-use-chroot",
    "build-sandbox-paths",
    "accept-flake-config",
    "pre-build-hook",
    "post-build-hook",
    "diff-hook",
    "build-hook",
    "plugin-files",
    "fsync-metadata",
    "fsync-store-paths",
    "secret-key-files",
    "extra-trusted-users",
    "extra-sandbox-paths",
];

fn plan() -> Plan {
    let mut hardware = Hardware::default();
    hardware.cpu.allowed = 8.try_into().ok();
    hardware.memory.usable_bytes = (16_u64 << 30).try_into().ok();
    run(hardware, &Options::default()).expect("a plan")
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(Value::Integer),
        ".*".prop_map(Value::Text),
        "[a-z /:.=]{0,20}".prop_map(Value::Text),
        prop::collection::vec("[ -~]{0,12}", 0..4).prop_map(Value::List),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(FORBIDDEN.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "cores",
            "max-jobs",
            "min-free",
            "build-dir",
            "substituters",
            "extra-substituters",
            "trusted-public-keys",
            "system-features",
            "timeout",
            "http-connections",
        ])
        .prop_map(str::to_owned),
        "[a-z#= \n-]{0,16}",
    ]
}

#[test]
fn forbidden_settings_are_refused_whoever_put_them_in() {
    for name in FORBIDDEN {
        for value in [Value::Bool(false), Value::Text("x".to_owned()), Value::List(Vec::new())] {
            let mut plan = plan();
            let setting = Setting { value, why: "?".to_owned(), stage: "storage".to_owned() };
            plan.settings.insert(name.to_owned(), setting);
            for form in [Form::NixConf, Form::Nixos, Form::Darwin, Form::Env, Form::Systemd] {
                let error = render(&plan, form).expect_err(name).to_string();
                assert!(error.contains(name), "{error}");
            }
        }
    }
}

/// A captured tree of files; a text that starts with `-> ` makes a link.
fn captured(files: &[(String, String)]) -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().expect("folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        match text.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, path).expect("link"),
            None => std::fs::write(path, text).expect("file"),
        }
    }
    let root = Root::captured(folder.path()).expect("root");
    (folder, root)
}

#[test]
fn trees_made_to_be_slow_or_deep_are_not() {
    let file = |path: &str, text: String| (path.to_owned(), text);
    let mounts =
        "1 0 253:0 / / rw - ext4 /dev/dm-0 rw\n2 1 0:2 / /sys/fs/cgroup rw - cgroup2 c rw\n";
    let stacked = (3..9_000).map(|id| format!("{id} {} 0:3 / /nix rw - tmpfs t rw\n", id - 1));
    // Thousands of mounts on one directory, a group deeper than any stack,
    // twenty thousand times all CPUs, devices that are all made of each other,
    // and files that include each other.
    let mut files = vec![
        file("proc/self/mountinfo", mounts.to_owned() + &stacked.collect::<String>()),
        file("proc/self/cgroup", format!("0::{}\n", "/a".repeat(14_656))),
        file("proc/self/status", format!("Cpus_allowed_list:\t{}\n", "0-8191,".repeat(20_000))),
        file("sys/devices/system/cpu/online", "0-65535\n".to_owned()),
        file("sys/fs/cgroup/memory.max", "1073741824\n".to_owned()),
        file("usr/local/bin/nix", String::new()),
        file("sys/dev/block/253:0", "-> ../../block/dm-0".to_owned()),
    ];
    for device in 0..6 {
        for member in 0..6 {
            let slave = format!("sys/block/dm-{device}/slaves/dm-{member}");
            files.push((slave, format!("-> ../../dm-{member}")));
        }
        files.push((format!("sys/class/block/dm-{device}"), format!("-> ../../block/dm-{device}")));
    }
    for level in 0..10 {
        let name = if level == 0 { "nix.conf".to_owned() } else { format!("{level}") };
        let include = format!("include {}\n", level + 1).repeat(6);
        files.push((format!("etc/nix/{name}"), include));
    }
    let (_folder, root) = captured(&files);
    let started = std::time::Instant::now();
    let hardware = detect::run(&root, &detect::Options::default());
    // Each of them took from several seconds to for ever.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
    assert_eq!(hardware.memory.limit_bytes.map(u64::from), Some(1 << 30), "the mount stands in");
    assert_eq!(hardware.storage.store.expect("a place").disks, None);
}

#[test]
fn what_is_nested_in_a_document_is_bounded() {
    let nested = |depth: usize| {
        let value = "[".repeat(depth) + &"]".repeat(depth);
        let settings = format!("\"settings\": {{\"cores\": {value}}}");
        let mut hardware =
            Hardware { nix: Some(detect::hardware::Nix::default()), ..plan().hardware };
        hardware.notes.clear();
        let text = stage::text(&hardware).expect("text");
        stage::parse::<Hardware>(text.replace("\"settings\": {}", &settings).as_bytes())
    };
    let hardware = nested(1).expect("a list, as Nix prints them");
    let text = stage::text(&run(hardware, &Options::default()).expect("a plan")).expect("text");
    assert!(stage::parse::<Plan>(text.as_bytes()).is_ok(), "the next stage can read it");
    for depth in [2, 120, 100_000] {
        assert!(nested(depth).is_err(), "{depth} levels");
    }
}

#[test]
fn figures_survive_the_pipe() {
    let quota = "123.45678901234567";
    let text = stage::text(&plan()).expect("text");
    let with_quota = text.replacen("\"quota\": null", &format!("\"quota\": {quota}"), 1);
    let plan: Plan = stage::parse(with_quota.as_bytes()).expect("a plan");
    assert!(stage::text(&plan).expect("text").contains(quota));
    let files = [("proc/loadavg".to_owned(), "inf 0 0 1/1 1\n".to_owned())];
    let (_folder, root) = captured(&files);
    let options = detect::Options { live: true, ..detect::Options::default() };
    assert_eq!(detect::run(&root, &options).live.expect("live").load_1m, None);
}

proptest! {
    #[test]
    fn whatever_is_rendered_is_settings_and_comments(
        name in name(), value in value(), why in prop_oneof!["[ -~]*", ".*"],
    ) {
        let mut plan = plan();
        plan.settings.insert(name, Setting { value, why, stage: "caches".to_owned() });
        for form in [Form::NixConf, Form::Env] {
            let Ok(text) = render(&plan, form) else { continue };
            let settings = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            let names: Vec<&str> = settings
                .map(|line| line.split_once(" =").expect("NAME = VALUE").0)
                .collect();
            prop_assert_eq!(names.len(), plan.settings.len());
            for name in names {
                prop_assert!(plan.settings.contains_key(name), "{}", name);
                prop_assert!(!FORBIDDEN.contains(&name), "{}", name);
            }
        }
    }

    #[test]
    fn damaged_documents_are_read_whole_or_refused(
        at in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..8),
        cut in any::<bool>(),
    ) {
        let whole = stage::text(&plan()).expect("text").into_bytes();
        let at = at.index(whole.len());
        let mut damaged = whole[..at].to_vec();
        damaged.extend(&junk);
        if !cut {
            damaged.extend(&whole[at..]);
        }
        if let Ok(plan) = stage::parse::<Plan>(&damaged) {
            let _ = render(&plan, Form::NixConf);
            let again = run(plan.hardware, &Options::default());
            prop_assert!(again.is_ok());
        }
    }

    #[test]
    fn any_bytes_in_proc_and_sys_are_no_panic(
        files in prop::collection::vec((0..PATHS.len(), contents()), 1..6)
    ) {
        let folder = tempfile::tempdir().expect("folder");
        for (path, bytes) in files {
            let path = folder.path().join(PATHS[path]);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("folders");
            std::fs::write(path, bytes).expect("file");
        }
        let root = Root::captured(folder.path()).expect("root");
        let hardware = detect::run(&root, &detect::Options { live: true, ..Default::default() });
        let text = stage::text(&hardware).expect("text");
        let again: Hardware = stage::parse(text.as_bytes()).expect("what we wrote we can read");
        prop_assert_eq!(&again, &hardware);
        prop_assert!(run(hardware, &Options::default()).is_ok());
    }
}

const PATHS: [&str; 24] = [
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/swaps",
    "proc/mounts",
    "proc/self/mountinfo",
    "proc/self/cgroup",
    "proc/self/cpuset",
    "proc/self/status",
    "proc/net/route",
    "proc/loadavg",
    "proc/pressure/memory",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/present",
    "sys/devices/system/cpu/cpu0/topology/core_cpus_list",
    "sys/devices/system/cpu/cpu0/topology/package_cpus",
    "sys/devices/system/cpu/cpu0/cache/index0/type",
    "sys/devices/system/cpu/cpu0/cache/index0/level",
    "sys/devices/system/cpu/cpu0/cache/index0/size",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
    "sys/devices/cpu_atom/cpus",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/class/dmi/id/chassis_type",
    "etc/group",
];

/// Bytes of any kind, and lines that are nearly right.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::sample::select(vec![
        "0-1",
        "0-65535",
        "0-4294967295",
        "ffffffff,ffffffff",
        "0-3:2/0",
        "max 100000",
        "100000 0",
        "9223372036854775807 1",
        "18446744073709551615",
        "-1",
        "32K",
        "Unified",
        "MemTotal: 18446744073709551615 kB",
        "MemTotal: 16384 kB",
        "é: é kB",
        "HugePages_Total: 9",
        "processor : 0",
        "flags : lm cmov",
        "Cpus_allowed_list:\t0-70000",
        "0::/../..",
        "0::/a/b",
        "5:cpu,memory:/",
        "1 1 0:1 / / rw - cgroup2 cgroup2 rw",
        "1 1 8:1 / / rw - ext4 /dev/sda rw",
        "1 1 0:9 / / rw - overlay overlay rw,upperdir=/",
        "1 1 0:9 /\\134 /\\0 rw - btrfs /dev/mapper/x rw",
        "eth0\t00000000\t0\t0\t0\t0\t1\t00000000",
        "some avg10=1 avg60=x avg300=3 total=4",
        "",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(lines, 0..6).prop_map(|lines| lines.join("\n").into_bytes()),
    ]
}

#[test]
fn what_has_no_end_is_not_read_to_it() {
    for arguments in [
        &["gate", "/dev/zero", "--against", "/dev/zero"][..],
        &["simulate", "/dev/zero"],
        &["compare", "/dev/zero", "plan"],
    ] {
        let output = tool("bench").args(arguments).output().expect("it runs");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.starts_with("bench: /dev/zero: larger than 16 MiB"), "{errors}");
    }
}
