//! The name of a package without its version, by which its builds are one.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Derivations that are larger are not read: those that hold a whole lock file
/// have a few hundred KB.
const LARGEST_BYTES: u64 = 16 << 20;

/// Longest name of a package: store paths have no longer ones.
const LONGEST_NAME: usize = 211;

/// The package that a derivation builds: by its own word, while the file is
/// there, else by its name.
pub fn of(drv: &str, name: &str) -> String {
    let path = drv.strip_suffix(".drv").map(|_| Path::new(drv));
    path.and_then(read).unwrap_or_else(|| without_version(name).to_owned())
}

fn read(drv: &Path) -> Option<String> {
    // Whoever wrote the events chose the path: nothing is opened that does more than
    // being read, nor, should it become that meanwhile, waited for.
    fs::metadata(drv).ok().filter(fs::Metadata::is_file)?;
    let no_wait = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(drv).ok()?;
    file.metadata().ok().filter(fs::Metadata::is_file)?;
    let mut text = Vec::new();
    file.take(LARGEST_BYTES).read_to_end(&mut text).ok()?;
    declared(&String::from_utf8_lossy(&text))
}

/// What the environment of a derivation's builder says: in a tuple of its own,
/// or, with structured attributes, in the JSON in which they all are.
fn declared(text: &str) -> Option<String> {
    let between = |start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        Some(rest.split_once(end)?.0)
    };
    let plain = between("(\"pname\",\"", "\"");
    let name = plain.or_else(|| between("\\\"pname\\\":\\\"", "\\\""))?;
    let is_name = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte));
    is_name.then(|| name.to_owned())
}

/// A name up to the first dash that is not followed by a letter.
///
/// Source: `DrvName` in libstore's names.cc, which is `builtins.parseDrvName`.
pub fn without_version(name: &str) -> &str {
    let bytes = name.as_bytes();
    let is_version = |at: &usize| {
        bytes[*at] == b'-' && bytes.get(at + 1).is_some_and(|next| !next.is_ascii_alphabetic())
    };
    match (0..bytes.len()).find(is_version) {
        // A name cannot be nothing.
        None | Some(0) => name,
        Some(end) => &name[..end],
    }
}

/// The name of a derivation: its path without folder, hash and `.drv`.
pub fn name_of(drv: &str) -> &str {
    let base = drv.rsplit('/').next().unwrap_or(drv);
    let base = base.strip_suffix(".drv").unwrap_or(base);
    match base.split_once('-') {
        Some((hash, name)) if hash.len() == 32 && !name.is_empty() => name,
        _ => base,
    }
}

#[cfg(test)]
mod tests {
    use super::{declared, name_of, of, without_version};

    #[test]
    fn names_as_nix_splits_them() {
        for (name, expected) in [
            ("hello-2.12.1", "hello"),
            ("hello", "hello"),
            ("gcc-wrapper-13.2.0", "gcc-wrapper"),
            ("python3.11-requests-2.31.0", "python3.11-requests"),
            ("a-", "a-"),
            ("a--1", "a"),
            ("-1", "-1"),
            ("", ""),
            ("font-é-1", "font"),
        ] {
            assert_eq!(without_version(name), expected, "{name}");
        }
    }

    #[test]
    fn a_derivation_says_it_itself() {
        let plain = r#"Derive([],[],[],"x","y",[],[("name","a-b-1"),("pname","a-b"),("v","1")])"#;
        assert_eq!(declared(plain).as_deref(), Some("a-b"));
        let structured = r#"Derive([],[],[],"x","y",[],[("__json","{\"pname\":\"c\",\"v\":1}")])"#;
        assert_eq!(declared(structured).as_deref(), Some("c"));
        for bad in
            ["", r#"("pname","")"#, r#"("pname","a b")"#, r#"("pname","a\n")"#, r#"("pname","a"#]
        {
            assert_eq!(declared(bad), None, "{bad}");
        }
        assert_eq!(of("/nonexistent/x-a-1.drv", "a-1"), "a");
    }

    #[test]
    fn only_files_of_derivations_are_read() {
        let folder = tempfile::tempdir().expect("folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let text = r#"Derive([],[],[],"x","y",[],[("pname","said")])"#;
        for name in ["a.drv", "a"] {
            std::fs::write(path(name), text).expect("written");
        }
        assert_eq!(of(&path("a.drv"), "a-1"), "said");
        assert_eq!(of(&path("a"), "a-1"), "a");
        // Nobody writes to it: it would be waited for.
        let fifo = path("fifo.drv");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        if made.is_ok_and(|made| made.success()) {
            assert_eq!(of(&fifo, "a-1"), "a");
        }
        assert_eq!(of(&path("."), "a-1"), "a");
    }

    #[test]
    fn names_of_derivations() {
        let hash = "ibzx00wpszg959bxhbva99mwk4001dxf";
        assert_eq!(name_of(&format!("/nix/store/{hash}-a-1.drv")), "a-1");
        assert_eq!(name_of("a-1.drv"), "a-1");
        assert_eq!(name_of(""), "");
    }
}
