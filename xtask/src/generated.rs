//! Files that are made from other files, and committed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use detect::file;

/// Make `path` hold `text`; with `check`, only say whether it does.
pub(crate) fn ensure_contents(path: &Path, text: &str, check: bool) -> Result<()> {
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    if check {
        bail!("{}: out of date", path.display());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    file::replace(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::ensure_contents;

    #[test]
    fn a_check_names_what_is_stale_and_leaves_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("new/schema.json");
        let error = ensure_contents(&path, "one", true).expect_err("missing").to_string();
        assert!(error.ends_with("new/schema.json: out of date"), "{error}");
        assert!(!path.exists());

        ensure_contents(&path, "one", false).expect("write");
        ensure_contents(&path, "one", true).expect("up to date");
        assert!(ensure_contents(&path, "two", true).is_err());
        assert_eq!(fs::read_to_string(&path).expect("read"), "one");
    }
}
