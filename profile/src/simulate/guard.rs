//! What holds builds back until they fit, as `monitor guard` does.

use super::Settings;
use super::graph::Derivation;
use crate::guarded::{CRITICAL, ERROR, HIGH, assumed_gib};

/// Holds builds back until what all that run are expected to need fits. One always
/// runs. Nothing that runs is frozen here: what would be runs on, and out of memory
/// if so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Memory in which they have to fit.
    pub memory_gib: f64,
    /// How far expectations are off, one way or the other: 0.3 for 30 %. Beyond
    /// 0, a derivation in five is not known at all.
    pub doubt: f64,
}

impl Guard {
    /// Whether a build fits beside those that run.
    pub(super) fn lets(self, admitted: Need, need: Need) -> bool {
        let gib = admitted.gib + need.gib;
        let with_errors = gib + (admitted.errors + need.errors).sqrt();
        gib <= self.memory_gib * HIGH && with_errors <= self.memory_gib * CRITICAL
    }

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
            return assumed_gib(cores);
        }
        // From 1 / (1 + doubt) to 1 + doubt, as often above as below.
        peak_gib * (1.0 + self.doubt).powf(2.0 * other - 1.0)
    }
}

/// What is expected of builds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Need {
    gib: f64,
    /// The squares of what each may need more.
    errors: f64,
}

impl Need {
    /// That of one; nothing where nobody asks.
    pub(super) fn of(settings: Settings, number: u32, derivation: &Derivation) -> Self {
        let Some(guard) = settings.guard else { return Self::default() };
        let peak_gib = derivation.peak_gib(settings.cores);
        let gib = guard.expected_gib(number, settings.cores, peak_gib);
        Self { gib, errors: (gib * ERROR).powi(2) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.gib += other.gib;
        self.errors += other.errors;
    }

    /// Sums of floats drift, but never below nothing.
    pub(super) fn remove(&mut self, other: Self) {
        self.gib = (self.gib - other.gib).max(0.0);
        self.errors = (self.errors - other.errors).max(0.0);
    }
}
