//! The most memory a build is going to need.

use profile::costs::Costs;
use profile::sizing::GIB;

/// Without a record: what the study of sizing assumes of a build, besides its
/// threads and for each of them.
const BASE_BYTES: u64 = 3 * GIB / 10;
const SLOT_BYTES: u64 = 4 * GIB / 10;

/// What a peak may be above nine of ten recorded ones: five quarters.
const HEADROOM: (u64, u64) = (5, 4);

/// A build's predicted peak; whether it is from a record.
pub fn peak_bytes(costs: Option<&Costs>, name: &str, threads: u64) -> (u64, bool) {
    let recorded = costs.and_then(|costs| {
        let cost = costs.packages.get(package(name)).or_else(|| costs.packages.get(name))?;
        cost.peak_memory_bytes
    });
    match recorded {
        Some(peak) => (peak.saturating_mul(HEADROOM.0) / HEADROOM.1, true),
        None => (BASE_BYTES.saturating_add(SLOT_BYTES.saturating_mul(threads.max(1))), false),
    }
}

/// A package's name without its version, as Nix splits them: at the first dash
/// that no letter follows.
pub fn package(name: &str) -> &str {
    let is_version = |&(at, _): &(usize, char)| {
        name[at + 1..].chars().next().is_some_and(|next| !next.is_ascii_alphabetic())
    };
    let dashes = name.char_indices().filter(|(_, letter)| *letter == '-');
    dashes.into_iter().find(is_version).map_or(name, |(at, _)| &name[..at])
}

#[cfg(test)]
mod tests {
    use profile::costs::Costs;

    use super::{BASE_BYTES, SLOT_BYTES, package, peak_bytes};

    #[test]
    fn names_without_versions() {
        for (name, expected) in [
            ("hello-2.12.1", "hello"),
            ("gtk+-3.0", "gtk+"),
            ("source", "source"),
            ("python3.11-six-1.16", "python3.11-six"),
            ("a-b-", "a-b-"),
            ("é-1é", "é"),
            ("", ""),
        ] {
            assert_eq!(package(name), expected);
        }
    }

    #[test]
    fn a_record_tells_more_than_an_assumption() {
        let costs: Costs = serde_json::from_str(
            r#"{"version": 1, "packages": {"hello": {"builds": 1, "wall_seconds": 1.0,
                "cpu_seconds": null, "parallelism": null, "peak_memory_bytes": 1000,
                "base_memory_bytes": null, "slot_memory_bytes": null, "width": null}}}"#,
        )
        .expect("costs");
        assert_eq!(peak_bytes(Some(&costs), "hello-2.12", 8), (1250, true));
        assert_eq!(peak_bytes(Some(&costs), "other-1", 2), (BASE_BYTES + 2 * SLOT_BYTES, false));
        assert_eq!(peak_bytes(None, "hello-2.12", 0), (BASE_BYTES + SLOT_BYTES, false));
    }
}
