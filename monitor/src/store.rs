//! What the store holds, and where it is from, by Nix's database.
//!
//! Sizes are logical: those of the archives (NARs) that paths would be, which
//! the database knows at once. What the store takes on its disk is less where
//! equal files are one, and more by blocks.
//!
//! **Invariant:** paths that were collected are in no database: a figure of a
//! day or a window is of what is still there of it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::database;
use memchr::memchr;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use kept::Kept;
pub use origin::Origin;

pub mod kept;
mod origin;
pub(crate) mod rate;
#[cfg(test)]
mod tests;

pub use rate::{Rate, Window};

/// Pages of the database that are kept while all of it is read.
const SCAN_PAGES: u32 = 20;

/// Seconds of a day.
pub const DAY: i64 = 86400;

/// What the store holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Paths that were ever registered, whether or not they are still there.
    pub registered_paths: u64,
    /// All that is there.
    pub total: Amount,
    /// The same by where it is from.
    pub origins: BTreeMap<Origin, Amount>,
    /// What caches signed, by the name of their key. What several signed counts
    /// for each.
    pub signed_by: BTreeMap<String, Amount>,
    /// How much of what was needed came from caches, by when it came.
    pub rates: Vec<Rate>,
    /// What came on which day and is still there, the first day first.
    pub days: Vec<Day>,
}

/// A number of paths, and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// Paths.
    pub paths: u64,
    /// Their size as archives.
    pub nar_bytes: u64,
}

impl Amount {
    /// Count a path more.
    pub(crate) fn add(&mut self, nar_bytes: u64) {
        self.paths += 1;
        self.nar_bytes = self.nar_bytes.saturating_add(nar_bytes);
    }

    fn merge(&mut self, other: Self) {
        self.paths += other.paths;
        self.nar_bytes = self.nar_bytes.saturating_add(other.nar_bytes);
    }
}

/// What came on a day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// When the day began (UTC), in seconds since 1970.
    pub began_unix_seconds: i64,
    /// What came, by where it is from.
    pub origins: BTreeMap<Origin, Amount>,
}

/// Where Nix has its database: `NIX_STATE_DIR` is the only thing that moves it.
pub fn place() -> PathBuf {
    let state = std::env::var_os("NIX_STATE_DIR").map(PathBuf::from);
    state.unwrap_or_else(|| "/nix/var/nix".into()).join("db/db.sqlite")
}

/// Look at a store, at a time in seconds since 1970.
pub fn look(database: &Path, now: i64) -> Result<Store> {
    // `SQLite` says no more than that it cannot open it.
    std::fs::metadata(database).with_context(|| database.display().to_string())?;
    let halves =
        database::read_halves(database, |connection, half| Tally::of(connection, half, now));
    let [mut tally, later] = halves?;
    tally.merge(later);
    Ok(tally.store())
}

/// A path, as the database has it.
pub(crate) struct Registered<'a> {
    pub(crate) origin: Origin,
    /// When, in seconds since 1970.
    pub(crate) time: i64,
    pub(crate) nar_bytes: u64,
    /// Signatures, each `NAME:…`, with blanks between them.
    signatures: &'a [u8],
}

impl Registered<'_> {
    /// The names of the keys that signed it, each once.
    pub(crate) fn signers(&self) -> impl Iterator<Item = &str> {
        let names = || split(b' ', self.signatures).filter_map(name);
        // Nearly always there is one.
        names()
            .enumerate()
            .filter(move |(at, name)| !names().take(*at).any(|other| other == *name))
            .map(|(_, name)| name)
    }
}

/// What is before a signature's colon.
fn name(signature: &[u8]) -> Option<&str> {
    let name = split(b':', signature).next()?;
    str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// The parts of a text between bytes of one kind: as the standard library does, but
/// faster on long parts.
fn split(byte: u8, text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let at = memchr(byte, text);
        rest = at.map(|at| &text[at + 1..]);
        Some(&text[..at.unwrap_or(text.len())])
    })
}

