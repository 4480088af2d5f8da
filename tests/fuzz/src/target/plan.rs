//! A Plan document, and the text that is written from it.

use super::super::{Bytes, json, laws};
use detect::stage;
use profile::form::{Form, render};
use profile::plan::Plan;

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Ok(plan) = stage::parse::<Plan>(data) else { return };
    laws::round_trips(&plan);
    let written = [Form::NixConf, Form::Env].map(|form| {
        let text = render(&plan, form).ok()?;
        laws::is_only_settings(&text, &plan, form);
        Some(text)
    });
    for form in [Form::Nixos, Form::Darwin, Form::Github, Form::Systemd] {
        let other = render(&plan, form).ok();
        assert_eq!(other.is_some(), written[0].is_some(), "refused in one form alone");
    }
    assert_eq!(written[0].is_some(), written[1].is_some(), "refused in one form alone");
}

/// Change an input as what it is.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, bytes: Bytes) -> usize {
    json::mutate(data, size, most, seed, &WORDS, bytes)
}

/// Names and values that some branch looks for.
const WORDS: [&str; 72] = [
    "accept-flake-config",
    "allowed-users",
    "auto-allocate-uids",
    "auto-optimise-store",
    "build-dir",
    "build-hook",
    "build-use-sandbox",
    "builders",
    "connect-timeout",
    "cores",
    "diff-hook",
    "download-buffer-size",
    "experimental-features",
    "extra-build-hook",
    "extra-experimental-features",
    "extra-platforms",
    "extra-sandbox-paths",
    "extra-substituters",
    "extra-system-features",
    "extra-trusted-public-keys",
    "extra-trusted-substituters",
    "extra-trusted-users",
    "fallback",
    "fsync-metadata",
    "fsync-store-paths",
    "gc-reserved-space",
    "http-connections",
    "http2",
    "include",
    "keep-derivations",
    "keep-outputs",
    "log-format",
    "log-lines",
    "max-free",
    "max-jobs",
    "max-silent-time",
    "max-substitution-jobs",
    "min-free",
    "nix-path",
    "plugin-files",
    "post-build-hook",
    "pre-build-hook",
    "require-sigs",
    "restrict-eval",
    "sandbox",
    "sandbox-paths",
    "secret-key-files",
    "ssl-cert-file",
    "store",
    "substitute",
    "substituters",
    "system-features",
    "timeout",
    "trusted-public-keys",
    "trusted-substituters",
    "trusted-users",
    "use-cgroups",
    "user-agent-suffix",
    "http://a",
    "https://a/?priority=1",
    "https://cache.nixos.org",
    "https://cache.nixos.org/?trusted=1",
    "file:///a",
    "?priority=",
    "a:b",
    "cgroups",
    "nix-command",
    "verified",
    "auto",
    "2.8.0",
    "lix-2.93.0",
    "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
];
