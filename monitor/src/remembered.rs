//! What Nix remembers of what caches have: hits, and real misses.
//!
//! Source: `NarInfoDiskCache` in libstore's nar-info-disk-cache.cc. Nix asks a
//! cache for a path and notes the answer: that it is there for thirty days, that
//! it is missing for an hour, and once a day what is older goes. Versions of Nix
//! have files of their own (v6 to v8 since 2.8), with these columns in common.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::database;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::rate;

/// What Nix remembers of a cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// Paths that it was asked for and had.
    pub hits: u64,
    /// Paths that it was asked for and had not. They are forgotten sooner.
    pub misses: u64,
    /// The share of hits.
    pub hit_rate: Option<f64>,
    /// What there was to download of the hits, compressed as it is.
    pub file_bytes: u64,
    /// What that is unpacked.
    pub nar_bytes: u64,
}

/// The folders in which Nix keeps it: this user's, and that of the daemon, which
/// is root's.
pub fn folders() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = || variable("HOME").map(|home| home.join(".cache"));
    let own = variable("XDG_CACHE_HOME").or_else(home).map(|cache| cache.join("nix"));
    let mut folders: Vec<PathBuf> = own.into_iter().collect();
    let home = if cfg!(target_os = "macos") { "/var/root" } else { "/root" };
    let root = Path::new(home).join(".cache/nix");
    if !folders.contains(&root) {
        folders.push(root);
    }
    folders
}

/// The file in use in a folder: the one that was written to last, if only its
/// log. `None` when Nix has never asked a cache.
pub fn file(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("binary-cache-v") && name.ends_with(".sqlite")
    };
    let files = entries.flatten().map(|entry| entry.path()).filter(is_one);
    Ok(files.max_by_key(|file| database::changed(file)))
}

/// What is remembered of each cache, by its address.
pub fn caches(file: &Path) -> Result<BTreeMap<String, Remembered>> {
    database::read(file, |connection| {
        let mut query = connection.prepare(
            "select BinaryCaches.url, total(present <> 0), total(present = 0), \
             total(fileSize * (present <> 0)), total(narSize * (present <> 0)) \
             from NARs join BinaryCaches on NARs.cache = BinaryCaches.id group by 1",
        )?;
        let rows = query.query_map([], |row| {
            let [hits, misses, file_bytes, nar_bytes] =
                [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?].map(whole);
            let hit_rate = rate::share(hits, misses);
            Ok((row.get(0)?, Remembered { hits, misses, hit_rate, file_bytes, nar_bytes }))
        })?;
        rows.collect()
    })
}

/// `total` cannot overflow, and gives floats.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is below 0 or above the range becomes its end"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{caches, file};

    const TABLES: &str = "\
        create table BinaryCaches (id integer primary key, url text);
        create table NARs (cache integer, hashPart text, url text, fileSize integer, narSize integer, \
          timestamp integer, present integer);
        insert into BinaryCaches values (1, 'https://a.example'), (2, 'https://b.example');
        insert into NARs values (1, 'x', 'nar/x', 100, 1000, 0, 1), (1, 'y', 'nar/y', null, 500, 0, 1), \
          (1, 'z', null, null, null, 0, 0), (2, 'x', null, null, null, 0, 0);";

    #[test]
    fn hits_and_misses_by_cache() {
        let folder = tempfile::tempdir().expect("folder");
        assert_eq!(file(folder.path()).expect("empty"), None);
        assert_eq!(file(&folder.path().join("none")).expect("none"), None);
        let newest = folder.path().join("binary-cache-v8.sqlite");
        Connection::open(&newest).expect("open").execute_batch(TABLES).expect("tables");
        assert_eq!(file(folder.path()).expect("one"), Some(newest.clone()));
        let found = caches(&newest).expect("caches");
        let a = &found["https://a.example"];
        assert_eq!((a.hits, a.misses, a.file_bytes, a.nar_bytes), (2, 1, 100, 1500));
        let b = &found["https://b.example"];
        assert_eq!((b.hits, b.misses, b.hit_rate), (0, 1, Some(0.0)));
    }
}
