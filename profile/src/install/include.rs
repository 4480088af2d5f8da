//! The line of a nix.conf that includes our file: found, added, taken out.
//!
//! Everything else in the text stays as it is, byte for byte. The grammar is
//! that of Nix's `parseConfigFiles` (`src/libutil/configuration.cc`): a comment
//! starts at the first `#`, words are split at white space, and a path is
//! relative to the folder of the file that includes it.

use std::path::{Component, Path, PathBuf};

/// The name of our file, beside nix.conf.
pub(super) const OURS: &str = "nixpace.conf";

/// The line. `!include` lets Nix start without the file; the comment tells our
/// line from one that the user wrote.
const LINE: &str = "!include nixpace.conf # added by nix-conf-write";

/// The line's end where the text before it had no line break at its own.
const WITH_BREAK: &str = ", with the line break before it";

/// The first line of a file that was made for our line alone.
const MADE: &str = "# Made by nix-conf-write, which removes it with --rollback.\n";

/// An include.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Include<'a> {
    /// Counted from 1.
    pub(super) line: usize,
    /// Whether Nix fails without the file, as with `include` but not `!include`.
    pub(super) required: bool,
    /// As it is written.
    pub(super) path: &'a str,
}

/// All includes of a text, in order.
pub(super) fn includes(text: &[u8]) -> impl Iterator<Item = Include<'_>> {
    text.split(|&byte| byte == b'\n').zip(1..).filter_map(|(bytes, line)| {
        let (required, path) = include(bytes)?;
        Some(Include { line, required, path })
    })
}

fn include(line: &[u8]) -> Option<(bool, &str)> {
    let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    let mut words = str::from_utf8(line).ok()?.split_ascii_whitespace();
    let required = match words.next()? {
        "include" => true,
        "!include" => false,
        _ => return None,
    };
    let path = words.next()?;
    words.next().is_none().then_some((required, path))
}

/// The includes that lead to `name` beside the text's own file in `folder`.
pub(super) fn of<'a>(
    text: &'a [u8],
    folder: &Path,
    name: &str,
) -> impl Iterator<Item = Include<'a>> {
    let target = lead(folder, name);
    includes(text).filter(move |include| lead(folder, include.path) == target)
}

/// Where a path leads from a folder, without looking at any file, as Nix has it.
pub(super) fn lead(folder: &Path, path: &str) -> PathBuf {
    let mut found = PathBuf::new();
    for part in folder.join(path).components() {
        match part {
            Component::ParentDir => drop(found.pop()),
            Component::CurDir => {}
            part => found.push(part),
        }
    }
    found
}

/// Put our line at the end, where it is stronger than all that comes before it.
/// Without a text there is a new one.
pub(super) fn add(text: Option<&[u8]>) -> Vec<u8> {
    let Some(text) = text else { return format!("{MADE}{LINE}\n").into_bytes() };
    let mut text = text.to_owned();
    let end = line_end(&text);
    let broken = text.is_empty() || text.ends_with(b"\n");
    if !broken {
        text.extend_from_slice(end);
    }
    text.extend_from_slice(LINE.as_bytes());
    if !broken {
        text.extend_from_slice(WITH_BREAK.as_bytes());
    }
    text.extend_from_slice(end);
    text
}

/// Take our line out again; nothing is left of a text that was made for it.
/// What else the user has changed since stays.
pub(super) fn remove(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Vec::with_capacity(text.len());
    let mut lines = text.split_inclusive(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let words = str::from_utf8(line).unwrap_or_default().trim_end();
        let Some(end) = words.strip_prefix(LINE) else {
            rest.extend_from_slice(line);
            continue;
        };
        // A line that has come after ours since needs the break.
        if end == WITH_BREAK && lines.peek().is_none() {
            let end = line_end(line);
            rest.truncate(rest.strip_suffix(end).unwrap_or(&rest).len());
        }
    }
    (rest != MADE.as_bytes()).then_some(rest)
}

/// How the last line that ends does so.
fn line_end(text: &[u8]) -> &'static [u8] {
    match text.iter().rposition(|&byte| byte == b'\n') {
        Some(at) if text[..at].ends_with(b"\r") => b"\r\n",
        _ => b"\n",
    }
}

