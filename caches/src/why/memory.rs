//! What Nix remembers of a cache, and for how long.
//!
//! Source: `NarInfoDiskCache` in libstore's nar-info-disk-cache.cc. That a path is
//! missing it believes for an hour, that it is there, with its signatures as they
//! were, for thirty days, and a cache's priority for seven.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::database;
use detect::hardware::Nix;
use rusqlite::{Connection, Row};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::address::Address;
use crate::narinfo::NarInfo;
use crate::path::StorePath;

/// How long Nix believes that a cache is what it was, unless it is told otherwise.
const META_SECONDS: u64 = 7 * 24 * 3600;

/// What Nix remembers of a path in a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Memory {
    /// The file in which it does.
    pub database: String,
    /// Whether that is the memory of the Nix that would fetch the path: root's
    /// where a daemon does, else the user's own.
    pub is_used: bool,
    /// Whether the path was there.
    pub is_present: bool,
    /// How long ago that was.
    pub age_seconds: u64,
    /// When Nix will ask again; 0 when it would now.
    pub expires_in_seconds: u64,
    /// What it was signed by, as a narinfo says it.
    #[serde(skip)]
    narinfo: String,
}

/// A database, and when Nix believes it no more.
#[derive(Clone, Debug)]
pub struct Database {
    /// The file.
    pub file: PathBuf,
    /// Whether the Nix that fetches reads it.
    pub is_used: bool,
    /// How long it is believed that a path is missing.
    pub negative_seconds: u64,
    /// How long it is believed that a path is there.
    pub positive_seconds: u64,
    /// How long a cache is believed to be what it was.
    pub meta_seconds: u64,
}

impl Database {
    /// The database of this folder, if there is one; an error when it cannot be
    /// looked for.
    pub fn find(folder: &Path, is_used: bool, nix: Option<&Nix>) -> Result<Option<Self>> {
        let name = || folder.display().to_string();
        let files = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            files => files.with_context(name)?,
        };
        let files = files.flatten().map(|file| file.path()).filter(|file| {
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            name.starts_with("binary-cache-v") && name.ends_with(".sqlite")
        });
        // Versions of Nix have databases of their own: the one in use was
        // written last, if only its log.
        let Some(file) = files.max_by_key(|file| database::changed(file)) else { return Ok(None) };
        let setting = |name: &str, default| {
            nix.and_then(|nix| nix.settings.get(name)).and_then(Value::as_u64).unwrap_or(default)
        };
        Ok(Some(Self {
            file,
            is_used,
            negative_seconds: setting("narinfo-cache-negative-ttl", 3600),
            positive_seconds: setting("narinfo-cache-positive-ttl", 30 * 24 * 3600),
            meta_seconds: setting("narinfo-cache-meta-ttl", META_SECONDS),
        }))
    }

    /// What is remembered of a path, by cache.
    pub fn of(
        &self,
        path: &StorePath,
        store_dir: &str,
        now: u64,
    ) -> Result<Vec<(Address, Memory)>> {
        let rows = database::read(&self.file, |connection| rows(connection, path.hash()))?;
        let memory = |(url, row): (String, Remembered)| {
            let age = now.saturating_sub(row.timestamp);
            let ttl = if row.present { self.positive_seconds } else { self.negative_seconds };
            let memory = Memory {
                database: self.file.display().to_string(),
                is_used: self.is_used,
                is_present: row.present,
                age_seconds: age,
                expires_in_seconds: ttl.saturating_sub(age),
                narinfo: row.narinfo(store_dir),
            };
            Some((Address::parse(&url).ok()?, memory))
        };
        Ok(rows.into_iter().filter_map(memory).collect())
    }

    /// The priorities that Nix remembers and still believes.
    pub fn priorities(&self, now: u64) -> Result<Vec<(Address, i32)>> {
        let rows = database::read(&self.file, |connection| {
            let mut query =
                connection.prepare("select url, timestamp, priority from BinaryCaches")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, i64, i32)>>>()
        })?;
        let fresh = |timestamp: i64| {
            now.saturating_sub(u64::try_from(timestamp).unwrap_or(0)) < self.meta_seconds
        };
        let known = |(url, timestamp, priority): (String, i64, i32)| {
            Some((Address::parse(&url).ok()?, priority)).filter(|_| fresh(timestamp))
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }
}

impl Memory {
    /// Whether Nix goes by it, rather than ask again.
    pub fn counts(&self) -> bool {
        self.is_used && self.expires_in_seconds > 0
    }

    /// The path as Nix remembers it; `None` when it was not there, or was not
    /// what it can have been.
    pub fn info(&self, store_dir: &str) -> Option<NarInfo> {
        let text = Some(&self.narinfo).filter(|_| self.is_present)?;
        NarInfo::parse(text.as_bytes(), store_dir).ok()
    }
}

/// A row: what a narinfo said.
struct Remembered {
    present: bool,
    timestamp: u64,
    fields: BTreeMap<&'static str, String>,
}

