use std::fs::{self, File, FileTimes};
use std::time::{Duration, SystemTime};

use detect::hardware::{Disk, Hardware, Live, Media, Nix, Place};
use serde_json::json;

use super::{Expected, judge, stale};

const GIB: u64 = 1 << 30;
const EXPECTED: Expected = Expected { bytes: 2 * GIB, files: 1000 };

fn place(path: &str, media: Media) -> Place {
    Place {
        path: path.to_owned(),
        mount_point: Some(path.to_owned()),
        filesystem: Some("ext4".to_owned()),
        options: Vec::new(),
        size_bytes: (100 * GIB).try_into().ok(),
        inodes: 1_000_000.try_into().ok(),
        media,
        stack: Vec::new(),
        disks: Some(Vec::new()),
    }
}

/// A machine of two jobs on which nothing is amiss.
fn machine() -> Hardware {
    let mut hardware = Hardware::default();
    hardware.storage.build_dir = Some(place("/nix/var/nix/builds", Media::Ssd));
    hardware.storage.store = Some(place("/nix/store", Media::Ssd));
    let mut live = Live::default();
    for (figures, free) in [(&mut live.free_bytes, 50 * GIB), (&mut live.free_inodes, 500_000)] {
        (figures.store, figures.build_dir) = (Some(free), Some(free));
    }
    live.memory_available_bytes = Some(8 * GIB);
    hardware.live = Some(live);
    let settings = [("max-jobs", json!(2))].map(|(name, value)| (name.to_owned(), value));
    hardware.nix = Some(Nix { settings: settings.into(), ..Nix::default() });
    hardware
}

/// What is found once something is changed, as `level id`.
fn found(change: impl FnOnce(&mut Hardware)) -> Vec<String> {
    let mut hardware = machine();
    change(&mut hardware);
    let report = judge(&hardware, EXPECTED);
    let lines = report.findings.iter().map(|note| format!("{:?} {}", note.level, note.id));
    lines.collect()
}

fn live(hardware: &mut Hardware) -> &mut Live {
    hardware.live.as_mut().expect("live")
}

fn build_dir(hardware: &mut Hardware) -> &mut Place {
    hardware.storage.build_dir.as_mut().expect("a place")
}

#[test]
fn nothing_is_found_where_nothing_is_amiss() {
    assert!(found(|_| ()).is_empty());
    assert!(
        judge(&Hardware::default(), EXPECTED).findings.is_empty(),
        "nor where nothing is known"
    );
}

#[test]
fn space_is_for_one_build_and_for_all() {
    let bytes = |free| found(|hardware| live(hardware).free_bytes.build_dir = Some(free));
    assert_eq!(bytes(4 * GIB), [""; 0]);
    assert_eq!(bytes(4 * GIB - 1), ["Warning little-space"]);
    assert_eq!(bytes(2 * GIB - 1), ["Error little-space"]);
    let inodes = |free| found(|hardware| live(hardware).free_inodes.store = Some(free));
    assert_eq!(inodes(1999), ["Warning little-inodes"]);
    assert_eq!(inodes(999), ["Error little-inodes"]);
    let as_needed = found(|hardware| {
        live(hardware).free_inodes.build_dir = Some(0);
        build_dir(hardware).inodes = None;
    });
    assert!(as_needed.is_empty(), "btrfs has no inodes to run out of");
}

#[test]
fn what_a_file_system_forbids_is_an_error() {
    for (option, id) in [("ro", "build-dir-read-only"), ("noexec", "build-dir-noexec")] {
        let found = found(|hardware| build_dir(hardware).options = vec![option.to_owned()]);
        assert_eq!(found, [format!("Error {id}")]);
    }
}

#[test]
fn a_tmpfs_is_no_larger_than_memory() {
    let found = |free| {
        found(|hardware| {
            build_dir(hardware).media = Media::Memory;
            live(hardware).memory_available_bytes = Some(free);
        })
    };
    assert_eq!(found(100 * GIB), [""; 0]);
    assert_eq!(found(8 * GIB), ["Warning little-memory"]);
    assert_eq!(found(GIB), ["Error little-memory"]);
}

#[test]
fn a_store_that_is_far_or_may_go_is_named() {
    let remote = found(|hardware| {
        hardware.storage.store = Some(place("/nix/store", Media::Network));
    });
    assert_eq!(remote, ["Warning store-remote"]);
    let removable = found(|hardware| {
        hardware.storage.store.as_mut().expect("a place").disks = Some(vec![Disk {
            name: "sdb".to_owned(),
            transport: Some("usb".to_owned()),
            rotational: None,
            write_cache: None,
        }]);
    });
    assert_eq!(removable, ["Warning store-removable"]);
}

#[test]
fn min_free_must_be_reachable() {
    let found = |least: u64, enough: u64| {
        found(|hardware| {
            let settings = &mut hardware.nix.as_mut().expect("Nix").settings;
            settings.insert("min-free".to_owned(), json!(least));
            settings.insert("max-free".to_owned(), json!(enough));
        })
    };
    assert_eq!(found(0, 0), [""; 0], "off");
    assert_eq!(found(GIB, 3 * GIB), [""; 0]);
    assert_eq!(found(3 * GIB, 3 * GIB), ["Warning min-free-useless"]);
    assert_eq!(found(200 * GIB, u64::MAX), ["Warning min-free-useless"]);
}

#[test]
fn what_dead_builds_left_is_weighed() {
    let folder = tempfile::tempdir().expect("folder");
    let old = SystemTime::now() - Duration::from_secs(48 * 3600);
    for (name, age) in [
        ("nix-12-1", Some(old)),
        ("nix-build-a.drv-0", Some(old)),
        ("nix-13-1", None),
        ("x", Some(old)),
    ] {
        let build = folder.path().join(name);
        fs::create_dir(&build).expect("made");
        fs::write(build.join("object"), [0; 3 << 10]).expect("written");
        if let Some(age) = age {
            let times = FileTimes::new().set_modified(age);
            File::open(&build).and_then(|build| build.set_times(times)).expect("aged");
        }
    }
    let note = stale(folder.path()).expect("a finding");
    assert!(note.text.contains("2 directories"), "{}", note.text);
    assert_eq!(stale(&folder.path().join("none")), None);
}
