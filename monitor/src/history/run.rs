//! What is kept of one use of Nix.

use crate::recorded::Recorded;

/// One command, or one recorded stream, and what happened in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// When it began, in seconds since 1970.
    pub started: f64,
    /// When it ended, in seconds since 1970.
    pub ended: f64,
    /// The command and its arguments; for a stream, where that came from.
    ///
    /// A run is known by this and by when it began: to record it again changes
    /// nothing.
    pub command: Vec<String>,
    /// What it exited with; `None` where nobody waited for it.
    pub exit_code: Option<i32>,
    /// The version of Nix, e.g. `2.34.8`.
    pub nix_version: Option<String>,
    /// `max-jobs` in force.
    pub jobs: Option<u32>,
    /// `cores` in force; 0, as in Nix, is all.
    pub cores: Option<u32>,
    /// Of a recorded stream, by which it is known wherever and whenever it is read
    /// again.
    pub digest: Option<String>,
    /// What its events said.
    pub recorded: Recorded,
}
