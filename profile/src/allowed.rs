//! What the Nix modules may set.
//!
//! `plan.nix` reads a committed plan without `nix-conf-write`, so it checks the
//! names itself, by a list that is made here from the same tables and committed
//! as `allowed.json`.

use serde::Serialize;

use crate::refuse;

/// `NixOS` options that plans may set; one that ends with a dot stands for all
/// below it.
const NIXOS: &[&str] = &[
    "boot.tmp.",
    "fileSystems.\"/nix/var/nix/builds\".",
    "nix.daemonCPUSchedPolicy",
    "nix.daemonIOSchedClass",
    "nix.daemonIOSchedPriority",
    "nix.gc.",
    "nix.nrBuildUsers",
    "nix.optimise.",
    "systemd.services.nix-daemon.serviceConfig.CPUWeight",
    "systemd.services.nix-daemon.serviceConfig.IOWeight",
    "systemd.services.nix-daemon.serviceConfig.MemoryHigh",
    "systemd.services.nix-daemon.serviceConfig.MemoryMax",
    "systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust",
    "zramSwap.",
];

/// nix-darwin options that plans may set.
const DARWIN: &[&str] =
    &["nix.daemonIOLowPriority", "nix.daemonProcessType", "nix.gc.", "nix.optimise."];

/// Names that a module follows; it refuses a plan with any other.
#[derive(Debug, Serialize)]
pub struct Allowed {
    /// Settings of nix.conf.
    pub settings: Vec<String>,
    /// `NixOS` options.
    pub nixos: &'static [&'static str],
    /// nix-darwin options.
    pub darwin: &'static [&'static str],
}

/// What the modules may set.
pub fn allowed() -> Allowed {
    Allowed { settings: refuse::settable(), nixos: NIXOS, darwin: DARWIN }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn what_gives_rights_is_not_among_it() {
        let settings = allowed().settings;
        for name in ["max-jobs", "substituters", "extra-substituters", "extra-platforms"] {
            assert!(settings.iter().any(|known| known == name), "{name}");
        }
        for name in ["trusted-users", "extra-trusted-users", "sandbox", "extra-sandbox-paths"] {
            assert!(settings.iter().all(|known| known != name), "{name}");
        }
        assert!(settings.iter().all(|name| !name.starts_with("fsync") && !name.contains("hook")));
        assert!(settings.is_sorted());
    }
}
