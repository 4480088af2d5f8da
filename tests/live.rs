//! Limits put on a process are seen, and the plan keeps to them. Nix's own
//! `auto` sees neither (facts of `current-process.cc`): it counts all CPUs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tools::{allowed_cpus, document, has, shell, skip};

const GIB: u64 = 1 << 30;

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

#[test]
fn allowed_cpus_are_those_of_nproc() {
    if !has(&["nproc", "taskset"]) {
        return;
    }
    let all: Vec<String> = allowed_cpus().iter().map(|cpu| cpu.to_string()).collect();
    let last = all.last().expect("a CPU").clone();
    for cpus in [all.join(","), last] {
        let cpu = &json(&format!("taskset -c {cpus} detect -q"))["cpu"];
        if !cpu["quota"].is_null() {
            skip("there is a quota, which nproc counts since 9.8");
            return;
        }
        let nproc = document(&shell(&format!("unset ${{!OMP_*}}; taskset -c {cpus} nproc")));
        assert_eq!(cpu["allowed"].to_string(), nproc.trim(), "on {cpus}");
        assert_eq!(cpu["usable"].as_f64(), cpu["allowed"].as_f64(), "on {cpus}");
    }
}

/// What a control group allows; `None` limits nothing.
#[derive(Default)]
struct Limits {
    /// CPU time, in thousandths of a CPU.
    quota: Option<u64>,
    memory_bytes: Option<u64>,
    /// A list such as `0-1`.
    cpus: Option<String>,
}

/// A control group, removed when dropped; its children must be dropped first.
struct Group {
    /// Its path below the top of each hierarchy.
    path: PathBuf,
    /// Its folder in each hierarchy that it was made in.
    folders: Vec<PathBuf>,
}

impl Group {
    /// A group at the top; `None`, and said, when this user cannot make one.
    fn new(name: &str, limits: &Limits) -> Option<Self> {
        let path = PathBuf::from(format!("nixpace-test-{}-{name}", std::process::id()));
        let group = Self::at(path, limits);
        if group.is_none() {
            skip("this user cannot make a control group");
        }
        group
    }

    /// A group inside this one.
    fn child(&self, name: &str, limits: &Limits) -> Self {
        Self::at(self.path.join(name), limits).expect("a group in a group of ours")
    }

    fn at(path: PathBuf, limits: &Limits) -> Option<Self> {
        let top = Path::new("/sys/fs/cgroup");
        let mut group = Self { path, folders: Vec::new() };
        if top.join("cpu").exists() {
            group.limit_v1(top, limits)?;
        } else {
            group.limit_v2(top, limits)?;
        }
        Some(group)
    }

    /// Version 1: a hierarchy for each controller.
    fn limit_v1(&mut self, top: &Path, limits: &Limits) -> Option<()> {
        let cpu = self.make(&top.join("cpu"))?;
        if let Some(quota) = limits.quota {
            write(&cpu, "cpu.cfs_period_us", "100000")?;
            write(&cpu, "cpu.cfs_quota_us", &(quota * 100).to_string())?;
        }
        let memory = self.make(&top.join("memory"))?;
        if let Some(bytes) = limits.memory_bytes {
            write(&memory, "memory.limit_in_bytes", &bytes.to_string())?;
        }
        if let Some(cpus) = &limits.cpus {
            let all = top.join("cpuset");
            let cpuset = self.make(&all)?;
            // A new cpuset has neither CPUs nor memory, and takes no process.
            let nodes = fs::read_to_string(all.join("cpuset.mems")).ok()?;
            write(&cpuset, "cpuset.mems", nodes.trim())?;
            write(&cpuset, "cpuset.cpus", cpus)?;
        }
        Some(())
    }

    /// Version 2: one hierarchy, and each level says what those below may set.
    fn limit_v2(&mut self, top: &Path, limits: &Limits) -> Option<()> {
        let above = top.join(self.path.parent().unwrap_or(Path::new("")));
        let controllers =
            if limits.cpus.is_some() { "+cpu +memory +cpuset" } else { "+cpu +memory" };
        write(&above, "cgroup.subtree_control", controllers)?;
        let folder = self.make(top)?;
        if let Some(quota) = limits.quota {
            write(&folder, "cpu.max", &format!("{} 100000", quota * 100))?;
        }
        if let Some(bytes) = limits.memory_bytes {
            write(&folder, "memory.max", &bytes.to_string())?;
        }
        if let Some(cpus) = &limits.cpus {
            write(&folder, "cpuset.cpus", cpus)?;
        }
        Some(())
    }

    fn make(&mut self, hierarchy: &Path) -> Option<PathBuf> {
        let folder = hierarchy.join(&self.path);
        // Two controllers may share a hierarchy.
        if !folder.exists() {
            fs::create_dir(&folder).ok()?;
            self.folders.push(folder.clone());
        }
        Some(folder)
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

fn write(group: &Path, file: &str, text: &str) -> Option<()> {
    fs::write(group.join(file), text).ok()
}

#[test]
fn limits_of_a_control_group_are_seen_and_kept_to() {
    let limits = Limits { quota: Some(1500), memory_bytes: Some(2 * GIB), ..Limits::default() };
    let Some(group) = Group::new("flat", &limits) else { return };
    let hardware = json(&format!("{} detect -q", group.enter()));
    assert_eq!(hardware["cpu"]["quota"], 1.5);
    assert_eq!(hardware["cpu"]["usable"].as_f64(), Some(1.5));
    assert_eq!(hardware["memory"]["limit_bytes"], 2 * GIB);
    assert_eq!(hardware["memory"]["usable_bytes"], 2 * GIB);

    let plan = json(&format!("{} detect -q | profile -q", group.enter()));
    let value = |name: &str| plan["settings"][name]["value"].as_u64().expect(name);
    let (jobs, cores) = (value("max-jobs"), value("cores"));
    assert!(jobs * cores <= 2, "{jobs} x {cores} on 1.5 CPUs and 2 GiB");
    assert_eq!(plan["profile"]["tier"], "conservative");
}

#[test]
fn the_tightest_of_nested_control_groups_limits() {
    let limits = Limits { quota: Some(2000), memory_bytes: Some(3 * GIB), ..Limits::default() };
    let Some(outer) = Group::new("nested", &limits) else { return };
    let tighter = outer.child("tighter", &Limits { quota: Some(1500), ..Limits::default() });
    let hardware = json(&format!("{} detect -q", tighter.enter()));
    assert_eq!(hardware["cpu"]["quota"], 1.5, "its own");
    assert_eq!(hardware["memory"]["limit_bytes"], 3 * GIB, "of the group around it");
    assert_eq!(hardware["memory"]["usable_bytes"], 3 * GIB);
    drop(tighter);

    let unlimited = outer.child("unlimited", &Limits::default());
    let hardware = json(&format!("{} detect -q", unlimited.enter()));
    assert_eq!(hardware["cpu"]["quota"].as_f64(), Some(2.0), "of the group around it");
}

#[test]
fn a_cpuset_is_seen_and_kept_to() {
    let last = allowed_cpus().iter().last().expect("a CPU");
    let limits = Limits { cpus: Some(last.to_string()), ..Limits::default() };
    let Some(group) = Group::new("cpuset", &limits) else { return };
    let hardware = json(&format!("{} detect -q", group.enter()));
    assert_eq!(hardware["cpu"]["allowed"], 1);
    assert_eq!(hardware["cpu"]["usable"].as_f64().map(f64::ceil), Some(1.0));
    let plan = json(&format!("{} detect -q | profile -q", group.enter()));
    assert_eq!(plan["settings"]["cores"]["value"], 1);
}
