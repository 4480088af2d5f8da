//! A clock that is set while a tool runs, years forth and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use bench::random::Random;

use super::Outcome;
use super::arena::Arena;
use super::history::{FEW, READERS, copy, judge, monitor, sound};

/// What stands between a program and the clock, where Debian has it, below the
/// folder of an architecture's libraries.
const LIBRARY: &str = "faketime/libfaketime.so.1";

/// A build, from its start to its end, as Nix tells it.
const EVENTS: &str = "\
@nix {\"action\":\"start\",\"id\":1,\"level\":0,\"parent\":0,\"text\":\"\",\"type\":104}\n\
@nix {\"action\":\"start\",\"fields\":[\"/nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-clock-1.drv\",\
\"\",1,1],\"id\":2,\"level\":3,\"parent\":0,\"text\":\"building\",\"type\":105}\n\
@nix {\"action\":\"result\",\"fields\":[1,1,0,0],\"id\":1,\"type\":105}\n\
@nix {\"action\":\"stop\",\"id\":2}\n";

/// Record a build or read a history, of which nothing may be lost.
pub(super) fn jumping(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let Some(library) = library() else {
        return Ok(Outcome::Skipped("no libfaketime here"));
    };
    let folder = arena.folder()?;
    let file = copy(arena, folder.path())?;
    let clock = folder.path().join("clock");
    let set = |clock: &Path, random: &mut Random| -> Result<()> {
        // Whole or not at all: it is read all the time.
        let next = clock.with_extension("next");
        let days = i64::try_from(random.below(14_600))? - 7300;
        fs::write(&next, format!("{days:+}d\n")).context("clock")?;
        fs::rename(&next, clock).context("clock")
    };
    set(&clock, random)?;
    let chosen = random.below(READERS.len() + 2);
    let (arguments, input): (&[&str], _) = match chosen.checked_sub(READERS.len()) {
        None => (READERS[chosen], ""),
        Some(0) => (&["snapshot"], ""),
        Some(_) => (&["ingest", "-"], EVENTS),
    };
    let mut command = monitor(arena, arguments, &file);
    under(&mut command, &library, &clock);
    // A byte at a time, so that there is time for the clock to be set.
    let chunk = if random.coin() { 1 } else { usize::MAX };
    let ended = arena.meddle(&mut command, input.as_bytes(), chunk, |_, _| {
        let _ = set(&clock, random);
    })?;
    let judged = judge(arguments[0], &ended);
    if !matches!(judged, Outcome::Survived) {
        return Ok(judged);
    }
    let builds = i64::from(FEW) + i64::from(!input.is_empty());
    sound(&file, &[("builds", builds)])
}

/// Have a command see the time that a file says.
fn under(command: &mut Command, library: &Path, clock: &Path) {
    command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
    command.env("FAKETIME_NO_CACHE", "1");
    // What is set is the time of day; the clock that only counts goes on, and files
    // keep their times.
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
    command.env("NO_FAKE_STAT", "1");
}

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?;
    let mut found = folders.filter_map(|folder| Some(folder.ok()?.path().join(LIBRARY)));
    found.find(|library| library.exists())
}
