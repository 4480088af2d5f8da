//! What a snapshot puts into the history, and finds there.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::judge::{Before, Judged, REGISTERING_SECONDS, is_of, judge};
use super::logs::Log;
use super::store_state::{Paths, State};
use super::{Taken, Traces, name};
use crate::history::integer;
use crate::history::keep::Keep;
use crate::history::record::{SLACK, word};
use crate::pname;
use crate::store::DAY;

/// What earlier snapshots have seen.
pub(super) struct Seen {
    logs: HashMap<String, Before>,
    /// Builds whose outputs may have come since.
    pub(super) pending: Vec<Pending>,
}

/// A build whose output was not there when its log was.
pub(super) struct Pending {
    id: i64,
    pub(super) drv: String,
    ended: f64,
}

impl Seen {
    /// Whether a log is not as it was.
    pub(super) fn is_new(&self, log: &Log) -> bool {
        let now = Before { born: log.born, changed: log.changed };
        self.logs.get(&log.file) != Some(&now)
    }
}

pub(super) fn seen(connection: &Connection) -> rusqlite::Result<Seen> {
    let mut query = connection.prepare("select file, born, changed from logs")?;
    let logs = query.query_map([], |row| {
        Ok((row.get(0)?, Before { born: row.get(1)?, changed: row.get(2)? }))
    })?;
    let logs = logs.collect::<rusqlite::Result<_>>()?;
    Ok(Seen { logs, pending: pending(connection)? })
}

/// The last ones: an output is registered some time after its log is done.
fn pending(connection: &Connection) -> rusqlite::Result<Vec<Pending>> {
    let mut query = connection.prepare(
        "select id, drv, ended from builds where source = 'log' and outcome is null \
         and ended > (select max(ended) from builds where source = 'log') - ?1",
    )?;
    let rows = query.query_map([REGISTERING_SECONDS], |row| {
        Ok(Pending { id: row.get(0)?, drv: row.get(1)?, ended: row.get(2)? })
    })?;
    rows.collect()
}

/// Note which of these have an output now.
pub(super) fn outcomes(
    transaction: &Transaction<'_>,
    pending: &[Pending],
    state: &State,
) -> rusqlite::Result<()> {
    let mut update =
        transaction.prepare("update builds set outcome = 'built', reason = null where id = ?1")?;
    for build in pending {
        if state.outputs.get(&build.drv).is_some_and(|outputs| is_of(*outputs, build.ended)) {
            update.execute([build.id])?;
        }
    }
    Ok(())
}

/// The last path that was seen; -1 when none was.
pub(super) fn last_path(connection: &Connection, database: &Path) -> rusqlite::Result<i64> {
    let query = "select last_path from stores where database = ?1";
    let found = connection.query_row(query, [name(database)], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or(-1))
}

/// The packages of logs, for which their derivations are read: before anything
/// is written, so that no other writer waits for that.
pub(super) fn packages(logs: &[&Log]) -> Vec<String> {
    logs.iter().map(|log| pname::of(&log.drv, log.name())).collect()
}

/// Put all that is new into the history.
pub(super) fn keep(
    transaction: &Transaction<'_>,
    traces: &Traces,
    logs: &[Log],
    changed: &[&Log],
    packages: &[String],
    state: &State,
    now: f64,
) -> rusqlite::Result<Taken> {
    let mut taken = Taken::default();
    for (log, package) in changed.iter().zip(packages) {
        taken.builds += u32::from(add_log(transaction, log, package, state)?);
    }
    forget_logs(transaction, logs)?;
    if let Some(paths) = &state.paths {
        taken.paths = add_paths(transaction, &traces.database, paths)?;
        add_sample(transaction, &traces.database, paths, now)?;
    }
    Keep::default().apply(transaction)?;
    Ok(taken)
}

