//! The Debian mirror that this machine already uses.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Debian is found from anywhere.
pub(super) const EVERYWHERE: &str = "http://deb.debian.org/debian";

/// The first Debian mirror among apt's sources.
pub(super) fn configured() -> Option<String> {
    source_files().iter().find_map(|path| {
        let text = fs::read_to_string(path).ok()?;
        if path.extension().is_some_and(|extension| extension == "sources") {
            from_stanzas(&text)
        } else {
            from_lines(&text)
        }
    })
}

/// Apt's source files, in the order it reads them.
fn source_files() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension().is_some_and(|extension| extension == "list" || extension == "sources")
        })
        .collect();
    found.sort_unstable();
    found.insert(0, Path::new("/etc/apt/sources.list").to_owned());
    found
}

/// Read the one-line format: `deb [options] uri suite component…`.
fn from_lines(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?.trim();
        let rest = line.strip_prefix("deb")?;
        // `deb-src` has sources only.
        let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']')?.1,
            None => rest,
        };
        rest.split_whitespace().next().and_then(debian)
    })
}

/// Read the deb822 format: stanzas of `Field: value`, where a line that starts
/// with a space goes on with the field before it.
fn from_stanzas(text: &str) -> Option<String> {
    // A comment may stand between a field's lines, and ends nothing.
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).find_map(|stanza| {
        let is_off = values(stanza, "Enabled").any(|value| ["no", "false"].contains(&value));
        if is_off || !values(stanza, "Types").any(|value| value == "deb") {
            return None;
        }
        values(stanza, "URIs").find_map(debian)
    })
}

/// The words of one field of a stanza.
fn values<'a>(stanza: &[&'a str], wanted: &'a str) -> impl Iterator<Item = &'a str> {
    let mut is_wanted = false;
    let mut words = Vec::new();
    for line in stanza {
        let value = if line.starts_with([' ', '\t']) {
            line
        } else {
            let (name, value) = line.split_once(':').unwrap_or_default();
            is_wanted = name.eq_ignore_ascii_case(wanted);
            value
        };
        if is_wanted {
            words.extend(value.split_whitespace());
        }
    }
    words.into_iter()
}

/// The URI, if it is a mirror of Debian itself: by convention its path ends in
/// `/debian`, which `/debian-security` and others' repositories do not.
fn debian(uri: &str) -> Option<String> {
    let uri = uri.trim_end_matches('/');
    let is_web = uri.starts_with("http://") || uri.starts_with("https://");
    (is_web && uri.ends_with("/debian")).then(|| uri.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{from_lines, from_stanzas};

    #[test]
    fn one_line_sources() {
        let text = "\
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb https://packages.example.com/apt cloud-sdk main
deb http://security.debian.org/debian-security bookworm-security main
deb [arch=amd64 signed-by=/usr/share/keyrings/d.gpg] http://ftp.de.debian.org/debian/ sid main # ours
deb http://second.example/debian sid main
";
        assert_eq!(from_lines(text).as_deref(), Some("http://ftp.de.debian.org/debian"));
        assert_eq!(
            from_lines("deb\thttp://tab.example/debian sid main").as_deref(),
            Some("http://tab.example/debian")
        );
        assert_eq!(from_lines("deb cdrom:[Debian 12]/debian bookworm main"), None);
        assert_eq!(from_lines("deb http://archive.ubuntu.com/ubuntu noble main"), None);
        assert_eq!(from_lines("deb"), None);
        assert_eq!(from_lines(""), None);
    }

    #[test]
    fn stanzas_of_the_official_image() {
        let text = "\
Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
";
        assert_eq!(from_stanzas(text).as_deref(), Some("http://deb.debian.org/debian"));
    }

    #[test]
    fn stanzas_with_keys_several_uris_and_others_before() {
        let text = "\
Types: deb
URIs: https://deb.nodesource.com/node_20.x
Suites: nodistro

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: sid

Types: deb-src
URIs: http://sources.example/debian
Suites: sid

Suites: trixie
types: deb-src deb
uris:
 https://deb.example.org/debian-security
# this one
 https://deb.example.org/debian/
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 URIs: http://key.example/debian
 -----END PGP PUBLIC KEY BLOCK-----
";
        assert_eq!(from_stanzas(text).as_deref(), Some("https://deb.example.org/debian"));
        assert_eq!(from_stanzas("Types: deb\nURIs: http://a.example/ubuntu\n"), None);
        assert_eq!(from_stanzas("URIs http://a.example/debian\nTypes: deb\n"), None);
        assert_eq!(from_stanzas(""), None);
    }
}
