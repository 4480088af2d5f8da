//! What locks stand for, to whoever may not see what Nix has open: the files
//! that are locked have names, and the names are there for everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use detect::database;
use rusqlite::OptionalExtension;

use super::worker::is_store_name;

/// What a lock is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// An output: `HASH-NAME`.
    Output(String),
    /// A build user.
    User(u32),
}

/// Where Nix keeps things, by the variables that Nix itself reads.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) store: PathBuf,
    pub(super) state: PathBuf,
}

impl Places {
    pub(super) fn of_environment() -> Self {
        let variable = |name: &str, usual: &str| {
            std::env::var_os(name).filter(|path| !path.is_empty()).unwrap_or_else(|| usual.into())
        };
        Self {
            store: variable("NIX_STORE_DIR", "/nix/store").into(),
            state: variable("NIX_STATE_DIR", "/nix/var/nix").into(),
        }
    }

    /// What the files of these numbers stand for.
    pub(super) fn locks(&self, wanted: &BTreeSet<u64>) -> BTreeMap<u64, Lock> {
        let output = |name: &str| {
            let name = name.strip_suffix(".lock").filter(|name| is_store_name(name))?;
            Some(Lock::Output(name.to_owned()))
        };
        let mut found = BTreeMap::new();
        if wanted.is_empty() {
            return found;
        }
        find(&self.store, wanted, output, &mut found);
        let user = |name: &str| name.parse().ok().map(Lock::User);
        find(&self.state.join("userpool"), wanted, user, &mut found);
        found
    }

    /// The derivation that makes an output, as Nix's database has it.
    pub(super) fn derivation(&self, output: &str) -> Option<String> {
        const QUERY: &str = "select path from ValidPaths where id = \
                             (select drv from DerivationOutputs where path = ?)";
        let path = self.store.join(output);
        let path = path.to_str()?;
        let query = |database: &rusqlite::Connection| {
            database.query_row(QUERY, [path], |row| row.get(0)).optional()
        };
        database::read(&self.state.join("db/db.sqlite"), query).ok()?
    }
}

/// Look through the names in a folder for those that mean something, and among
/// them for those wanted. A store has a hundred thousand names: only of those
/// with a meaning is more looked at, and no more than the kernel tells at once.
fn find(
    folder: &Path,
    wanted: &BTreeSet<u64>,
    meaning: impl Fn(&str) -> Option<Lock>,
    found: &mut BTreeMap<u64, Lock>,
) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(lock) = name.to_str().and_then(&meaning) else { continue };
        // An overlay tells other numbers of what is in its folders.
        let listed = entry.ino();
        let own = || entry.metadata().ok().map(|file| file.ino());
        if let Some(inode) = Some(listed).filter(|inode| wanted.contains(inode)).or_else(own)
            && wanted.contains(&inode)
        {
            found.insert(inode, lock);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::{Lock, Places};

    #[test]
    fn locks_are_named_by_the_files_they_are_of() {
        let folder = tempfile::tempdir().expect("folder");
        let places =
            Places { store: folder.path().join("store"), state: folder.path().join("state") };
        let output = "s8m4kx4vf4yb1ci5417f68lfn42jj4h2-liba-1.0";
        fs::create_dir_all(&places.store).expect("store");
        fs::create_dir_all(places.state.join("userpool")).expect("pool");
        let files = [
            places.store.join(format!("{output}.lock")),
            places.store.join("other.lock"),
            places.state.join("userpool/999"),
        ];
        let inode = |file| fs::metadata(file).expect("file").ino();
        for file in &files {
            fs::write(file, "").expect("file");
        }
        let all: BTreeSet<u64> = files.iter().map(inode).collect();
        let found = places.locks(&all);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[&inode(&files[0])], Lock::Output(output.to_owned()));
        assert_eq!(found[&inode(&files[2])], Lock::User(999));
        assert_eq!(places.locks(&[inode(&files[2])].into()).len(), 1);
        assert_eq!(places.derivation(output), None, "there is no database");
    }
}
