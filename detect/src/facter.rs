//! A report of nixos-facter as a source of facts: what it has is taken over,
//! and the rest is `null`.
//!
//! The report describes hardware for `NixOS` to drive. Of what decides over
//! builds it lacks the limits on processes, and which disk the store is on.

use std::num::{NonZeroU32, NonZeroU64};

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use crate::cpuinfo;
use crate::environment::PORTABLE;
use crate::hardware::{Cpu, Environment, Hardware, Memory, Note};
use crate::number::{Cpus, Version};
use crate::stage;

/// A report, as far as it matters here.
#[derive(Debug, Deserialize)]
pub struct Report {
    #[serde(rename = "version")]
    _version: Version<1>,
    system: Option<String>,
    virtualisation: Option<String>,
    hardware: Machine,
    smbios: Option<Smbios>,
    swap: Option<Vec<Swap>>,
}

#[derive(Debug, Deserialize)]
struct Machine {
    cpu: Option<Vec<Option<Processor>>>,
    memory: Option<Vec<Device>>,
}

/// One package.
#[derive(Debug, Deserialize)]
struct Processor {
    vendor_name: Option<String>,
    model_name: Option<String>,
    /// Flags of /proc/cpuinfo, of which the report keeps the first thousand
    /// letters; those that make a level are among them.
    #[serde(default)]
    features: Vec<String>,
    /// Hardware threads that run. Only x86 has these two.
    siblings: Option<u32>,
    cores: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Device {
    resources: Option<Vec<Resource>>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(rename = "type")]
    kind: Option<String>,
    range: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Smbios {
    /// `{"chassis_type": {"value": 10, …}, …}`, of older versions one and of
    /// newer ones a list.
    chassis: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Swap {
    path: Option<String>,
    /// KiB.
    size: Option<u64>,
}

/// The facts in a report's text.
pub fn parse(text: &[u8]) -> Result<Hardware> {
    Ok(hardware(&stage::parse(text)?))
}

/// The facts in a report.
pub fn hardware(report: &Report) -> Hardware {
    let mut notes = vec![Note::info(
        "from-facter",
        "taken from a nixos-facter report, which tells nothing of limits, NUMA nodes, kinds of \
         core, caches, mounts, the network or Nix",
    )];
    Hardware {
        system: report.system.clone().filter(|system| system.contains('-')),
        cpu: cpu(report, &mut notes),
        memory: memory(report, &mut notes),
        environment: environment(report),
        notes,
        ..Hardware::default()
    }
}

fn cpu(report: &Report, notes: &mut Vec<Note>) -> Cpu {
    let listed = report.hardware.cpu.as_deref().unwrap_or_default();
    let processors: Vec<&Processor> = listed.iter().flatten().collect();
    if processors.len() < listed.len() {
        // It lists packages by their ids. Firmware may skip some, but the
        // program may also have lost one (nix-community/nixos-facter#276).
        notes.push(Note::warning(
            "facter-empty-cpus",
            "the report has empty entries for processors: there may be more than it lists",
        ));
    }
    // Some of the counts would be taken for all.
    let sum = |count: fn(&Processor) -> Option<u32>| {
        let mut counts = processors.iter().map(|processor| count(processor).filter(|&n| n > 0));
        NonZeroU32::new(counts.try_fold(0_u32, |sum, count| sum.checked_add(count?))?)
    };
    let online = sum(|processor| processor.siblings);
    if online.is_none() {
        notes.push(Note::warning("cpu-unknown", "the report does not say how many CPUs there are"));
    }
    let name = |name: fn(&Processor) -> Option<&String>| {
        processors.iter().find_map(|processor| name(processor)).cloned()
    };
    let has = |flag: &str| {
        let has = |processor: &&Processor| processor.features.iter().any(|known| known == flag);
        !processors.is_empty() && processors.iter().all(has)
    };
    Cpu {
        vendor: name(|processor| processor.vendor_name.as_ref()),
        model: name(|processor| processor.model_name.as_ref()),
        isa_level: cpuinfo::isa_level(has).map(str::to_owned),
        present: online,
        online,
        usable: online.map(Cpus::from),
        cores: sum(|processor| processor.cores),
        // On other architectures one entry may stand for several packages.
        sockets: online.and(u32::try_from(processors.len()).ok()).and_then(NonZeroU32::new),
        ..Cpu::default()
    }
}

/// Main memory. Reports of older versions tell what the kernel has, newer ones
/// only `phys_mem`.
fn memory(report: &Report, notes: &mut Vec<Note>) -> Memory {
    let devices = report.hardware.memory.as_deref().unwrap_or_default();
    let resources = devices.iter().flat_map(|device| device.resources.as_deref().unwrap_or(&[]));
    let range = |kind: &str| {
        let mut of_kind = resources.clone().filter(|found| found.kind.as_deref() == Some(kind));
        of_kind.find_map(|found| found.range).and_then(NonZeroU64::new)
    };
    let total_bytes = range("mem");
    let rounded = || NonZeroU64::new(least(range("phys_mem")?.get()));
    let usable_bytes = total_bytes.or_else(rounded);
    if usable_bytes.is_none() {
        notes.push(Note::warning("memory-unknown", "the report does not say how much there is"));
    } else if total_bytes.is_none() {
        let text = "the report tells memory rounded: usable_bytes is the least it may stand for";
        notes.push(Note::info("facter-memory-rounded", text));
    }
    let swaps = report.swap.as_ref();
    let swap = |is_zram: bool| swaps.map(|swaps| swap_bytes(swaps, is_zram));
    Memory {
        total_bytes,
        usable_bytes,
        swap_bytes: swap(false),
        zram_bytes: swap(true),
        ..Memory::default()
    }
}

/// The least that `phys_mem` may stand for: hwinfo rounds what the kernel has
/// to four binary digits, up or down (`src/hd/memory.c`), so that 60 GiB are
/// anything from 58 to 62.
fn least(rounded: u64) -> u64 {
    let digits = u64::BITS - rounded.saturating_sub(1).leading_zeros();
    rounded - (1 << digits.saturating_sub(5)).min(rounded)
}

fn swap_bytes(swaps: &[Swap], is_zram: bool) -> u64 {
    let matches = |swap: &&Swap| {
        swap.path.as_deref().is_some_and(|path| path.starts_with("/dev/zram")) == is_zram
    };
    let sizes = swaps.iter().filter(matches).map(|swap| swap.size.unwrap_or(0));
    sizes.fold(0, |sum: u64, kib| sum.saturating_add(kib.saturating_mul(1024)))
}

/// Hypervisors as the report names them, which is as systemd does, and as this
/// program does where that differs.
const HYPERVISORS: [(&str, &str); 20] = [
    ("acrn", "acrn"),
    ("amazon", "amazon"),
    ("apple", "apple"),
    ("bhyve", "bhyve"),
    ("bochs", "bochs"),
    ("google", "google"),
    ("kvm", "kvm"),
    ("microsoft", "hyperv"),
    ("oracle", "virtualbox"),
    ("parallels", "parallels"),
    ("powervm", "powervm"),
    ("qemu", "qemu"),
    ("qnx", "qnx"),
    ("sre", "sre"),
    ("uml", "uml"),
    ("vm_other", "unknown"),
    ("vmware", "vmware"),
    // A virtual machine here, though systemd counts it among the containers.
    ("wsl", "wsl"),
    ("xen", "xen"),
    ("zvm", "zvm"),
];

/// Container engines, likewise.
const CONTAINERS: [(&str, &str); 10] = [
    ("container_other", "unknown"),
    ("docker", "docker"),
    ("lxc", "lxc"),
    ("lxc_libvirt", "lxc-libvirt"),
    ("openvz", "openvz"),
    ("podman", "podman"),
    ("pouch", "pouch"),
    ("proot", "proot"),
    ("rkt", "rkt"),
    ("systemd_nspawn", "systemd-nspawn"),
];

/// What the machine runs in. The report knows one thing of a container in a
/// virtual machine, where there are two.
fn environment(report: &Report) -> Environment {
    let named = |names: &[(&str, &str)]| {
        let word = report.virtualisation.as_deref()?;
        let (_, name) = names.iter().find(|(known, _)| *known == word)?;
        Some((*name).to_owned())
    };
    Environment {
        virtual_machine: named(&HYPERVISORS),
        container: named(&CONTAINERS),
        laptop: laptop(report),
        ..Environment::default()
    }
}

fn laptop(report: &Report) -> Option<bool> {
    let chassis = report.smbios.as_ref()?.chassis.as_ref()?;
    let listed = chassis.as_array().map_or(std::slice::from_ref(chassis), Vec::as_slice);
    let number = |chassis: &Value| chassis.get("chassis_type")?.get("value")?.as_u64();
    let numbers: Vec<u64> = listed.iter().filter_map(number).collect();
    (!numbers.is_empty()).then(|| numbers.iter().any(|number| PORTABLE.contains(number)))
}

#[cfg(test)]
mod tests;
