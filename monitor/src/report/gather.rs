//! What the report is made of: the history, Nix's database, and what Nix
//! remembers of caches.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use detect::report::reason;
use rusqlite::{Connection, params};
use serde::de::DeserializeOwned;

use super::date::DAY;
use super::{Arrival, Figure, Report, last, packages};
use crate::history::attempt::{Filter, attempts};
use crate::history::reader::Reader;
use crate::remembered::{self, Remembered};
use crate::store::{self, Amount, Origin, Store};

/// Where a report's figures are from, besides the history.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Nix's database.
    pub database: PathBuf,
    /// Folders in which Nix remembers what caches have.
    pub caches: Vec<PathBuf>,
}

/// The report on a time, in seconds since 1970, of the history, if that can be
/// read.
pub fn gather(history: Result<Reader>, sources: &Sources, since: i64, until: i64) -> Report {
    let history = History(history.map_err(|error| format!("{}.", reason(&error))));
    let found = store::look(&sources.database, until);
    let builds = history.ask(|connection| {
        attempts(connection, &Filter { since: super::axis::float_of(since), ..Filter::default() })
    });
    let costs = builds.value().map(|builds| packages::packages(builds)).unwrap_or_default();
    let ranked = |list: Vec<super::Package>, lacking: &str| match &builds {
        Figure::Missing { why } => Figure::Missing { why: why.clone() },
        Figure::Known { .. } if list.is_empty() => Figure::Missing { why: lacking.to_owned() },
        Figure::Known { source, .. } => Figure::Known { source: source.clone(), value: list },
    };
    Report {
        version: detect::number::Version,
        since_unix_seconds: since,
        until_unix_seconds: until,
        slowest: ranked(
            packages::slowest(&costs),
            "No build that succeeded and whose duration is known is in this time.",
        ),
        hungriest: ranked(
            packages::hungriest(&costs),
            "Memory is only known of builds that were watched: build with `monitor run -- nix build …`.",
        ),
        builds,
        arrivals: arrivals(&history, sources, &found, since),
        caches: caches(&sources.caches),
        store: holds(sources, found),
        last_run: match history.ask(last::run) {
            Figure::Known { source, value: Some(value) } => Figure::Known { source, value },
            Figure::Known { .. } => Figure::Missing {
                why: "No run is recorded yet: build with `monitor run -- nix build …`.".to_owned(),
            },
            Figure::Missing { why } => Figure::Missing { why },
        },
    }
}

/// The history, or why there is none.
struct History(Result<Reader, String>);

impl History {
    fn ask<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Figure<T> {
        let answer = self.0.as_ref().map_err(Clone::clone).and_then(|reader| {
            let value = reader.ask(query).map_err(|error| format!("{}.", reason(&error)))?;
            Ok((reader.source(), value))
        });
        match answer {
            Ok((source, value)) => Figure::Known { source, value },
            Err(why) => Figure::Missing { why: format!("There is no history to read: {why}") },
        }
    }
}

/// What came to the store: by the history, which remembers what was collected
/// since; else, by what is still there.
fn arrivals(
    history: &History,
    sources: &Sources,
    found: &Result<Store>,
    since: i64,
) -> Figure<Vec<Arrival>> {
    let recorded = history.ask(|connection| recorded(connection, since));
    match (recorded, found) {
        (Figure::Known { source, value }, _) if !value.is_empty() => {
            Figure::Known { source, value }
        }
        (_, Ok(store)) => Figure::Known {
            source: format!("what is still there by `{}`", sources.database.display()),
            value: still_there(store, since),
        },
        (Figure::Known { .. }, Err(error)) => unreadable(error),
        (missing, _) => missing,
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

fn holds(sources: &Sources, found: Result<Store>) -> Figure<BTreeMap<Origin, Amount>> {
    match found {
        Ok(store) => {
            Figure::Known { source: sources.database.display().to_string(), value: store.origins }
        }
        Err(error) => unreadable(&error),
    }
}

fn unreadable<T>(error: &anyhow::Error) -> Figure<T> {
    Figure::Missing { why: format!("Nix's database cannot be read: {}.", reason(error)) }
}

/// What caches had: by the first folder in which Nix remembers that.
fn caches(folders: &[PathBuf]) -> Figure<BTreeMap<String, Remembered>> {
    let mut why = "Nix has not asked a cache for anything, as this user or as root.".to_owned();
    for folder in folders {
        let found = remembered::file(folder)
            .and_then(|file| file.map(|file| Ok((remembered::caches(&file)?, file))).transpose());
        match found {
            Ok(Some((value, file))) => {
                let source = format!(
                    "`{}`, where Nix keeps hits for 30 days and misses for an hour",
                    file.display()
                );
                return Figure::Known { source, value };
            }
            Ok(None) => {}
            Err(error) => {
                why = format!("What Nix remembers of caches cannot be read: {}.", reason(&error));
            }
        }
    }
    Figure::Missing { why }
}
