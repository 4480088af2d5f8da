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
    /// The last path seen before that the new ones came after.
    pub(super) since: i64,
    /// Paths ever registered.
    pub(super) registered: i64,
    /// All that is there.
    pub(super) total: Amount,
    /// What is new, by day, origin and signer.
    pub(super) arrived: BTreeMap<(i64, Origin, String), Amount>,
}

/// Read it, for these derivations and the paths after one.
pub(super) fn read(database: &Path, drvs: &HashSet<&str>, last_path: i64) -> Result<State> {
    database::read(database, |connection| {
        let registered = sequence(connection)?;
        // Ids only grow: this is another store in the same place.
        let since = if registered < last_path { -1 } else { last_path };
        let mut state = State { since, registered, ..State::default() };
        if !drvs.is_empty() {
            state.outputs = outputs(connection, drvs)?;
        }
        each_path(connection, since, |path| {
            let signer = path.signers().first().copied().unwrap_or_default();
            let signer = if path.origin == Origin::Substituted { signer } else { "" };
            let key = (path.time.div_euclid(DAY), path.origin, signer.to_owned());
            state.arrived.entry(key).or_default().add(path.nar_bytes);
        })?;
        let query = "select count(*), coalesce(sum(narSize), 0) from ValidPaths";
        state.total = connection.query_row(query, [], |row| {
            let number =
                |at| Ok::<_, rusqlite::Error>(row.get::<_, i64>(at)?.max(0).cast_unsigned());
            Ok(Amount { paths: number(0)?, nar_bytes: number(1)? })
        })?;
        Ok(state)
    })
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