fn rows(connection: &Connection, hash: &str) -> rusqlite::Result<Vec<(String, Remembered)>> {
    let mut query = connection.prepare(
        "select BinaryCaches.url, NARs.present, NARs.timestamp, NARs.hashPart, NARs.namePart, \
         NARs.narHash, NARs.narSize, NARs.refs, NARs.sigs, NARs.ca from NARs \
         join BinaryCaches on NARs.cache = BinaryCaches.id where NARs.hashPart = ?1",
    )?;
    let rows = query.query_map([hash], |row: &Row<'_>| {
        let text = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
        let size = row.get::<_, Option<i64>>(6)?.unwrap_or(0);
        let fields = [
            ("path", format!("{}-{}", text(3)?, text(4)?)),
            ("NarHash", text(5)?),
            ("NarSize", size.to_string()),
            ("References", text(7)?),
            ("Sig", text(8)?),
            ("CA", text(9)?),
        ];
        let timestamp = u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
        let present = row.get::<_, i64>(1)? != 0;
        Ok((row.get(0)?, Remembered { present, timestamp, fields: fields.into() }))
    })?;
    rows.collect()
}

impl Remembered {
    fn narinfo(&self, store_dir: &str) -> String {
        let mut text = format!("StorePath: {store_dir}/{}\nURL: x\n", self.fields["path"]);
        for name in ["NarHash", "NarSize", "References", "CA"] {
            text.push_str(&format!("{name}: {}\n", self.fields[name]));
        }
        for signature in self.fields["Sig"].split_whitespace() {
            text.push_str(&format!("Sig: {signature}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::Database;
    use crate::path::StorePath;

    const PATH: &str = "ibzx00wpszg959bxhbva99mwk4001dxf-a";

    /// Tables as Nix 2.8 to 2.34 make them, but for columns that are not read.
    const TABLES: &str = "\
        create table BinaryCaches (id integer primary key, url text, timestamp integer, \
          storeDir text, wantMassQuery integer, priority integer);
        create table NARs (cache integer, hashPart text, namePart text, narHash text, \
          narSize integer, refs text, sigs text, ca text, timestamp integer, present integer);
        insert into BinaryCaches values (1, 'https://a.example', 1000, '/nix/store', 1, 7);
        insert into BinaryCaches values (2, 'https://b.example', 900, '/nix/store', 1, 8);
        insert into BinaryCaches values (3, 'no address', 1000, '/nix/store', 1, 9);
        insert into NARs values (1, 'ibzx00wpszg959bxhbva99mwk4001dxf', null, null, null, null, \
          null, null, 1000, 0);
        insert into NARs values (2, 'ibzx00wpszg959bxhbva99mwk4001dxf', 'a', \
          'sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj', 120, '', \
          'a:AAAA b:AAAA', null, 1000, 1);
        insert into NARs values (3, 'ibzx00wpszg959bxhbva99mwk4001dxf', null, null, null, null, \
          null, null, 1000, 0);";

    #[test]
    fn what_is_remembered_and_for_how_long() {
        let folder = tempfile::tempdir().expect("folder");
        let none = Database::find(&folder.path().join("none"), true, None).expect("no folder");
        assert!(none.is_none());
        assert!(Database::find(folder.path(), true, None).expect("empty").is_none());
        let file = folder.path().join("binary-cache-v7.sqlite");
        Connection::open(&file).expect("open").execute_batch(TABLES).expect("tables");
        let database = Database::find(folder.path(), true, None).expect("a folder").expect("one");
        assert_eq!(database.file, file);
        assert_eq!((database.negative_seconds, database.positive_seconds), (3600, 2_592_000));

        let path = StorePath::parse(PATH).expect("a path");
        let known = |now| database.of(&path, "/nix/store", now).expect("rows");
        let [(first, missing), (second, present)] = &known(1600)[..] else { panic!("two") };
        assert_eq!(
            (first.to_string(), second.to_string()),
            ("https://a.example".to_owned(), "https://b.example".to_owned(),)
        );
        assert_eq!((missing.age_seconds, missing.expires_in_seconds), (600, 3000));
        assert!(missing.counts() && !missing.is_present);
        assert_eq!(missing.info("/nix/store"), None);
        let info = present.info("/nix/store").expect("a narinfo");
        assert_eq!((info.path, info.signatures.len()), (path.clone(), 2));
        assert!(!known(4600)[0].1.counts(), "an hour is over");
        assert!(known(4600)[1].1.counts());
        assert!(known(0)[0].1.counts(), "a clock that was put back");

        let priorities = |now| database.priorities(now).expect("rows").len();
        assert_eq!(priorities(1000), 2);
        assert_eq!(priorities(900 + 7 * 24 * 3600), 1);
        let unused = Database { is_used: false, ..database.clone() };
        assert!(!unused.of(&path, "/nix/store", 1600).expect("rows")[0].1.counts());
        std::fs::write(&file, "no database, but long enough to be looked at").expect("junk");
        assert!(database.of(&path, "/nix/store", 0).is_err());
    }
}
