use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use detect::hardware::{Disk, Hardware, Live, Media, Nix, Place};
use detect::root::Root;
use serde_json::json;

use super::{Expected, check, judge, store};
use crate::ancestors::{self, Manners};

const GIB: u64 = 1 << 30;

fn expected() -> Expected {
    Expected::default().given(Some(2 * GIB), Some(1000))
}

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
    let report = judge(&hardware, expected());
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
        judge(&Hardware::default(), expected()).findings.is_empty(),
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
            live(hardware).memory_available_bytes = Some(free - GIB);
            live(hardware).swap_free_bytes = Some(GIB);
        })
    };
    assert_eq!(found(100 * GIB), [""; 0]);
    assert_eq!(found(4 * GIB), [""; 0], "both builds fit");
    assert_eq!(found(4 * GIB - 1), ["Warning little-memory"]);
    assert_eq!(found(2 * GIB - 1), ["Error little-memory"]);
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
    let builds = found(|hardware| build_dir(hardware).media = Media::Network);
    assert_eq!(builds, ["Warning build-dir-remote"]);
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
    assert_eq!(found(GIB, 0), ["Warning min-free-useless"]);
    assert_eq!(found(200 * GIB, u64::MAX), ["Warning min-free-always"]);
    assert_eq!(found(200 * GIB, 3 * GIB), ["Warning min-free-useless"], "the less counts");
}

#[test]
fn a_limit_is_all_the_memory_there_is() {
    let found = found(|hardware| {
        build_dir(hardware).media = Media::Memory;
        hardware.memory.limit_bytes = GIB.try_into().ok();
    });
    assert_eq!(found, ["Error little-memory"]);
}

#[test]
fn a_captured_tree_is_not_left() {
    let outside = tempfile::tempdir().expect("folder");
    let tree = outside.path().join("tree");
    fs::create_dir_all(tree.join("nix/var/nix")).expect("folders");
    symlink(outside.path(), tree.join("nix/var/nix/builds")).expect("a link");
    fs::create_dir_all(tree.join("store/.links")).expect("folders");
    let report = check(Some(&tree), None, expected()).expect("a report");
    let ids: Vec<&str> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["build-dir-refused"], "{:#?}", report.findings);

    // Followed, the link leads to nothing in the tree.
    let root = Root::captured(&tree).expect("root");
    let manners = Manners { makes: false, refuses: false, exposed: true };
    fs::create_dir(outside.path().join("closed")).expect("folder");
    symlink("../../closed", tree.join("out")).expect("a link");
    assert_eq!(ancestors::look(&root, Path::new("/out"), manners), []);
    assert_eq!(store::caseless(&root, &place("/store", Media::Ssd)), None);
}

#[test]
fn what_was_said_of_a_captured_machine_counts_with_its_tree() {
    let tree = tempfile::tempdir().expect("folder");
    fs::create_dir_all(tree.path().join("nix/var/nix")).expect("folders");
    symlink("/elsewhere", tree.path().join("nix/var/nix/builds")).expect("a link");
    let mut said = machine();
    said.nix.as_mut().expect("Nix").version = Some("2.34.8".to_owned());
    live(&mut said).free_bytes.build_dir = Some(GIB);
    let look = |said| {
        let report = check(Some(tree.path()), said, expected()).expect("a report");
        let ids = report.findings.iter().map(|finding| finding.id.clone());
        (report.free_bytes, ids.collect::<Vec<_>>())
    };
    let of_both = ["little-space".to_owned(), "build-dir-refused".to_owned()];
    assert_eq!(look(Some(said.clone())), (Some(GIB), of_both.to_vec()));
    assert_eq!(look(None).0, None, "a tree knows of no free space");

    // Builds run elsewhere than where space was free.
    let settings = &mut said.nix.as_mut().expect("Nix").settings;
    settings.insert("build-dir".to_owned(), json!("/other"));
    live(&mut said).free_bytes.store = Some(GIB);
    assert_eq!(look(Some(said)), (None, vec!["little-space".to_owned()]), "of the store");
}

#[test]
fn what_is_found_fits_a_terminal_and_says_what_to_do() {
    let mut hardware = machine();
    build_dir(&mut hardware).options = vec!["noexec".to_owned()];
    live(&mut hardware).free_bytes.build_dir = Some(GIB);
    let report = judge(&hardware, expected());
    let text = report.human();
    assert_eq!(report.errors(), 2, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(text.matches("         → ").count(), 2, "{text}");
    let calm = judge(&machine(), expected()).human();
    assert!(calm.ends_with("\nNothing found that would fail.\n"), "{calm}");
}
