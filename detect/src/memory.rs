//! Main memory, swap, and how much of it a build may use.

use std::num::NonZeroU64;

use crate::cgroup::Allowance;
use crate::hardware::{Memory, Note};
use crate::root::Root;

/// What is known of memory, to a process with this allowance.
pub fn memory(root: &Root, allowance: &Allowance, notes: &mut Vec<Note>) -> Memory {
    let info = root.read("proc/meminfo").map(|text| parse(&text)).unwrap_or_default();
    let swaps = root.read("proc/swaps").map(|text| parse_swaps(&text));
    let swap_bytes = swaps.map(|(swap, _)| swap);
    let zram_bytes = swaps.map(|(_, zram)| zram);
    let Some(total) = info.total_bytes else {
        notes.push(Note::warning("memory-unknown", "/proc/meminfo does not say how much there is"));
        let limit_bytes = allowance.memory_bytes.and_then(NonZeroU64::new);
        let usable_bytes = limit_bytes;
        return Memory { limit_bytes, usable_bytes, swap_bytes, zram_bytes, ..Memory::default() };
    };
    let huge = info.huge_pages_bytes.unwrap_or(0);
    let limit_bytes = allowance.memory_bytes.filter(|&limit| limit < total.get());
    let usable = total.get().saturating_sub(huge).min(limit_bytes.unwrap_or(u64::MAX));
    Memory {
        total_bytes: Some(total),
        huge_pages_bytes: info.huge_pages_bytes,
        limit_bytes: limit_bytes.and_then(NonZeroU64::new),
        usable_bytes: NonZeroU64::new(usable),
        swap_bytes,
        zram_bytes,
    }
}

/// The lines of /proc/meminfo that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meminfo {
    /// `MemTotal`.
    pub total_bytes: Option<NonZeroU64>,
    /// `MemAvailable`, which kernels before 3.14 lack.
    pub available_bytes: Option<u64>,
    /// `SwapFree`.
    pub swap_free_bytes: Option<u64>,
    /// Explicit huge pages of every size.
    pub huge_pages_bytes: Option<u64>,
}

/// Parse /proc/meminfo.
///
/// By hand: `procfs-core` refuses a file that lacks any of a dozen lines, as
/// captured and sandboxed ones do.
pub fn parse(text: &str) -> Meminfo {
    let number = |key: &str| -> Option<u64> {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        value.trim().trim_end_matches("kB").trim_end().parse().ok()
    };
    let bytes = |key| number(key)?.checked_mul(1024);
    // `Hugetlb` counts pages of all sizes; older kernels have just one size.
    let huge =
        bytes("Hugetlb").or_else(|| number("HugePages_Total")?.checked_mul(bytes("Hugepagesize")?));
    Meminfo {
        total_bytes: bytes("MemTotal").and_then(NonZeroU64::new),
        available_bytes: bytes("MemAvailable"),
        swap_free_bytes: bytes("SwapFree"),
        huge_pages_bytes: huge,
    }
}

/// Swap on disks and swap in zram, in bytes, of /proc/swaps.
fn parse_swaps(text: &str) -> (u64, u64) {
    let mut bytes = (0_u64, 0_u64);
    for line in text.lines().skip(1) {
        // The name comes first and has its spaces escaped; then type and size.
        let mut words = line.split_whitespace();
        let (Some(name), Some(_), Some(size)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let size = size.parse::<u64>().ok().and_then(|kib| kib.checked_mul(1024)).unwrap_or(0);
        let sum = if name.starts_with("/dev/zram") { &mut bytes.1 } else { &mut bytes.0 };
        *sum = sum.saturating_add(size);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_swaps};

    #[test]
    fn meminfo_in_kib() {
        let info = parse(
            "MemTotal:       24682420 kB\nMemFree:  1 kB\nMemAvailable:   24000000 kB\n\
             HugePages_Total:      16\nHugepagesize:       2048 kB\n",
        );
        assert_eq!(info.total_bytes.map(u64::from), Some(24_682_420 * 1024));
        assert_eq!(info.available_bytes, Some(24_000_000 * 1024));
        assert_eq!(info.huge_pages_bytes, Some(32 << 20));
        assert_eq!(info.swap_free_bytes, None);
    }

    #[test]
    fn all_sizes_of_huge_pages_count() {
        let info = parse("HugePages_Total: 0\nHugepagesize: 2048 kB\nHugetlb: 1048576 kB\n");
        assert_eq!(info.huge_pages_bytes, Some(1 << 30));
    }

    #[test]
    fn damage_is_unknown() {
        for text in ["", "MemTotal:", "MemTotal: -1 kB", "MemTotal: 18446744073709551615 kB", "é"]
        {
            assert_eq!(parse(text).total_bytes, None, "{text}");
        }
    }

    #[test]
    fn zram_is_not_disk() {
        let swaps = "Filename\tType\tSize\tUsed\tPriority\n\
                     /dev/zram0 partition\t4194304\t0\t100\n/swap\\040file file 1024 0 -2\nshort\n";
        assert_eq!(parse_swaps(swaps), (1 << 20, 4 << 30));
    }
}
