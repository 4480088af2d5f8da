//! Every setting that some Nix knows: since when, what kind of value it takes,
//! and what it is when nobody sets it.
//!
//! A name that a Nix does not know draws a warning from it, and fails the build
//! of a `NixOS` system; so nothing is planned or written that is not known here
//! for the very release a plan is for.

mod table;

use std::fmt;

use detect::hardware::Implementation;
use detect::release::Release;

/// The key that every Nix trusts when nobody says otherwise.
pub const CACHE_KEY: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

/// Experimental features that the settings here need, and that plans may turn
/// on, with the minor version of Nix that brought them. An unknown one draws a
/// warning, like an unknown setting.
const FEATURES: [(&str, u16); 4] =
    [("auto-allocate-uids", 12), ("cgroups", 12), ("flakes", 4), ("nix-command", 4)];

type Version = (u16, u16, u16);

/// Defaults by version, each valid until the next.
type History = &'static [(Version, Preset)];

/// Minor version of what has not been removed.
const FOREVER: u16 = u16::MAX;

/// Minor versions from the first up to, but without, the second.
type Span = (u16, u16);

const NEVER: Span = (0, 0);

/// What Lix took over when it left Nix.
const LIX_FORK: u16 = 18;

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name in nix.conf.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Other names that Nix takes for it.
    pub aliases: &'static [&'static str],
    /// The experimental feature without which Nix ignores it with a warning, or
    /// (`use-cgroups`) fails to build.
    pub feature: Option<&'static str>,
    /// The only platform that has it, as `system` ends.
    pub platform: Option<&'static str>,
    nix: Span,
    lix: Span,
    determinate: Span,
    first: Preset,
    later: History,
    lix_later: History,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number of at most 32 bits.
    Number,
    /// A whole number of at most 63 bits, which is all that Nix of every
    /// version takes.
    Large,
    /// A whole number of at most 32 bits, or `auto`.
    Jobs,
    /// Any text on one line.
    Text,
    /// An absolute path; Nix 2.34 refuses any other.
    Path,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Any number of words; `extra-NAME` adds to them.
    Words,
}

/// What a setting is when nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// It depends on the machine, the platform or the vendor.
    Varies,
    /// Nothing.
    Unset,
    /// A bool.
    Bool(bool),
    /// A number.
    Number(u64),
    /// Text.
    Text(&'static str),
    /// Words.
    Words(&'static [&'static str]),
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Varies => formatter.write_str("varies"),
            Self::Unset | Self::Text("") | Self::Words([]) => formatter.write_str("unset"),
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Number(value) => write!(formatter, "{value}"),
            Self::Text(text) => formatter.write_str(text),
            Self::Words(words) => formatter.write_str(&words.join(" ")),
        }
    }
}

/// The setting of this name, in whichever Nix.
pub fn find(name: &str) -> Option<&'static Entry> {
    let index = table::TABLE.binary_search_by_key(&name, |entry| entry.name);
    index.ok().map(|index| &table::TABLE[index])
}

/// Every setting, by name.
pub fn all() -> &'static [Entry] {
    table::TABLE
}

/// The setting that releases which know it also take by this name.
pub fn find_alias(alias: &str) -> Option<&'static Entry> {
    let mut entries = table::TABLE.iter();
    entries.find(|entry| entry.aliases.contains(&alias))
}

/// Whether a release has an experimental feature, as far as plans may use it.
pub fn has_feature(release: Release, feature: &str) -> bool {
    FEATURES.iter().any(|&(name, since)| name == feature && release.has_nix(2, since))
}

impl Entry {
    /// Whether a release knows the setting by this name.
    pub fn known(&self, release: Release) -> bool {
        let (since, until) = match release.implementation {
            Implementation::Nix => self.nix,
            Implementation::Lix => self.lix,
            Implementation::Determinate => self.determinate,
        };
        release.version >= (2, since, 0) && (until == FOREVER || release.version < (2, until, 0))
    }

    /// What it is in a release when nobody sets it; `None` when the release
    /// does not know it.
    pub fn default(&self, release: Release) -> Option<Preset> {
        if !self.known(release) {
            return None;
        }
        let upto = |history: History, version: Version| {
            let before = history.iter().take_while(|(since, _)| *since <= version);
            before.last().map(|&(_, preset)| preset)
        };
        let later = match release.implementation {
            Implementation::Lix => upto(self.lix_later, release.version)
                .or_else(|| upto(self.later, (2, LIX_FORK, u16::MAX))),
            _ => upto(self.later, release.version),
        };
        Some(later.unwrap_or(self.first))
    }

    /// Whether `extra-NAME` adds to it.
    pub fn takes_extra(&self) -> bool {
        self.kind == Kind::Words
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn feature(self, feature: &'static str) -> Self {
        Self { feature: Some(feature), ..self }
    }

    const fn only(self, platform: &'static str) -> Self {
        Self { platform: Some(platform), ..self }
    }

    /// Removed from Nix, and from Lix when that was before the fork.
    const fn until(self, minor: u16) -> Self {
        let span = (self.nix.0, minor);
        Self {
            nix: span,
            determinate: span,
            lix: if minor <= LIX_FORK { NEVER } else { self.lix },
            ..self
        }
    }

    /// In Lix over other versions than the fork explains.
    const fn lix(self, since: u16, until: u16) -> Self {
        Self { lix: (since, until), ..self }
    }

    const fn no_lix(self) -> Self {
        Self { lix: NEVER, ..self }
    }

    const fn later(self, later: History) -> Self {
        Self { later, ..self }
    }

    const fn lix_later(self, lix_later: History) -> Self {
        Self { lix_later, ..self }
    }
}

/// A setting of Nix, and so of Determinate Nix; Lix has it from its first
/// release when it came before the fork.
const fn row(name: &'static str, kind: Kind, since: u16, first: Preset) -> Entry {
    Entry {
        name,
        kind,
        aliases: &[],
        feature: None,
        platform: None,
        nix: (since, FOREVER),
        lix: if since <= LIX_FORK { (90, FOREVER) } else { NEVER },
        determinate: (since, FOREVER),
        first,
        later: &[],
        lix_later: &[],
    }
}

/// A setting of Lix alone.
const fn lix(name: &'static str, kind: Kind, since: u16, first: Preset) -> Entry {
    Entry { nix: NEVER, determinate: NEVER, lix: (since, FOREVER), ..row(name, kind, since, first) }
}

/// A setting of Determinate Nix alone, since a Nix version it is built from.
const fn determinate(name: &'static str, kind: Kind, since: u16, first: Preset) -> Entry {
    Entry { nix: NEVER, lix: NEVER, ..row(name, kind, since, first) }
}

#[cfg(test)]
mod tests;
