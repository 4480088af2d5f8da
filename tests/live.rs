//! Limits put on a process are seen, and the plan keeps to them. Nix's own
//! `auto` sees neither (facts of `current-process.cc`): it counts all CPUs.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::tools::{document, shell, skip};

fn json(script: &str) -> Value {
    serde_json::from_str(&document(&shell(script))).expect("JSON")
}

#[test]
fn an_affinity_mask_is_seen_and_kept_to() {
    let hardware = json("taskset -c 0 detect -q");
    assert_eq!(hardware["cpu"]["allowed"], 1);
    assert_eq!(hardware["cpu"]["cores"], 1);
    let usable = hardware["cpu"]["usable"].as_f64().expect("usable");
    assert!(usable <= 1.0, "{usable}");
    let plan = json("taskset -c 0 detect -q | profile -q");
    assert_eq!(plan["settings"]["cores"]["value"], 1);
}

/// A control group with a quota of 1.5 CPUs and a limit of 2 GiB, removed when
/// dropped.
struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    fn new() -> Option<Self> {
        let name = format!("nixpace-test-{}", std::process::id());
        let write = |path: PathBuf, text: &str| fs::write(path, text).ok();
        let v1 = PathBuf::from("/sys/fs/cgroup/cpu");
        let mut group = Self { folders: Vec::new() };
        if v1.exists() {
            for (controller, file, text) in [
                ("cpu", "cpu.cfs_period_us", "100000"),
                ("cpu", "cpu.cfs_quota_us", "150000"),
                ("memory", "memory.limit_in_bytes", "2147483648"),
            ] {
                let folder = PathBuf::from("/sys/fs/cgroup").join(controller).join(&name);
                if !folder.exists() {
                    fs::create_dir(&folder).ok()?;
                    group.folders.push(folder.clone());
                }
                write(folder.join(file), text)?;
            }
        } else {
            let base = PathBuf::from("/sys/fs/cgroup");
            write(base.join("cgroup.subtree_control"), "+cpu +memory")?;
            let folder = base.join(&name);
            fs::create_dir(&folder).ok()?;
            group.folders.push(folder.clone());
            write(folder.join("cpu.max"), "150000 100000")?;
            write(folder.join("memory.max"), "2147483648")?;
        }
        Some(group)
    }

    /// Shell commands that put the shell itself into the group.
    fn enter(&self) -> String {
        let join = |folder: &PathBuf| format!("echo $$ > {}/cgroup.procs; ", folder.display());
        self.folders.iter().map(join).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[test]
fn limits_of_a_control_group_are_seen_and_kept_to() {
    let Some(group) = Group::new() else {
        skip("this user cannot make a control group");
        return;
    };
    let hardware = json(&format!("{} detect -q", group.enter()));
    assert_eq!(hardware["cpu"]["quota"], 1.5);
    assert_eq!(hardware["cpu"]["usable"].as_f64(), Some(1.5));
    assert_eq!(hardware["memory"]["limit_bytes"], 2_u64 << 30);
    assert_eq!(hardware["memory"]["usable_bytes"], 2_u64 << 30);

    let plan = json(&format!("{} detect -q | profile -q", group.enter()));
    let value = |name: &str| plan["settings"][name]["value"].as_u64().expect(name);
    let (jobs, cores) = (value("max-jobs"), value("cores"));
    assert!(jobs * cores <= 2, "{jobs} x {cores} on 1.5 CPUs and 2 GiB");
    assert_eq!(plan["profile"]["tier"], "conservative");
}
