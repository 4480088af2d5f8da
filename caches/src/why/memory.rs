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
