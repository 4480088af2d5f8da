//! What `storage` plans: for every machine we have it holds, and real Nix builds
//! where the plan says.

mod built;

use std::collections::BTreeSet;

use detect::hardware::{Hardware, Media, Place};
use detect::release::Release;
use detect::root::Root;
use detect::stage;
use profile::Options;
use profile::budget::{Budget, budget};
use profile::form::{Form, render};
use profile::plan::{Plan, Value};
use serde_json::Value as Json;

use crate::fixtures;
use crate::modules::{option, value};
use crate::nix::{json, machine, show};
use crate::tools::{has, real_nix, shared, systemd_says, text, unpack};

const GIB: u64 = 1 << 30;

/// Machines captured by us and by others, by name.
fn captured() -> Vec<(String, Hardware)> {
    let mut machines = fixtures::machines();
    for (folder, index) in [("machines", "machines.json"), ("storage-stacks", "stacks.json")] {
        let Some(folder) = shared(folder) else { continue };
        let index = std::fs::read_to_string(folder.join(index)).expect("an index");
        let index: Vec<Json> = serde_json::from_str(&index).expect("JSON");
        for one in index {
            let archive = one["archive"].as_str().expect("archive");
            let tree = unpack(&folder.join(archive));
            let root = Root::captured(tree.path()).expect("a tree");
            // Of a stack, whatever is mounted may hold the store.
            let mounts = one["mounts"].as_object().into_iter().flatten();
            let stores = mounts.map(|(path, _)| path.as_str()).chain(["/nix/store"]);
            for store in stores {
                let store = Some(store.into());
                let options = detect::Options { store, ..detect::Options::default() };
                machines.push((archive.to_owned(), detect::run(&root, &options)));
            }
        }
    }
    machines
}

/// A captured tree has no file systems to measure, so each is taken to be small
/// and to be large; and its memory to be what it is, and plenty.
fn sized(hardware: &Hardware) -> Vec<Hardware> {
    let with = |memory: Option<u64>, gib: [u64; 3]| {
        let mut hardware = hardware.clone();
        if let Some(bytes) = memory {
            hardware.memory.total_bytes = bytes.try_into().ok();
            hardware.memory.usable_bytes = hardware.memory.total_bytes;
        }
        let storage = &mut hardware.storage;
        let places = [&mut storage.store, &mut storage.build_dir, &mut storage.tmp];
        for (place, gib) in places.into_iter().zip(gib) {
            if let Some(place) = place {
                place.size_bytes = (gib * GIB).try_into().ok();
            }
        }
        hardware
    };
    let sizes = [[2000; 3], [2000, 2000, 4], [4, 4, 2000], [8, 2000, 8]];
    let memories = [None, Some(60 * GIB), Some(256 * GIB)];
    memories.into_iter().flat_map(|memory| sizes.map(|gib| with(memory, gib))).collect()
}

fn plan_for(hardware: &Hardware, nix: &str) -> Plan {
    let options = Options { for_nix: Release::parse(nix), ..Options::default() };
    profile::run(hardware.clone(), &options).expect("a plan")
}

fn stored(plan: &Plan) -> Plan {
    storage::run(plan.clone()).expect("a plan")
}

/// As `caches --offline` does.
fn cached(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    let questions = caches::config::questions(&plan, &[]).expect("questions");
    caches::filter::decide(&mut plan, &questions, None);
    plan
}

/// The tmpfs that a plan mounts.
fn tmpfs_bytes(plan: &Plan) -> Option<u64> {
    plan.nixos.iter().find_map(|(name, setting)| match &setting.value {
        Value::Integer(bytes) if name == "boot.tmp.tmpfsSize" => Some(*bytes),
        Value::List(words) if name.starts_with("fileSystems.") => {
            words.iter().find_map(|word| word.strip_prefix("size=")?.parse().ok())
        }
        _ => None,
    })
}

