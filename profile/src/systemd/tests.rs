//! A drop-in is a unit's text, and its comments do no harm.

use detect::hardware::Hardware;

use crate::form::{Form, notes, render};
use crate::plan::{Plan, Setting, Value};
use crate::{Options, run};

fn plan(options: &[(&str, Value)]) -> Plan {
    let mut plan = run(Hardware::default(), &Options::default()).expect("a plan");
    plan.nixos.clear();
    for (path, value) in options {
        plan.nixos.insert((*path).to_owned(), Setting::new(value.clone(), "because"));
    }
    plan
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn drop_in(plan: &Plan) -> String {
    render(plan, Form::Systemd).expect("fine")
}

/// Its lines that are no comments.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn options_have_the_names_of_the_unit() {
    let plan = plan(&[
        ("nix.daemonCPUSchedPolicy", text("idle")),
        ("nix.daemonIOSchedClass", text("best-effort")),
        ("nix.daemonIOSchedPriority", Value::Integer(7)),
        ("nix.gc.automatic", Value::Bool(true)),
        ("systemd.services.nix-daemon.serviceConfig.MemoryHigh", text("80%")),
        ("systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust", Value::Integer(250)),
    ]);
    let text = drop_in(&plan);
    let expected = [
        "[Service]",
        "CPUSchedulingPolicy=idle",
        "IOSchedulingClass=best-effort",
        "IOSchedulingPriority=7",
        "MemoryHigh=80%",
        "OOMScoreAdjust=250",
    ];
    assert_eq!(lines(&text), expected);
    assert_eq!(text.matches("\n# because\n").count(), 5, "{text}");
    let notes = notes(&plan, Form::Systemd);
    assert!(notes[0].text.ends_with("no drop-in says it: nix.gc.automatic"), "{notes:?}");
}

#[test]
fn the_build_directory_comes_with_its_command() {
    let mut plan = plan(&[]);
    assert!(!drop_in(&plan).contains("tmpfiles"));
    for (path, age) in [("/nix-builds", "7d"), ("/var/builds", "-")] {
        plan.settings.insert("build-dir".to_owned(), Setting::new(text(path), "because"));
        let said = drop_in(&plan);
        let command =
            format!("#   echo 'd {path} 0755 root root {age}' > /etc/tmpfiles.d/nixpace.conf\n");
        assert!(said.contains(&command), "{said}");
        assert_eq!(lines(&said), ["[Service]"]);
    }

    for evil in ["/var/x'; reboot; '", "/var/%h", "/var/$HOME", "/var/a b"] {
        plan.settings.insert("build-dir".to_owned(), Setting::new(text(evil), "because"));
        let said = drop_in(&plan);
        assert!(!said.contains(evil) && said.contains("make it by hand"), "{said}");
    }
}

#[test]
fn zram_comes_with_its_command() {
    let mut plan = plan(&[("zramSwap.enable", Value::Bool(true))]);
    assert!(drop_in(&plan).contains("zram-size = ram * 50 / 100"));
    let percent = Setting::new(Value::Integer(75), "because");
    plan.nixos.insert("zramSwap.memoryPercent".to_owned(), percent);
    assert!(drop_in(&plan).contains("zram-size = ram * 75 / 100"));
    assert_eq!(notes(&plan, Form::Systemd), []);
    let off = Setting::new(Value::Bool(false), "because");
    plan.nixos.insert("zramSwap.enable".to_owned(), off);
    assert!(!drop_in(&plan).contains("zram-size"));
}

#[test]
fn memory_for_builds_comes_with_its_unit() {
    let directory = "fileSystems.\"/nix/var/nix/builds\".";
    let words = Value::List(vec!["size=50%".to_owned(), "mode=0755".to_owned()]);
    let mut plan = plan(&[
        (&format!("{directory}device"), text("tmpfs")),
        (&format!("{directory}fsType"), text("tmpfs")),
        (&format!("{directory}options"), words),
    ]);
    let said = drop_in(&plan);
    for part in ["'Where=/nix/var/nix/builds'", "'Options=size=50%%,mode=0755'"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.contains("> /etc/systemd/system/nix-var-nix-builds.mount\n"), "{said}");
    assert_eq!((lines(&said), notes(&plan, Form::Systemd)), (vec!["[Service]"], Vec::new()));

    plan.nixos.clear();
    for (name, value) in [("useTmpfs", Value::Bool(true)), ("tmpfsSize", Value::Integer(1 << 33))] {
        plan.nixos.insert(format!("boot.tmp.{name}"), Setting::new(value, "because"));
    }
    let said = drop_in(&plan);
    let options = "'Options=mode=1777,strictatime,nosuid,nodev,size=8589934592'";
    assert!(said.contains(options) && said.contains("/tmp.mount\n"), "{said}");
    assert_eq!(notes(&plan, Form::Systemd), []);
    let off = Setting::new(Value::Bool(false), "because");
    plan.nixos.insert("boot.tmp.useTmpfs".to_owned(), off);
    assert!(!drop_in(&plan).contains("tmp.mount"));
}
