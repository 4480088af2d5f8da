//! Actions that Nix workflows use, and since which version they run.

/// An action.
pub(super) struct Action {
    /// `owner/name`, in small letters.
    pub(super) name: &'static str,
    /// The oldest version that runs and does its work.
    pub(super) oldest: (u32, u32),
    /// What is wrong with those before.
    pub(super) why: &'static str,
    /// What to use instead.
    pub(super) now: &'static str,
}

/// What `why` says of most.
const NODE: &str = "it runs on Node 20 or older, which GitHub's runners no longer have";

/// The actions known here, as of their tags in 2026.
pub(super) const ACTIONS: [Action; 9] = [
    Action { name: "actions/checkout", oldest: (5, 0), why: NODE, now: "v7.0.1" },
    Action { name: "actions/cache", oldest: (5, 0), why: NODE, now: "v5.0.5" },
    Action { name: "actions/upload-artifact", oldest: (6, 0), why: NODE, now: "v7.0.0" },
    Action { name: "actions/download-artifact", oldest: (7, 0), why: NODE, now: "v8.0.0" },
    Action {
        name: "cachix/install-nix-action",
        oldest: (31, 0),
        why: "it installs a Nix that has known holes and gets no more fixes",
        now: "v31.11.0",
    },
    Action { name: "cachix/cachix-action", oldest: (17, 0), why: NODE, now: "v17" },
    Action { name: "nix-community/cache-nix-action", oldest: (7, 0), why: NODE, now: "v7.0.2" },
    Action {
        name: "determinatesystems/magic-nix-cache-action",
        oldest: (13, 0),
        why: "it speaks a protocol that GitHub's cache has shut down",
        now: "v13",
    },
    Action {
        name: "determinatesystems/nix-installer-action",
        oldest: (22, 0),
        why: NODE,
        now: "v22",
    },
];

/// The action of this name, which may be in a folder of it.
pub(super) fn find(name: &str) -> Option<&'static Action> {
    ACTIONS.iter().find(|action| {
        name.strip_prefix(action.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