/// The same text for a copy in another folder: each include leads where
/// `redirect` says, from where it led.
pub(super) fn redirected(
    text: &[u8],
    folder: &Path,
    redirect: impl Fn(PathBuf) -> PathBuf,
) -> Vec<u8> {
    let redirected = |bytes: &[u8]| match include(bytes) {
        Some((required, path)) => {
            let word = if required { "include" } else { "!include" };
            format!("{word} {}", redirect(lead(folder, path)).display()).into_bytes()
        }
        None => bytes.to_owned(),
    };
    let lines: Vec<Vec<u8>> = text.split(|&byte| byte == b'\n').map(redirected).collect();
    lines.join(&b'\n')
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{Include, LINE, OURS, WITH_BREAK, add, includes, lead, of, redirected, remove};

    const FOLDER: &str = "/etc/nix";

    #[test]
    fn our_line_comes_last_in_the_style_of_the_others() {
        let added = |text: &str| String::from_utf8(add(Some(text.as_bytes()))).expect("text");
        assert_eq!(added(""), format!("{LINE}\n"));
        assert_eq!(added("cores = 2\n"), format!("cores = 2\n{LINE}\n"));
        assert_eq!(added("cores = 2"), format!("cores = 2\n{LINE}{WITH_BREAK}\n"));
        assert_eq!(added("a = 1\r\n"), format!("a = 1\r\n{LINE}\r\n"));
        assert_eq!(added("a = 1\r\nb"), format!("a = 1\r\nb\r\n{LINE}{WITH_BREAK}\r\n"));
    }

    #[test]
    fn a_text_made_for_our_line_goes_with_it() {
        let made = add(None);
        assert_eq!(of(&made, Path::new(FOLDER), OURS).count(), 1);
        assert_eq!(remove(&made), None);
        let edited = [&made, b"cores = 2\n".as_slice()].concat();
        assert!(remove(&edited).expect("the user's").ends_with(b"\ncores = 2\n"));
        assert_eq!(remove(b""), Some(Vec::new()), "an empty file is the user's");
    }

    #[test]
    fn what_the_user_added_since_stays() {
        let text = |text: &str| String::from_utf8(remove(text.as_bytes()).expect("text"));
        assert_eq!(text(&format!("a\n{LINE}\nb\n")).as_deref(), Ok("a\nb\n"));
        assert_eq!(text(&format!("a\n{LINE}{WITH_BREAK}\nb")).as_deref(), Ok("a\nb"));
        assert_eq!(text(&format!("a\n{LINE}{WITH_BREAK}")).as_deref(), Ok("a"));
        let own = "!include nixpace.conf\n# !include nixpace.conf # added by nix-conf-write\n";
        assert_eq!(text(own).as_deref(), Ok(own), "the user's own lines");
    }

    #[test]
    fn includes_are_found_in_every_spelling() {
        let found = |line: &str| of(line.as_bytes(), Path::new(FOLDER), OURS).count();
        for line in [
            "!include nixpace.conf",
            "include\tnixpace.conf # why",
            "  !include ./nixpace.conf\r",
            "a = b\n!include /etc/nix/nixpace.conf",
            "include ../nix/nixpace.conf",
        ] {
            assert_eq!(found(line), 1, "{line}");
        }
        for line in [
            "# include nixpace.conf",
            "include",
            "include more/nixpace.conf",
            "include nixpace.conf too",
            "include = nixpace.conf",
        ] {
            assert_eq!(found(line), 0, "{line}");
        }
        let text = b"a = 1\n!include x\n\xff\ninclude y\n";
        let expected = [
            Include { line: 2, required: false, path: "x" },
            Include { line: 4, required: true, path: "y" },
        ];
        assert!(includes(text).eq(expected));
    }

    #[test]
    fn a_copy_reads_what_the_text_reads() {
        let text = b"a = 1\r\ninclude b.conf # why\n!include /x/../c\n#\xff";
        let copy = redirected(text, Path::new(FOLDER), |path| path);
        assert_eq!(copy, b"a = 1\r\ninclude /etc/nix/b.conf\n!include /c\n#\xff");
        assert_eq!(lead(Path::new(FOLDER), "../../../a"), Path::new("/a"));
    }

    proptest! {
        #[test]
        fn taking_out_gives_back_the_bytes(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("\n".to_owned()), Just("\r\n".to_owned()), Just("\r".to_owned()),
                    Just("!include nixpace.conf".to_owned()), ".{0,8}",
                ],
                0..8,
            ),
            noise in prop::collection::vec(any::<u8>(), 0..4),
        ) {
            let text = [pieces.concat().as_bytes(), &noise].concat();
            let added = add(Some(&text));
            prop_assert!(added.starts_with(&text));
            let folder = Path::new(FOLDER);
            let before = of(&text, folder, OURS).count();
            prop_assert_eq!(of(&added, folder, OURS).count(), before + 1);
            prop_assert_eq!(remove(&added), Some(text));
        }
    }
}
