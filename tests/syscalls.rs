//! What `detect` asks of the kernel, as strace sees it: below `--root` it
//! starts nothing, opens nothing outside, and nothing anywhere twice.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::tools::{binaries, document, has, missing, shared, text, unpack};

/// Files that the loader and the runtime open before `main`, whatever the
/// program; libraries come on top.
const RUNTIME: [&str; 3] = [
    // What to load before all else, and where libraries are: the loader.
    "/etc/ld.so.preload",
    "/etc/ld.so.cache",
    // Rust asks glibc for the bounds of the main thread's stack, to tell an
    // overflow from other faults; glibc finds them here.
    "/proc/self/maps",
];

/// A system call on a file or a process.
struct Call {
    name: String,
    /// The path it was given.
    path: Option<PathBuf>,
    /// The file it opened, wherever links led.
    opened: Option<PathBuf>,
    /// As strace printed it.
    line: String,
}

impl Call {
    /// Read a line such as `7 openat(AT_FDCWD</x>, "y", O_RDONLY) = 3</x/y>`.
    fn parse(line: &str) -> Option<Self> {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let (name, rest) = call.split_once('(')?;
        // Of a call that something else interrupts, the result comes later.
        let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, ""));
        let between = |text: &str, open: char, close: char| {
            Some(text.split_once(open)?.1.split_once(close)?.0.to_owned())
        };
        // A file that is open already is given by its number and no path.
        let path = between(arguments, '"', '"').filter(|path| !path.is_empty()).map(|path| {
            let first = arguments.split('"').next().unwrap_or_default();
            Path::new(&between(first, '<', '>').unwrap_or_default()).join(path)
        });
        let opens = name.starts_with("open") || name == "creat";
        let opened = between(result, '<', '>').filter(|_| opens).map(PathBuf::from);
        Some(Self { name: name.to_owned(), path, opened, line: line.to_owned() })
    }

    /// Whether it is the runtime's, not ours.
    fn is_runtime(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        RUNTIME.iter().any(|known| path == Path::new(known)) || name.contains(".so.")
    }
}

/// A run of `detect`.
struct Trace {
    calls: Vec<Call>,
    hardware: Value,
}

/// Run `detect` under strace, with what it starts if `follow`, and no Nix on
/// its PATH. `None`, and said, where that cannot be done.
fn trace(follow: bool, arguments: &[&str]) -> Option<Trace> {
    if !has(&["strace"]) {
        return None;
    }
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("trace");
    let strace = || {
        let mut command = Command::new("strace");
        // With cargo's own folders of libraries, the loader would look there.
        command.env_remove("LD_LIBRARY_PATH");
        command
    };
    let works = strace().args(["-o", "/dev/null", "true"]).output().expect("strace runs");
    if !works.status.success() {
        missing(&format!("strace may not trace here: {}", text(&works.stderr)));
        return None;
    }
    let output = strace()
        .args(if follow { &["--follow-forks"][..] } else { &[] })
        .args(["--decode-fds=path", "--quiet=all", "--trace=%file,%process", "--output"])
        .arg(&file)
        .arg(format!("--env=PATH={}", folder.path().display()))
        .arg(binaries().join("detect"))
        .arg("--quiet")
        .args(arguments)
        .output()
        .expect("strace runs");
    let hardware = serde_json::from_str(&document(&output)).expect("JSON");
    let lines = fs::read_to_string(&file).expect("a trace");
    let calls: Vec<Call> = lines.lines().filter_map(Call::parse).collect();
    assert!(calls.len() > 10, "not read: {lines}");
    Some(Trace { calls, hardware })
}

impl Trace {
    /// Files and folders that were opened more than once; a Nix that is asked gets
    /// nothing to read each time.
    fn opened_again(&self) -> Vec<&Path> {
        let mut seen = BTreeSet::new();
        let opened = self.calls.iter().filter_map(|call| call.opened.as_deref());
        let opened = opened.filter(|path| *path != Path::new("/dev/null"));
        opened.filter(|path| !seen.insert(*path)).collect()
    }

