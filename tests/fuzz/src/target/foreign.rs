//! What other systems' tools print: the first byte says which text follows,
//! that of macOS's `sysctl`, a property list of `diskutil`, or a report of
//! nixos-facter.

use std::num::NonZeroU64;

use super::super::{Bytes, json, laws};
use detect::darwin::diskutil::{self, Mounted};
use detect::darwin::sysctl::Sysctl;
use detect::hardware::{Environment, Hardware, Live, Media};
use detect::number::Cpus;
use detect::{darwin, facter};
use profile::Options;

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match first {
        b's' => sysctl(&text),
        b'p' => property_list(&text),
        b'f' => report(bytes),
        _ => {}
    }
}

fn sysctl(text: &str) {
    let sysctl = Sysctl::parse(text);
    let mut notes = Vec::new();
    let hardware = Hardware {
        system: darwin::system(&sysctl),
        cpu: darwin::cpu(&sysctl, &mut notes),
        memory: darwin::memory(&sysctl, &mut notes),
        environment: darwin::environment(&sysctl, Environment::default()),
        live: Some(darwin::live(&sysctl, Live::default())),
        notes: notes.into_iter().chain(darwin::rosetta(&sysctl)).collect(),
        ..Hardware::default()
    };
    let cpu = &hardware.cpu;
    assert!(cpu.allowed <= cpu.online || cpu.online.is_none(), "allowed but not online");
    assert!(cpu.usable.map(Cpus::get) <= cpu.allowed.map(|n| f64::from(n.get())));
    let memory = &hardware.memory;
    assert!(memory.total_bytes.is_none() || memory.usable_bytes <= memory.total_bytes);
    follows(hardware);
}

fn property_list(text: &str) {
    let apfs = Mounted {
        mount_point: "/nix".to_owned(),
        filesystem: "apfs".to_owned(),
        size_bytes: NonZeroU64::new(1 << 40),
    };
    for mounted in [None, Some(&apfs)] {
        let place = diskutil::place("/nix/store", mounted, text);
        laws::round_trips(&place);
        for disk in place.disks.iter().flatten() {
            let number = disk.name.strip_prefix("disk").expect("a disk of macOS");
            assert!(!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
        }
        let disks = place.disks.as_deref().unwrap_or_default();
        assert!(disks.is_sorted_by(|a, b| a.name < b.name), "sorted, each once");
        let is_remote = matches!(place.media, Media::Network | Media::Memory);
        assert!(!is_remote || place.disks == Some(Vec::new()), "a disk of another machine");
    }
}

fn report(bytes: &[u8]) {
    let Ok(hardware) = facter::parse(bytes) else { return };
    let memory = &hardware.memory;
    assert!(memory.total_bytes.is_none() || memory.usable_bytes <= memory.total_bytes);
    assert!(hardware.cpu.quota.is_none() && hardware.cpu.allowed.is_none());
    follows(hardware);
}

fn follows(hardware: Hardware) {
    laws::round_trips(&hardware);
    laws::round_trips(&laws::plans(hardware, &Options::default()));
}

/// Change an input as what it is.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, bytes: Bytes) -> usize {
    match data[..size].first() {
        Some(b'f') if most > 1 => {
            1 + json::mutate(&mut data[1..], size - 1, most - 1, seed, &WORDS, bytes)
        }
        _ => bytes(data, size, most),
    }
}

/// Texts that some branch looks for.
const WORDS: [&str; 22] = [
    "x86_64-linux",
    "mem",
    "phys_mem",
    "range",
    "resources",
    "type",
    "chassis_type",
    "value",
    "/dev/zram0",
    "path",
    "size",
    "siblings",
    "cores",
    "features",
    "lm",
    "docker",
    "kvm",
    "microsoft",
    "none",
    "virtualisation",
    "smbios",
    "cpu",
];
