//! A machine that changes while it is looked at.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use bench::random::Random;
use detect::hardware::Hardware;
use serde_json::Value;

use super::Outcome;
use super::arena::Arena;
use crate::command;

/// What files become.
const TEXTS: [&str; 6] =
    ["", "0\n", "max\n", "0-65535\n", "18446744073709551616 kB\n", "\0\u{fffd}"];

/// A captured /proc and /sys whose files go, come back, and become other things.
pub(super) fn vanishing(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let folder = arena.folder()?;
    let root = folder.path().join("root");
    let fixture = fs::canonicalize("tests/fixtures/pod-quota-v2")?;
    command::run_quietly(Command::new("cp").arg("-r").arg(fixture).arg(&root))?;
    let mut files = Vec::new();
    list(&root, &mut files)?;
    let done = AtomicBool::new(false);
    let mut changes = Random::new(random.number());
    let ended = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // What cannot be changed, something else is there already.
                let _ = change(&files, &mut changes);
            }
        });
        let mut command = arena.tool("detect");
        command.args(["--quiet", "--live", "--root"]).arg(&root);
        let ended = arena.run(&mut command, &[]);
        done.store(true, Ordering::Relaxed);
        ended
    })?;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("detect: {why}")),
        None if serde_json::from_slice::<Hardware>(&ended.stdout).is_ok() => Outcome::Survived,
        None => Outcome::Lost(format!("detect: no document: {}", ended.stderr)),
    })
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn change(files: &[PathBuf], random: &mut Random) -> Result<()> {
    let file = &files[random.below(files.len())];
    let other = &files[random.below(files.len())];
    match random.below(7) {
        0 => fs::remove_file(file)?,
        1 => fs::remove_dir(file)?,
        2 => fs::create_dir(file)?,
        3 => fs::rename(other, file)?,
        4 => symlink(other, file)?,
        5 => {
            fs::copy(other, file)?;
        }
        _ => fs::write(file, TEXTS[random.below(TEXTS.len())])?,
    }
    Ok(())
}

/// Processes that end while they are looked at.
pub(super) fn churning(arena: &Arena, _random: &mut Random) -> Result<Outcome> {
    let mut churn = Command::new("sh")
        .args(["-c", "while :; do true & true | true; wait; done"])
        .spawn()
        .context("sh")?;
    let ended = arena.run(arena.tool("monitor").args(["active", "--json"]), &[]);
    churn.kill()?;
    churn.wait()?;
    let ended = ended?;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("monitor active: {why}")),
        None if serde_json::from_slice::<Value>(&ended.stdout).is_ok() => Outcome::Survived,
        None => Outcome::Lost(format!("monitor active: no document: {}", ended.stderr)),
    })
}
