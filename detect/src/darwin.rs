//! A Mac, from what `sysctl` and `diskutil` say of it: macOS has no /proc and
//! no /sys.
//!
//! Only `collect` needs a Mac. All that is decided is decided here and in the
//! other modules, from text, and is tested everywhere.

#[cfg(target_os = "macos")]
pub mod collect;
pub mod diskutil;
pub mod sysctl;
pub mod topology;

use crate::cpuinfo;
use crate::hardware::{Cpu, Environment, Kind, Live, Memory, Note};
use crate::number::Cpus;
use sysctl::Sysctl;
use topology::{Level, caches, levels};

/// The processors. macOS has no control groups and no affinity masks, so all
/// that runs may be used.
pub fn cpu(sysctl: &Sysctl, notes: &mut Vec<Note>) -> Cpu {
    let is_apple = is_apple(sysctl);
    // Those of `machdep` are of one package, of which Apple's have just one.
    let own = |name| sysctl.count(name).filter(|_| is_apple);
    let online = sysctl.count("hw.activecpu").or_else(|| sysctl.count("hw.logicalcpu"));
    let allowed = sysctl.count("hw.logicalcpu").into_iter().chain(online).min();
    let cores = sysctl.count("hw.physicalcpu").or_else(|| own("machdep.cpu.core_count"));
    let levels = levels(sysctl);
    if online.is_none() {
        notes.push(Note::warning("cpu-unknown", "sysctl does not say how many CPUs run"));
    }
    let alike = allowed.filter(|_| levels.is_empty() && !is_apple);
    let kinds = match alike {
        Some(cpus) => vec![Kind { cpus, cores, relative_speed: Cpus::new(1.0) }],
        None => kinds(&levels),
    };
    Cpu {
        vendor: vendor(sysctl),
        model: sysctl.word("machdep.cpu.brand_string").map(str::to_owned),
        isa_level: isa_level(sysctl).map(str::to_owned),
        present: sysctl.count("hw.ncpu").or_else(|| own("machdep.cpu.thread_count")),
        online,
        allowed,
        quota: None,
        usable: allowed.map(Cpus::from),
        cores,
        sockets: sysctl.count("hw.packages"),
        // The kernel knows of no nodes, which does not mean that there are none.
        numa_nodes: None,
        kinds,
        caches: caches(sysctl, &levels, alike),
    }
}

/// Whether this is Apple's processor, which Rosetta does not hide.
fn is_apple(sysctl: &Sysctl) -> bool {
    sysctl.flag("hw.optional.arm64") == Some(true)
}

fn vendor(sysctl: &Sysctl) -> Option<String> {
    let vendor = sysctl.word("machdep.cpu.vendor");
    vendor.or_else(|| is_apple(sysctl).then_some("Apple")).map(str::to_owned)
}

/// The kernel ranks its levels but does not say by how much they differ.
fn kinds(levels: &[Level]) -> Vec<Kind> {
    let relative_speed = if levels.len() == 1 { Cpus::new(1.0) } else { None };
    let kind = |level: &Level| Kind { cpus: level.cpus, cores: Some(level.cores), relative_speed };
    levels.iter().map(kind).collect()
}

/// Where the kernel of macOS (xnu, `osfmk/i386/cpuid.c`) names a feature in
/// other letters than Linux. AVX needs the kernel to save its registers:
/// `XSAVE` is that the processor can, `OSXSAVE` that the kernel does.
const FEATURES: [(&str, &str); 8] = [
    ("abm", "LZCNT"),
    ("avx", "AVX1.0"),
    ("lahf_lm", "LAHF"),
    ("lm", "EM64T"),
    ("pni", "SSE3"),
    ("sse4_1", "SSE4.1"),
    ("sse4_2", "SSE4.2"),
    ("xsave", "OSXSAVE"),
];

/// Level of the x86-64 psABI, of an Intel Mac or as Rosetta offers it.
fn isa_level(sysctl: &Sysctl) -> Option<&'static str> {
    cpuinfo::isa_level(|flag| {
        let special = FEATURES.iter().find(|(name, _)| *name == flag);
        has_feature(sysctl, special.map_or(flag, |(_, name)| name))
    })
}

