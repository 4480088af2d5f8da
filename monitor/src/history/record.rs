//! A run becomes rows.

use rusqlite::{Transaction, params};
use serde::Serialize;

use super::integer;
use super::run::Run;
use crate::pname;
use crate::recorded::Build;

/// How far the times of a log and of events may be from each other, in seconds:
/// the events of a busy machine arrive late.
pub(crate) const SLACK: f64 = 2.0;

/// Add a run, if it is not there.
pub(super) fn run(transaction: &Transaction<'_>, run: &Run) -> rusqlite::Result<()> {
    let command = serde_json::to_string(&run.command).unwrap_or_default();
    let added = transaction.execute(
        "insert into runs (started, ended, command, exit_code, nix_version, jobs, cores, \
         downloaded_bytes, digest) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         on conflict do nothing",
        params![
            run.started,
            run.ended,
            command,
            run.exit_code,
            run.nix_version,
            run.jobs,
            run.cores,
            integer(run.recorded.downloaded_bytes),
            run.digest,
        ],
    )?;
    if added == 0 {
        return Ok(());
    }
    let id = transaction.last_insert_rowid();
    for build in &run.recorded.builds {
        add_build(transaction, id, run, build)?;
    }
    let at = |seconds: Option<f64>| seconds.map(|seconds| run.started + seconds);
    let mut substitution = transaction.prepare(
        "insert into substitutions (run, path, cache, started, wall_seconds, downloaded_bytes, \
         nar_bytes) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for found in &run.recorded.substitutions {
        substitution.execute(params![
            id,
            found.path,
            found.cache,
            at(found.started_seconds),
            found.wall_seconds,
            found.downloaded_bytes.map(integer),
            found.nar_bytes.map(integer),
        ])?;
    }
    let mut wait = transaction
        .prepare("insert into waits (run, drv, what, wall_seconds) values (?1, ?2, ?3, ?4)")?;
    for found in &run.recorded.waits {
        wait.execute(params![id, found.drv, found.what, found.wall_seconds])?;
    }
    Ok(())
}

fn add_build(
    transaction: &Transaction<'_>,
    id: i64,
    run: &Run,
    build: &Build,
) -> rusqlite::Result<()> {
    let started = build.started_seconds.map(|seconds| run.started + seconds);
    let ended = started.zip(build.wall_seconds).map(|(started, wall)| started + wall);
    if let Some(ended) = ended {
        // A snapshot may have found its log already, which says less.
        transaction.execute(
            "delete from builds where source = 'log' and drv = ?1 and ended between ?2 and ?3",
            params![build.drv, ended - SLACK, ended + SLACK],
        )?;
    }
    let usage = build.usage.as_ref();
    let mut added = transaction.prepare_cached(
        "insert into builds (run, drv, name, pname, outcome, reason, machine, started, ended, \
         wall_seconds, cpu_seconds, peak_memory_bytes, usage_source, source) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'events')",
    )?;
    added.execute(params![
        id,
        build.drv,
        build.name,
        pname::of(&build.drv, &build.name),
        word(&build.outcome),
        build.reason,
        build.machine,
        started,
        ended.unwrap_or(run.ended),
        build.wall_seconds,
        usage.map(|usage| usage.cpu_seconds),
        usage.and_then(|usage| usage.peak_memory_bytes).map(integer),
        usage.map(|usage| word(&usage.source)),
    ])?;
    let build_id = transaction.last_insert_rowid();
    let mut phase = transaction.prepare_cached(
        "insert into phases (build, position, name, wall_seconds) values (?1, ?2, ?3, ?4)",
    )?;
    for (position, found) in (0_i64..).zip(&build.phases) {
        phase.execute(params![build_id, position, found.name, found.wall_seconds])?;
    }
    Ok(())
}

/// A value as documents have it, e.g. `cgroup`.
pub(crate) fn word(value: &impl Serialize) -> Option<String> {
    Some(serde_json::to_value(value).ok()?.as_str()?.to_owned())
}
