//! /proc/cpuinfo: names and flags of processors. Not their number, which this
//! file tells wrongly on many machines: it leaves out offline CPUs, ignores
//! cpusets, and numbers CPUs differently on each architecture.

use std::collections::{BTreeMap, BTreeSet};

use crate::caches::size;
use crate::hardware::CacheKind;

/// What /proc/cpuinfo says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuInfo {
    /// Who made the CPUs.
    pub vendor: Option<String>,
    /// Their name.
    pub model: Option<String>,
    /// x86 flags that every CPU has.
    pub flags: BTreeSet<String>,
    /// CPUs listed: the last resort where /sys says nothing.
    pub processors: usize,
    /// ARM's designs, implementer and part, by CPU.
    pub designs: BTreeMap<usize, (String, String)>,
    /// s390's caches that each CPU has to itself: level, type and bytes.
    pub private_caches: BTreeMap<(u32, CacheKind), u64>,
}

/// The keys of a CPU's name, best first: x86, `LoongArch`, PowerPC and SPARC,
/// RISC-V, then ARM, whose kernel gives a name only on old systems.
const MODEL_KEYS: [&str; 6] = ["model name", "Model Name", "cpu", "uarch", "Hardware", "Processor"];

/// Parse /proc/cpuinfo of any architecture.
pub fn parse(text: &str) -> CpuInfo {
    let mut info = CpuInfo::default();
    let mut models = MODEL_KEYS.map(|_| None);
    let mut last_flags: Option<&str> = None;
    let mut cpu = None;
    let mut implementer = "";
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        let (key, value) = (key.trim(), value.trim());
        match key {
            "processor" => {
                info.processors += 1;
                cpu = value.parse().ok();
            }
            "CPU implementer" => implementer = value,
            // Old kernels tell one design for all, after the last CPU.
            "CPU part" => {
                let design = (implementer.to_owned(), value.to_owned());
                info.designs.extend(cpu.map(|cpu| (cpu, design)));
            }
            _ if key.starts_with("cache") => info.private_caches.extend(private_cache(value)),
            // s390 writes "processor 0: version = …".
            _ if is_s390_processor(key) => info.processors += 1,
            "vendor_id" if info.vendor.is_none() && !value.is_empty() => {
                info.vendor = Some(value.to_owned());
            }
            // CPUs of one machine nearly always print the same line.
            "flags" if last_flags == Some(value) => {}
            "flags" => {
                let flags: BTreeSet<String> = value.split(' ').map(str::to_owned).collect();
                info.flags = match last_flags {
                    Some(_) => info.flags.intersection(&flags).cloned().collect(),
                    None => flags,
                };
                last_flags = Some(value);
            }
            _ => {
                if let Some(rank) = MODEL_KEYS.iter().position(|&name| name == key) {
                    models[rank].get_or_insert(value);
                }
            }
        }
    }
    info.model = models.into_iter().flatten().find(|name| !name.is_empty()).map(str::to_owned);
    info
}

/// `level=1 type=Data scope=Private size=128K …`
fn private_cache(text: &str) -> Option<((u32, CacheKind), u64)> {
    let field =
        |name: &str| text.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    let kind = match field("type")? {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        "Unified" => CacheKind::Unified,
        _ => return None,
    };
    let shape = (field("level")?.parse().ok()?, kind);
    (field("scope")? == "Private").then_some((shape, size(field("size")?)?))
}

fn is_s390_processor(key: &str) -> bool {
    key.strip_prefix("processor ").is_some_and(|number| number.parse::<u32>().is_ok())
}

impl CpuInfo {
    /// Level of the x86-64 psABI that every CPU reaches.
    ///
    /// All features of a level and of those below it, by the psABI's table
    /// (gitlab.com/x86-psABIs, section "Micro-Architecture Levels"). The kernel
    /// shows a flag only where it has switched the feature on, so the operating
    /// system's part is in them.
    pub fn isa_level(&self) -> Option<&'static str> {
        isa_level(|flag| self.flags.contains(flag))
    }
}

/// The highest level of which, as of those below it, it has every flag.
pub(crate) fn isa_level(has: impl Fn(&str) -> bool) -> Option<&'static str> {
    let reached = LEVELS.iter().take_while(|(_, flags)| flags.iter().all(|flag| has(flag)));
    reached.last().map(|(level, _)| *level)
}

/// The psABI's names in the kernel's spelling: `pni` is SSE3, `abm` LZCNT.
const LEVELS: [(&str, &[&str]); 4] = [
    ("x86-64-v1", &["lm", "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2"]),
    ("x86-64-v2", &["cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3"]),
    ("x86-64-v3", &["abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"]),
    ("x86-64-v4", &["avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"]),
];

#[cfg(test)]
mod tests {
    use super::{LEVELS, parse};

    fn flags(levels: usize) -> String {
        LEVELS[..levels].iter().flat_map(|(_, flags)| *flags).copied().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn levels_need_every_feature_of_every_cpu() {
        let level = |text: &str| parse(text).isa_level();
        assert_eq!(level(&format!("flags\t: {}\n", flags(3))), Some("x86-64-v3"));
        assert_eq!(level(&format!("flags : {}\n", flags(4))), Some("x86-64-v4"));
        let without_bmi2 = flags(4).replace("bmi2 ", "");
        assert_eq!(level(&format!("flags\t: {without_bmi2}\n")), Some("x86-64-v2"));
        let big_and_little = format!("flags\t: {}\n\nflags\t: {}\n", flags(4), flags(2));
        assert_eq!(level(&big_and_little), Some("x86-64-v2"));
        assert_eq!(level("flags\t: fpu\n"), None);
        assert_eq!(level("Features\t: fp asimd\n"), None, "another architecture");
    }

    #[test]
    fn every_architecture_has_its_own_keys() {
        let x86 = parse("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel\t: 1\nmodel name\t: X\n");
        assert_eq!(
            (x86.vendor.as_deref(), x86.model.as_deref()),
            (Some("GenuineIntel"), Some("X"))
        );
        let s390 = parse("vendor_id       : IBM/S390\nprocessor 0: version = FF\nprocessor 1: v\n");
        assert_eq!((s390.processors, s390.vendor.as_deref()), (2, Some("IBM/S390")));
        let ppc = parse("processor\t: 0\ncpu\t\t: POWER7\nmodel\t\t: IBM,8233\n");
        assert_eq!(ppc.model.as_deref(), Some("POWER7"));
    }

    #[test]
    fn damage_is_no_panic() {
        for text in ["", "\0\0", ":", "flags:", "processor", "é: é\nmodel name:"] {
            parse(text);
        }
    }
}
