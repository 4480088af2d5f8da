//! Remarks on how Nix is configured.

use std::collections::BTreeSet;

use crate::hardware::Note;

/// More names than anyone reads in one line.
const MOST_NAMES: usize = 5;

/// A remark on names in nix.conf that Nix warns that it does not know: they do
/// nothing, whatever was meant by them.
pub(super) fn unknown(errors: &str) -> Option<Note> {
    let name = |line: &str| {
        let name = line.strip_prefix("warning: unknown setting '")?.strip_suffix('\'')?;
        Some(name.to_owned())
    };
    let names = listed(errors.lines().filter_map(name))?;
    let text = format!("Nix is configured with what it does not know, to no effect: {names}");
    Some(Note::warning("nix-unknown-setting", text))
}

/// A remark on additions that Nix forgets, since it reads from top to bottom.
pub(super) fn forgotten(names: &[String]) -> Option<Note> {
    let additions = listed(names.iter().map(|name| format!("extra-{name}")))?;
    let text = format!(
        "nix.conf sets these after it adds to them, and Nix forgets the addition \
         (NixOS/nix 9487): {additions}"
    );
    Some(Note::warning("nix-extra-forgotten", text))
}

/// A few names, each once. None can be longer than a setting's, or print
/// anything but itself.
fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain = |name: String| {
        let name: String = name.chars().take(64).collect();
        name.replace(|c| !is_plain(c), "?")
    };
    let names: BTreeSet<String> = names.map(plain).collect();
    let more = names.len().saturating_sub(MOST_NAMES);
    let shown: Vec<String> = names.into_iter().take(MOST_NAMES).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!shown.is_empty()).then(|| shown.join(", ") + &more)
}

#[cfg(test)]
mod tests {
    use super::{forgotten, unknown};

    #[test]
    fn names_that_do_nothing_are_said() {
        let errors = "warning: 'show-config' is a deprecated alias for 'config show'\n\
            warning: unknown setting 'parallel-builds'\nwarning: unknown setting 'a b\u{1b}'\n\
            warning: unknown setting 'parallel-builds'\n";
        let note = unknown(errors).expect("a note");
        assert_eq!(note.id, "nix-unknown-setting");
        assert!(note.text.ends_with(": a?b?, parallel-builds"), "{}", note.text);
        assert_eq!(unknown("warning: 'show-config' is a deprecated alias\n"), None);

        let many: Vec<String> =
            (0..1000).map(|n| format!("warning: unknown setting 'x{n}'\n")).collect();
        let many = many.concat();
        let note = unknown(&(many + "warning: unknown setting '" + &"y".repeat(1 << 20) + "'"));
        let text = note.expect("a note").text;
        assert!(text.ends_with(" and 996 more") && text.len() < 200, "{text}");
    }

    #[test]
    fn additions_that_are_forgotten_are_said() {
        let note = forgotten(&["substituters".to_owned()]).expect("a note");
        assert!(note.text.ends_with(": extra-substituters"), "{}", note.text);
        assert_eq!(forgotten(&[]), None);
    }
}
