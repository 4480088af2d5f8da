//! The class of a machine, by the thresholds of the original design.

use detect::number::Cpus;

use crate::plan::Tier;

/// CPUs and bytes that each tier asks for. Decimal gigabytes: a machine sold
/// with 16 GiB reports some 15.5 of them, which is 16.6 GB.
const THRESHOLDS: [(f64, u64, Tier); 2] =
    [(8.0, 16_000_000_000, Tier::HighPerformance), (4.0, 8_000_000_000, Tier::Balanced)];

/// The class of a machine with so many CPUs and so much memory.
pub fn tier(cpus: Option<Cpus>, memory_bytes: Option<u64>) -> Tier {
    let (Some(cpus), Some(bytes)) = (cpus, memory_bytes) else {
        return Tier::Conservative;
    };
    THRESHOLDS
        .iter()
        .find(|(least_cpus, least_bytes, _)| cpus.get() >= *least_cpus && bytes >= *least_bytes)
        .map_or(Tier::Conservative, |&(_, _, tier)| tier)
}

#[cfg(test)]
mod tests {
    use detect::number::Cpus;

    use super::tier;
    use crate::plan::Tier::{self, Balanced, Conservative, HighPerformance};

    fn of(cpus: f64, bytes: u64) -> Tier {
        tier(Cpus::new(cpus), Some(bytes))
    }

    #[test]
    fn a_16_gb_machine_reports_less_than_16_gib() {
        assert_eq!(of(8.0, 16_000_000_000), HighPerformance);
        assert_eq!(of(8.0, 15_999_999_999), Balanced);
        assert_eq!(of(8.0, 8_000_000_000), Balanced);
        assert_eq!(of(8.0, 7_999_999_999), Conservative);
    }

    #[test]
    fn both_cpus_and_memory_count() {
        assert_eq!(of(7.5, 64 << 30), Balanced, "a quota of 7.5 CPUs");
        assert_eq!(of(4.0, 64 << 30), Balanced);
        assert_eq!(of(3.99, 64 << 30), Conservative);
        assert_eq!(of(64.0, 4 << 30), Conservative);
    }

    #[test]
    fn the_unknown_is_treated_with_care() {
        assert_eq!(tier(None, Some(64 << 30)), Conservative);
        assert_eq!(tier(Cpus::new(64.0), None), Conservative);
    }
}