    /// That it only read, and only below `tree`.
    fn stays_below(&self, tree: &Path) {
        let started = ["execve", "execveat", "clone", "clone3", "fork", "vfork"];
        let starts = self.calls.iter().filter(|call| started.contains(&&*call.name));
        assert_eq!(starts.count(), 1, "strace starts it, and it starts nothing");
        for call in self.calls.iter().filter(|call| !call.is_runtime()) {
            let Call { name, path, opened, line } = call;
            assert!(!["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| line.contains(flag)));
            assert!(opened.as_ref().is_none_or(|path| path.starts_with(tree)), "{line}");
            if let Some(path) = path.as_ref().filter(|_| name != "execve") {
                // The way to the tree may lead through links.
                let leads_to = tree.starts_with(path) && opened.is_none();
                assert!(path.starts_with(tree) || leads_to, "{line}");
            }
        }
    }
}

#[test]
fn nothing_outside_a_captured_tree_is_touched() {
    for archive in [
        "lscpu/x86_64-epyc_7451",
        "hwloc/16em64t-4s2c2t",
        "hwloc/16amd64-4n4c-cgroup-distance-merge",
    ] {
        let Some(archive) = shared(&format!("machines/{archive}.tar.xz")) else { return };
        let folder = unpack(&archive);
        let tree = folder.path().canonicalize().expect("path");
        let Some(trace) = trace(true, &["--root", &tree.display().to_string()]) else { return };
        assert!(trace.hardware["cpu"]["allowed"].is_number(), "{}", trace.hardware);
        trace.stays_below(&tree);
    }
}

#[test]
fn links_of_a_captured_tree_do_not_lead_out_of_it() {
    let folder = tempfile::tempdir().expect("folder");
    let tree = folder.path().canonicalize().expect("path");
    let write = |path: &str, content: &str| {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, content).expect("file");
    };
    // Each is on this machine too, and says something else there.
    write("etc/passwd", "MemTotal: 1024 kB\n");
    write("etc/group", "processor : 0\nprocessor : 1\nprocessor : 2\n");
    write("usr/devices/system/cpu/online", "0-6\n");
    write("proc/self/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    symlink("/etc/passwd", tree.join("proc/meminfo")).expect("absolute link");
    symlink("../../../../../../etc/group", tree.join("proc/cpuinfo")).expect("climbing link");
    symlink("/usr", tree.join("sys")).expect("absolute link");
    let Some(trace) = trace(true, &["--live", "--root", &tree.display().to_string()]) else {
        return;
    };
    assert_eq!(trace.hardware["memory"]["total_bytes"], 1 << 20);
    assert_eq!(trace.hardware["cpu"]["online"], 7);
    trace.stays_below(&tree);
    assert_eq!(trace.opened_again(), [] as [&Path; 0]);
}

#[test]
fn no_file_of_a_captured_tree_is_opened_twice() {
    let mut again = Vec::new();
    for archive in [
        "machines/lscpu/x86_64-epyc_7451",
        // No list of CPUs: their folders are counted.
        "machines/hwloc/16em64t-4s2c2t",
        // Several file systems on one disk, and several disks below one.
        "machines/hwloc/32em64t-2n8c+dax+nvme+mic+dimms",
        "storage-stacks/libstorage/luks4",
    ] {
        let Some(file) = shared(&format!("{archive}.tar.xz")) else { return };
        let folder = unpack(&file);
        let tree = folder.path().display().to_string();
        let Some(trace) = trace(true, &["--live", "--root", &tree]) else { return };
        again.extend(trace.opened_again().into_iter().map(Path::to_owned));
    }
    assert_eq!(again, [] as [PathBuf; 0]);
}

#[test]
fn no_file_of_this_machine_is_opened_twice() {
    for arguments in [&[][..], &["--live"], &["--store", "/dev/shm", "--build-dir", "/proc"]] {
        // Nix may be found elsewhere, and then opens what it likes.
        let Some(trace) = trace(false, arguments) else { return };
        assert_eq!(trace.opened_again(), [] as [&Path; 0], "{arguments:?}");
    }
}
