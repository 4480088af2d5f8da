//! What the guard knows of a build besides what it does, and says of it.

use std::collections::BTreeMap;
use std::time::Instant;

use detect::human::size;

use super::decide::{Action, Id, Moment};
use super::stop::Stopped;

/// What is known of a build for as long as it runs.
pub(super) struct Known {
    pub(super) name: String,
    /// The most that is expected of it.
    pub(super) peak_bytes: u64,
    /// The most that it was seen to use.
    pub(super) used_bytes: u64,
    pub(super) stopped: Stopped,
    /// Since when it is stopped, if it is.
    pub(super) since: Option<Instant>,
}

/// One line on what is done with a build, and why.
pub(super) fn describe(action: &Action, moment: &Moment, known: &BTreeMap<Id, Known>) -> String {
    let (verb, id) = match action {
        Action::Hold(id) => ("hold", id),
        Action::Freeze(id) => ("freeze", id),
        Action::Run(id) => ("let go on", id),
    };
    let known = known.get(id);
    let peak = known.map_or(0, |known| known.peak_bytes);
    let name = known.map_or("?", |known| known.name.as_str());
    let since = known.and_then(|known| known.since);
    let waited = since
        .map_or(String::new(), |since| format!(" after {:.1} s", since.elapsed().as_secs_f64()));
    format!(
        "{verb} {name} of user {}{waited}: predicted {}, {} of {} used",
        id.user,
        size(peak),
        size(moment.used_bytes),
        size(moment.limit_bytes)
    )
}
