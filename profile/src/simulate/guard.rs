//! What lets builds begin: as much as is expected to fit into memory.

use crate::guarded;

/// Holds builds back as `monitor guard` does, until what all that run are
/// expected to need fits. One always runs. Nothing that runs is frozen here: what
/// would be runs on, and out of memory if so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Memory in which they have to fit.
    pub memory_gib: f64,
    /// How far expectations are off, one way or the other: 0.3 for 30 %. Beyond
    /// 0, a derivation in five is not known at all.
    pub doubt: f64,
}

impl Guard {
    /// The peak that is expected of a build.
    pub(super) fn expected_gib(self, number: u32, cores: u32, peak_gib: f64) -> f64 {
        if self.doubt <= 0.0 {
            return peak_gib;
        }
        // Two numbers from 0 to 1 that look random and are always the same.
        let hash = number.wrapping_add(1).wrapping_mul(0x9e37_79b1);
        let [one, other] = [hash >> 16, (hash ^ (hash >> 15)).wrapping_mul(0x85eb_ca6b) >> 16]
            .map(|part| f64::from(part & 0xffff) / 65536.0);
        if one < 0.2 {
            return guarded::assumed_gib(cores);
        }
        // From 1 / (1 + doubt) to 1 + doubt, as often above as below.
        peak_gib * (1.0 + self.doubt).powf(2.0 * other - 1.0)
    }

    /// What is expected of a derivation with this peak.
    pub(super) fn need(self, number: u32, cores: u32, peak_gib: f64) -> Need {
        let gib = self.expected_gib(number, cores, peak_gib);
        Need { gib, error: (gib * guarded::ERROR).powi(2) }
    }
}

/// What builds are expected to need; nothing where nothing guards them.
#[derive(Clone, Copy, Default)]
pub(super) struct Need {
    gib: f64,
    /// The square of what it may be more: errors of many do not add up.
    error: f64,
}

impl Need {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { gib: self.gib + other.gib, error: self.error + other.error }
    }

    /// What is left of this without the other.
    pub(super) fn without(self, other: Self) -> Self {
        let rest = |all: f64, part: f64| (all - part).max(0.0);
        Self { gib: rest(self.gib, other.gib), error: rest(self.error, other.error) }
    }

    /// Whether a guard lets all of it run.
    pub(super) fn fits(self, guard: Option<Guard>) -> bool {
        guard.is_none_or(|guard| {
            self.gib <= guard.memory_gib * guarded::HIGH
                && self.gib + self.error.sqrt() <= guard.memory_gib * guarded::CRITICAL
        })
    }
}
