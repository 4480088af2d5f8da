//! What nix-darwin is told beyond nix.conf; nothing anywhere else.
//!
//! **Invariant:** none of the options that nix-darwin has removed, each of which
//! would stop its evaluation (`nix.daemonIOSchedClass`, `nix.gc.dates`, …), and
//! none at all for Determinate Nix, with which `nix.enable` is off.

use detect::hardware::ConfOwner;

use super::{Case, Settings};
use crate::plan::{Setting, Value};

/// What nix-darwin is told.
pub(crate) fn darwin(case: &Case) -> Settings {
    let owner = case.hardware.nix.as_ref().and_then(|nix| nix.conf_owner);
    let mut options = Settings::new();
    if case.runs("darwin") != Some(true) || owner == Some(ConfOwner::Determinate) {
        return options;
    }
    let mut set = |path: &str, why: &str| {
        options.insert(path.to_owned(), Setting::new(Value::Bool(true), why));
    };
    if !case.only_builds() {
        set("nix.daemonIOLowPriority", "builds write a lot: whoever waits for a disk comes first");
    }
    if case.keeps_its_store() {
        set(
            "nix.gc.automatic",
            "a store only grows: once a week this deletes what nothing refers to, and no \
             generation of any profile, so every rollback stays",
        );
    }
    options
}
