//! What has begun and not ended, and how downloads belong to paths.
//!
//! A path that comes from a cache is 108, which has a copy (100), which has a
//! transfer (101). Since Nix 2.19 or so each says what it is a part of. Nix 2.8 does
//! not: there, a copy is its path's, and what downloads is the transfer that was
//! begun right after it, which the ids show.

use std::collections::BTreeSet;

use super::{Change, Stream};
use crate::event::Start;
use crate::recorded::Substitution;

/// How many copies of Nix 2.8 are compared with a download: more than it makes at
/// once.
const COPIES: usize = 256;

/// What has begun and not ended.
#[derive(Debug)]
pub(super) enum Activity {
    /// All that is built.
    Builds { done: u64 },
    /// All that is copied.
    Paths { done: u64 },
    /// A derivation's build, by its place in the list.
    Build { index: usize, at: Option<f64> },
    /// A path that comes from a cache, by its place in the list.
    Hit { index: usize, at: Option<f64> },
    /// The copy of a path, perhaps from a cache.
    Copy { hit: Option<usize>, from: Option<String> },
    /// A download of (a part of) a path.
    Transfer(Transfer),
    /// A wait, by its place in the list.
    Wait { index: usize, at: Option<f64> },
}

#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) hit: Option<usize>,
    pub(super) done: u64,
}

/// A path that comes from a cache, or failed to.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) substitution: Substitution,
    pub(super) ended: bool,
    /// The count of paths that came rose after it ended.
    confirmed: bool,
}

impl Activity {
    /// Whether it leaves nothing in the lists.
    pub(super) fn is_only_open(&self) -> bool {
        matches!(
            self,
            Self::Builds { .. } | Self::Paths { .. } | Self::Copy { .. } | Self::Transfer(_)
        )
    }
}

impl Stream {
    pub(super) fn start_hit(&mut self, start: &Start, at: Option<f64>) -> Change<'_> {
        let [path, cache, ..] = start.fields.as_slice() else { return Change::Nothing };
        if !self.fits(&[path, cache]) {
            return Change::Nothing;
        }
        let index = self.hits.len();
        self.hits.push(Hit {
            substitution: Substitution {
                path: path.to_string(),
                cache: cache.to_string(),
                started_seconds: at,
                wall_seconds: None,
                // Where a parent is said, downloads will be too.
                downloaded_bytes: start.parent.map(|_| 0),
                nar_bytes: None,
            },
            ended: false,
            confirmed: false,
        });
        self.open.insert(start.id, Activity::Hit { index, at });
        let Substitution { path, cache, .. } = &self.hits[index].substitution;
        Change::Fetching { path, cache }
    }

    pub(super) fn start_copy(&mut self, start: &Start) {
        let [path, from, ..] = start.fields.as_slice() else { return };
        let hit = match start.parent {
            Some(parent) => match self.open.get(&parent) {
                Some(Activity::Hit { index, .. }) => Some(*index),
                _ => None,
            },
            None => self.open_hit(path, from),
        };
        let from = start.parent.is_none().then(|| from.to_string());
        if !self.fits(&[from.as_deref().unwrap_or_default()]) {
            return;
        }
        if from.is_some() {
            self.copies.push(start.id);
            let surplus = self.copies.len().saturating_sub(COPIES);
            self.copies.drain(..surplus);
        }
        self.open.insert(start.id, Activity::Copy { hit, from });
    }

    fn open_hit(&self, path: &str, cache: &str) -> Option<usize> {
        let recent = self.hits.iter().enumerate().rev().take(COPIES);
        let is = |hit: &Hit| {
            !hit.ended && hit.substitution.path == path && hit.substitution.cache == cache
        };
        recent.filter(|(_, hit)| is(hit)).map(|(index, _)| index).next()
    }

    pub(super) fn start_transfer(&mut self, start: &Start) {
        let hit = if let Some(parent) = start.parent {
            // What is asked of a cache, or fetched by a builder, is no path.
            let Some(Activity::Copy { hit, .. }) = self.open.get(&parent) else { return };
            *hit
        } else {
            let url = start.fields.first().map(AsRef::as_ref).unwrap_or_default();
            let Some(position) = self.copy_of(start.id, url) else { return };
            self.copies.remove(position);
            None
        };
        self.remember(start.id, Activity::Transfer(Transfer { hit, done: 0 }));
    }

    /// Which copy of Nix 2.8 a download is for: the one begun right before it, or
    /// else the first from that cache that has none, since threads may come between.
    fn copy_of(&self, id: u64, url: &str) -> Option<usize> {
        let next = |copy: &u64| copy.checked_add(1) == Some(id);
        let same_cache = |copy: &u64| match self.open.get(copy) {
            Some(Activity::Copy { from: Some(from), .. }) => {
                let rest = url.strip_prefix(from.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.starts_with('/') && !rest.ends_with(".narinfo"))
            }
            _ => false,
        };
        let position = |is: &dyn Fn(&u64) -> bool| self.copies.iter().position(is);
        position(&next).or_else(|| position(&same_cache))
    }

    /// So many paths have come: those that ended last, since what has failed ended
    /// without the count rising.
    pub(super) fn confirm(&mut self, come: u64) {
        for _ in 0..come {
            let Some(hit) = self.arrived.pop() else { break };
            if let Some(hit) = self.hits.get_mut(hit) {
                hit.confirmed = true;
            }
        }
    }
}

/// The paths that came: those after which the count rose, or, if nothing was counted,
/// those that were not fetched again, for which there would have been no reason.
pub(super) fn came(hits: Vec<Hit>) -> Vec<Substitution> {
    let counted = hits.iter().any(|hit| hit.confirmed);
    let mut later = BTreeSet::new();
    let mut came = Vec::new();
    for hit in hits.into_iter().rev() {
        let again = !later.insert(hit.substitution.path.clone());
        if hit.ended && (hit.confirmed || (!counted && !again)) {
            came.push(hit.substitution);
        }
    }
    came.reverse();
    came
}
