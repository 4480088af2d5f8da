use detect::hardware::{ConfOwner, Hardware, Media, Nix, Note, Place, Storage};
use detect::release::Release;
use detect::stage;
use profile::Options;
use profile::form::{Form, render};
use profile::plan::{Plan, Value, Workload};

use super::{OWNED, OWNED_OPTIONS, run};

const GIB: u64 = 1 << 30;

/// Of each kind: no build-dir, build-dir with /tmp as default, and without.
const RELEASES: [&str; 5] = ["2.8", "2.26", "2.34", "lix-2.93.0", "lix-2.94.0"];

#[expect(clippy::unnecessary_wraps, reason = "as a document has it")]
fn place(path: &str, mount: &str, media: Media, bytes: u64) -> Option<Place> {
    let is_memory = media == Media::Memory;
    Some(Place {
        path: path.to_owned(),
        mount_point: Some(mount.to_owned()),
        filesystem: Some(if is_memory { "tmpfs" } else { "ext4" }.to_owned()),
        options: vec!["rw".to_owned()],
        size_bytes: bytes.try_into().ok(),
        inodes: None,
        media,
        stack: Vec::new(),
        disks: None,
    })
}

/// A machine with /nix on one file system and the rest on another.
fn machine(cpus: u32, memory: u64, nix: (Media, u64), root: (Media, u64)) -> Hardware {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.cpu.allowed = cpus.try_into().ok();
    hardware.memory.total_bytes = memory.try_into().ok();
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware.storage = Storage {
        store: place("/nix/store", "/nix", nix.0, nix.1),
        build_dir: place("/nix/var/nix/builds", "/nix", nix.0, nix.1),
        tmp: place("/tmp", "/", root.0, root.1),
    };
    hardware
}

fn plan_for(hardware: Hardware, nix: &str, workload: Workload) -> Plan {
    let options = Options { for_nix: Release::parse(nix), workload, ..Options::default() };
    profile::run(hardware, &options).expect("a plan")
}

fn stored(hardware: Hardware, nix: &str) -> Plan {
    run(plan_for(hardware, nix, Workload::General)).expect("a plan")
}

fn value<'a>(plan: &'a Plan, name: &str) -> Option<&'a Value> {
    plan.settings.get(name).or_else(|| plan.nixos.get(name)).map(|setting| &setting.value)
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The tmpfs that builds get: where, and of what size.
fn tmpfs(plan: &Plan) -> Option<(String, u64)> {
    if let Some(Value::Integer(bytes)) = value(plan, "boot.tmp.tmpfsSize") {
        return Some(("/tmp".to_owned(), *bytes));
    }
    plan.nixos.iter().find_map(|(name, setting)| {
        let path = name.strip_prefix("fileSystems.\"")?.strip_suffix("\".options")?;
        let Value::List(words) = &setting.value else { return None };
        let size = words.iter().find_map(|word| word.strip_prefix("size=")?.parse().ok());
        Some((path.to_owned(), size?))
    })
}

fn tmpfs_bytes(plan: &Plan) -> Option<u64> {
    tmpfs(plan).map(|(_, bytes)| bytes)
}

/// The machine as it is once the plan is followed.
fn followed(plan: &Plan) -> Hardware {
    let mut hardware = plan.hardware.clone();
    let storage = &mut hardware.storage;
    if let Some(Value::Text(path)) = value(plan, "build-dir") {
        let on = |place: &&Place| match &**path {
            "/nix-builds" => place.mount_point.as_deref() == Some("/"),
            _ => place.path.starts_with("/nix/"),
        };
        let places = [&storage.store, &storage.build_dir, &storage.tmp];
        let place = places.into_iter().flatten().find(on).cloned();
        storage.build_dir = place.map(|place| Place { path: path.clone(), ..place });
    }
    if let Some((path, bytes)) = tmpfs(plan) {
        storage.build_dir = place(&path, &path, Media::Memory, bytes);
        if path == "/tmp" {
            storage.tmp.clone_from(&storage.build_dir);
        }
    }
    hardware
}

/// Machines with each kind of disk, of several sizes, and no or much memory.
fn machines() -> Vec<Hardware> {
    let media =
        [Media::Network, Media::Hdd, Media::Unknown, Media::Ssd, Media::Nvme, Media::Memory];
    let mut machines = vec![Hardware::default()];
    for nix in media {
        for root in media {
            for (cpus, gib) in [(2, 4), (8, 32), (8, 128), (64, 96), (128, 1024)] {
                for (nix_gib, root_gib) in [(8, 100), (100, 8), (2000, 2000)] {
                    let (nix, root) = ((nix, nix_gib * GIB), (root, root_gib * GIB));
                    machines.push(machine(cpus, gib * GIB, nix, root));
                }
            }
        }
    }
    machines
}