/// The law that a plan breaks, if any.
fn broken(before: &Plan, after: &Plan) -> Option<&'static str> {
    let memory = after.hardware.memory.usable_bytes.map_or(0, std::num::NonZero::get);
    if let Some(bytes) = tmpfs_bytes(after) {
        let rule = &after.profile.rule;
        let whole = budget(&after.hardware, after.profile.workload, rule.reserve_bytes);
        let rest = Budget { tmpfs_bytes: Some(bytes), ..whole };
        let (_, sizes) = rest.sizes()?;
        let planned = ["max-jobs", "cores"].map(|name| after.settings[name].value.clone());
        let carried = [sizes.jobs, sizes.cores].map(|number| Value::Integer(number.into()));
        if planned != carried {
            return Some("no byte is spent twice");
        }
        if memory < 64_000_000_000 || bytes > 16 * GIB {
            return Some("no tmpfs under the bound, and none above the original's");
        }
    }
    let mut rest = after.clone();
    rest.settings.retain(|_, setting| setting.stage != "storage");
    rest.nixos.retain(|_, setting| setting.stage != "storage");
    let is_own = |path: &String| storage::OWNED_OPTIONS.iter().any(|own| path.starts_with(own));
    let owns = after.settings.iter().all(|(name, setting)| {
        (setting.stage == "storage") == storage::OWNED.contains(&name.as_str())
    }) && after
        .nixos
        .iter()
        .all(|(path, setting)| (setting.stage == "storage") == is_own(path));
    let is_untouched = rest.settings == before.settings && rest.nixos == before.nixos;
    let (one, other) = (cached(after), stored(&cached(before)));
    let text = stage::text(after).expect("JSON");
    let laws = [
        ("its own keys and no others", owns && is_untouched),
        ("twice is once", stored(after) == *after),
        ("before or after caches", one.settings == other.settings && one.nixos == other.nixos),
        ("text is the plan", stage::parse::<Plan>(text.as_bytes()).is_ok_and(|it| it == *after)),
    ];
    laws.into_iter().find(|(_, holds)| !holds).map(|(law, _)| law)
}

#[test]
fn what_is_planned_for_any_machine_holds() {
    let machines = captured();
    let folder = tempfile::tempdir().expect("folder");
    let conf = folder.path().join("nix.conf");
    let (mut in_memory, mut moved) = (0, 0);
    for version in ["2.8", "2.26", "2.34"] {
        let nix = real_nix().into_iter().find(|nix| nix.version == version);
        let mut seen = BTreeSet::new();
        for (name, hardware) in &machines {
            for hardware in sized(hardware) {
                let before = plan_for(&hardware, version);
                let after = stored(&before);
                let what = || format!("{name}, Nix {version}: {:#?}", after.hardware.storage);
                assert_eq!(broken(&before, &after), None, "{}", what());
                in_memory += u32::from(tmpfs_bytes(&after).is_some());
                moved += u32::from(after.settings.contains_key("build-dir"));
                for form in [Form::Nixos, Form::Darwin, Form::Systemd] {
                    render(&after, form).unwrap_or_else(|why| panic!("{why:#}: {}", what()));
                }
                // Real Nix reads what is ours, once for each text.
                let mut own = after.clone();
                own.settings.retain(|_, setting| setting.stage == "storage");
                let rendered = render(&own, Form::NixConf).expect("rendered");
                let Some(nix) = &nix else { continue };
                if !seen.insert(render(&own, Form::Env).expect("rendered")) {
                    continue;
                }
                std::fs::write(&conf, &rendered).expect("nix.conf");
                let output = show(nix, &conf);
                let errors = text(&output.stderr);
                assert!(output.status.success() && errors.is_empty(), "{errors}{rendered}");
            }
        }
    }
    assert!(in_memory > 0 && moved > 0, "{in_memory} {moved}");
}

#[expect(clippy::unnecessary_wraps, reason = "as a document has it")]
fn place(path: &str, mount: &str, media: Media, gib: u64) -> Option<Place> {
    let filesystem = if media == Media::Memory { "tmpfs" } else { "ext4" };
    Some(Place {
        path: path.to_owned(),
        mount_point: Some(mount.to_owned()),
        filesystem: Some(filesystem.to_owned()),
        options: Vec::new(),
        size_bytes: (gib * GIB).try_into().ok(),
        inodes: None,
        media,
        stack: vec![filesystem.to_owned()],
        disks: None,
    })
}

