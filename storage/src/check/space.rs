//! Whether what is free carries the builds.

use detect::hardware::{Hardware, Media, Place};
use detect::human::{number, size};

use super::expected::Expected;
use super::finding::Finding;

/// A file system, and what is free on it.
pub(crate) struct Room<'a> {
    /// Whose it is: `builds`, or `the store`.
    pub(crate) whose: &'a str,
    pub(crate) place: &'a Place,
    pub(crate) bytes: Option<u64>,
    pub(crate) inodes: Option<u64>,
}

/// Whether what is free carries one build, and all of them.
pub(crate) fn space(room: &Room, jobs: u64, expected: &Expected) -> Vec<Finding> {
    let at = room.place.mount_point.as_deref().unwrap_or(&room.place.path);
    // Where inodes are made as needed, none are ever free.
    let inodes = room.inodes.filter(|_| room.place.inodes.is_some());
    let amounts = [
        ("space", room.bytes, (expected.least_bytes, expected.bytes), size as fn(u64) -> String),
        ("inodes", inodes, (expected.least_files, expected.files), |inodes| {
            format!("{} inodes", number(inodes))
        }),
    ];
    let mut findings = Vec::new();
    for (what, free, (least, one), shown) in amounts {
        let Some(free) = free else { continue };
        let id = format!("little-{what}");
        let all = one.saturating_mul(jobs);
        let rest = format!("{at}, which holds {}, has {} free", room.whose, shown(free));
        if free < least {
            let text = format!("{rest}, and one build may need {}", shown(least));
            findings.push(Finding::error(&id, text, remedy(room, what)));
        } else if free < all {
            let who = match jobs {
                1 => "a large build".to_owned(),
                jobs => format!("{jobs} builds at once"),
            };
            let text = format!("{rest}, and {who} may need {}", shown(all));
            let lower = if jobs > 1 { ", or lower max-jobs" } else { "" };
            let next = remedy(room, what) + lower;
            findings.push(Finding::warning(&id, text, next));
        }
    }
    findings
}

fn remedy(room: &Room, what: &str) -> String {
    let elsewhere = match room.whose {
        "builds" => "set build-dir to a directory on a larger file system",
        _ => "delete old generations and run nix-store --gc",
    };
    match what {
        "inodes" => format!("{elsewhere}, as df -i shows none to be free here"),
        _ => elsewhere.to_owned(),
    }
}

/// Whether memory and swap hold what builds may put into a tmpfs.
pub(crate) fn memory(
    hardware: &Hardware,
    place: &Place,
    jobs: u64,
    expected: &Expected,
) -> Option<Finding> {
    const ELSEWHERE: &str = "set build-dir to a directory on a disk, or mount the tmpfs with a \
                             smaller size=";
    let live = hardware.live.as_ref().filter(|_| place.media == Media::Memory)?;
    let swap = live.swap_free_bytes.unwrap_or(0);
    let limits = [
        hardware.daemon.as_ref().and_then(|daemon| daemon.memory_limit_bytes),
        hardware.memory.limit_bytes,
    ];
    let limits = limits.into_iter().flatten().map(std::num::NonZero::get);
    let there = limits.fold(live.memory_available_bytes?.saturating_add(swap), u64::min);
    let rest =
        format!("{} is in memory, and memory and swap have {} free", place.path, size(there));
    if there < expected.least_bytes {
        let text = format!("{rest}: one build may need {}", size(expected.least_bytes));
        return Some(Finding::error("little-memory", text, ELSEWHERE));
    }
    // What the tmpfs refuses is no burden on memory.
    let most = live.free_bytes.build_dir.unwrap_or(u64::MAX);
    let all = expected.bytes.saturating_mul(jobs).min(most);
    (all > there).then(|| {
        let text =
            format!("{rest}: {jobs} builds at once may need {} besides their own", size(all));
        Finding::warning("little-memory", text, ELSEWHERE)
    })
}