#[test]
fn a_fast_disk_replaces_a_slow_one() {
    let slow = (Media::Hdd, 2000 * GIB);
    let fast = (Media::Nvme, 500 * GIB);
    let plan = stored(machine(8, 16 * GIB, slow, fast), "2.34");
    assert_eq!(value(&plan, "build-dir"), Some(&text("/nix-builds")));
    let rule = Value::List(vec!["d /nix-builds 0755 root root 7d".to_owned()]);
    assert_eq!(value(&plan, "systemd.tmpfiles.rules"), Some(&rule));
    for (nix, root) in [(fast, slow), (slow, slow), (fast, fast)] {
        let plan = stored(machine(8, 16 * GIB, nix, root), "2.34");
        assert_eq!(value(&plan, "build-dir"), None, "{nix:?} {root:?}");
    }
    let unknown = (Media::Unknown, 2000 * GIB);
    let plan = stored(machine(8, 16 * GIB, unknown, fast), "2.34");
    assert_eq!(value(&plan, "build-dir"), None, "what is not known is not bad");
}

#[test]
fn a_small_tmp_is_left_by_the_releases_that_can() {
    let small = (Media::Memory, 4 * GIB);
    let mut hardware = machine(8, 16 * GIB, (Media::Ssd, 500 * GIB), (Media::Ssd, 500 * GIB));
    hardware.storage.tmp = place("/tmp", "/tmp", small.0, small.1);
    hardware.storage.build_dir.clone_from(&hardware.storage.tmp);
    for (nix, expected) in [
        ("2.8", None),
        ("2.21", None),
        ("2.22", Some(text("/nix/var/nix/builds"))),
        ("2.26", Some(text("/nix/var/nix/builds"))),
        ("lix-2.93.0", Some(text("/nix/var/nix/b"))),
        ("2.34", None),
        ("lix-2.94.0", None),
    ] {
        let plan = stored(hardware.clone(), nix);
        assert_eq!(value(&plan, "build-dir"), expected.as_ref(), "{nix}");
        render(&plan, Form::NixConf).expect(nix);
    }
}

#[test]
fn nobody_s_choice_is_overruled() {
    let mut hardware = machine(8, 128 * GIB, (Media::Hdd, 2000 * GIB), (Media::Nvme, 500 * GIB));
    hardware.storage.build_dir = place("/srv/builds", "/srv", Media::Network, 8 * GIB);
    let plan = stored(hardware, "2.34");
    assert_eq!((value(&plan, "build-dir"), tmpfs_bytes(&plan)), (None, None));
}

#[test]
fn a_file_system_that_forbids_it_is_not_planned() {
    for option in ["ro", "noexec"] {
        let slow = (Media::Hdd, 2000 * GIB);
        let mut hardware = machine(8, 16 * GIB, slow, (Media::Nvme, 500 * GIB));
        hardware.storage.tmp.as_mut().expect("tmp").options = vec![option.to_owned()];
        assert_eq!(value(&stored(hardware, "2.34"), "build-dir"), None, "{option}");
    }
}

#[test]
fn memory_is_the_last_resort_of_those_who_have_plenty() {
    let slow = (Media::Hdd, 2000 * GIB);
    let of = |gib, nix| tmpfs_bytes(&stored(machine(8, gib * GIB, slow, slow), nix));
    for nix in ["2.8", "2.21", "2.22", "2.26", "2.34", "lix-2.90.0", "lix-2.93.0", "lix-2.94.0"] {
        assert_eq!(of(128, nix), Some(16 * GIB), "{nix}");
        assert_eq!(of(48, nix), None, "{nix}: too little");
    }
    let big = plan_for(machine(8, 128 * GIB, slow, slow), "2.34", Workload::Big);
    assert_eq!(tmpfs_bytes(&run(big).expect("a plan")), None, "big builds do not fit");
    for (container, limit) in [(Some("docker"), None), (None, Some(100 * GIB))] {
        let mut hardware = machine(8, 128 * GIB, slow, slow);
        hardware.environment.container = container.map(str::to_owned);
        hardware.memory.limit_bytes = limit.and_then(|bytes| bytes.try_into().ok());
        assert_eq!(tmpfs_bytes(&stored(hardware, "2.34")), None, "{container:?} {limit:?}");
    }
}

