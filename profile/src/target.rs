//! The Nix a plan is for, and whether it is known to be unsafe.

use detect::hardware::{Hardware, Implementation, Note};
use detect::release::Release;

use crate::plan::{Source, Target};

/// The newest Nix that plans are tested with.
const NEWEST: Release = Release::nix(2, 34, 0);

/// What was fixed in the releases below.
const HOLES: &str = "CVE-2026-110450, CVE-2026-110451 and CVE-2026-110453";

/// The first release of each series that has the fixes, newest first.
const FIXED: [(u16, u16, u16); 5] = [(2, 35, 3), (2, 34, 9), (2, 31, 6), (2, 30, 6), (2, 28, 8)];

/// The release to plan for: the one asked for, the one installed, or the newest.
pub fn target(
    hardware: &Hardware,
    requested: Option<Release>,
    notes: &mut Vec<Note>,
) -> (Target, Release) {
    let (release, source) = match (requested, detected(hardware)) {
        (Some(release), _) => (release, Source::Requested),
        (None, Some(release)) => (release, Source::Detected),
        (None, None) => {
            notes.push(Note::info(
                "nix-assumed",
                format!("no Nix was found: this plan is for {NEWEST}"),
            ));
            (NEWEST, Source::Assumed)
        }
    };
    if source != Source::Assumed {
        notes.extend(unsafe_release(release));
    }
    let (major, minor, patch) = release.version;
    let target = Target {
        implementation: release.implementation,
        version: format!("{major}.{minor}.{patch}"),
        source,
    };
    (target, release)
}

/// The release that is installed.
pub(crate) fn detected(hardware: &Hardware) -> Option<Release> {
    let nix = hardware.nix.as_ref()?;
    let release = Release::parse(nix.version.as_deref()?)?;
    Some(Release {
        implementation: nix.implementation.unwrap_or(release.implementation),
        ..release
    })
}

/// A warning when a release has holes that a later one has not. Lix and
/// Determinate Nix fix theirs in versions of their own, which say nothing here.
fn unsafe_release(release: Release) -> Option<Note> {
    if release.implementation != Implementation::Nix {
        return None;
    }
    let (major, minor, _) = release.version;
    let series = FIXED.iter().find(|fixed| (fixed.0, fixed.1) == (major, minor));
    // A series without a fix of its own: the next one up that has it.
    let newer = || FIXED.iter().rev().find(|fixed| **fixed > release.version);
    let fixed = series.or_else(newer)?;
    (release.version < *fixed).then(|| {
        let (major, minor, patch) = fixed;
        Note::warning(
            "nix-unsafe",
            format!(
                "{release} is older than {major}.{minor}.{patch}, which fixes {HOLES}; Debian \
                 and others may have brought the fixes to it: see the package's changelog"
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use detect::hardware::{Hardware, Implementation, Nix};
    use detect::release::Release;

    use super::{target, unsafe_release};
    use crate::plan::Source;

    fn fixed_in(version: &str) -> Option<String> {
        let note = unsafe_release(Release::parse(version).expect(version))?;
        let (_, rest) = note.text.split_once("older than ").expect("a release");
        rest.split(',').next().map(str::to_owned)
    }

    #[test]
    fn releases_below_the_fixes_are_named() {
        for (version, fix) in [
            ("2.8.0", Some("2.28.8")),
            ("2.28.7", Some("2.28.8")),
            ("2.28.8", None),
            ("2.29.4", Some("2.30.6")),
            ("2.31.6", None),
            ("2.33.6", Some("2.34.9")),
            ("2.34.8", Some("2.34.9")),
            ("2.35.2", Some("2.35.3")),
            ("2.35.3", None),
            ("2.36.0", None),
            ("lix-2.93.0", None),
        ] {
            assert_eq!(fixed_in(version).as_deref(), fix, "{version}");
        }
    }

    #[test]
    fn the_request_wins_over_the_machine() {
        let mut hardware = Hardware {
            nix: Some(Nix {
                version: Some("2.30.6".to_owned()),
                implementation: Some(Implementation::Determinate),
                ..Nix::default()
            }),
            ..Hardware::default()
        };
        let mut notes = Vec::new();
        let (found, release) = target(&hardware, None, &mut notes);
        assert_eq!(found.source, Source::Detected);
        assert_eq!(found.version, "2.30.6");
        assert_eq!(found.release(), Some(release));
        assert_eq!(release.implementation, Implementation::Determinate);

        let (asked, _) = target(&hardware, Release::parse("2.8"), &mut notes);
        assert_eq!(asked.source, Source::Requested);
        assert_eq!(asked.version, "2.8.0");
        assert_eq!(notes.len(), 1, "2.8 is unsafe");

        hardware.nix = None;
        let (assumed, _) = target(&hardware, None, &mut notes);
        assert_eq!(assumed.source, Source::Assumed);
        assert_eq!(notes[1].id, "nix-assumed");
        assert_eq!(notes.len(), 2, "what was only assumed is not judged");
    }
}
