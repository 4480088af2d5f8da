//! Macs, from what their `sysctl` prints.

use std::fs;
use std::io::Write;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use super::sysctl::Sysctl;
use super::{cpu, environment, live, memory, rosetta, system};
use crate::hardware::{CacheKind, Cpu, Environment, Live};

/// A dump that the project does not own, kept beside it.
fn shared(name: &str) -> Option<String> {
    let folder = std::env::var_os("NIXPACE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let path = folder.join("isa").join(name);
    if path.exists() {
        return Some(fs::read_to_string(&path).expect("readable"));
    }
    assert!(std::env::var_os("CI").is_none(), "missing: {}", path.display());
    let mut stderr = std::io::stderr().lock();
    writeln!(stderr, "SKIPPED: no {}", path.display()).expect("stderr");
    None
}

fn look(text: &str) -> Cpu {
    cpu(&Sysctl::parse(text), &mut Vec::new())
}

/// CPUs present, online and allowed, cores and sockets; 0 is unknown.
fn counts(cpu: &Cpu) -> [u32; 5] {
    [cpu.present, cpu.online, cpu.allowed, cpu.cores, cpu.sockets]
        .map(|count| count.map_or(0, NonZeroU32::get))
}

/// CPUs and cores of each kind.
fn kinds(cpu: &Cpu) -> Vec<(u32, u32)> {
    let cores = |cores: Option<NonZeroU32>| cores.map_or(0, NonZeroU32::get);
    cpu.kinds.iter().map(|kind| (kind.cpus.get(), cores(kind.cores))).collect()
}

fn caches(cpu: &Cpu) -> Vec<(u32, CacheKind, u32, u64)> {
    let cache = |cache: &crate::hardware::Cache| {
        (cache.level, cache.kind, cache.instances.get(), cache.total_bytes >> 10)
    };
    cpu.caches.iter().map(cache).collect()
}

#[test]
fn macs_of_the_shared_dumps() {
    use CacheKind::{Data, Instruction, Unified};

    for (file, model, count, levels, l2, gib, usable) in [
        (
            "darwin-monterey-m2.sysctl",
            "Apple M2",
            8,
            vec![(4, 4), (4, 4)],
            (2, 20 << 10),
            16,
            17_179_869_184,
        ),
        (
            "darwin-sequoia-m3.sysctl",
            "Apple M3 Max",
            14,
            vec![(10, 10), (4, 4)],
            (3, 36 << 10),
            36,
            37_751_357_440,
        ),
        (
            "darwin-sequoia-m4.sysctl",
            "Apple M4 Max",
            16,
            vec![(12, 12), (4, 4)],
            (3, 36 << 10),
            64,
            67_793_829_888,
        ),
    ] {
        let Some(text) = shared(file) else { return };
        let sysctl = Sysctl::parse(&text);
        let cpu = look(&text);
        assert_eq!(cpu.vendor.as_deref(), Some("Apple"), "{file}");
        assert_eq!(cpu.model.as_deref(), Some(model), "{file}");
        assert_eq!(counts(&cpu), [count, count, count, count, 1], "{file}");
        assert_eq!(kinds(&cpu), levels, "{file}");
        assert!(cpu.kinds.iter().all(|kind| kind.relative_speed.is_none()), "{file}");
        let fast = u64::from(levels[0].0);
        assert_eq!(
            caches(&cpu),
            [
                (1, Data, count, fast * 128 + 4 * 64),
                (1, Instruction, count, fast * 192 + 4 * 128),
                (2, Unified, l2.0, l2.1)
            ],
            "{file}"
        );
        assert_eq!((cpu.isa_level.as_deref(), cpu.numa_nodes, cpu.quota), (None, None, None));
        assert_eq!(system(&sysctl).as_deref(), Some("aarch64-darwin"), "{file}");

        let memory = memory(&sysctl, &mut Vec::new());
        assert_eq!(memory.total_bytes.map(NonZeroU64::get), Some(gib << 30), "{file}");
        assert_eq!(memory.usable_bytes.map(NonZeroU64::get), Some(usable), "{file}");
        assert_eq!((memory.limit_bytes, memory.swap_bytes), (None, None), "{file}");
    }
}

#[test]
fn an_m1_on_a_kernel_that_tells_no_levels() {
    let Some(text) = shared("darwin-bigsur-m1.sysctl") else { return };
    let cpu = look(&text);
    assert_eq!(cpu.model.as_deref(), Some("Apple processor"));
    assert_eq!(counts(&cpu), [8, 0, 0, 8, 0], "this dump has no more");
    assert_eq!(kinds(&cpu), [], "it has two kinds, but this kernel does not say so");
    assert_eq!(caches(&cpu), []);
    assert_eq!(system(&Sysctl::parse(&text)).as_deref(), Some("aarch64-darwin"));
}

#[test]
fn a_skylake() {
    let Some(text) = shared("darwin-mojave-skylake.sysctl") else { return };
    let cpu = look(&text);
    assert_eq!(cpu.vendor.as_deref(), Some("GenuineIntel"));
    assert_eq!(cpu.model.as_deref(), Some("Intel(R) Core(TM) i7-6700K CPU @ 4.00GHz"));
    assert_eq!(cpu.isa_level.as_deref(), Some("x86-64-v3"));
    assert_eq!(counts(&cpu), [0; 5], "this dump has no counts");
    assert_eq!(system(&Sysctl::parse(&text)).as_deref(), Some("x86_64-darwin"));

    let level = |without: &str| look(&text.replace(without, "")).isa_level;
    assert_eq!(level(" LZCNT").as_deref(), Some("x86-64-v2"));
    assert_eq!(level(" OSXSAVE").as_deref(), Some("x86-64-v2"), "the kernel's part");
    assert_eq!(level(" SSE4.2").as_deref(), Some("x86-64-v1"));
    assert_eq!(level(" EM64T"), None);
    let avx512 = "leaf7_features: AVX512F AVX512BW AVX512CD AVX512DQ AVX512VL";
    let more = text.replace("leaf7_features:", avx512);
    assert_eq!(look(&more).isa_level.as_deref(), Some("x86-64-v4"));
}

/// An Intel Mac with 4 cores of 2 threads, one thread switched off.
const INTEL: &str = "\
machdep.cpu.vendor: GenuineIntel
hw.ncpu: 8
hw.activecpu: 7
hw.logicalcpu: 8
hw.physicalcpu: 4
hw.packages: 1
hw.machine: x86_64
hw.model: MacBookPro15,4
hw.memsize: 17179869184
vm.swapusage: total = 2048.00M  used = 605.88M  free = 1442.12M  (encrypted)
vm.loadavg: { 1.28 1.18 1.13 }
kern.hv_vmm_present: 0
";

#[test]
fn an_intel_mac_has_one_kind_of_core() {
    let cpu = look(INTEL);
    assert_eq!(counts(&cpu), [8, 7, 7, 4, 1]);
    assert_eq!(kinds(&cpu), [(7, 4)]);
    assert_eq!(cpu.kinds[0].relative_speed, crate::number::Cpus::new(1.0));
    assert_eq!(cpu.usable, crate::number::Cpus::new(7.0));
}

#[test]
fn what_the_machine_runs_in() {
    let around = || Environment { ci: Some("garnix".to_owned()), ..Environment::default() };
    let look = |text: &str| environment(&Sysctl::parse(text), around());
    let intel = look(INTEL);
    assert_eq!((intel.laptop, intel.virtual_machine), (Some(true), None));
    assert_eq!(intel.ci.as_deref(), Some("garnix"));
    let named = |text: &str| look(text).virtual_machine.unwrap_or_default();
    assert_eq!(named("hw.model: VirtualMac2,1\nkern.hv_vmm_present: 1\n"), "apple");
    assert_eq!(named("hw.model: VMware7,1\n"), "vmware");
    assert_eq!(named("hw.model: iMacPro1,1\nkern.hv_vmm_present: 1\n"), "unknown");
    assert_eq!(named("machdep.cpu.features: FPU VMM\n"), "unknown");
    assert_eq!(look("hw.model: Macmini9,1\n").laptop, Some(false));
    assert_eq!(look("hw.model: Mac14,2\n").laptop, None, "an Air, which it does not say");
}

#[test]
fn the_moment() {
    let look = |text: &str| {
        let live = live(&Sysctl::parse(text), Live::default());
        (live.swap_free_bytes, live.load_1m)
    };
    let mebibytes = 1442 << 20;
    assert_eq!(look(INTEL), (Some(mebibytes + (12 << 20) / 100), Some(1.28)));
    for damage in ["total = 1.0M", "free = 1.0", "free = 1,00M", "free = 9e9.99M", "free = 1.é"] {
        assert_eq!(look(&format!("vm.swapusage: {damage}\n")).0, None, "{damage}");
    }
    assert_eq!(look("vm.loadavg: { nan }\n").1, None);
}

#[test]
fn rosetta_is_noted() {
    let note = |text: &str| rosetta(&Sysctl::parse(text)).map(|note| note.id);
    assert_eq!(note("sysctl.proc_translated: 1\n").as_deref(), Some("rosetta"));
    assert_eq!(note("sysctl.proc_translated: 0\n"), None);
    assert_eq!(note(""), None, "an Intel Mac knows no such name");
}

#[test]
fn silence_is_unknown_and_noted() {
    for text in ["", "\0", "hw.ncpu:", "hw.ncpu: -1\nhw.activecpu: 0\n", "hw.memsize: 1 GB\n"] {
        let sysctl = Sysctl::parse(text);
        let mut notes = Vec::new();
        assert_eq!(cpu(&sysctl, &mut notes), Cpu::default(), "{text}");
        assert_eq!(memory(&sysctl, &mut notes).usable_bytes, None, "{text}");
        let ids: Vec<&str> = notes.iter().map(|note| note.id.as_str()).collect();
        assert_eq!(ids, ["cpu-unknown", "memory-unknown"], "{text}");
        assert_eq!(system(&sysctl), None, "{text}");
    }
}
