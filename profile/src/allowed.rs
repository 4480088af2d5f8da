//! What the Nix modules may set.
//!
//! `plan.nix` reads a committed plan without `nix-conf-write`, so it checks the
//! names itself, by a list that is made here from the same tables and committed
//! as `allowed.json`.

use serde::Serialize;

use crate::refuse;

/// Names that a module follows; it refuses a plan with any other.
#[derive(Debug, Serialize)]
pub struct Allowed {
    /// Settings of nix.conf.
    pub settings: Vec<String>,
    /// `NixOS` options.
    pub nixos: Vec<&'static str>,
    /// nix-darwin options.
    pub darwin: Vec<&'static str>,
}

/// What the modules may set.
pub fn allowed() -> Allowed {
    let [nixos, darwin] = refuse::options::settable();
    Allowed { settings: refuse::settable(), nixos, darwin }
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
