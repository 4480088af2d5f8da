//! Attempts to build, as the history has them.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::recorded::{Outcome, Source};

/// One attempt to build a derivation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The derivation's path in the store.
    pub drv: String,
    /// Its name: without hash and `.drv`, e.g. `hello-2.12.1`.
    pub name: String,
    /// The name of its package without version, e.g. `hello`.
    pub pname: String,
    /// How it ended; `null` where only a log is left of it and its outputs are
    /// not in the store: it failed, was ended, or its outputs are collected.
    pub outcome: Option<Outcome>,
    /// Why it failed, in Nix's words; or why something is not known of it.
    pub reason: Option<String>,
    /// The machine it was built on; `null` for this one.
    pub machine: Option<String>,
    /// When it began, in seconds since 1970.
    pub started_unix_seconds: Option<f64>,
    /// When it ended, in seconds since 1970; where that is not known, when the
    /// command ended that had it built.
    pub ended_unix_seconds: f64,
    /// From its start to its end.
    pub wall_seconds: Option<f64>,
    /// CPU time of all its processes.
    pub cpu_seconds: Option<f64>,
    /// Most memory of all its processes at once.
    pub peak_memory_bytes: Option<u64>,
    /// Where the figures of its processes are from.
    pub usage_source: Option<Source>,
    /// `cores` in force; 0, as in Nix, is all.
    pub cores: Option<u32>,
    /// How it is known.
    pub source: Witness,
}

/// How a build is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// By what Nix said while it was built.
    Events,
    /// By its log: from when that was made until it was last written to.
    Log,
}

/// Which attempts, the last first.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Those that ended since, in seconds since 1970.
    pub since: f64,
    /// Those with this in their name.
    pub name: Option<String>,
    /// Those that failed only.
    pub failed: bool,
    /// Those that took longest first.
    pub slowest: bool,
    /// So many at most.
    pub most: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self { since: 0.0, name: None, failed: false, slowest: false, most: u32::MAX }
    }
}

/// What columns are read, in the order in which `attempt` takes them.
const COLUMNS: &str = "drv, name, pname, outcome, reason, machine, builds.started, builds.ended, \
    wall_seconds, cpu_seconds, peak_memory_bytes, usage_source, cores, source";

/// Where they are.
const FROM: &str = "builds left join runs on builds.run = runs.id";

/// The attempts that a filter lets pass.
pub fn attempts(connection: &Connection, filter: &Filter) -> rusqlite::Result<Vec<Attempt>> {
    let order = if filter.slowest { "wall_seconds" } else { "builds.ended" };
    // `instr` takes every character as itself.
    let mut query = connection.prepare(&format!(
        "select {COLUMNS} from {FROM} where builds.ended >= ?1 \
         and (?2 is null or instr(name, ?2)) and (not ?3 or outcome = 'failed') \
         and (not ?4 or wall_seconds is not null) order by {order} desc, builds.id desc limit ?5"
    ))?;
    let Filter { since, name, failed, slowest, most } = filter;
    let rows = query.query_map(params![since, name, failed, slowest, most], attempt)?;
    rows.collect()
}

/// The last attempts on this machine of each package that succeeded and whose
/// time is known, so many at most: package by package, the last first.
pub fn last_built(connection: &Connection, most: u32) -> rusqlite::Result<Vec<Attempt>> {
    let mut query = connection.prepare(&format!(
        "select * from (select {COLUMNS}, \
         row_number() over (partition by pname order by builds.ended desc, builds.id desc) as place \
         from {FROM} where outcome = 'built' and wall_seconds is not null \
         and machine is null) \
         where place <= ?1 order by pname, place"
    ))?;
    let rows = query.query_map([most], attempt)?;
    rows.collect()
}

/// How long the last of them of one package took, so many at most.
pub fn last_walls(connection: &Connection, pname: &str, most: u32) -> rusqlite::Result<Vec<f64>> {
    let mut query = connection.prepare(
        "select wall_seconds from builds where pname = ?1 and outcome = 'built' \
         and wall_seconds is not null and machine is null order by ended desc limit ?2",
    )?;
    let rows = query.query_map(params![pname, most], |row| row.get(0))?;
    rows.collect()
}

/// How often each package was built here: those of `last_built` and all before.
pub fn times_built(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u32>> {
    let mut query = connection.prepare(
        "select pname, count(*) from builds where outcome = 'built' \
         and wall_seconds is not null and machine is null group by pname",
    )?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        drv: row.get(0)?,
        name: row.get(1)?,
        pname: row.get(2)?,
        outcome: value(row, 3)?,
        reason: row.get(4)?,
        machine: row.get(5)?,
        started_unix_seconds: row.get(6)?,
        ended_unix_seconds: row.get(7)?,
        wall_seconds: row.get(8)?,
        cpu_seconds: row.get(9)?,
        peak_memory_bytes: row.get::<_, Option<i64>>(10)?.and_then(|bytes| bytes.try_into().ok()),
        usage_source: value(row, 11)?,
        cores: row.get(12)?,
        source: value(row, 13)?.unwrap_or(Witness::Log),
    })
}

/// A value by its word; one that is not known here is none.
pub(super) fn value<T: for<'a> Deserialize<'a>>(
    row: &Row<'_>,
    at: usize,
) -> rusqlite::Result<Option<T>> {
    let word: Option<String> = row.get(at)?;
    Ok(word.and_then(|word| serde_json::from_value(word.into()).ok()))
}
