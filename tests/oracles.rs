//! What this machine is, by what other tools say of it where they are right:
//! lscpu, findmnt, lsblk and swapon. Where the machine has too little,
//! file systems are made for the purpose, which only the test sees.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Deserializer, Value, json};

use crate::tools::{Changing, apart, document, has, kernel_has, skip, text, tool};

fn detect(arguments: &[&str]) -> Value {
    let output = tool("detect").arg("-q").args(arguments).output().expect("detect runs");
    serde_json::from_str(&document(&output)).expect("JSON")
}

/// What another tool prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    document(&output.expect("it runs"))
}

/// What another tool prints as JSON; `null` when it prints nothing.
fn told(program: &str, arguments: &[&str]) -> Value {
    match said(program, &[&["--json"], arguments].concat()) {
        text if text.is_empty() => Value::Null,
        text => serde_json::from_str(&text).expect("JSON"),
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn processors_are_those_of_lscpu() {
    if !has(&["lscpu"]) {
        return;
    }
    let cpu = &detect(&[])["cpu"];
    let table = said("lscpu", &["--parse=CPU,CORE,SOCKET,NODE"]);
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = rows.map(|line| line.split(',').collect()).collect();
    let distinct = |column: usize| {
        let names = rows.iter().map(|row| row[column]).filter(|name| !name.is_empty());
        match names.collect::<BTreeSet<_>>().len() {
            0 => Value::Null,
            count => json!(count),
        }
    };
    assert_eq!(cpu["online"], distinct(0), "{table}");
    // The table has no nodes with memory alone.
    let summary = said("lscpu", &[]);
    let nodes = summary.lines().find_map(|line| line.trim_start().strip_prefix("NUMA node(s):"));
    let nodes = nodes.and_then(|nodes| serde_json::from_str(nodes.trim()).ok());
    assert_eq!(cpu["numa_nodes"], nodes.unwrap_or_else(|| distinct(3)), "{summary}");
    if cpu["allowed"] != cpu["online"] {
        skip("not all CPUs are allowed, which lscpu does not know");
        return;
    }
    assert_eq!(cpu["cores"], distinct(1), "{table}");
    assert_eq!(cpu["sockets"], distinct(2), "{table}");
    if array(&cpu["kinds"]).len() > 1 {
        skip("kinds of cores have caches of their own, which lscpu does not know");
        return;
    }
    let caches = told("lscpu", &["--bytes", "--caches=LEVEL,TYPE,ALL-SIZE"]);
    let theirs: BTreeSet<String> = array(&caches["caches"])
        .iter()
        .map(|cache| {
            let word = |key: &str| cache[key].as_str().unwrap_or_default().to_lowercase();
            format!("L{} {} {}", cache["level"], word("type"), word("all-size"))
        })
        .collect();
    let ours: BTreeSet<String> = array(&cpu["caches"])
        .iter()
        .map(|cache| {
            let kind = cache["type"].as_str().unwrap_or_default();
            format!("L{} {kind} {}", cache["level"], cache["total_bytes"])
        })
        .collect();
    assert_eq!(ours, theirs);
}

/// What findmnt says of the mount that a path is on; `None` where it gives two
/// answers, or where the path has to exist and does not.
fn findmnt(path: &str) -> Option<Value> {
    // The path of a store may not be there yet.
    let there = Path::new(path).ancestors().find(|path| path.exists())?;
    let columns = "--output=TARGET,SOURCE,FSTYPE,SIZE,VFS-OPTIONS,FS-OPTIONS";
    let output = Command::new("findmnt")
        .args(["--json", "--bytes", "--nofsroot", columns, "--target"])
        .arg(there)
        .output()
        .expect("findmnt runs");
    let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
    match array(&answer["filesystems"]) {
        [one] => Some(one.clone()),
        _ => None,
    }
}

#[test]
fn file_systems_are_those_of_findmnt() {
    if !has(&["findmnt"]) {
        return;
    }
    let storage = &detect(&[])["storage"];
    for role in ["store", "build_dir", "tmp"] {
        let place = &storage[role];
        let Some(mount) = findmnt(place["path"].as_str().expect("a path")) else {
            skip("findmnt cannot tell which of two mounts is on top");
            continue;
        };
        assert_eq!(place["mount_point"], mount["target"], "{role}");
        assert_eq!(place["filesystem"], mount["fstype"], "{role}");
        assert_eq!(place["size_bytes"], mount["size"], "{role}");
        let options = ["vfs-options", "fs-options"].map(|key| mount[key].as_str());
        let theirs = options.into_iter().flatten().flat_map(|options| options.split(','));
        let ours = array(&place["options"]).iter().filter_map(Value::as_str);
        assert_eq!(ours.collect::<BTreeSet<_>>(), theirs.collect::<BTreeSet<_>>(), "{role}");
    }
}

#[test]
fn every_mount_is_told_apart_as_by_findmnt() {
    if !has(&["findmnt"]) {
        return;
    }
    let all = told("findmnt", &["--list", "--output=TARGET,FSTYPE"]);
    // Looking at an autofs mounts something there.
    let mounts = array(&all["filesystems"]).iter().filter(|mount| mount["fstype"] != "autofs");
    let mut asked = 0;
    for target in mounts.map(|mount| mount["target"].as_str().expect("a target")) {
        let Some(mount) = findmnt(target) else { continue };
        let place = &detect(&["--store", target])["storage"]["store"];
        assert_eq!(place["mount_point"], mount["target"], "{target}");
        assert_eq!(place["filesystem"], mount["fstype"], "{target}");
        asked += 1;
    }
    assert!(asked > 0, "not one mount was asked for");
}

#[test]
fn disks_are_those_of_lsblk() {
    if !has(&["findmnt", "lsblk"]) {
        return;
    }
    let storage = &detect(&[])["storage"];
    for role in ["store", "build_dir", "tmp"] {
        let place = &storage[role];
        let mount = findmnt(place["path"].as_str().expect("a path")).unwrap_or_default();
        let source = mount["source"].as_str().unwrap_or_default();
        // Of a file system with members, a mount names just one.
        let one = !["btrfs", "bcachefs"].iter().any(|name| mount["fstype"] == *name);
        if !source.starts_with("/dev/") || !Path::new(source).exists() || !one {
            skip(&format!("{role}: no single device that lsblk could look below"));
            continue;
        }
        let columns = "--output=NAME,TYPE,TRAN,ROTA";
        let tree = told("lsblk", &["--inverse", columns, source]);
        let mut theirs = Vec::new();
        bottom(&tree["blockdevices"], &mut theirs);
        if theirs.iter().any(|device| device["type"] == "loop") {
            skip(&format!("{role}: lsblk does not look below a loop device"));
            continue;
        }
        let names: BTreeSet<&str> =
            theirs.iter().filter_map(|device| device["name"].as_str()).collect();
        let ours = array(&place["disks"]);
        assert_eq!(json!(ours.iter().map(|disk| &disk["name"]).collect::<Vec<_>>()), json!(names));
        for disk in ours {
            let find = theirs.iter().find(|device| device["name"] == disk["name"]);
            let device = find.expect("the same names");
            // For virtual disks the flag says nothing, and the bus is a guess.
            if !disk["rotational"].is_null() {
                assert_eq!(disk["rotational"], device["rota"], "{role} {disk}");
            }
            if ["nvme", "sata", "usb"].iter().any(|bus| device["tran"] == *bus) {
                assert_eq!(disk["transport"], device["tran"], "{role} {disk}");
            }
        }
    }
}

/// The devices that stand on no other.
fn bottom<'a>(devices: &'a Value, found: &mut Vec<&'a Value>) {
    for device in array(devices) {
        match &device["children"] {
            Value::Null => found.push(device),
            below => bottom(below, found),
        }
    }
}

/// What `detect` says of directories that a script makes, each shown to it by
/// `look DIRECTORY`; before them, of the folder that the script runs in.
fn made(programs: &[&str], filesystems: &[&str], script: &str) -> Option<Vec<Value>> {
    if !has(programs) || !filesystems.iter().all(|name| kernel_has(name)) {
        return None;
    }
    // Detaching a device that is still mounted only lets go of it, so that it
    // goes away with the mount.
    let output = apart(&format!(
        "loops=()
        attach() {{ loops+=(\"$(losetup --find --show \"$1\")\"); }}
        trap '[ ${{#loops[@]}} = 0 ] || losetup --detach \"${{loops[@]}}\"' EXIT
        look() {{ detect -q --store \"$1\"; }}
        look \"$PWD\"
        {script}"
    ))?;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let documents = Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let store = |document: Result<Value, _>| document.expect("JSON")["storage"]["store"].take();
    Some(documents.map(store).collect())
}

/// The layers of a place below some others.
fn stack(first: &[&str], place: &Value) -> Value {
    let first = first.iter().map(|layer| json!(layer));
    first.chain(array(&place["stack"]).iter().cloned()).collect()
}

#[test]
fn a_btrfs_is_on_the_disks_of_all_its_members() {
    let Some(places) = made(
        &["losetup", "mkfs.btrfs"],
        &["btrfs"],
        "mkdir memory && mount -t tmpfs tmpfs memory
        for pair in 'one two' 'memory/three four'; do
            truncate --size 128M $pair
            for file in $pair; do attach $file; done
            pair=(\"${loops[@]: -2}\")
            mkfs.btrfs --quiet --data raid0 --metadata raid0 \"${pair[@]}\" >&2
            mkdir mnt && mount -o device=${pair[1]} ${pair[0]} mnt
            look \"$PWD/mnt/store\"
            umount mnt && rmdir mnt
            btrfs device scan --forget ${pair[0]} >&2
        done",
    ) else {
        return;
    };
    let [own, same, mixed] = &places[..] else { panic!("{places:?}") };
    assert_eq!(same["size_bytes"], 256 << 20, "of both");
    assert_eq!(same["disks"], own["disks"]);
    assert_eq!(same["stack"], stack(&["btrfs", "loop"], own), "each layer once");
    assert_eq!(mixed["disks"], own["disks"], "memory is no disk");
    assert_eq!(mixed["media"], own["media"], "the slower of both");
    assert!(array(&mixed["stack"]).contains(&json!("tmpfs")), "{mixed}");
}

#[test]
fn an_xfs_without_partitions_is_on_the_disk_of_its_file() {
    let Some(places) = made(
        &["mkfs.xfs"],
        &["xfs"],
        "truncate --size 300M file && mkfs.xfs -q file
        mkdir mnt && mount -o loop file mnt
        look \"$PWD/mnt\"",
    ) else {
        return;
    };
    let [own, xfs] = &places[..] else { panic!("{places:?}") };
    assert_eq!(xfs["filesystem"], "xfs");
    assert_eq!(xfs["stack"], stack(&["xfs", "loop"], own));
    assert_eq!((&xfs["disks"], &xfs["media"]), (&own["disks"], &own["media"]));
}

#[test]
fn an_overlay_is_on_what_its_upper_directory_is_on() {
    let Some(places) = made(
        &["mkfs.ext4"],
        &["overlay", "ext4"],
        "truncate --size 8M file && mkfs.ext4 -q file
        mkdir disk memory onto-disk onto-memory
        mount -o loop file disk && mount -t tmpfs tmpfs memory
        mkdir {disk,memory}/{lower,upper,work}
        over() {
            mount -t overlay -o lowerdir=$PWD/$1/lower,upperdir=$PWD/$2/upper,workdir=$PWD/$2/work \
                overlay onto-$2
        }
        over memory disk && look \"$PWD/onto-disk/store\"
        over disk memory && look \"$PWD/onto-memory/store\"",
    ) else {
        return;
    };
    let [own, disk, memory] = &places[..] else { panic!("{places:?}") };
    assert_eq!(disk["stack"], stack(&["overlay", "ext4", "loop"], own));
    assert_eq!((&disk["disks"], &disk["media"]), (&own["disks"], &own["media"]));
    assert_eq!(memory["stack"], json!(["overlay", "tmpfs"]));
    assert_eq!((&memory["disks"], &memory["media"]), (&json!([]), &json!("memory")));
}

#[test]
fn a_tmpfs_is_memory_and_no_disk() {
    let script = "mkdir mnt && mount -t tmpfs -o size=8m tmpfs mnt && look \"$PWD/mnt/builds\"";
    let Some(places) = made(&[], &["tmpfs"], script) else { return };
    let tmpfs = &places[1];
    assert_eq!(tmpfs["stack"], json!(["tmpfs"]));
    assert_eq!((&tmpfs["disks"], &tmpfs["media"]), (&json!([]), &json!("memory")));
    assert_eq!(tmpfs["size_bytes"], 8 << 20);
}

#[test]
fn names_may_have_spaces_and_hashes() {
    let Some(places) = made(
        &["mkfs.ext4"],
        &["ext4"],
        "truncate --size 8M 'file #1 of 2' && mkfs.ext4 -q 'file #1 of 2'
        mkdir 'mnt #1 \\040' && mount -o loop 'file #1 of 2' 'mnt #1 \\040'
        look \"$PWD/mnt #1 \\\\040/store\"",
    ) else {
        return;
    };
    let [own, ext4] = &places[..] else { panic!("{places:?}") };
    let mount_point = ext4["mount_point"].as_str().expect("a mount point");
    assert!(mount_point.ends_with("/mnt #1 \\040"), "{mount_point}");
    assert_eq!(ext4["stack"], stack(&["ext4", "loop"], own));
    assert_eq!(ext4["disks"], own["disks"]);
}

#[test]
fn links_and_relative_paths_lead_to_the_mount() {
    let script = "mkdir mnt && mount -t tmpfs tmpfs mnt
        ln -s mnt relative && ln -s \"$PWD/relative\" absolute
        look \"$PWD/relative\"; look \"$PWD/absolute/store\"; cd mnt; look ../mnt; look store";
    let Some(places) = made(&[], &["tmpfs"], script) else { return };
    for place in &places[1..] {
        let mount_point = place["mount_point"].as_str().expect("a mount point");
        assert!(mount_point.ends_with("/mnt"), "{place}");
        assert_eq!(place["filesystem"], "tmpfs", "{place}");
    }
}

#[test]
fn a_bind_mount_is_on_what_is_bound() {
    let script = "mkdir -p mnt bound && mount -t tmpfs tmpfs mnt && mkdir mnt/folder
        mount --bind mnt/folder bound && look \"$PWD/bound/store\"
        mkdir disk && mount --bind disk mnt/folder && look \"$PWD/mnt/folder\"";
    let Some(places) = made(&[], &["tmpfs"], script) else { return };
    let [own, memory, disk] = &places[..] else { panic!("{places:?}") };
    let mount_point = memory["mount_point"].as_str().expect("a mount point");
    assert!(mount_point.ends_with("/bound"), "{mount_point}");
    assert_eq!((&memory["disks"], &memory["media"]), (&json!([]), &json!("memory")));
    for fact in ["filesystem", "stack", "disks", "media", "size_bytes"] {
        assert_eq!(disk[fact], own[fact], "{fact}");
    }
}

#[test]
fn a_mount_that_another_hides_is_not_seen() {
    // Above it, beside it, and moved over it: findmnt is wrong about the first,
    // and in two minds about the last.
    let script = "mkdir -p above/below twice older newer
        mount -t tmpfs hidden above/below && mount -t ramfs shown above
        mount -t tmpfs hidden twice && mount -t ramfs shown twice
        mount -t ramfs shown older && mount -t tmpfs hidden newer && mount --move older newer
        for path in above/below twice newer; do look \"$PWD/$path\"; done";
    let Some(places) = made(&[], &["tmpfs"], script) else { return };
    let seen: Vec<&Value> = places[1..].iter().map(|place| &place["filesystem"]).collect();
    assert_eq!(seen, ["ramfs"; 3]);
}

#[test]
fn zram_swap_is_zram() {
    if !has(&["mkswap", "swapon"]) {
        return;
    }
    let _ = Command::new("modprobe").arg("zram").output();
    if !Path::new("/sys/class/zram-control").exists() {
        skip("this kernel has no zram");
        return;
    }
    let _changing = Changing::new();
    let Some(output) = apart(
        "number=$(cat /sys/class/zram-control/hot_add)
        remove() {
            swapoff /dev/zram$number || true
            echo $number > /sys/class/zram-control/hot_remove
        }
        trap remove EXIT
        echo 64M > /sys/block/zram$number/disksize
        mkswap /dev/zram$number >&2 && swapon /dev/zram$number
        detect -q
        swapon --show=NAME,SIZE --noheadings --bytes >&2",
    ) else {
        return;
    };
    let hardware: Value = serde_json::from_str(&document(&output)).expect("JSON");
    let (said, mut zram, mut others) = (text(&output.stderr), 0_u64, 0_u64);
    for line in said.lines().filter(|line| line.starts_with('/')) {
        let (name, size) = line.split_once(' ').expect("name and size");
        let sum = if name.starts_with("/dev/zram") { &mut zram } else { &mut others };
        *sum += size.trim().parse::<u64>().expect("bytes");
    }
    assert!(zram >= 63 << 20, "{said}");
    assert_eq!(hardware["memory"]["zram_bytes"], zram, "{said}");
    assert_eq!(hardware["memory"]["swap_bytes"], others, "{said}");
}
