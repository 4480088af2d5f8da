//! What differs between two texts, for people: their lines, and their settings.

use std::collections::BTreeSet;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use similar::TextDiff;

use crate::catalogue;
use crate::refuse;

/// Settings that every client sends with each build, from the file as it is
/// then (`src/libstore/remote-store.cc`, `setOptions`). A daemon reads the others
/// when it starts.
const SENT: [&str; 7] =
    ["cores", "fallback", "keep-failed", "keep-going", "max-jobs", "max-silent-time", "substitute"];

/// A setting as a text has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Assignment {
    name: String,
    value: Vec<String>,
}

impl Assignment {
    /// Whether it undoes what another of this name said before it: it sets the
    /// same, by its own name or an old one, or adds to it. What `extra-NAME` has
    /// added is lost where NAME is set anew, but not where more is added.
    pub(super) fn overrides(&self, name: &str) -> bool {
        let is = |said: &str, name: &str| {
            said == name || catalogue::find_alias(said).is_some_and(|entry| entry.name == name)
        };
        match refuse::base(name) {
            Some(own) => is(&self.name, own),
            None => is(refuse::base(&self.name).unwrap_or(&self.name), name),
        }
    }
}

/// The settings of a text, each with its line, counted from 1.
pub(super) fn settings(text: &[u8]) -> impl Iterator<Item = (usize, Assignment)> {
    text.split(|&byte| byte == b'\n').zip(1..).filter_map(|(line, number)| {
        let line = line.split(|&byte| byte == b'#').next()?;
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        let name = words.next()?;
        (words.next()? == "=").then(|| (number, Assignment { name, value: words.collect() }))
    })
}

/// What lets a running daemon know of what has changed, if that is needed.
pub(super) fn restart(old: &[u8], new: &[u8]) -> Option<String> {
    let set = |text| settings(text).map(|(_, setting)| setting).collect::<BTreeSet<_>>();
    let (old, new) = (set(old), set(new));
    let changed: BTreeSet<&str> = old
        .symmetric_difference(&new)
        .map(|setting| setting.name.as_str())
        .filter(|name| !SENT.contains(name))
        .collect();
    let command = if cfg!(target_os = "macos") {
        "launchctl kickstart -k system/org.nixos.nix-daemon"
    } else {
        "systemctl restart nix-daemon"
    };
    let names = changed.into_iter().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("a running daemon reads {names} after: {command}"))
}

/// The lines that differ, as `diff -u` prints them, coloured; nothing when none
/// do.
pub(super) fn diff(path: &Path, old: Option<&[u8]>, new: Option<&[u8]>) -> String {
    let name = |text: Option<&[u8]>| match text {
        Some(_) => path.display().to_string(),
        None => "/dev/null".to_owned(),
    };
    let text = |text: Option<&[u8]>| String::from_utf8_lossy(text.unwrap_or_default()).into_owned();
    let (old_text, new_text) = (text(old), text(new));
    let diff = TextDiff::from_lines(&old_text, &new_text);
    let diff = diff.unified_diff().header(&name(old), &name(new)).to_string();
    diff.split_inclusive('\n').map(colored).collect()
}

fn colored(line: &str) -> String {
    let style = match line.as_bytes() {
        [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => Style::new().bold(),
        [b'+', ..] => AnsiColor::Green.on_default(),
        [b'-', ..] => AnsiColor::Red.on_default(),
        [b'@', ..] => AnsiColor::Cyan.on_default(),
        _ => return line.to_owned(),
    };
    let (text, end) = match line.strip_suffix('\n') {
        Some(text) => (text, "\n"),
        None => (line, ""),
    };
    format!("{style}{text}{style:#}{end}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{diff, restart, settings};

    #[test]
    fn only_what_a_daemon_keeps_needs_a_restart() {
        let old = b"cores = 2\nmin-free = 1 # one\n";
        assert_eq!(restart(old, b"min-free =  1\r\ncores = 3\nmax-jobs = 9\n"), None);
        let told = restart(old, b"cores = 2\nconnect-timeout = 5\nmin-free = 2\n");
        let told = told.expect("a restart");
        assert!(told.contains("connect-timeout, min-free after: "), "{told}");
        assert!(restart(old, b"").is_some_and(|told| told.contains("min-free")));
    }

    #[test]
    fn what_is_set_anew_loses_what_was_added() {
        let overrides = |text: &str, name: &str| {
            let (_, found) = settings(text.as_bytes()).next().expect("a setting");
            found.overrides(name)
        };
        assert!(overrides("substituters = https://a", "extra-substituters"));
        assert!(overrides("binary-caches = https://a", "extra-substituters"));
        assert!(!overrides("extra-substituters = https://a", "extra-substituters"));
        assert!(overrides("extra-substituters = https://a", "substituters"));
        assert!(overrides("extra-platforms = i686-linux", "extra-platforms"));
        assert!(overrides("build-cores = 2", "cores") && !overrides("cores = 2", "max-jobs"));
    }

    #[test]
    fn lines_are_shown_as_diff_does() {
        let plain = |old, new| {
            let text = diff(Path::new("/etc/nix/nix.conf"), old, new);
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(
            plain(Some(b"a = 1\nb = 2"), Some(b"a = 1\nb = 2\nc = 3\n")),
            "--- /etc/nix/nix.conf\n+++ /etc/nix/nix.conf\n@@ -1,2 +1,3 @@\n a = 1\n-b = 2\n\
             \\ No newline at end of file\n+b = 2\n+c = 3\n"
        );
        assert!(plain(None, Some(b"a\n")).starts_with("--- /dev/null\n+++ /etc/nix/nix.conf\n"));
        assert_eq!(plain(Some(b"a\n"), Some(b"a\n")), "");
    }
}
