//! A release of Nix: which implementation, which version.

use std::fmt;

use crate::hardware::Implementation;

/// A release, ordered by version within one implementation.
///
/// `version` is the one that decides which settings exist. For Determinate Nix
/// that is the Nix version it is built from, which it prints beside its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Which Nix.
    pub implementation: Implementation,
    /// Major, minor and patch.
    pub version: (u16, u16, u16),
}

impl Release {
    /// A release of the `NixOS` Foundation's Nix.
    pub const fn nix(major: u16, minor: u16, patch: u16) -> Self {
        Self { implementation: Implementation::Nix, version: (major, minor, patch) }
    }

    /// Read a version as people write it: `2.34`, `2.34.8`, `2.36.0pre20260822`,
    /// `lix-2.93.0`, `determinate-2.30.2`. Lix numbers its releases from 2.90
    /// up, where Nix has none, so a bare `2.93` is Lix.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(version) = text.strip_prefix("lix-") {
            return Some(Self { implementation: Implementation::Lix, version: numbers(version)? });
        }
        if let Some(version) = text.strip_prefix("determinate-") {
            let implementation = Implementation::Determinate;
            return Some(Self { implementation, version: numbers(version)? });
        }
        let version = numbers(text)?;
        let implementation =
            if version >= (2, 90, 0) { Implementation::Lix } else { Implementation::Nix };
        Some(Self { implementation, version })
    }

    /// Read what `nix --version` prints, e.g. `nix (Lix, like Nix) 2.93.3`.
    pub fn from_banner(banner: &str) -> Option<Self> {
        let line = banner.lines().next()?.trim();
        let version = numbers(line.rsplit_once(' ')?.1)?;
        let implementation = if line.contains("Lix") {
            Implementation::Lix
        } else if line.contains("Determinate") {
            Implementation::Determinate
        } else if line.starts_with("nix (Nix) ") {
            Implementation::Nix
        } else {
            return None;
        };
        Some(Self { implementation, version })
    }

    /// Whether this is Nix of at least this version, or a fork that has what
    /// came with it. Lix left Nix at 2.18 and followed none of its later changes.
    pub fn has_nix(self, major: u16, minor: u16) -> bool {
        let version = match self.implementation {
            Implementation::Lix => (2, 18, 0),
            _ => self.version,
        };
        version >= (major, minor, 0)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.implementation {
            Implementation::Nix => "Nix",
            Implementation::Lix => "Lix",
            Implementation::Determinate => "Determinate Nix, as Nix",
        };
        let (major, minor, patch) = self.version;
        write!(formatter, "{name} {major}.{minor}.{patch}")
    }
}

/// `2.34.8`, `2.34`, `2.36.0pre2026`, `2.93.0-dev`: the numbers at the front.
fn numbers(text: &str) -> Option<(u16, u16, u16)> {
    let mut parts = text.splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = leading_number(parts.next()?)?;
    let patch = match parts.next() {
        Some(patch) => leading_number(patch)?,
        None => 0,
    };
    Some((major, minor, patch))
}

fn leading_number(text: &str) -> Option<u16> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Release;
    use crate::hardware::Implementation::{self, Determinate, Lix, Nix};

    #[expect(clippy::unnecessary_wraps, reason = "what the parsers return")]
    fn release(implementation: Implementation, version: (u16, u16, u16)) -> Option<Release> {
        Some(Release { implementation, version })
    }

    #[test]
    fn reads_versions_as_people_write_them() {
        assert_eq!(Release::parse("2.8"), release(Nix, (2, 8, 0)));
        assert_eq!(Release::parse(" 2.34.8\n"), release(Nix, (2, 34, 8)));
        assert_eq!(Release::parse("2.36.0pre20260822_88b09c6"), release(Nix, (2, 36, 0)));
        assert_eq!(Release::parse("2.36pre1"), release(Nix, (2, 36, 0)));
        assert_eq!(Release::parse("2.93.0"), release(Lix, (2, 93, 0)));
        assert_eq!(Release::parse("lix-2.91"), release(Lix, (2, 91, 0)));
        assert_eq!(Release::parse("determinate-2.30.2"), release(Determinate, (2, 30, 2)));
        for bad in ["", "2", "two.eight", "2.", "2.x", "2.8.x", "99999.1", "-2.8"] {
            assert_eq!(Release::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_what_nix_prints() {
        assert_eq!(Release::from_banner("nix (Nix) 2.8.0\n"), release(Nix, (2, 8, 0)));
        assert_eq!(Release::from_banner("nix (Lix, like Nix) 2.93.3"), release(Lix, (2, 93, 3)));
        let determinate = "nix (Determinate Nix 3.8.5) 2.30.2";
        assert_eq!(Release::from_banner(determinate), release(Determinate, (2, 30, 2)));
        assert_eq!(Release::from_banner("bash: nix: command not found"), None);
    }

    #[test]
    fn lix_has_what_nix_had_when_it_left() {
        let lix = Release::parse("lix-2.94").expect("a release");
        assert!(lix.has_nix(2, 16) && !lix.has_nix(2, 19));
    }
}