/// A machine with /nix on one disk, and / on another.
fn two_disks(nix: &str, store: Media, root: Media, memory_gib: u64) -> Hardware {
    let mut hardware = machine(8, memory_gib * GIB);
    let storage = &mut hardware.storage;
    storage.store = place("/nix/store", "/nix", store, 2000);
    storage.tmp = place("/tmp", "/", root, 2000);
    storage.build_dir = match nix {
        "2.34" => place("/nix/var/nix/builds", "/nix", store, 2000),
        _ => storage.tmp.clone(),
    };
    hardware
}

#[test]
fn nixos_does_what_is_planned() {
    // Real Nix sees /tmp, wherever TMPDIR may be.
    let folder = tempfile::tempdir_in("/tmp").expect("folder");
    let file = folder.path().join("plan.json");
    for nix in real_nix() {
        for (root, memory_gib) in [(Media::Hdd, 128), (Media::Nvme, 16)] {
            let hardware = two_disks("2.34", Media::Hdd, root, memory_gib);
            let plan = stored(&plan_for(&hardware, &nix.version));
            std::fs::write(&file, stage::text(&plan).expect("JSON")).expect("plan.json");
            let config = value(
                &nix,
                &format!(
                    "let config = nixos [ ] (/. + {:?}); in
                     {{ inherit (config) boot fileSystems systemd nix zramSwap; }}",
                    file.display().to_string()
                ),
            );
            for (path, setting) in &plan.nixos {
                assert_eq!(option(&config, path), &json(&setting.value), "{path}");
            }
            for (name, setting) in &plan.settings {
                assert_eq!(config["nix"]["settings"][name], json(&setting.value), "{name}");
            }
        }
    }
}

#[test]
fn nixos_checks_by_a_timer() {
    let units = "module: (lib.evalModules {
        modules = [
          (root + \"/storage/module.nix\")
          {
            options.nix.package = lib.mkOption { type = lib.types.str; default = \"/nix-itself\"; };
            options.systemd = lib.genAttrs [ \"services\" \"timers\" ] (_: lib.mkOption {
              type = lib.types.attrsOf lib.types.anything;
              default = { };
            });
          }
          module
        ];
        specialArgs.pkgs.nixpace.outPath = \"/nixpace\";
      }).config.systemd";
    let enable = "{ services.nixpace.storage.check.enable = true; }";
    for nix in real_nix() {
        let none = value(&nix, &format!("({units}) {{ }}"));
        assert_eq!(none, serde_json::json!({ "services": {}, "timers": {} }));
        let found = value(&nix, &format!("({units}) {enable}"));
        let name = "nixpace-storage-check";
        assert_eq!(found["timers"][name]["timerConfig"]["OnCalendar"], "daily");
        let service = found["services"][name]["serviceConfig"].as_object().expect("a service");
        assert_eq!(service["ExecStart"], "/nixpace/bin/storage check");
        // With mounts of its own it would see those, and not the machine's.
        for apart in ["Private", "Protect", "ReadOnly", "ReadWrite", "Inaccessible", "Temporary"] {
            assert!(!service.keys().any(|key| key.starts_with(apart)), "{service:?}");
        }
        if !has(&["systemd-analyze"]) {
            continue;
        }
        let line = |(key, value): (&String, &Json)| match value {
            Json::String(_) if key == "ExecStart" => "ExecStart=/bin/true\n".to_owned(),
            Json::String(text) => format!("{key}={text}\n"),
            other => format!("{key}={other}\n"),
        };
        let unit: String = service.iter().map(line).collect();
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("nixpace-storage-check.service");
        std::fs::write(&file, format!("[Service]\n{unit}")).expect("a unit");
        assert_eq!(systemd_says(&[file]), "", "{unit}");
    }
}
