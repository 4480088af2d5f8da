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

/// Why builds failed, as far as messages said so.
pub(super) struct Reasons<'a> {
    by_what: &'a BTreeMap<String, String>,
    /// Of outputs, by their names.
    by_output: BTreeMap<&'a str, &'a str>,
}

impl<'a> Reasons<'a> {
    pub(super) fn new(by_what: &'a BTreeMap<String, String>) -> Self {
        let mut by_output = BTreeMap::new();
        for (path, reason) in by_what.iter().filter(|(what, _)| !is_drv(what)) {
            by_output.entry(super::name(path)).or_insert(reason.as_str());
        }
        Self { by_what, by_output }
    }

    /// Why a build failed: of it, or of one of its outputs, whose names begin with
    /// its own.
    pub(super) fn of(&self, build: &Build) -> Option<&'a str> {
        let own = self.by_what.get(&build.drv).map(String::as_str);
        own.or_else(|| self.by_output.get(build.name.as_str()).copied()).or_else(|| {
            // Of all that begin so, the first in order.
            let begin = format!("{}-", build.name);
            let (name, reason) = self.by_output.range(begin.as_str()..).next()?;
            name.starts_with(&begin).then_some(*reason)
        })
    }
}
