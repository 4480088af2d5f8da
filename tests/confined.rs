//! Where little can be seen: without privileges, with /sys or /proc masked,
//! with closed streams. What is not seen is `null`, a note says so, what is
//! seen stays, and nobody is bothered.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use serde_json::{Value, json};

use crate::tools::{apart, binaries, is_root, shell, text, tool, workspace};

/// The document of a run that succeeded and said nothing to people.
fn quiet(output: &Output) -> Value {
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let schema = fs::read_to_string(workspace().join("detect/schema.json")).expect("schema");
    let schema = serde_json::from_str(&schema).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    if let Err(error) = schema.validate(&found) {
        panic!("{error} in {found}");
    }
    found
}

/// What `detect` finds without any hindrance.
fn free() -> Value {
    quiet(&tool("detect").output().expect("detect runs"))
}

/// What `detect` finds when a script starts it with mounts of its own; `nobody
/// detect` starts it without privileges.
fn confined(script: &str) -> Option<Value> {
    // Others may not look into the folder that it was built in.
    let folder = tempfile::tempdir().expect("folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("permissions");
    fs::copy(binaries().join("detect"), folder.path().join("detect")).expect("copy");
    let output = apart(&format!(
        "PATH={}:$PATH
        nobody() {{ setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"; }}
        {script}",
        folder.path().display()
    ))?;
    Some(quiet(&output))
}

/// The ids of all notes.
fn notes(found: &Value) -> Vec<&str> {
    let notes = found["notes"].as_array().expect("notes");
    notes.iter().filter_map(|note| note["id"].as_str()).collect()
}

/// That some facts are `null` and all others of these four parts are as seen
/// without hindrance.
fn lacks(found: &Value, lacking: &[&str]) {
    let mut expected = free();
    for pointer in lacking {
        *expected.pointer_mut(pointer).expect(pointer) = Value::Null;
    }
    for part in ["cpu", "memory", "storage", "network"] {
        assert_eq!(found[part], expected[part], "{part}");
    }
}

const PROCESSOR: [&str; 3] = ["/cpu/vendor", "/cpu/model", "/cpu/isa_level"];

const MEMORY: [&str; 3] =
    ["/memory/total_bytes", "/memory/huge_pages_bytes", "/memory/usable_bytes"];

const SWAP: [&str; 2] = ["/memory/swap_bytes", "/memory/zram_bytes"];

const LINK: [&str; 3] = ["/network/link_speed_mbps", "/network/wireless", "/network/virtual"];

#[test]
fn no_privileges_are_needed() {
    if !is_root() {
        free();
        return;
    }
    let Some(found) = confined("nobody detect") else { return };
    lacks(&found, &[]);
}

#[test]
fn processes_of_others_may_be_hidden() {
    // A new instance: options of the one there would change for everyone.
    let Some(found) = confined("mount -t proc -o hidepid=2 proc /proc; nobody detect") else {
        return;
    };
    lacks(&found, &[]);
}

#[test]
fn without_sys_there_are_processors_and_memory() {
    for who in ["", "nobody"] {
        let Some(found) = confined(&format!("mount -t tmpfs tmpfs /sys; {who} detect")) else {
            return;
        };
        let free = free();
        let cpu = &found["cpu"];
        for fact in ["vendor", "model", "isa_level", "online", "allowed", "usable"] {
            assert_eq!(cpu[fact], free["cpu"][fact], "{fact}");
        }
        for fact in ["cores", "sockets", "numa_nodes"] {
            assert_eq!(cpu[fact], Value::Null, "{fact}");
        }
        assert_eq!(cpu["caches"], json!([]));
        assert_eq!(found["memory"]["total_bytes"], free["memory"]["total_bytes"]);
        for role in ["store", "build_dir", "tmp"] {
            let place = &found["storage"][role];
            assert_eq!(place["mount_point"], free["storage"][role]["mount_point"], "{role}");
            let on_disks = free["storage"][role]["disks"].as_array().is_some_and(|d| !d.is_empty());
            if on_disks {
                assert_eq!(place["disks"], Value::Null, "{role}: not none, but unknown");
            }
        }
        assert_eq!(found["network"]["virtual"], Value::Null);
        assert_eq!(found["environment"]["laptop"], Value::Null);
        for id in ["topology-unknown", "disks-unknown", "limits-unknown"] {
            assert!(notes(&found).contains(&id), "{id} in {:?}", notes(&found));
        }
    }
}

#[test]
fn without_control_groups_no_limit_is_known() {
    let Some(found) = confined("mount -t tmpfs tmpfs /sys/fs/cgroup; nobody detect") else {
        return;
    };
    assert_eq!(found["cpu"]["quota"], Value::Null);
    assert_eq!(found["memory"]["limit_bytes"], Value::Null);
    assert_eq!(found["cpu"]["cores"], free()["cpu"]["cores"]);
    assert!(notes(&found).contains(&"limits-unknown"), "{:?}", notes(&found));
}

#[test]
fn without_cpuinfo_and_meminfo_there_is_all_the_rest() {
    let lacking = [&PROCESSOR[..], &MEMORY].concat();
    for script in [
        // As container engines mask files.
        "mount --bind /dev/null /proc/cpuinfo; mount --bind /dev/null /proc/meminfo; detect",
        "touch secret; chmod 0 secret
        mount --bind secret /proc/cpuinfo; mount --bind secret /proc/meminfo; nobody detect",
    ] {
        let Some(found) = confined(script) else { return };
        lacks(&found, &lacking);
        assert!(notes(&found).contains(&"memory-unknown"), "{:?}", notes(&found));
        assert!(!notes(&found).contains(&"cpu-unknown"), "{:?}", notes(&found));
    }
}

#[test]
fn with_nothing_but_processes_in_proc_there_is_sys() {
    let Some(found) = confined("mount -t proc -o subset=pid proc /proc; nobody detect") else {
        return;
    };
    lacks(&found, &[&PROCESSOR[..], &MEMORY, &SWAP, &LINK].concat());
    assert!(notes(&found).contains(&"memory-unknown"), "{:?}", notes(&found));
}

#[test]
fn with_neither_proc_nor_sys_nothing_is_guessed() {
    let script = "mount -t tmpfs tmpfs /sys; mount -t tmpfs tmpfs /proc; detect";
    let Some(found) = confined(script) else { return };
    let facts = |part: &str| found[part].as_object().expect(part).clone();
    for (name, fact) in facts("cpu").iter().chain(&facts("memory")).chain(&facts("network")) {
        assert!(fact.is_null() || *fact == json!([]), "{name}: {fact}");
    }
    for (role, place) in facts("storage") {
        assert_eq!(place["media"], "unknown", "{role}");
        for fact in ["mount_point", "filesystem", "size_bytes", "inodes", "disks"] {
            assert_eq!(place[fact], Value::Null, "{role} {fact}");
        }
    }
    assert_eq!(found["system"], free()["system"], "what we run on we know");
    for id in ["cpu-unknown", "memory-unknown", "mounts-unknown"] {
        assert!(notes(&found).contains(&id), "{id} in {:?}", notes(&found));
    }
}

#[test]
fn closed_streams_are_no_matter() {
    for script in ["detect <&-", "detect 2>&-", "detect <&- 2>&-", "detect -v <&- 2>&-"] {
        assert_eq!(quiet(&shell(script)), free(), "{script}");
    }
}
