//! What to expect of builds, and where the figures are from.

use anyhow::{Result, bail};
use detect::human::count;
use profile::costs::Costs;
use schemars::JsonSchema;
use serde::Serialize;

use crate::home::{BUILD_BYTES, SMALL_BUILD_BYTES};

/// Files that go with [`BUILD_BYTES`]: the sources and objects of GCC are some
/// 130,000 files in 11 GiB.
const BUILD_FILES: u64 = 100_000;

/// Files that go with [`SMALL_BUILD_BYTES`].
const SMALL_BUILD_FILES: u64 = 20_000;

/// What each build is expected to need where it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Expected {
    /// Bytes that each build writes.
    pub bytes: u64,
    /// Files that each build makes.
    pub files: u64,
    /// With less than this free, the next build fails; the same as `bytes`, unless
    /// that is assumed.
    pub least_bytes: u64,
    /// With fewer inodes than this free, the next build fails; likewise.
    pub least_files: u64,
    /// Where these figures are from.
    pub source: String,
}

impl Default for Expected {
    /// What the plan assumes: a large build, such as GCC. What is assumed is no
    /// error until most builds would fail.
    fn default() -> Self {
        Self {
            bytes: BUILD_BYTES,
            files: BUILD_FILES,
            least_bytes: SMALL_BUILD_BYTES,
            least_files: SMALL_BUILD_FILES,
            source: "assumed: a large build, such as GCC; most take far less".to_owned(),
        }
    }
}

impl Expected {
    /// The most that any recorded package has needed, in place of what is assumed.
    pub fn recorded(costs: &Costs) -> Result<Self> {
        let packages = || costs.packages.iter();
        let largest = packages().filter_map(|(name, cost)| Some((cost.build_bytes?, name))).max();
        let Some((bytes, name)) = largest else {
            bail!("of no package is recorded how much space its build took");
        };
        let known = packages().filter(|(_, cost)| cost.build_bytes.is_some()).count();
        let known = count(u32::try_from(known).unwrap_or(u32::MAX), "package");
        let files = packages().filter_map(|(_, cost)| cost.build_files).max();
        let assumed = if files.is_some() { "" } else { "; files are assumed" };
        let source = format!("recorded: the largest of {known}, {name}{assumed}");
        Ok(Self { source, ..Self::default().given(Some(bytes), files) })
    }

    /// The same, but for what somebody knows better.
    #[must_use]
    pub fn given(self, bytes: Option<u64>, files: Option<u64>) -> Self {
        let source = match (bytes, files) {
            (None, None) => self.source,
            (Some(_), Some(_)) => "as given".to_owned(),
            (Some(_), None) => format!("size as given; files {}", self.source),
            (None, Some(_)) => format!("files as given; size {}", self.source),
        };
        Self {
            bytes: bytes.unwrap_or(self.bytes),
            files: files.unwrap_or(self.files),
            least_bytes: bytes.unwrap_or(self.least_bytes),
            least_files: files.unwrap_or(self.least_files),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BUILD_FILES, Expected};

    fn recorded(bytes: serde_json::Value) -> anyhow::Result<Expected> {
        let cost = |bytes| json!({"builds": 1, "wall_seconds": 1.0, "build_bytes": bytes});
        let packages = json!({"gcc": cost(bytes), "hello": cost(json!(5)), "x": cost(json!(null))});
        let costs = json!({"version": 1, "packages": packages});
        Expected::recorded(&serde_json::from_value(costs).expect("costs"))
    }

    #[test]
    fn the_largest_recorded_build_counts() {
        let found = recorded(json!(7)).expect("figures");
        assert_eq!((found.bytes, found.files), (7, BUILD_FILES));
        assert_eq!(found.source, "recorded: the largest of 2 packages, gcc; files are assumed");
    }

    #[test]
    fn a_figure_says_where_it_is_from() {
        let assumed = Expected::default();
        assert_eq!(assumed.clone().given(None, None), assumed);
        assert_eq!(assumed.clone().given(Some(1), Some(2)).source, "as given");
        let half = assumed.given(None, Some(2));
        assert_eq!((half.files, half.least_files), (2, 2));
        assert!(half.least_bytes < half.bytes, "assumed");
        assert!(half.source.starts_with("files as given; size assumed"), "{}", half.source);
    }
}
