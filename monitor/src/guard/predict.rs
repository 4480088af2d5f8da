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

    /// A build of a package, as [`crate::pname::of`] names it, has ended that used so
    /// much at most.
    pub fn learn(&mut self, package: &str, peak_bytes: u64) {
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
    pub fn peak_bytes(&self, package: &str, threads: u64) -> u64 {
        let costs = self.costs.as_ref();
        let recorded = costs.and_then(|costs| costs.packages.get(package)?.peak_memory_bytes);
        let seen = self.seen.get(package).and_then(|seen| seen.iter().max().copied());
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

#[cfg(test)]
mod tests {
    use profile::costs::Costs;
    use profile::guarded::assumed_bytes;

    use super::Predictor;

    #[test]
    fn a_record_tells_more_than_an_assumption() {
        let costs: Costs = serde_json::from_str(
            r#"{"version": 1, "packages": {"hello": {"builds": 1, "wall_seconds": 1.0,
                "cpu_seconds": null, "parallelism": null, "peak_memory_bytes": 1000,
                "base_memory_bytes": null, "slot_memory_bytes": null, "width": null}}}"#,
        )
        .expect("costs");
        let mut by_record = Predictor::new(Some(costs));
        assert_eq!(by_record.peak_bytes("hello", 8), 1000);
        assert_eq!(by_record.peak_bytes("other", 2), assumed_bytes(2));
        assert_eq!(by_record.most_bytes(2), assumed_bytes(2));
        for peak in [1, 2000, 3, 4, 5, 6] {
            by_record.learn("hello", peak);
        }
        assert_eq!(by_record.peak_bytes("hello", 8), 2000);
        by_record.learn("hello", 7);
        assert_eq!(by_record.peak_bytes("hello", 8), 1000, "only the last five count");
        let unknown = Predictor::new(None);
        assert_eq!(unknown.peak_bytes("hello", 0), assumed_bytes(1));
    }
}
