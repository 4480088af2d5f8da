use detect::hardware::{Hardware, Media, Note, Place, Storage};
use detect::release::Release;
use detect::stage;
use profile::Options;
use profile::form::{Form, render};
use profile::plan::{Plan, Value, Workload};

use super::run;

const GIB: u64 = 1 << 30;

/// Keys of nix.conf and options of `NixOS` that are this stage's.
const OWN: [&str; 3] = ["build-dir", "max-free", "min-free"];

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

fn tmpfs_bytes(plan: &Plan) -> Option<u64> {
    let Some(Value::List(words)) = value(plan, r#"fileSystems."/nix/var/nix/builds".options"#)
    else {
        return None;
    };
    words.iter().find_map(|word| word.strip_prefix("size=")?.parse().ok())
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
    assert_eq!(value(&plan, "build-dir"), Some(&text("/builds/nix")));
    let rule = Value::List(vec!["d /builds/nix 0755 root root -".to_owned()]);
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
    assert_eq!(of(128, "2.34"), Some(16 * GIB));
    assert_eq!(of(48, "2.34"), None, "too little");
    assert_eq!(of(128, "2.26"), None, "builds run in /tmp, which is everybody's");
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
fn no_byte_is_spent_twice() {
    let mut planned = 0;
    for hardware in machines() {
        let plan = stored(hardware, "2.34");
        let Some(bytes) = tmpfs_bytes(&plan) else { continue };
        planned += 1;
        assert!(bytes <= 16 * GIB);
        let memory = plan.hardware.memory.usable_bytes.expect("memory").get();
        assert!(memory >= 64_000_000_000, "{memory}");
        // Once it is mounted, detect sees it, and the sizes stay.
        let mut hardware = plan.hardware.clone();
        let path = "/nix/var/nix/builds";
        hardware.storage.build_dir = place(path, path, Media::Memory, bytes);
        let again = stored(hardware, "2.34");
        for name in ["max-jobs", "cores"] {
            assert_eq!(value(&plan, name), value(&again, name), "{name} of {memory}");
        }
    }
    assert!(planned > 0);
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
    for (number, hardware) in machines().into_iter().enumerate() {
        for nix in ["2.8", "2.26", "2.34", "lix-2.94.0"] {
            let what = format!("machine {number}, {nix}");
            let before = plan_for(hardware.clone(), nix, Workload::General);
            let after = run(before.clone()).expect("a plan");
            // It owns what it sets: without that, the plan is what it was.
            let mut rest = after.clone();
            for part in [&mut rest.settings, &mut rest.nixos] {
                part.retain(|_, setting| setting.stage != "storage");
            }
            rest.notes.retain(|note: &Note| note.id != "builds-in-memory");
            assert_eq!(rest, before, "{what}");
            for (name, setting) in &after.settings {
                assert_eq!(setting.stage == "storage", OWN.contains(&name.as_str()), "{what}");
            }
            // Twice is once, and text is the plan.
            assert_eq!(run(after.clone()).expect("a plan"), after, "{what}");
            let json = stage::text(&after).expect("text");
            assert_eq!(stage::parse::<Plan>(json.as_bytes()).expect("a plan"), after, "{what}");
            // The writer takes all of it.
            for form in [Form::NixConf, Form::Nixos, Form::Systemd] {
                render(&after, form).unwrap_or_else(|error| panic!("{what}: {error:#}"));
            }
        }
    }
}
