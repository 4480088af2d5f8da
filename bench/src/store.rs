//! A store of our own, which is as it was before each run, and gone afterwards.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::nix::Nix;

/// How the names of our folders start.
const PREFIX: &str = "nixpace-bench-";

/// Its lock: held as long as we live, however we end.
const LOCK: &str = "lock";

/// A folder with a store, and all else that Nix writes.
#[derive(Debug)]
pub struct Store {
    folder: TempDir,
    _lock: File,
    /// What is in the store before anything is built.
    kept: BTreeSet<OsString>,
}

impl Store {
    /// An empty one below `base`. What earlier runs left there that were killed is
    /// removed.
    pub fn new(base: &Path) -> Result<Self> {
        remove_abandoned(base);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(base);
        let folder = folder.with_context(|| base.display().to_string())?;
        // Nix runs builds below, and refuses folders that others may change.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755))?;
        // Under its name only once it is held: another that starts at this moment must
        // not take this folder for an abandoned one.
        let fresh = folder.path().join("lock.new");
        let lock = File::create(&fresh)?;
        lock.lock()?;
        fs::rename(&fresh, folder.path().join(LOCK))?;
        for name in ["store", "var", "log", "tmp", "home", "cache"] {
            fs::create_dir(folder.path().join(name))?;
        }
        Ok(Self { folder, _lock: lock, kept: BTreeSet::new() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Nix with this store.
    pub fn nix(&self) -> Nix {
        Nix::in_folder(self.path())
    }

    fn inside(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Come back to what is there now before each run.
    pub fn remember(&mut self) -> Result<()> {
        self.kept = names(&self.inside("store"))?;
        copy(&self.inside("var"), &self.inside("before")).context("a copy of Nix's state")
    }

    /// Make it as it was.
    pub fn reset(&self) -> Result<()> {
        let again = || -> io::Result<()> {
            let store = self.inside("store");
            for name in names(&store)?.difference(&self.kept) {
                remove(&store.join(name))?;
            }
            for name in ["var", "log", "tmp", "cache"] {
                remove(&self.inside(name))?;
            }
            for name in ["log", "tmp", "cache"] {
                fs::create_dir(self.inside(name))?;
            }
            copy(&self.inside("before"), &self.inside("var"))
        };
        again().with_context(|| self.path().display().to_string())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Outputs are read-only, which a folder's own removal stops at.
        let _ = remove(self.path());
    }
}

fn names(folder: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
}

/// Remove whatever is there, read-only folders too. Links are removed, not followed.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.is_dir() {
        return fs::remove_file(path);
    }
    if found.permissions().mode() & 0o700 != 0o700 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}

/// Copy a folder of plain files, folders and links.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, from, to) = (entry.file_type()?, entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            copy(&from, &to)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Remove our folders whose owner has ended without doing so. Only this user's: in
/// those of others, root would follow whatever they put there.
fn remove_abandoned(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    let user = rustix::process::geteuid().as_raw();
    for entry in entries.filter_map(Result::ok) {
        // Of the entry itself, not of what a link leads to.
        let is_own = entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == user);
        let is_ours = is_own && entry.file_name().to_string_lossy().starts_with(PREFIX);
        let lock = || File::options().write(true).open(entry.path().join(LOCK));
        if is_ours && lock().is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::Store;

    #[test]
    fn it_is_as_it_was_and_then_gone() {
        let base = tempfile::tempdir().expect("folder");
        let mut store = Store::new(base.path()).expect("a store");
        let write = |name: &str, text: &str| fs::write(store.path().join(name), text).expect(name);
        write("store/a.drv", "a");
        write("var/db", "before");
        store.remember().expect("remembered");
        let write = |name: &str, text: &str| fs::write(store.path().join(name), text).expect(name);
        fs::create_dir_all(store.path().join("store/out/deep")).expect("folder");
        write("store/out/deep/file", "x");
        write("var/db", "after");
        write("var/more", "after");
        write("tmp/left", "x");
        for folder in ["store/out/deep", "store/out"] {
            let path = store.path().join(folder);
            fs::set_permissions(path, fs::Permissions::from_mode(0o555)).expect("chmod");
        }
        store.reset().expect("reset");
        let read = |name: &str| fs::read_to_string(store.path().join(name)).ok();
        assert_eq!(read("var/db").as_deref(), Some("before"));
        assert_eq!(read("store/a.drv").as_deref(), Some("a"));
        assert!(
            !store.path().join("store/out").exists() && !store.path().join("var/more").exists()
        );
        drop(store);
        assert_eq!(fs::read_dir(base.path()).expect("list").count(), 0);
    }

    #[test]
    fn what_killed_runs_left_is_removed_and_nothing_else() {
        let base = tempfile::tempdir().expect("folder");
        let alive = Store::new(base.path()).expect("a store");
        for (name, file) in
            [("nixpace-bench-dead", "lock"), ("nixpace-bench-other", "x"), ("x", "lock")]
        {
            fs::create_dir(base.path().join(name)).expect("folder");
            fs::write(base.path().join(name).join(file), "").expect("file");
        }
        let _second = Store::new(base.path()).expect("another");
        assert!(alive.path().exists(), "its owner lives");
        assert!(!base.path().join("nixpace-bench-dead").exists());
        assert!(base.path().join("nixpace-bench-other").exists(), "has no lock of ours");
        assert!(base.path().join("x").exists());
    }
}
