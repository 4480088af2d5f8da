//! A store of a million paths.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bench::random::Random;

use super::Outcome;
use super::arena::Arena;
use crate::speed::made_up;

/// As many as the largest stores that people report.
const PATHS: u32 = 1_000_000;

fn state(arena: &Arena) -> Result<&Path> {
    if let Some(state) = arena.store.get() {
        return Ok(state);
    }
    let state = arena.path().join("state");
    made_up::store(&state, PATHS)?;
    let roots = state.join("gcroots");
    fs::create_dir_all(&roots).context("gcroots")?;
    for number in (1..=PATHS).step_by(10_000) {
        let path = made_up::path(number);
        std::os::unix::fs::symlink(path, roots.join(number.to_string()))?;
    }
    Ok(arena.store.get_or_init(|| state))
}

fn judge(arena: &Arena, tool: &str, arguments: &[&str]) -> Result<Outcome> {
    let mut command = arena.tool(tool);
    command.args(arguments).env("NIX_STATE_DIR", state(arena)?);
    let ended = arena.run(&mut command, &[])?;
    let stdout = String::from_utf8_lossy(&ended.stdout);
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("{tool}: {why}")),
        None if !ended.status.success() => Outcome::Lost(format!("{tool}: {}", ended.stderr)),
        None if !stdout.contains("1000000") => Outcome::Lost(format!("{tool}: not all counted")),
        None => Outcome::Survived,
    })
}

/// What the store holds.
pub(super) fn status(arena: &Arena, _random: &mut Random) -> Result<Outcome> {
    judge(arena, "monitor", &["status", "--json", "--quiet"])
}

/// What keeps it.
pub(super) fn roots(arena: &Arena, _random: &mut Random) -> Result<Outcome> {
    judge(arena, "storage", &["roots", "--json", "--quiet"])
}
