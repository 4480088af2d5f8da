//! Where a path is from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a path is from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Built here.
    Built,
    /// Fetched here by a derivation that says what must come of it.
    Fetched,
    /// From a cache that signed it.
    Substituted,
    /// Built elsewhere, and copied here unsigned: by a remote builder, or by hand.
    Copied,
    /// Added by somebody: sources, and what evaluation fetched.
    Source,
    /// A derivation.
    Drv,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Built, Self::Fetched, Self::Substituted, Self::Copied, Self::Source, Self::Drv];

    /// Its name, as documents have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Fetched => "fetched",
            Self::Substituted => "substituted",
            Self::Copied => "copied",
            Self::Source => "source",
            Self::Drv => "drv",
        }
    }
}

/// What a row of `ValidPaths` says.
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) is_drv: bool,
    pub(super) is_ultimate: bool,
    pub(super) is_signed: bool,
    pub(super) is_fixed: bool,
    pub(super) has_deriver: bool,
}

impl Facts {
    /// Where such a path is from. That it was built here comes first: it may be
    /// signed here too.
    ///
    /// Source: every way by which a path comes into a store, tried with Nix 2.8,
    /// 2.26 and 2.34.
    pub(super) fn origin(self) -> Origin {
        match self {
            Self { is_drv: true, .. } => Origin::Drv,
            Self { is_ultimate: true, is_fixed: true, .. } => Origin::Fetched,
            Self { is_ultimate: true, .. } => Origin::Built,
            Self { is_signed: true, .. } => Origin::Substituted,
            Self { has_deriver: true, .. } => Origin::Copied,
            _ => Origin::Source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Origin};

    #[test]
    fn how_paths_come() {
        let none = Facts::default();
        let built = Facts { is_ultimate: true, has_deriver: true, ..none };
        let cases = [
            (Facts { is_drv: true, ..none }, Origin::Drv),
            (built, Origin::Built),
            (Facts { is_signed: true, ..built }, Origin::Built),
            (Facts { is_fixed: true, ..built }, Origin::Fetched),
            (Facts { is_signed: true, has_deriver: true, ..none }, Origin::Substituted),
            (Facts { is_signed: true, is_fixed: true, ..none }, Origin::Substituted),
            (Facts { is_fixed: true, ..none }, Origin::Source),
            (Facts { has_deriver: true, ..none }, Origin::Copied),
        ];
        for (facts, expected) in cases {
            assert_eq!(facts.origin(), expected, "{facts:?}");
        }
    }

    #[test]
    fn names_are_those_of_documents() {
        for origin in Origin::ALL {
            let json = serde_json::to_value(origin).expect("JSON");
            assert_eq!(json, origin.name());
        }
    }
}
