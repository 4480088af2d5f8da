//! What Nix's database says now: what is new in it, and when outputs came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::Result;
use detect::database;
use rusqlite::Connection;

use crate::store::{Amount, DAY, Origin, each_path, sequence};

/// When the outputs of a derivation were registered: the first and the last, in
/// seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Registered {
    pub(super) first: f64,
    pub(super) last: f64,
}

/// What the database says.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Outputs that were built here, by their derivation's path.
    pub(super) outputs: HashMap<String, Registered>,
    /// What is in the store, where that was asked for.
    pub(super) paths: Option<Paths>,
}

/// What is in the store.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The last path seen before, by which another snapshot that was faster shows.
    pub(super) since: i64,
    /// Paths ever registered.
    pub(super) registered: i64,
    /// All that is there.
    pub(super) total: Amount,
    /// What is new, by day, origin and signer.
    pub(super) arrived: BTreeMap<(i64, Origin, String), Amount>,
}

/// Read it, for these derivations and, where one is named, the paths after one.
pub(super) fn read(database: &Path, drvs: &HashSet<&str>, since: Option<i64>) -> Result<State> {
    if drvs.is_empty() && since.is_none() {
        return Ok(State::default());
    }
    database::read(database, |connection| {
        let outputs = if drvs.is_empty() { HashMap::new() } else { outputs(connection, drvs)? };
        Ok(State { outputs, paths: since.map(|since| paths(connection, since)).transpose()? })
    })
}

fn paths(connection: &Connection, last_path: i64) -> rusqlite::Result<Paths> {
    let registered = sequence(connection)?;
    // Ids only grow: else this is another store in the same place, and all is new.
    let first = if registered < last_path { 0 } else { last_path.saturating_add(1) };
    let mut found = Paths { since: last_path, registered, ..Paths::default() };
    each_path(connection, first..=i64::MAX, |path| {
        let signer = path.signers().next().unwrap_or_default();
        let signer = if path.origin == Origin::Substituted { signer } else { "" };
        let key = (path.time.div_euclid(DAY), path.origin, signer.to_owned());
        found.arrived.entry(key).or_default().add(path.nar_bytes);
    })?;
    let query = "select count(*), coalesce(sum(narSize), 0) from ValidPaths";
    found.total = connection.query_row(query, [], |row| {
        let number = |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.max(0).cast_unsigned());
        Ok(Amount { paths: number(0)?, nar_bytes: number(1)? })
    })?;
    Ok(found)
}

fn outputs(
    connection: &Connection,
    drvs: &HashSet<&str>,
) -> rusqlite::Result<HashMap<String, Registered>> {
    let mut found: HashMap<String, Registered> = HashMap::new();
    let mut query = connection.prepare(
        "select deriver, registrationTime from ValidPaths \
         where ultimate = 1 and deriver is not null",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let drv = row.get_ref(0)?.as_str().unwrap_or_default();
        if drvs.contains(drv) {
            let time: f64 = row.get(1)?;
            let both = Registered { first: time, last: time };
            let output = found.entry(drv.to_owned()).or_insert(both);
            output.first = output.first.min(time);
            output.last = output.last.max(time);
        }
    }
    Ok(found)
}
