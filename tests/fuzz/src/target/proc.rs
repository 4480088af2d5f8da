//! Parsers of the kernel's and Nix's own texts, one by one: the first byte says
//! which, the rest is the text.

use std::path::Path;

use detect::cpuset::CpuSet;
use detect::hardware::Implementation;
use detect::release::Release;
use detect::{cpuinfo, memory, mount};

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    // As `Root::read` gives it to parsers.
    let text = String::from_utf8_lossy(text);
    match first {
        b'l' => cpu_list(&text),
        b'm' => cpu_mask(&text),
        b'c' => cpu_info(&text),
        b'i' => meminfo(&text),
        b't' => mount_table(&text),
        b'r' => release(&text),
        _ => {}
    }
}

fn cpu_list(text: &str) {
    let Some(set) = CpuSet::parse_list(text) else { return };
    is_sound(&set);
}

fn cpu_mask(text: &str) {
    let Some(set) = CpuSet::parse_mask(text) else { return };
    is_sound(&set);
}

fn is_sound(set: &CpuSet) {
    let cpus: Vec<usize> = set.iter().collect();
    assert_eq!(cpus.len(), set.len() as usize);
    assert_eq!(set.is_empty(), cpus.is_empty());
    assert!(cpus.is_sorted_by(|a, b| a < b), "lowest first, each once");
    assert!(cpus.last().is_none_or(|&last| last < 1 << 16), "more than any kernel has");
    assert!(cpus.iter().all(|&cpu| set.contains(cpu)));
    assert_eq!(&set.intersection(set), set);
    assert_eq!(&cpus.iter().copied().collect::<CpuSet>(), set);
    assert_eq!(CpuSet::parse_list(&list(&cpus)).as_ref(), Some(set), "round trip as a list");
    assert_eq!(CpuSet::parse_mask(&mask(&cpus)).as_ref(), Some(set), "round trip as a mask");
    let half: CpuSet = cpus.iter().copied().step_by(2).collect();
    assert_eq!(set.intersection(&half), half);
    assert_eq!(half.intersection(set), half);
}

fn list(cpus: &[usize]) -> String {
    let ranges = cpus.chunk_by(|a, b| a + 1 == *b);
    let text = |range: &[usize]| match range {
        [one] => one.to_string(),
        _ => format!("{}-{}", range[0], range[range.len() - 1]),
    };
    ranges.map(text).collect::<Vec<_>>().join(",")
}

fn mask(cpus: &[usize]) -> String {
    let mut words = vec![0_u32; cpus.last().map_or(1, |last| last / 32 + 1)];
    for cpu in cpus {
        words[cpu / 32] |= 1 << (cpu % 32);
    }
    words.iter().rev().map(|word| format!("{word:08x}")).collect::<Vec<_>>().join(",")
}

fn cpu_info(text: &str) {
    let info = cpuinfo::parse(text);
    assert!(info.processors <= text.lines().count());
    assert!(info.model.as_ref().is_none_or(|model| !model.is_empty()));
    assert!(info.vendor.as_ref().is_none_or(|vendor| !vendor.is_empty()));
    let twice = cpuinfo::parse(&format!("{text}\n{text}"));
    assert_eq!((twice.processors, &twice.flags), (2 * info.processors, &info.flags));
    assert_eq!((&twice.model, &twice.vendor), (&info.model, &info.vendor));
    assert_eq!(twice.isa_level(), info.isa_level());
    // Another CPU can only lack features.
    let less = cpuinfo::parse(&format!("{text}\nflags: fpu lm cmov\n"));
    assert!(less.isa_level().is_none() || info.isa_level().is_some() || info.flags.is_empty());
}

fn meminfo(text: &str) {
    let info = memory::parse(text);
    let line = |key: &str, bytes: Option<u64>| {
        assert!(bytes.is_none_or(|bytes| bytes % 1024 == 0));
        bytes.map_or_else(String::new, |bytes| format!("{key}:  {} kB\n", bytes / 1024))
    };
    let again = [
        line("MemTotal", info.total_bytes.map(u64::from)),
        line("MemAvailable", info.available_bytes),
        line("SwapFree", info.swap_free_bytes),
        line("Hugetlb", info.huge_pages_bytes),
    ];
    assert_eq!(memory::parse(&again.concat()), info);
}

/// The first line is a path, the others the table.
fn mount_table(text: &str) {
    let (path, table) = text.split_once('\n').unwrap_or(("/nix/store", text));
    let path = Path::new(path);
    let mounts = mount::parse_mountinfo(table);
    assert!(mounts.len() <= table.lines().count());
    for mount in &mounts {
        assert!(mount.device.is_some());
        assert!(mount.options.is_sorted_by(|a, b| a < b), "sorted, each once");
        assert!(mount.options.iter().all(|option| !option.is_empty()));
    }
    assert_eq!(mount::parse_mountinfo(table), mounts, "same input, same output");
    let under = |mount: &mount::Mount| path.starts_with(&mount.mount_point);
    let is_orphan = |mount: &mount::Mount| mounts.iter().all(|other| other.id != mount.parent);
    match mount::covering(&mounts, path) {
        Some(found) => assert!(under(found)),
        // Only mounts on others that lead nowhere are passed by altogether.
        None => {
            assert!(!mounts.iter().any(|mount| {
                under(mount) && mount.mount_point.is_absolute() && is_orphan(mount)
            }));
        }
    }
}

fn release(text: &str) {
    let written = |release: Release| {
        let (major, minor, patch) = release.version;
        let (prefix, banner) = match release.implementation {
            Implementation::Nix => ("", "Nix"),
            Implementation::Lix => ("lix-", "Lix, like Nix"),
            Implementation::Determinate => ("determinate-", "Determinate Nix 3.1.4"),
        };
        let version = format!("{major}.{minor}.{patch}");
        (format!("{prefix}{version}"), format!("nix ({banner}) {version}"))
    };
    if let Some(release) = Release::parse(text) {
        let (version, banner) = written(release);
        assert_eq!(Release::parse(&version), Some(release));
        assert_eq!(Release::from_banner(&banner), Some(release));
        let _ = (release.to_string(), release.has_nix(2, 18));
    }
    if let Some(release) = Release::from_banner(text) {
        assert_eq!(Release::from_banner(&written(release).1), Some(release));
    }
}
