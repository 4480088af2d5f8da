//! What the report is made of: the history, Nix's database, and what Nix
//! remembers of caches.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use detect::hardware::Nix;
use detect::report::reason;
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;

use super::axis::float_of;
use super::date::DAY;
use super::{Arrival, LastRun, Report, last, packages};
use crate::guard::told::guarded;
use crate::history::attempt::{Filter, attempts};
use crate::history::reader::Reader;
use crate::remembered::{self, Remembered};
use crate::status::Figure;
use crate::store::{self, Origin, Store, kept};

/// Where a report's figures are from, besides the history.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Nix's database.
    pub database: PathBuf,
    /// Folders in which Nix remembers what caches have.
    pub caches: Vec<PathBuf>,
    /// The installed Nix, by whose settings things are kept.
    pub nix: Option<Nix>,
}

/// The report on a time, in seconds since 1970, of the history, if that can be
/// read.
pub fn gather(history: Result<Reader>, sources: &Sources, since: i64, until: i64) -> Report {
    let history = History(history);
    let store = store::look(&sources.database, until);
    let builds = history.ask(|connection| {
        attempts(connection, &Filter { since: float_of(since), ..Filter::default() })
    });
    let costs = builds.found.as_deref().map(packages::packages).unwrap_or_default();
    let ranked = |list: Vec<super::Package>, lacking: &str| match &builds.why {
        Some(why) => Figure::missing(&builds.source, why),
        None if list.is_empty() => Figure::missing(&builds.source, lacking),
        None => Figure::new(&builds.source, Ok(list)),
    };
    Report {
        version: detect::number::Version,
        since_unix_seconds: since,
        until_unix_seconds: until,
        slowest: ranked(
            packages::slowest(&costs),
            "no build in this time that succeeded and whose duration is known",
        ),
        hungriest: ranked(
            packages::hungriest(&costs),
            "memory is known of builds that were watched: build with `monitor run -- nix build …`",
        ),
        builds,
        arrivals: arrivals(&history, sources, &store, since),
        caches: caches(&sources.caches),
        store: Figure::new(
            sources.database.display().to_string(),
            store.map(|store| store.origins),
        ),
        kept: Figure::new(
            sources.database.display().to_string(),
            kept::look(&sources.database, sources.nix.as_ref()),
        ),
        guard: guarded(),
        last_run: last_run(&history),
    }
}

/// The history, or why there is none.
struct History(Result<Reader>);

impl History {
    fn ask<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Figure<T> {
        match &self.0 {
            Ok(reader) => Figure::new(reader.source(), reader.ask(query)),
            Err(error) => Figure::missing("the history", reason(error)),
        }
    }
}

fn last_run(history: &History) -> Figure<LastRun> {
    let Figure { source, found, why } = history.ask(last::run);
    let none = "no run is recorded yet: build with `monitor run -- nix build …`";
    match found {
        Some(found) => Figure { why: found.is_none().then(|| none.to_owned()), source, found },
        None => Figure { source, found: None, why },
    }
}

/// What came to the store: by the history, which remembers what was collected
/// since; else, by what is still there.
fn arrivals(
    history: &History,
    sources: &Sources,
    store: &Result<Store>,
    since: i64,
) -> Figure<Vec<Arrival>> {
    let recorded = history.ask(|connection| recorded(connection, since));
    let database = sources.database.display();
    match store {
        _ if recorded.found.as_ref().is_some_and(|days| !days.is_empty()) => recorded,
        Ok(store) => {
            Figure::new(format!("what is still there by {database}"), Ok(still_there(store, since)))
        }
        Err(error) => Figure::missing(database.to_string(), reason(error)),
    }
}

fn recorded(connection: &Connection, since: i64) -> rusqlite::Result<Vec<Arrival>> {
    let mut query = connection.prepare(
        "select day, origin, cache, sum(paths), sum(nar_bytes) from arrivals \
         where day >= ?1 group by day, origin, cache order by day, origin, cache",
    )?;
    let rows = query.query_map(params![since.div_euclid(DAY)], |row| {
        let [paths, nar_bytes] =
            [row.get::<_, i64>(3)?, row.get(4)?].map(|count| count.try_into().unwrap_or(0));
        let cache: String = row.get(2)?;
        let origin = word::<Origin>(row.get(1)?);
        Ok(origin.map(|origin| Arrival {
            day_unix_seconds: row.get::<_, i64>(0).unwrap_or(0) * DAY,
            origin,
            cache: (!cache.is_empty()).then_some(cache),
            paths,
            nar_bytes,
        }))
    })?;
    // Origins of a newer program are none of ours.
    rows.filter_map(Result::transpose).collect()
}

/// A value by its word, if it is one.
pub(super) fn word<T: DeserializeOwned>(word: Option<String>) -> Option<T> {
    serde_json::from_value(word?.into()).ok()
}

fn still_there(store: &Store, since: i64) -> Vec<Arrival> {
    let days = store.days.iter().filter(|day| day.began_unix_seconds >= since - DAY);
    let arrivals = days.flat_map(|day| {
        day.origins.iter().map(|(origin, amount)| Arrival {
            day_unix_seconds: day.began_unix_seconds,
            origin: *origin,
            cache: None,
            paths: amount.paths,
            nar_bytes: amount.nar_bytes,
        })
    });
    arrivals.collect()
}

/// What caches had: by the first folder in which Nix remembers that.
fn caches(folders: &[PathBuf]) -> Figure<BTreeMap<String, Remembered>> {
    let mut why = "Nix has not asked a cache for anything, as this user or as root".to_owned();
    for folder in folders {
        match remembered::file(folder) {
            Ok(Some(file)) => {
                return Figure::new(file.display().to_string(), remembered::caches(&file));
            }
            Ok(None) => {}
            Err(error) => why = reason(&error),
        }
    }
    Figure::missing("what Nix remembers of caches", why)
}
