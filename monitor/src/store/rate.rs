//! How much of what was needed came from caches.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, DAY, Origin, Registered};

/// A span of time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// The last 24 hours.
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
    /// Since the store is there.
    All,
}

impl Window {
    /// The shortest first.
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::All];

    fn holds(self, time: i64, now: i64) -> bool {
        let days = match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 30,
            Self::All => return true,
        };
        time >= now - days * DAY
    }
}

/// How much of what was needed in a span of time came from caches. What was
/// fetched by derivations that say what must come of it is in neither: no cache
/// need have it, and nothing was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// When it came.
    pub window: Window,
    /// What came from caches.
    pub substituted: Amount,
    /// What was built.
    pub built: Amount,
    /// The share of paths that came from caches; `null` when there are none.
    pub hit_rate: Option<f64>,
    /// The same by their size.
    pub hit_rate_by_bytes: Option<f64>,
}

impl Rate {
    pub(super) fn new(window: Window) -> Self {
        let none = Amount::default();
        Self { window, substituted: none, built: none, hit_rate: None, hit_rate_by_bytes: None }
    }

    pub(super) fn count(&mut self, path: &Registered<'_>, now: i64) {
        let amount = match path.origin {
            Origin::Substituted => &mut self.substituted,
            Origin::Built => &mut self.built,
            _ => return,
        };
        if self.window.holds(path.time, now) {
            amount.add(path.nar_bytes);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.substituted.merge(other.substituted);
        self.built.merge(other.built);
    }

    /// Say what share it is of all that was counted.
    pub(super) fn divide(&mut self) {
        self.hit_rate = share(self.substituted.paths, self.built.paths);
        self.hit_rate_by_bytes = share(self.substituted.nar_bytes, self.built.nar_bytes);
    }
}

/// One part of two; `None` of nothing.
pub(crate) fn share(part: u64, other: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a share is shown to a few digits")]
    let (part, all) = (part as f64, part as f64 + other as f64);
    (all > 0.0).then(|| part / all)
}