#[test]
fn memory_goes_where_the_release_builds() {
    let slow = (Media::Hdd, 2000 * GIB);
    let hardware = machine(8, 128 * GIB, slow, slow);
    let names = |nix| {
        let plan = stored(hardware.clone(), nix);
        let own = plan.settings.iter().chain(&plan.nixos);
        let own = own.filter(|(name, setting)| setting.stage == "storage" && name.contains('.'));
        let names: Vec<String> = own.map(|(name, _)| name.clone()).collect();
        (value(&plan, "build-dir").cloned(), names.join(" "))
    };
    let on = |path: &str| {
        ["device", "fsType", "options"]
            .map(|name| format!("fileSystems.\"{path}\".{name}"))
            .join(" ")
    };
    let tmp = "boot.tmp.tmpfsSize boot.tmp.useTmpfs".to_owned();
    let (builds, b) = ("/nix/var/nix/builds", "/nix/var/nix/b");
    let told = |path: &str| format!("{} systemd.tmpfiles.rules", on(path));
    assert_eq!(names("2.8"), (None, tmp.clone()));
    assert_eq!(names("lix-2.90.0"), (None, tmp));
    assert_eq!(names("2.26"), (Some(text(builds)), told(builds)));
    assert_eq!(names("2.34"), (None, on(builds)));
    assert_eq!(names("lix-2.93.0"), (Some(text(b)), told(b)));
    assert_eq!(names("lix-2.94.0"), (None, on(b)));

    // Its NixOS has no option for that.
    let mut old = hardware;
    let owner = Some(ConfOwner::Nixos);
    old.nix = Some(Nix { conf_owner: owner, ..Nix::default() });
    assert_eq!(tmpfs_bytes(&stored(old.clone(), "2.8")), None);
    assert_eq!(tmpfs_bytes(&stored(old, "2.13")), Some(16 * GIB));
}

#[test]
fn no_byte_is_spent_twice() {
    let mut planned = 0;
    for hardware in machines() {
        for nix in RELEASES {
            let plan = stored(hardware.clone(), nix);
            let Some(bytes) = tmpfs_bytes(&plan) else { continue };
            planned += 1;
            assert!(bytes <= 16 * GIB);
            let memory = plan.hardware.memory.usable_bytes.expect("memory").get();
            assert!(memory >= 64_000_000_000, "{memory}");
            // Once it is mounted, profile counts it, and the sizes stay.
            let again = stored(followed(&plan), nix);
            assert_eq!(again.profile.rule.tmpfs_bytes, Some(bytes), "{nix}");
            for name in ["max-jobs", "cores"] {
                assert_eq!(value(&plan, name), value(&again, name), "{name} of {memory}, {nix}");
            }
        }
    }
    assert!(planned > 0);
}

#[test]
fn planning_again_undoes_nothing() {
    let what = |plan: &Plan| {
        let own = plan.settings.iter().chain(&plan.nixos);
        let own = own.filter(|(_, setting)| setting.stage == "storage");
        own.map(|(name, setting)| (name.clone(), setting.value.clone())).collect::<Vec<_>>()
    };
    let mut moved = 0;
    for hardware in machines() {
        for nix in RELEASES {
            let plan = stored(hardware.clone(), nix);
            let after = followed(&plan);
            if after == hardware {
                continue;
            }
            moved += 1;
            assert_eq!(what(&stored(after, nix)), what(&plan), "{nix}: {:#?}", hardware.storage);
        }
    }
    assert!(moved > 100, "{moved}");

    // NixOS mounts the store on itself: then nothing says what /nix is on.
    let (slow, fast) = ((Media::Hdd, 2000 * GIB), (Media::Nvme, 500 * GIB));
    let plan = stored(machine(8, 16 * GIB, slow, fast), "2.34");
    let mut after = followed(&plan);
    after.storage.store.as_mut().expect("store").mount_point = Some("/nix/store".to_owned());
    let again = stored(after, "2.34");
    assert_eq!(value(&again, "build-dir"), Some(&text("/nix-builds")));
    assert_eq!(what(&again), what(&plan));
}

#[test]
fn where_nothing_is_certain_nothing_is_planned() {
    let (slow, fast) = ((Media::Hdd, 2000 * GIB), (Media::Nvme, 500 * GIB));
    let of = |change: fn(&mut Hardware)| {
        let mut hardware = machine(8, 16 * GIB, slow, fast);
        change(&mut hardware);
        value(&stored(hardware, "2.34"), "build-dir").cloned()
    };
    assert_eq!(of(|_| ()), Some(text("/nix-builds")));
    assert_eq!(of(|one| one.storage.tmp = None), None, "what / is on is not known");
    assert_eq!(of(|one| one.storage.build_dir = None), None);
    assert_eq!(of(|one| one.system = Some("aarch64-darwin".to_owned())), None);
    assert_eq!(
        of(|one| one.nix = Some(Nix { multi_user: Some(false), ..Nix::default() })),
        None,
        "its builds are run by a user, and / is root's"
    );
    assert_eq!(
        of(|one| one.nix = Some(Nix { store_dir: Some("/s".to_owned()), ..Nix::default() })),
        None,
        "the state of another store is elsewhere"
    );
    // A slower disk is no better, however large.
    let small = (Media::Nvme, 40 * GIB);
    let plan = stored(machine(16, 64 * GIB, small, slow), "2.34");
    assert_eq!(value(&plan, "build-dir"), None);
    let plan = stored(machine(16, 64 * GIB, small, (Media::Nvme, 2000 * GIB)), "2.34");
    assert_eq!(value(&plan, "build-dir"), Some(&text("/nix-builds")));
    // /tmp is on /, but that says nothing of /nix/var.
    let mut hardware = machine(8, 16 * GIB, fast, slow);
    hardware.storage.build_dir.clone_from(&hardware.storage.tmp);
    hardware.storage.store = None;
    assert_eq!(value(&stored(hardware, "2.34"), "build-dir"), None);
}