fn has_feature(sysctl: &Sysctl, name: &str) -> bool {
    ["machdep.cpu.features", "machdep.cpu.leaf7_features", "machdep.cpu.extfeatures"]
        .iter()
        .flat_map(|list| sysctl.words(list))
        .any(|feature| feature.eq_ignore_ascii_case(name))
}

/// Main memory.
///
/// Swap is left out of the facts: macOS makes swap files as it needs them, so
/// that `vm.swapusage` is of the moment, and a machine at rest has none.
pub fn memory(sysctl: &Sysctl, notes: &mut Vec<Note>) -> Memory {
    let total_bytes = sysctl.size("hw.memsize");
    if total_bytes.is_none() {
        notes.push(Note::warning("memory-unknown", "sysctl does not say how much there is"));
    }
    // Newer kernels tell what is left once the firmware has taken its part.
    let usable = sysctl.size("hw.memsize_usable").into_iter().chain(total_bytes).min();
    Memory { total_bytes, usable_bytes: usable, ..Memory::default() }
}

/// What changes from moment to moment, where `sysctl` says it.
pub fn live(sysctl: &Sysctl, around: Live) -> Live {
    let load: Option<f64> = sysctl.words("vm.loadavg").find_map(|word| word.parse().ok());
    Live {
        swap_free_bytes: sysctl.word("vm.swapusage").and_then(swap_free),
        load_1m: load.filter(|load| load.is_finite() && *load >= 0.0),
        ..around
    }
}

/// `total = 2048.00M  used = 605.88M  free = 1442.12M  (encrypted)`
fn swap_free(text: &str) -> Option<u64> {
    let (_, free) = text.split_once("free = ")?;
    let (whole, rest) = free.split_once('.')?;
    let hundredths: u64 = rest.get(..2)?.parse().ok()?;
    rest.get(2..)?.starts_with('M').then_some(())?;
    let mebibytes: u64 = whole.parse().ok()?;
    mebibytes.checked_mul(1 << 20)?.checked_add((hundredths << 20) / 100)
}

/// Hypervisors by what they call the Macs they make.
const HYPERVISORS: [(&str, &str); 3] =
    [("VMware", "vmware"), ("Parallels", "parallels"), ("VirtualMac", "apple")];

/// Models that stand on a desk or in a rack. Since 2022 the names of most
/// models (`Mac14,2`) no longer tell.
const STATIONARY: [&str; 4] = ["iMac", "Macmini", "MacPro", "Xserve"];

/// What the machine runs in; `around` is what every system can tell.
pub fn environment(sysctl: &Sysctl, around: Environment) -> Environment {
    let model = sysctl.word("hw.model").unwrap_or_default();
    let named = HYPERVISORS.iter().find(|(prefix, _)| model.starts_with(prefix));
    // Before macOS 11 only the processor tells, by a feature that no real one has.
    let is_guest = sysctl.flag("kern.hv_vmm_present") == Some(true) || has_feature(sysctl, "VMM");
    let hypervisor = named.map(|(_, name)| *name).or_else(|| is_guest.then_some("unknown"));
    let laptop = match model {
        _ if model.contains("Book") => Some(true),
        _ if STATIONARY.iter().any(|prefix| model.starts_with(prefix)) => Some(false),
        _ => None,
    };
    Environment { virtual_machine: hypervisor.map(str::to_owned), laptop, ..around }
}

/// Nix's name for the platform.
pub fn system(sysctl: &Sysctl) -> Option<String> {
    let machine = sysctl.word("hw.machine");
    let arch = match machine {
        Some("arm64") => "aarch64",
        Some("x86_64") => "x86_64",
        _ if is_apple(sysctl) => "aarch64",
        _ if has_feature(sysctl, "EM64T") => "x86_64",
        _ => return None,
    };
    Some(format!("{arch}-darwin"))
}

/// A remark when this program is translated, since Nix then mostly is too.
pub fn rosetta(sysctl: &Sysctl) -> Option<Note> {
    let translated = sysctl.flag("sysctl.proc_translated") == Some(true);
    translated.then(|| {
        Note::warning(
            "rosetta",
            "detect runs under Rosetta, as it was built for Intel: if Nix was too, all that it \
             builds is translated, which takes longer",
        )
    })
}

#[cfg(test)]
mod tests;
