//! Store paths.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::hash::is_nix32;

/// Digits of a store path's hash: 160 bits.
const HASH_LENGTH: usize = 32;

/// Longest name after the hash.
const LONGEST_NAME: usize = 211;

/// A store path without its folder: `HASH-NAME`. They sort as their bytes do,
/// which is the order in which Nix signs references.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath(String);

impl StorePath {
    /// A path by its base name; what is wrong with it otherwise.
    pub fn parse(name: &str) -> Result<Self, String> {
        let quoted = || format!("{:?}", name.chars().take(80).collect::<String>());
        if name.len() <= HASH_LENGTH {
            return Err(format!("{} is too short for a store path", quoted()));
        }
        let (hash, rest) = name.as_bytes().split_at(HASH_LENGTH);
        if !hash.iter().copied().all(is_nix32) {
            return Err(format!("{} does not start with a hash", quoted()));
        }
        let Some(given) = rest.strip_prefix(b"-").filter(|given| !given.is_empty()) else {
            return Err(format!("{} has no name after its hash", quoted()));
        };
        if given.len() > LONGEST_NAME {
            return Err(format!("{} is too long for a store path", quoted()));
        }
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(byte);
        // `.` and `..` as a whole or before a dash are folders to somebody.
        let is_folder =
            matches!(given, b"." | b"..") || given.starts_with(b".-") || given.starts_with(b"..-");
        if !given.iter().all(fits) || is_folder {
            return Err(format!("{} has a name that no store path may have", quoted()));
        }
        Ok(Self(name.to_owned()))
    }

    /// A whole path, which must be in this store itself.
    pub fn parse_full(path: &str, store_dir: &str) -> Result<Self, String> {
        let outside = || {
            let path: String = path.chars().take(120).collect();
            format!("{path:?} is not in {store_dir}")
        };
        let path = canonical(path).ok_or_else(outside)?;
        match path.rsplit_once('/') {
            Some((folder, name)) if folder == store_dir => Self::parse(name),
            _ => Err(outside()),
        }
    }

    /// The path of this store that a path is in, which need not be there, or that a
    /// link leads into.
    pub fn containing(path: &Path, store_dir: &str) -> Result<Self, String> {
        let inside = |path: &Path, store: &Path| {
            let rest = path.strip_prefix(store).ok()?;
            Some(rest.iter().next()?.to_string_lossy().into_owned())
        };
        let shown: String = path.to_string_lossy().chars().take(120).collect();
        let outside = |more: String| format!("{shown:?} is not in {store_dir}{more}");
        let by_text = path.to_str().and_then(canonical);
        let by_text = by_text.and_then(|path| inside(Path::new(&path), Path::new(store_dir)));
        let name = if let Some(name) = by_text {
            name
        } else {
            let nowhere = |error| outside(format!(", and leads nowhere: {error}"));
            let target = fs::canonicalize(path).map_err(nowhere)?;
            // The store's folder may itself be reached by a link.
            let store = fs::canonicalize(store_dir);
            let store = store.unwrap_or_else(|_| PathBuf::from(store_dir));
            inside(&target, &store).ok_or_else(|| outside(String::new()))?
        };
        Self::parse(&name).map_err(|why| format!("{shown:?}: {why}"))
    }

    /// The hash, as a cache is asked for it: `HASH.narinfo`.
    pub fn hash(&self) -> &str {
        &self.0[..HASH_LENGTH]
    }

    /// The name after the hash.
    pub fn name(&self) -> &str {
        &self.0[HASH_LENGTH + 1..]
    }
}

/// `HASH-NAME`.
impl fmt::Display for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// An absolute path without `.`, `..` and doubled slashes, by its text alone.
fn canonical(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use proptest::prelude::*;

    use super::StorePath;

    const HASH: &str = "ibzx00wpszg959bxhbva99mwk4001dxf";

    #[test]
    fn hash_and_name() {
        let path = StorePath::parse_full(&format!("/nix//store/./{HASH}-a-1.0?=_+"), "/nix/store");
        let path = path.expect("a path");
        assert_eq!((path.hash(), path.name()), (HASH, "a-1.0?=_+"));
        assert_eq!(path.to_string(), format!("{HASH}-a-1.0?=_+"));
    }

    #[test]
    fn what_is_no_store_path() {
        for name in ["", HASH, &format!("{HASH}-"), &format!("{HASH}a"), &format!("{HASH}-é")] {
            assert!(StorePath::parse(name).is_err(), "{name}");
        }
        for name in [".", "..", ".-a", "..-a", "a b", "a/b", &"a".repeat(212)] {
            assert!(StorePath::parse(&format!("{HASH}-{name}")).is_err(), "{name}");
        }
        assert!(StorePath::parse(&format!("{HASH}-.a")).is_ok());
        assert!(StorePath::parse(&format!("{}-a", HASH.replace('i', "e"))).is_err());
        for path in ["", "a", "/gnu/store/x", "/nix/store", "/nix/store/a/b", "nix/store/a"] {
            assert!(StorePath::parse_full(path, "/nix/store").is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_in_a_path_or_leads_there() {
        let folder = tempfile::tempdir().expect("folder");
        let name = format!("{HASH}-a");
        let store = folder.path().join("store");
        fs::create_dir_all(store.join(&name).join("bin")).expect("folder");
        symlink(&store, folder.path().join("by-link")).expect("link");
        symlink(store.join(&name).join("bin"), folder.path().join("result")).expect("link");
        let by_link = folder.path().join("by-link");
        let of = |path: &Path| StorePath::containing(path, by_link.to_str().expect("text"));
        for path in
            [by_link.join(&name), by_link.join(&name).join("no/such"), folder.path().join("result")]
        {
            assert_eq!(of(&path).map(|path| path.to_string()), Ok(name.clone()), "{path:?}");
        }
        for path in ["/nonexistent", "/", "", "..", "/etc/passwd"] {
            assert!(of(Path::new(path)).is_err(), "{path}");
        }
        assert!(of(&by_link.join("junk")).is_err_and(|why| why.contains("too short")));
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*", path in "/nix/store/[0-9a-df-n.é/]*") {
            let _ = StorePath::parse(&text);
            let _ = StorePath::parse_full(&path, "/nix/store");
        }
    }
}