/// Go through the paths of some ids.
pub(crate) fn each_path(
    connection: &Connection,
    ids: RangeInclusive<i64>,
    mut visit: impl FnMut(&Registered<'_>),
) -> rusqlite::Result<()> {
    // Plain columns: what is made of them here costs less than functions there.
    let mut query = connection.prepare(
        "select path, registrationTime, narSize, ultimate, sigs, ca, deriver is null \
         from ValidPaths where id between ?1 and ?2",
    )?;
    let mut rows = query.query([ids.start(), ids.end()])?;
    while let Some(row) = rows.next()? {
        visit(&registered(row)?);
    }
    Ok(())
}

fn registered<'a>(row: &'a Row<'_>) -> rusqlite::Result<Registered<'a>> {
    // What is not text there is nothing of Nix's.
    let text = |at| -> rusqlite::Result<&'a [u8]> {
        Ok(if let ValueRef::Text(text) = row.get_ref(at)? { text } else { &[] })
    };
    let number = |at| -> rusqlite::Result<Option<i64>> {
        Ok(if let ValueRef::Integer(number) = row.get_ref(at)? { Some(number) } else { None })
    };
    let signatures = text(4)?;
    let facts = origin::Facts {
        is_drv: text(0)?.ends_with(b".drv"),
        is_ultimate: number(3)?.is_some_and(|number| number != 0),
        is_signed: !signatures.is_empty(),
        is_fixed: text(5)?.starts_with(b"fixed:"),
        has_deriver: number(6)? == Some(0),
    };
    Ok(Registered {
        origin: facts.origin(),
        time: row.get(1)?,
        nar_bytes: number(2)?.and_then(|size| size.try_into().ok()).unwrap_or(0),
        signatures,
    })
}

/// How many paths were ever registered: the last id given, which no collection
/// of garbage takes back.
pub(crate) fn sequence(connection: &Connection) -> rusqlite::Result<i64> {
    let query = "select coalesce(max(seq), 0) from sqlite_sequence where name = 'ValidPaths'";
    connection.query_row(query, [], |row| row.get(0))
}

/// What was counted of some paths.
struct Tally {
    sequence: i64,
    rates: [Rate; Window::ALL.len()],
    signed_by: BTreeMap<String, Amount>,
    /// By day, and in the order of [`Origin::ALL`].
    days: BTreeMap<i64, [Amount; Origin::ALL.len()]>,
}

impl Tally {
    /// Count one half of the paths, 0 or 1, by their ids.
    fn of(connection: &Connection, half: usize, now: i64) -> rusqlite::Result<Self> {
        // A scan needs each page once: a small cache stays in that of the CPU.
        connection.pragma_update(None, "cache_size", SCAN_PAGES)?;
        // One by one: of both at once, SQLite would look at all.
        let range = "select coalesce((select min(id) from ValidPaths), 0), \
                     coalesce((select max(id) from ValidPaths), 0)";
        let (first, last): (i64, i64) =
            connection.query_row(range, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let middle = i64::midpoint(first, last).min(i64::MAX - 1);
        let ids = if half == 0 { i64::MIN..=middle } else { middle + 1..=i64::MAX };
        let mut tally = Self {
            sequence: sequence(connection)?,
            rates: Window::ALL.map(Rate::new),
            signed_by: BTreeMap::new(),
            days: BTreeMap::new(),
        };
        each_path(connection, ids, |path| tally.count(path, now))?;
        Ok(tally)
    }

    fn count(&mut self, path: &Registered<'_>, now: i64) {
        let day = self.days.entry(path.time.div_euclid(DAY)).or_default();
        day[path.origin as usize].add(path.nar_bytes);
        for rate in &mut self.rates {
            rate.count(path, now);
        }
        if path.origin == Origin::Substituted {
            for name in path.signers() {
                match self.signed_by.get_mut(name) {
                    Some(amount) => amount.add(path.nar_bytes),
                    None => self.signed_by.entry(name.to_owned()).or_default().add(path.nar_bytes),
                }
            }
        }
    }

    fn merge(&mut self, other: Self) {
        for (rate, other) in self.rates.iter_mut().zip(&other.rates) {
            rate.merge(other);
        }
        for (name, amount) in other.signed_by {
            self.signed_by.entry(name).or_default().merge(amount);
        }
        for (day, amounts) in other.days {
            for (amount, other) in self.days.entry(day).or_default().iter_mut().zip(amounts) {
                amount.merge(other);
            }
        }
    }

    fn store(mut self) -> Store {
        self.rates.iter_mut().for_each(Rate::divide);
        let mut store = Store {
            registered_paths: self.sequence.try_into().unwrap_or(0),
            signed_by: self.signed_by,
            rates: self.rates.into(),
            ..Store::default()
        };
        for (day, amounts) in self.days {
            let there = Origin::ALL.into_iter().zip(amounts).filter(|(_, amount)| amount.paths > 0);
            let origins: BTreeMap<Origin, Amount> = there.collect();
            for (origin, amount) in &origins {
                store.total.merge(*amount);
                store.origins.entry(*origin).or_default().merge(*amount);
            }
            store.days.push(Day { began_unix_seconds: day.saturating_mul(DAY), origins });
        }
        store
    }
}
