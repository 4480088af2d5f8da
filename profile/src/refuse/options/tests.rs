//! Options of modules that must not get through.

use detect::hardware::Hardware;

use super::super::build_dir::BUILD_DIRS;
use super::super::check;
use super::{DARWIN, NIXOS, check_option};
use crate::plan::{Plan, Setting, Value};
use crate::{Options, run};

fn plan() -> Plan {
    let mut plan = run(Hardware::default(), &Options::default()).expect("a plan");
    let build_dir = Setting::new(text("/nix-builds"), "because");
    plan.settings.insert("build-dir".to_owned(), build_dir);
    plan
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn words(words: &[&str]) -> Value {
    Value::List(words.iter().map(ToString::to_string).collect())
}

fn number(number: u64) -> Value {
    Value::Integer(number)
}

/// The error for one option; nothing when it is fine.
fn judge(path: &str, value: Value) -> String {
    let mut plan = plan();
    plan.nixos.insert(path.to_owned(), Setting::new(value, "because"));
    check(&plan).map_or_else(|error| format!("{error:#}"), |_| String::new())
}

#[test]
fn only_options_of_the_table_pass() {
    for path in [
        "",
        "nix",
        "nix.settings.trusted-users",
        "nix.settings.cores",
        "nix.extraOptions",
        "nix.package",
        "nix.gc",
        "nix.gc.automatic.x",
        "nix.gc.automatic; users.users.root.password",
        "\"nix\".gc.automatic",
        " nix.gc.automatic",
        "users.users.root.openssh.authorizedKeys.keys",
        "security.sudo.wheelNeedsPassword",
        "environment.etc.\"x\".text",
        "systemd.services.nix-daemon.serviceConfig.ExecStartPre",
        "systemd.services.nix-daemon.serviceConfig.User",
        "systemd.services.nix-daemon.environment.LD_PRELOAD",
        "systemd.services.evil.serviceConfig.OOMScoreAdjust",
        "fileSystems.\"/etc\".device",
        "boot.kernelParams",
        "boot.kernel.sysctl.\"kernel.core_pattern\"",
        "networking.firewall.enable",
        "nixpkgs.overlays",
        "system.activationScripts.x",
    ] {
        let error = judge(path, Value::Bool(true));
        assert_eq!(
            error,
            format!("nixos.{path}: refused: it is none of the options that plans may set")
        );
    }
}

#[test]
fn values_are_those_of_the_row() {
    let service = |name: &str| format!("systemd.services.nix-daemon.serviceConfig.{name}");
    for (path, value) in [
        ("nix.daemonCPUSchedPolicy", text("batch")),
        ("nix.daemonIOSchedPriority", number(0)),
        ("nix.gc.automatic", Value::Bool(false)),
        ("nix.gc.dates", text("Sun *-*-* 03:15:00")),
        ("nix.gc.dates", words(&["weekly"])),
        ("nix.gc.options", text("--delete-older-than 30d --max-freed 20G")),
        ("nix.gc.options", text("")),
        ("nix.gc.randomizedDelaySec", text("45min")),
        ("nix.optimise.dates", words(&["03:45"])),
        ("boot.tmp.tmpfsSize", text("50%")),
        ("boot.tmp.tmpfsSize", number(1 << 32)),
        (&service("MemoryHigh"), text("90%")),
        (&service("MemoryHigh"), text("infinity")),
        (&service("OOMScoreAdjust"), number(1000)),
        ("systemd.tmpfiles.rules", words(&["d /nix-builds 0755 root root 7d"])),
        ("systemd.tmpfiles.rules", words(&["d /nix-builds 0755 root root -"])),
        (
            r#"fileSystems."/nix/var/nix/builds".options"#,
            words(&["size=8G", "mode=0755", "nosuid", "nodev", "nr_inodes=1M", "huge=within_size"]),
        ),
        (r#"fileSystems."/nix/var/nix/builds".fsType"#, text("tmpfs")),
        ("zramSwap.memoryPercent", number(75)),
    ] {
        assert_eq!(judge(path, value.clone()), "", "{path} = {value:?}");
    }
    for (path, value) in [
        ("nix.daemonCPUSchedPolicy", text("rr")),
        ("nix.daemonIOSchedPriority", number(8)),
        ("nix.gc.automatic", text("true")),
        ("nix.gc.dates", text("")),
        ("nix.gc.dates", text("daily\nEnvironment=LD_PRELOAD=/tmp/x")),
        ("nix.gc.dates", text("%H")),
        // A shell of root would run these.
        ("nix.gc.options", text("; reboot")),
        ("nix.gc.options", text("--delete-older-than 30d; reboot")),
        ("nix.gc.options", text("--delete-older-than $(reboot)")),
        ("nix.gc.options", text("--delete-old")),
        ("nix.gc.options", text("--delete-older-than")),
        ("nix.gc.randomizedDelaySec", text("1h\n")),
        ("boot.tmp.tmpfsSize", number(0)),
        ("boot.tmp.tmpfsSize", text("50%,exec")),
        (&service("MemoryHigh"), text("1e3")),
        (&service("MemoryMax"), number(u64::MAX)),
        (&service("OOMScoreAdjust"), number(1001)),
        (&service("OOMScoreAdjust"), text("-1000")),
        ("systemd.tmpfiles.rules", words(&["d /nix-builds 0755 root root 0d"])),
        ("systemd.tmpfiles.rules", words(&["d /home 0755 root root 7d"])),
        ("systemd.tmpfiles.rules", words(&["R /nix-builds - - - -"])),
        ("systemd.tmpfiles.rules", words(&["d /nix-builds 0777 root root 7d"])),
        ("systemd.tmpfiles.rules", words(&["d /nix-builds 0755 root root 7d\nr /etc/shadow"])),
        (r#"fileSystems."/nix/var/nix/builds".options"#, words(&["uid=1000"])),
        (r#"fileSystems."/nix/var/nix/builds".options"#, words(&["mode=1777"])),
        (r#"fileSystems."/nix/var/nix/builds".device"#, text("/dev/sda")),
        ("zramSwap.enable", number(1)),
        ("zramSwap.algorithm", text("lzo; reboot")),
    ] {
        let error = judge(path, value.clone());
        assert!(error.starts_with(&format!("nixos.{path}: ")), "{path} = {value:?}: {error}");
    }
}

#[test]
fn a_tmpfiles_entry_needs_a_planned_build_dir() {
    let mut plan = plan();
    plan.settings.remove("build-dir");
    let rule = Setting::new(words(&["d /nix-builds 0755 root root 7d"]), "because");
    plan.nixos.insert("systemd.tmpfiles.rules".to_owned(), rule);
    assert!(check(&plan).is_err());
}

#[test]
fn nothing_is_cleaned_but_what_storage_plans() {
    for (path, fine) in [
        ("/nix-builds", true),
        ("/nix/var/nix/builds", true),
        ("/nix/var/nix/b", true),
        ("/var/builds", false),
        ("/srv/x", false),
    ] {
        let mut plan = plan();
        plan.settings.insert("build-dir".to_owned(), Setting::new(text(path), "because"));
        let rule = Setting::new(words(&[&format!("d {path} 0755 root root 7d")]), "because");
        plan.nixos.insert("systemd.tmpfiles.rules".to_owned(), rule);
        assert_eq!(check(&plan).is_ok(), fine, "{path}");
    }
}

#[test]
fn macs_have_options_of_their_own() {
    let judge = |path: &str, value: Value| {
        let setting = Setting::new(value, "because");
        check_option(DARWIN, path, &setting, &plan()).is_ok()
    };
    assert!(judge("nix.daemonProcessType", text("Background")));
    assert!(judge("nix.daemonIOLowPriority", Value::Bool(true)));
    // Removed from nix-darwin: setting it is an error.
    assert!(!judge("nix.daemonCPUSchedPolicy", text("idle")));
    assert!(!judge("nix.gc.dates", text("weekly")));
    assert!(!judge("launchd.daemons.evil.command", text("reboot")));
}

#[test]
fn the_modules_check_the_value_of_every_option() {
    let values = include_str!("../../../values.nix");
    for (option, _) in NIXOS.iter().chain(DARWIN) {
        let row = format!("\n  \"{}\" = ", option.replace('"', r#"\""#));
        assert!(values.contains(&row), "{option}");
    }
    for folder in BUILD_DIRS {
        assert!(values.contains(&format!("\n    \"{folder}\"\n")), "{folder}");
    }
    for text in [values, include_str!("../../../plan.nix")] {
        assert_eq!(nixfmt_rs::format(text).expect("it parses"), text);
    }
}

#[test]
fn the_tables_are_sorted_and_hold_each_option_once() {
    for table in [NIXOS, DARWIN] {
        assert!(table.is_sorted_by(|a, b| a.0 < b.0));
    }
}
