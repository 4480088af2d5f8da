//! The decisions of this stage, with their reasons in numbers.
//!
//! What each of them leaves alone is said in [`crate::left`].

pub(crate) mod darwin;
pub(crate) mod nixos;
pub(crate) mod notes;
pub(crate) mod settings;

use std::collections::BTreeMap;

use detect::hardware::Hardware;
use detect::release::Release;

use crate::budget::Budget;
use crate::plan::{Setting, Workload};

/// Decisions, by the name of what they set.
pub(crate) type Settings = BTreeMap<String, Setting>;

/// What decisions rest on.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) hardware: &'a Hardware,
    pub(crate) workload: Workload,
    pub(crate) budget: &'a Budget,
    pub(crate) release: Release,
}

impl Case<'_> {
    /// Whether the machine is of this kind, as `system` ends; `None` when that
    /// is not known.
    fn runs(&self, platform: &str) -> Option<bool> {
        let system = self.hardware.system.as_deref()?;
        Some(system.rsplit_once('-').is_some_and(|(_, end)| end == platform))
    }

    /// Whether somebody works at it: a laptop says so itself.
    fn is_desktop(&self) -> bool {
        match self.workload {
            Workload::Interactive => true,
            Workload::General => {
                self.hardware.environment.laptop == Some(true) && !self.is_runner()
            }
            Workload::Ci | Workload::Builder | Workload::Big => false,
        }
    }

    /// Whether it runs CI jobs.
    fn is_ci(&self) -> bool {
        let seen = self.workload == Workload::General && self.is_runner();
        self.workload == Workload::Ci || seen
    }

    /// Whether building is all it is there for.
    fn only_builds(&self) -> bool {
        self.is_ci() || matches!(self.workload, Workload::Builder | Workload::Big)
    }

    /// Whether detect itself ran in a CI job.
    fn is_runner(&self) -> bool {
        self.hardware.environment.ci.is_some()
    }

    /// Whether the store is the machine's own and stays: a container has its
    /// host's or loses it, and most CI runners are thrown away after the job.
    fn keeps_its_store(&self) -> bool {
        self.hardware.environment.container.is_none() && !self.is_runner()
    }

    /// Size of the file system that holds the store.
    fn store_bytes(&self) -> Option<u64> {
        let store = self.hardware.storage.store.as_ref()?;
        store.size_bytes.map(std::num::NonZeroU64::get)
    }
}
