//! What a message says has failed, and why.

use std::collections::BTreeMap;

use super::name::is_drv;
use crate::recorded::Build;

/// A failure that a message tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The derivation, or the output that was refused.
    pub(super) what: String,
    /// Why, in Nix's words, on one line.
    pub(super) reason: String,
}

/// A text without colours.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

impl Failure {
    /// Read a message of level 0. Nix before 2.30 says `builder for 'DRV' failed with
    /// exit code 3;` and the like; later ones `Cannot build 'DRV'.` and on the next
    /// line the reason.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = plain(text);
        // Lines of a builder's log, which may say anything, begin with `>`; what
        // comes before the error itself is where in an expression it arose.
        let mut lines = text.lines().map(str::trim);
        let errors = text.lines().map(|line| line.trim().strip_prefix("error: "));
        let (at, head) = errors.enumerate().filter_map(|(at, head)| Some((at, head?))).last()?;
        let what = quoted(head)?;
        // A list of what was asked for and is not there, the cancelled included.
        let is_list = head.starts_with("build of ") && head.ends_with("' failed");
        // It has not even begun.
        let is_dependent = head.contains("dependencies of ") || head.contains("dependency of ");
        if is_list || is_dependent {
            return None;
        }
        let given = lines.nth(at + 1).and_then(|line| line.strip_prefix("Reason: "));
        if given.is_some_and(|reason| {
            reason.contains("dependency failed") || reason.contains("dependencies failed")
        }) {
            return None;
        }
        let reason = given.map_or_else(
            || head.replacen(&format!("builder for '{what}' failed"), "builder failed", 1),
            str::to_owned,
        );
        let reason = reason.trim_end_matches(['.', ':', ';', ',']).to_owned();
        Some(Self { what: what.to_owned(), reason })
    }
}

/// The first derivation that a line quotes, or the output that it begins with.
fn quoted(head: &str) -> Option<&str> {
    let mut parts = head.split('\'').skip(1).step_by(2);
    let output = head.strip_prefix("output '").and_then(|rest| rest.split('\'').next());
    parts.find(|part| is_drv(part)).or(output)
}

/// Why a build failed, if a message said so: of it, or of one of its outputs, whose
/// names begin with its own.
pub(super) fn of<'a>(failures: &'a BTreeMap<String, String>, build: &Build) -> Option<&'a String> {
    failures.get(&build.drv).or_else(|| {
        let is_output = |path: &str| {
            let rest = super::name(path).strip_prefix(build.name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let mut outputs = failures.iter().filter(|(what, _)| !is_drv(what));
        outputs.find(|(path, _)| is_output(path)).map(|(_, reason)| reason)
    })
}
