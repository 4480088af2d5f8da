//! The last run in a history in which something was built or fetched.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::LastRun;
use super::gather::word;
use crate::recorded::{Build, Outcome, Phase, Recorded, Substitution, Usage, Wait};

/// The last run, with everything in it.
pub(super) fn run(connection: &Connection) -> rusqlite::Result<Option<LastRun>> {
    let query = "select id, command, exit_code, started, ended, downloaded_bytes from runs \
         where exists (select 1 from builds where run = runs.id) \
         or exists (select 1 from substitutions where run = runs.id) \
         order by ended desc, id desc limit 1";
    let found = connection.query_row(query, [], |row| {
        let started: f64 = row.get(3)?;
        let command: String = row.get(1)?;
        Ok((
            row.get::<_, i64>(0)?,
            LastRun {
                command: serde_json::from_str(&command).unwrap_or_default(),
                exit_code: row.get(2)?,
                started_unix_seconds: started,
                wall_seconds: row.get::<_, f64>(4)? - started,
                recorded: Recorded {
                    version: detect::number::Version,
                    builds: Vec::new(),
                    substitutions: Vec::new(),
                    waits: Vec::new(),
                    downloaded_bytes: count(row.get(5)?).unwrap_or(0),
                    unknown_events: 0,
                    malformed_lines: 0,
                },
            },
        ))
    });
    let Some((id, mut run)) = found.optional()? else { return Ok(None) };
    run.recorded.builds = builds(connection, id, run.started_unix_seconds)?;
    run.recorded.substitutions = substitutions(connection, id, run.started_unix_seconds)?;
    run.recorded.waits = waits(connection, id)?;
    Ok(Some(run))
}

fn count(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| number.try_into().ok())
}

fn builds(connection: &Connection, run: i64, began: f64) -> rusqlite::Result<Vec<Build>> {
    let mut phases = phases(connection, run)?;
    let mut query = connection.prepare(
        "select id, drv, name, outcome, reason, machine, started, wall_seconds, cpu_seconds, \
         peak_memory_bytes, usage_source from builds where run = ?1 order by id",
    )?;
    let rows = query.query_map([run], |row| {
        let usage = row.get::<_, Option<f64>>(8)?.zip(word(row.get(10)?));
        let peak_memory_bytes = count(row.get(9)?);
        Ok(Build {
            drv: row.get(1)?,
            name: row.get(2)?,
            outcome: word(row.get(3)?).unwrap_or(Outcome::Cancelled),
            reason: row.get(4)?,
            machine: row.get(5)?,
            started_seconds: row.get::<_, Option<f64>>(6)?.map(|started| started - began),
            wall_seconds: row.get(7)?,
            phases: phases.remove(&row.get(0)?).unwrap_or_default(),
            usage: usage.map(|(cpu_seconds, source)| Usage {
                cpu_seconds,
                peak_memory_bytes,
                source,
            }),
        })
    })?;
    rows.collect()
}

/// The phases of a run's builds, by build.
fn phases(connection: &Connection, run: i64) -> rusqlite::Result<HashMap<i64, Vec<Phase>>> {
    let mut query = connection.prepare(
        "select build, phases.name, phases.wall_seconds from phases \
         join builds on builds.id = build where run = ?1 order by build, position",
    )?;
    let mut found: HashMap<i64, Vec<Phase>> = HashMap::new();
    let mut rows = query.query([run])?;
    while let Some(row) = rows.next()? {
        let phase = Phase { name: row.get(1)?, wall_seconds: row.get(2)? };
        found.entry(row.get(0)?).or_default().push(phase);
    }
    Ok(found)
}

fn substitutions(
    connection: &Connection,
    run: i64,
    began: f64,
) -> rusqlite::Result<Vec<Substitution>> {
    let mut query = connection.prepare(
        "select path, cache, started, wall_seconds, downloaded_bytes, nar_bytes \
         from substitutions where run = ?1 order by id",
    )?;
    let rows = query.query_map([run], |row| {
        Ok(Substitution {
            path: row.get(0)?,
            cache: row.get(1)?,
            started_seconds: row.get::<_, Option<f64>>(2)?.map(|started| started - began),
            wall_seconds: row.get(3)?,
            downloaded_bytes: count(row.get(4)?),
            nar_bytes: count(row.get(5)?),
        })
    })?;
    rows.collect()
}

fn waits(connection: &Connection, run: i64) -> rusqlite::Result<Vec<Wait>> {
    let mut query = connection
        .prepare("select drv, what, wall_seconds from waits where run = ?1 order by id")?;
    let rows = query.query_map([run], |row| {
        Ok(Wait { drv: row.get(0)?, what: row.get(1)?, wall_seconds: row.get(2)? })
    })?;
    rows.collect()
}
