//! Histories that are damaged, locked, large, or whose writer is killed.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use bench::random::Random;
use detect::number::Version;
use monitor::history::History;
use monitor::history::run::Run;
use monitor::recorded::{Build, Outcome as Built, Recorded};
use rusqlite::Connection;

use super::Outcome;
use super::arena::Arena;
use super::child::Ended;

/// What reads a history, and leaves it alone.
pub(super) const READERS: [&[&str]; 5] = [
    &["builds", "--json", "--most", "100000"],
    &["costs"],
    &["report", "--json"],
    &["metrics"],
    &["status", "--json"],
];

/// As many derivations as a rebuild of a distribution's core.
const MANY: u32 = 10_000;

/// As many as most people do in a week.
pub(super) const FEW: u32 = 300;

/// Logs of builds to take in at once.
const LOGS: i64 = 60;

pub(super) fn monitor(arena: &Arena, arguments: &[&str], file: &Path) -> Command {
    let mut command = arena.tool("monitor");
    command.args(arguments).arg("--quiet").arg("--db").arg(file);
    command.env("NIX_STATE_DIR", arena.nix()).env("NIX_LOG_DIR", arena.path().join("none"));
    command
}

/// A history of so many builds, made once.
fn made<'a>(arena: &'a Arena, once: &'a OnceCell<PathBuf>, count: u32) -> Result<&'a Path> {
    if let Some(file) = once.get() {
        return Ok(file);
    }
    let file = arena.path().join(format!("{count}.sqlite"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs_f64();
    let builds = (0..count).map(|number| Build {
        drv: format!("/nix/store/{number:032}-package-{number}-1.0.drv"),
        name: format!("package-{number}-1.0"),
        outcome: if number % 50 == 0 { Built::Failed } else { Built::Built },
        reason: (number % 50 == 0).then(|| "builder failed".to_owned()),
        machine: None,
        started_seconds: Some(f64::from(number)),
        wall_seconds: Some(f64::from(number % 977)),
        phases: Vec::new(),
        usage: None,
    });
    let recorded = Recorded {
        version: Version,
        builds: builds.collect(),
        substitutions: Vec::new(),
        waits: Vec::new(),
        downloaded_bytes: 0,
        unknown_events: 0,
        malformed_lines: 0,
    };
    let run = Run {
        started: now - 20_000.0,
        ended: now - 1000.0,
        command: vec!["nix-build".to_owned()],
        exit_code: Some(1),
        nix_version: Some("2.34.8".to_owned()),
        jobs: Some(8),
        cores: Some(4),
        digest: None,
        recorded,
    };
    History::open(&file)?.record(&run)?;
    Ok(once.get_or_init(|| file))
}

/// A copy for one trial.
pub(super) fn copy(arena: &Arena, folder: &Path) -> Result<PathBuf> {
    let file = folder.join("history.sqlite");
    fs::copy(made(arena, &arena.small, FEW)?, &file).context("the history")?;
    Ok(file)
}

pub(super) fn judge(what: &str, ended: &Ended) -> Outcome {
    match ended.offence() {
        Some(why) => Outcome::Lost(format!("monitor {what}: {why}")),
        None if ended.status.success() => Outcome::Survived,
        None => Outcome::Lost(format!("monitor {what}: {}: {}", ended.status, ended.stderr)),
    }
}

/// A history of many builds, read whole.
pub(super) fn big(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let arguments = READERS[random.below(READERS.len())];
    let file = made(arena, &arena.big, MANY)?;
    let ended = arena.run(&mut monitor(arena, arguments, file), &[])?;
    Ok(judge(arguments[0], &ended))
}

/// A history with holes, of which nothing more is lost.
pub(super) fn corrupt(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let folder = arena.folder()?;
    let file = copy(arena, folder.path())?;
    let mut bytes = fs::read(&file)?;
    match random.below(4) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => {
            let at = random.below(bytes.len() / 4096) * 4096;
            bytes[at..at + 4096].fill(0);
        }
        // The head, where its form is written down.
        2 => bytes[random.below(100)] = u8::try_from(random.below(256))?,
        _ => {
            for _ in 0..200 {
                let at = random.below(bytes.len());
                bytes[at] = u8::try_from(random.below(256))?;
            }
        }
    }
    fs::write(&file, &bytes)?;
    let arguments = READERS[random.below(READERS.len())];
    let ended = arena.run(&mut monitor(arena, arguments, &file), &[])?;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("monitor {}: {why}", arguments[0])),
        None if fs::read(&file)? != bytes => {
            Outcome::Lost(format!("monitor {}: changed what it reads", arguments[0]))
        }
        None => Outcome::Survived,
    })
}

/// A history that somebody else writes to for a while.
pub(super) fn locked(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let folder = arena.folder()?;
    let file = copy(arena, folder.path())?;
    let connection = Connection::open(&file)?;
    connection.execute_batch("begin exclusive")?;
    let time = Duration::from_millis(random.below(300) as u64);
    let arguments = match random.below(READERS.len() + 1) {
        0 => &["snapshot"],
        other => READERS[other - 1],
    };
    let ended = thread::scope(|scope| {
        scope.spawn(move || {
            thread::sleep(time);
            connection.execute_batch("rollback")
        });
        arena.run(&mut monitor(arena, arguments, &file), &[])
    })?;
    Ok(judge(arguments[0], &ended))
}

/// A recorder killed at any instant, and run again: every build is there once.
pub(super) fn killed(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let folder = arena.folder()?;
    let logs = folder.path().join("drvs/ib");
    fs::create_dir_all(&logs)?;
    for number in 0..LOGS {
        let name = format!("zx00wpszg959bxhbva99mwk4001dxf-package-{number}.drv.bz2");
        fs::write(logs.join(name), "")?;
    }
    let file = folder.path().join("history.sqlite");
    let snapshot = || {
        let mut command = monitor(arena, &["snapshot"], &file);
        command.env("NIX_LOG_DIR", folder.path());
        command
    };
    let instant = Duration::from_micros(random.below(40_000) as u64);
    let ended = arena.meddle(&mut snapshot(), &[], usize::MAX, |child, elapsed| {
        if elapsed >= instant {
            let _ = child.kill();
        }
    })?;
    if let Some(why) = ended.offence() {
        return Ok(Outcome::Lost(format!("monitor snapshot: {why}")));
    }
    let again = arena.run(&mut snapshot(), &[])?;
    if !again.status.success() {
        return Ok(judge("snapshot", &again));
    }
    sound(&file, &[("builds", LOGS), ("logs", LOGS)])
}

/// Whether a history is whole, and its tables have so many rows.
pub(super) fn sound(file: &Path, expected: &[(&str, i64)]) -> Result<Outcome> {
    let connection = Connection::open(file)?;
    let state: String = connection.query_one("pragma integrity_check", [], |row| row.get(0))?;
    if state != "ok" {
        return Ok(Outcome::Lost(state));
    }
    for (table, expected) in expected {
        let query = format!("select count(*) from {table}");
        let found: i64 = connection.query_one(&query, [], |row| row.get(0))?;
        if found != *expected {
            return Ok(Outcome::Lost(format!("{table}: {found} rows, not {expected}")));
        }
    }
    Ok(Outcome::Survived)
}
