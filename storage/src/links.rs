//! Whether equal files become one while Nix builds, or later.
//!
//! `auto-optimise-store` hashes and links every new file before its build
//! counts as done; the timer that `profile` plans does the same once a week,
//! when no build waits. It is off in every Nix, but installers turn it on. On
//! flash the price is small, and that choice is left alone.

use detect::hardware::Media;
use profile::plan::{Plan, Value};

use crate::Decision;

/// `auto-optimise-store`, where it must stay off.
pub(crate) fn links(plan: &Plan) -> Option<Decision> {
    let hardware = &plan.hardware;
    let is_darwin = hardware.system.as_deref().is_some_and(|name| name.ends_with("-darwin"));
    let media = hardware.storage.store.as_ref().map(|place| place.media);
    let why = match media {
        // Up to 2.31.2 files were lost; the loader's trouble is of any release.
        _ if is_darwin => {
            "hard links have corrupted stores on macOS (NixOS/nix 7273), and its loader loses its \
             way in linked programs (cardano-scaling/hydra 2626)"
        }
        Some(Media::Hdd) => {
            "a spinning disk would read each new file again and seek for its link while the build \
             waits; a timer does that when none does"
        }
        Some(Media::Network) => {
            "each new file would go over the network again, and its link, while the build waits; \
             a timer does that when none does"
        }
        _ => return None,
    };
    Some(("auto-optimise-store", Value::Bool(false), why.to_owned()))
}