/// Add a build by its log; whether there was anything to add.
fn add_log(
    transaction: &Transaction<'_>,
    log: &Log,
    package: &str,
    state: &State,
) -> rusqlite::Result<bool> {
    let mut query = transaction.prepare_cached("select born, changed from logs where file = ?1")?;
    let before =
        query.query_row([&log.file], |row| Ok(Before { born: row.get(0)?, changed: row.get(1)? }));
    let before = before.optional()?;
    if before == Some(Before { born: log.born, changed: log.changed }) {
        // Another snapshot was faster.
        return Ok(false);
    }
    let mut update = transaction.prepare_cached(
        "insert into logs (file, born, changed) values (?1, ?2, ?3) \
         on conflict do update set born = ?2, changed = ?3",
    )?;
    update.execute(params![log.file, log.born, log.changed])?;
    let judged = judge(log, before, state.outputs.get(&log.drv).copied());
    let Judged { outcome, reason, started, ended, wall_seconds } = judged;
    // What events said of the same build says more. Of logs, a change is another
    // build, however soon.
    let mut known = transaction.prepare_cached(
        "select 1 from builds where drv = ?1 and ended between ?2 and ?3 and source <> 'log' \
         limit 1",
    )?;
    if known.exists(params![log.drv, ended - SLACK, ended + SLACK])? {
        return Ok(false);
    }
    let mut insert = transaction.prepare_cached(
        "insert into builds (drv, name, pname, outcome, reason, started, ended, wall_seconds, \
         source) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'log')",
    )?;
    insert.execute(params![
        log.drv,
        log.name(),
        package,
        outcome.as_ref().and_then(word),
        reason,
        started,
        ended,
        wall_seconds,
    ])?;
    Ok(true)
}

/// Logs that are no more there need not be remembered.
fn forget_logs(transaction: &Transaction<'_>, logs: &[Log]) -> rusqlite::Result<()> {
    let there: HashSet<&str> = logs.iter().map(|log| log.file.as_str()).collect();
    let mut query = transaction.prepare("select file from logs")?;
    let known = query.query_map([], |row| row.get::<_, String>(0))?;
    let known = known.collect::<rusqlite::Result<Vec<_>>>()?;
    for file in known.iter().filter(|file| !there.contains(file.as_str())) {
        transaction.execute("delete from logs where file = ?1", [file])?;
    }
    Ok(())
}

/// Count the paths that are new; how many.
fn add_paths(
    transaction: &Transaction<'_>,
    database: &Path,
    found: &Paths,
) -> rusqlite::Result<u64> {
    if last_path(transaction, database)? != found.since {
        // Another snapshot was faster, and counted them.
        return Ok(0);
    }
    let mut paths = 0;
    for ((day, origin, cache), amount) in &found.arrived {
        paths += amount.paths;
        transaction.execute(
            "insert into arrivals (database, day, origin, cache, paths, nar_bytes) \
             values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do update \
             set paths = paths + ?5, nar_bytes = nar_bytes + ?6",
            params![
                name(database),
                day,
                origin.name(),
                cache,
                integer(amount.paths),
                integer(amount.nar_bytes),
            ],
        )?;
    }
    transaction.execute(
        "insert into stores (database, last_path) values (?1, ?2) \
         on conflict do update set last_path = ?2",
        params![name(database), found.registered],
    )?;
    Ok(paths)
}

/// Keep what the store holds: of each day, what was last seen.
fn add_sample(
    transaction: &Transaction<'_>,
    database: &Path,
    found: &Paths,
    now: f64,
) -> rusqlite::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 are few enough")]
    let day = (now as i64).div_euclid(DAY);
    transaction.execute(
        "insert into samples (database, day, taken, registered, paths, nar_bytes) \
         values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do update \
         set taken = ?3, registered = ?4, paths = ?5, nar_bytes = ?6",
        params![
            name(database),
            day,
            now,
            found.registered,
            integer(found.total.paths),
            integer(found.total.nar_bytes),
        ],
    )?;
    Ok(())
}
