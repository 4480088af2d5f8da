//! What other machines are, by what others wrote down about them: the expected
//! outputs of lscpu, hwloc, cpuinfo and libstorage-ng for their own captures.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::tools::{document, shared, tool, unpack, workspace};

fn detect(root: &Path, more: &[&str]) -> Value {
    let mut command: Command = tool("detect");
    command.arg("--quiet").arg("--root").arg(root).args(more);
    let text = document(&command.output().expect("detect runs"));
    serde_json::from_str(&text).expect("JSON")
}

fn index(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

fn schema() -> jsonschema::Validator {
    let text = std::fs::read_to_string(workspace().join("detect/schema.json")).expect("schema");
    jsonschema::validator_for(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
}

/// Facts that differ from what was expected, one line each.
#[derive(Default)]
struct Wrong {
    asked: usize,
    lines: Vec<String>,
}

impl Wrong {
    fn check(&mut self, what: &str, want: &Value, got: &Value) {
        self.asked += 1;
        if want != got {
            self.lines.push(format!("{what}: want {want}, got {got}"));
        }
    }

    fn none_of(self, least: usize) {
        assert!(self.asked >= least, "only {} facts were asked", self.asked);
        assert!(self.lines.is_empty(), "{} wrong:\n{}", self.lines.len(), self.lines.join("\n"));
    }
}

#[test]
fn processors_and_memory_of_captured_machines() {
    let Some(folder) = shared("machines") else { return };
    let (schema, mut wrong) = (schema(), Wrong::default());
    for machine in index(&folder, "machines.json") {
        let archive = machine["archive"].as_str().expect("archive");
        let tree = unpack(&folder.join(archive));
        let found = detect(tree.path(), &[]);
        if let Err(error) = schema.validate(&found) {
            wrong.check(archive, &json!("a valid document"), &json!(error.to_string()));
        }
        let facts = [
            ("allowed_cpus", "/cpu/allowed"),
            ("cores", "/cpu/cores"),
            ("sockets", "/cpu/sockets"),
            ("numa_nodes", "/cpu/numa_nodes"),
            ("present_cpus", "/cpu/present"),
            ("memory_total_bytes", "/memory/total_bytes"),
        ];
        for (key, pointer) in facts {
            if let Some(want) = machine.get(key) {
                let got = found.pointer(pointer).unwrap_or(&Value::Null);
                wrong.check(&format!("{archive} {key}"), want, got);
            }
        }
        for (name, want) in machine["caches"].as_object().into_iter().flatten() {
            wrong.check(&format!("{archive} {name}"), want, &cache(&found, name));
        }
        if let Some(want) = machine["kinds"].as_array() {
            let mut want: Vec<u64> = want.iter().filter_map(Value::as_u64).collect();
            let kinds = found["cpu"]["kinds"].as_array().expect("kinds");
            let mut got: Vec<u64> = kinds.iter().filter_map(|kind| kind["cpus"].as_u64()).collect();
            want.sort_unstable();
            got.sort_unstable();
            wrong.check(&format!("{archive} kinds"), &json!(want), &json!(got));
        }
    }
    wrong.none_of(200);
}

/// `[instances, total bytes]` of a cache by lscpu's name for it, e.g. `L1d`.
fn cache(found: &Value, name: &str) -> Value {
    let kind = match name.chars().nth(2) {
        Some('d') => "data",
        Some('i') => "instruction",
        _ => "unified",
    };
    let level: u32 = name[1..2].parse().expect("a level");
    let caches = found["cpu"]["caches"].as_array().expect("caches");
    let cache = caches.iter().find(|cache| cache["level"] == level && cache["type"] == kind);
    cache.map_or(Value::Null, |cache| json!([cache["instances"], cache["total_bytes"]]))
}

#[test]
fn disks_behind_mounts_of_captured_machines() {
    let Some(folder) = shared("storage-stacks") else { return };
    let (schema, mut wrong) = (schema(), Wrong::default());
    for stack in index(&folder, "stacks.json") {
        let archive = stack["archive"].as_str().expect("archive");
        let tree = unpack(&folder.join(archive));
        let found = detect(tree.path(), &[]);
        if let Err(error) = schema.validate(&found) {
            wrong.check(archive, &json!("a valid document"), &json!(error.to_string()));
        }
        for (path, want) in stack["mounts"].as_object().into_iter().flatten() {
            if says_otherwise(archive, path) {
                continue;
            }
            let found = detect(tree.path(), &["--store", path]);
            let store = &found["storage"]["store"];
            let what = format!("{archive} {path}");
            wrong.check(&format!("{what} filesystem"), &want["filesystem"], &store["filesystem"]);
            let disks = store["disks"].as_array().cloned().unwrap_or_default();
            let names: Vec<&Value> = disks.iter().map(|disk| &disk["name"]).collect();
            wrong.check(&format!("{what} disks"), &want["disks"], &json!(names));
            for disk in &disks {
                let facts = &stack["disks"][disk["name"].as_str().expect("name")];
                for fact in ["transport", "rotational"] {
                    let virtual_flag = fact == "rotational" && disk["transport"] == "virtio";
                    if !facts[fact].is_null() && !virtual_flag {
                        wrong.check(&format!("{what} {fact}"), &facts[fact], &disk[fact]);
                    }
                }
            }
        }
    }
    wrong.none_of(85);
}

/// Captures that do not hold what was written down about them.
fn says_otherwise(archive: &str, path: &str) -> bool {
    match (archive, path) {
        // /etc/fstab said "auto"; what is mounted is nfs.
        ("libstorage/nfs1.tar.xz", "/test3")
        // The capture has no `slaves` below the LUKS volume.
        | ("libstorage/luks4.tar.xz", "/test #1") => true,
        // Seen from an installer, which had these below /mnt.
        ("libstorage/prefixed2.tar.xz", path) => {
            ["/test4", "/test5", "/test6"].contains(&path)
        }
        _ => false,
    }
}

#[test]
fn instruction_sets_of_captured_processors() {
    let Some(folder) = shared("isa") else { return };
    let mut wrong = Wrong::default();
    for machine in index(&folder, "isa.json") {
        let (Some(want), Some(file)) = (machine.get("isa_level"), machine["file"].as_str()) else {
            continue;
        };
        let tree = tempfile::tempdir().expect("folder");
        std::fs::create_dir(tree.path().join("proc")).expect("folder");
        std::fs::copy(folder.join(file), tree.path().join("proc/cpuinfo")).expect("copy");
        wrong.check(file, want, &detect(tree.path(), &[])["cpu"]["isa_level"]);
    }
    wrong.none_of(5);
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let Some(folder) = shared("machines/lscpu/x86_64-epyc_7451.tar.xz") else { return };
    let tree = unpack(&folder);
    assert_eq!(detect(tree.path(), &[]).to_string(), detect(tree.path(), &[]).to_string());
}

#[test]
fn files_of_settings_are_read_as_nix_reads_them() {
    let Some(folder) = shared("nix-conf") else { return };
    let text = std::fs::read_to_string(folder.join("golden.json")).expect("golden.json");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let mut wrong = Wrong::default();
    for (name, versions) in golden.as_object().expect("cases") {
        // Only what Nix took: the rest says nothing of values.
        let Some(changed) = versions["2.34"]["changed"].as_object() else { continue };
        let tree = tempfile::tempdir().expect("folder");
        let conf = tree.path().join("etc/nix");
        std::fs::create_dir_all(&conf).expect("folder");
        for case in std::fs::read_dir(&folder).expect("cases").flatten() {
            std::fs::copy(case.path(), conf.join(case.file_name())).expect("copy");
        }
        std::fs::rename(conf.join(name), conf.join("nix.conf")).expect("the case");
        let program = tree.path().join("usr/local/bin");
        std::fs::create_dir_all(&program).expect("folder");
        std::fs::write(program.join("nix"), "").expect("a file");

        let found = detect(tree.path(), &[]);
        let settings = found["nix"]["settings"].as_object().expect("settings");
        for (setting, got) in settings {
            // What is set to its default has not changed; `auto` is a number
            // that only the machine knows.
            if let Some(want) = changed.get(setting).filter(|_| got != "auto") {
                wrong.check(&format!("{name} {setting}"), want, got);
            }
        }
        for setting in ["max-jobs", "cores", "substituters", "min-free", "http-connections"] {
            if changed.contains_key(setting) && !settings.contains_key(setting) {
                wrong.check(&format!("{name} {setting}"), &changed[setting], &Value::Null);
            }
        }
    }
    wrong.none_of(20);
}
