//! What nix-daemon takes from a user whom it does not trust.

/// Whether anyone may set this, of what plans may set at all. Whatever else an
/// untrusted user sets, the daemon ignores with a warning (in Nix,
/// libstore/daemon.cc, `ClientSettings::apply`).
///
/// `substituters` is not among them: which of them are let through is up to the
/// daemon's own list. Experimental features never reach the daemon, but the
/// user's own commands need them.
pub fn anyone_may_set(name: &str) -> bool {
    let names = [
        "build-poll-interval",
        "connect-timeout",
        "cores",
        "experimental-features",
        "fallback",
        "keep-failed",
        "keep-going",
        "max-jobs",
        "max-silent-time",
        "substitute",
        "timeout",
    ];
    names.contains(&name)
}