#[test]
fn who_reads_the_plan_is_told_what_it_takes() {
    let mut hardware = machine(8, 16 * GIB, (Media::Ssd, 500 * GIB), (Media::Ssd, 500 * GIB));
    hardware.storage.tmp = place("/tmp", "/tmp", Media::Memory, 4 * GIB);
    hardware.storage.build_dir.clone_from(&hardware.storage.tmp);
    let ids = |nix| {
        let plan = stored(hardware.clone(), nix);
        let notes = plan.notes.iter().filter(|note| note.id.starts_with("build"));
        notes.map(|note| note.id.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids("2.8"), "build-dir-unknown");
    assert_eq!(ids("2.26"), "build-dir-to-make");
    assert_eq!(ids("2.34"), "");
}

#[test]
fn new_files_are_not_linked_where_that_hurts() {
    let of = |media, system: &str| {
        let mut hardware = machine(4, 8 * GIB, (media, 500 * GIB), (media, 500 * GIB));
        hardware.system = Some(system.to_owned());
        value(&stored(hardware, "2.34"), "auto-optimise-store").cloned()
    };
    let off = Some(Value::Bool(false));
    for media in [Media::Hdd, Media::Network] {
        assert_eq!(of(media, "x86_64-linux"), off, "{media:?}");
    }
    for media in [Media::Unknown, Media::Ssd, Media::Nvme] {
        assert_eq!(of(media, "x86_64-linux"), None, "{media:?}");
        assert_eq!(of(media, "aarch64-darwin"), off, "{media:?}");
    }
}

#[test]
fn what_stays_free_follows_from_the_size() {
    let of = |media, gib| {
        let plan = stored(machine(4, 8 * GIB, (media, gib * GIB), (media, gib * GIB)), "2.8");
        ["min-free", "max-free"].map(|name| match value(&plan, name) {
            Some(Value::Integer(bytes)) => Some(bytes / (GIB / 10)),
            _ => None,
        })
    };
    assert_eq!(of(Media::Ssd, 11), [None, None], "half of it would have to be free");
    assert_eq!(of(Media::Ssd, 12), [Some(20), Some(60)]);
    assert_eq!(of(Media::Hdd, 100), [Some(50), Some(150)]);
    assert_eq!(of(Media::Nvme, 4000), [Some(200), Some(600)]);
    assert_eq!(of(Media::Network, 4000), [None, None], "others fill it too");
}

#[test]
fn the_laws_of_a_stage() {
    // Each fourth: of every size, on every medium.
    for (number, hardware) in machines().into_iter().enumerate().step_by(4) {
        for nix in RELEASES {
            let what = format!("machine {number}, {nix}");
            let before = plan_for(hardware.clone(), nix, Workload::General);
            let after = run(before.clone()).expect("a plan");
            // It owns what it sets: without that, the plan is what it was.
            let mut rest = after.clone();
            for part in [&mut rest.settings, &mut rest.nixos] {
                part.retain(|_, setting| setting.stage != "storage");
            }
            rest.notes.retain(|note: &Note| !note.id.starts_with("build"));
            let mut had = before.clone();
            had.notes.retain(|note: &Note| !note.id.starts_with("build"));
            assert_eq!(rest, had, "{what}");
            for (name, setting) in &after.settings {
                let is_own = OWNED.contains(&name.as_str());
                assert_eq!(setting.stage == "storage", is_own, "{what}: {name}");
            }
            for (path, setting) in &after.nixos {
                let is_own = OWNED_OPTIONS.iter().any(|option| path.starts_with(option));
                assert_eq!(setting.stage == "storage", is_own, "{what}: {path}");
            }
            // Twice is once, and text is the plan.
            assert_eq!(run(after.clone()).expect("a plan"), after, "{what}");
            let json = stage::text(&after).expect("text");
            assert_eq!(stage::parse::<Plan>(json.as_bytes()).expect("a plan"), after, "{what}");
            // The writer takes all of it.
            for form in [Form::NixConf, Form::Nixos, Form::Darwin, Form::Systemd] {
                render(&after, form).unwrap_or_else(|error| panic!("{what}: {error:#}"));
            }
        }
    }
}
