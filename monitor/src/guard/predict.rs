//! The most memory a build is going to need.

use std::collections::{BTreeMap, VecDeque};

use profile::costs::Costs;
use profile::guarded::assumed_bytes;

/// How many builds of a package count, as in recorded costs.
const LAST: usize = 5;

/// Most packages to remember; who is new is not, beyond.
const MOST: usize = 10_000;

/// What is known of what packages need: what was recorded, and what was seen.
#[derive(Debug, Default)]
pub struct Predictor {
    costs: Option<Costs>,
    seen: BTreeMap<String, VecDeque<u64>>,
}

impl Predictor {
    /// By what is recorded.
    pub fn new(costs: Option<Costs>) -> Self {
        Self { costs, seen: BTreeMap::new() }
    }

    /// Go by other records.
    pub fn replace(&mut self, costs: Costs) {
        self.costs = Some(costs);
    }

    /// A build has ended that used so much at most.
    pub fn learn(&mut self, name: &str, peak_bytes: u64) {
        let package = package(name);
        if peak_bytes == 0 || (self.seen.len() >= MOST && !self.seen.contains_key(package)) {
            return;
        }
        let seen = self.seen.entry(package.to_owned()).or_default();
        seen.push_back(peak_bytes);
        if seen.len() > LAST {
            seen.pop_front();
        }
    }

    /// A build's expected peak: what nine of ten of those recorded did not pass,
    /// and none of the last that were seen; else what is assumed of any.
    pub fn peak_bytes(&self, name: &str, threads: u64) -> u64 {
        let recorded = self.costs.as_ref().and_then(|costs| {
            let cost = costs.packages.get(package(name)).or_else(|| costs.packages.get(name))?;
            cost.peak_memory_bytes
        });
        let seen = self.seen.get(package(name)).and_then(|seen| seen.iter().max().copied());
        recorded.max(seen).unwrap_or_else(|| assumed_bytes(threads))
    }

    /// The most that any build is expected to need.
    pub fn most_bytes(&self, threads: u64) -> u64 {
        let packages = self.costs.iter().flat_map(|costs| costs.packages.values());
        let recorded = packages.filter_map(|cost| cost.peak_memory_bytes);
        let seen = self.seen.values().flatten().copied();
        recorded.chain(seen).fold(assumed_bytes(threads), u64::max)
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
    use profile::guarded::assumed_bytes;

    use super::{Predictor, package};

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
        let mut by_record = Predictor::new(Some(costs));
        assert_eq!(by_record.peak_bytes("hello-2.12", 8), 1000);
        assert_eq!(by_record.peak_bytes("other-1", 2), assumed_bytes(2));
        assert_eq!(by_record.most_bytes(2), assumed_bytes(2));
        for peak in [1, 2000, 3, 4, 5, 6] {
            by_record.learn("hello-2.13", peak);
        }
        assert_eq!(by_record.peak_bytes("hello-2.12", 8), 2000);
        by_record.learn("hello-2.13", 7);
        assert_eq!(by_record.peak_bytes("hello-2.12", 8), 1000, "only the last five count");
        let unknown = Predictor::new(None);
        assert_eq!(unknown.peak_bytes("hello-2.12", 0), assumed_bytes(1));
    }
}
