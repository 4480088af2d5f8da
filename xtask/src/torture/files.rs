//! Files that are written while their writer is killed or their disk is full: they
//! are as they were, or as they were to be.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bench::random::Random;

use super::Outcome;
use super::arena::{Arena, Stage};

/// What a file holds before it is replaced.
const OLD: &[u8] = b"what was there before\n";

/// Longer than any stage takes for one machine, unless much else runs.
const LONGEST_MICROSECONDS: usize = 30_000;

/// Mounts a small disk at $1 with options $2, puts the old file there, makes it
/// read-only if $3 says so, runs the rest, and keeps what is there then in $4.
const ON_SMALL_DISK: &str = r#"
    mount -t tmpfs -o "$2" none "$1"
    cp "$1.old" "$1/file"
    if [ "$3" = ro ]; then mount -o remount,ro "$1"; fi
    folder=$1 after=$4
    shift 4
    code=0
    "$@" --output "$folder/file" || code=$?
    cp "$folder/file" "$after"
    exit "$code"
"#;

fn any<'a>(arena: &'a Arena, random: &mut Random) -> &'a Stage {
    &arena.stages[random.below(arena.stages.len())]
}

/// A writer killed at any instant.
pub(super) fn killed(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = any(arena, random);
    let folder = arena.folder()?;
    let file = folder.path().join("file");
    fs::write(&file, OLD)?;
    let instant = Duration::from_micros(random.below(LONGEST_MICROSECONDS) as u64);
    let mut command = arena.command(stage);
    command.arg("--output").arg(&file);
    let ended = arena.meddle(&mut command, &stage.input, usize::MAX, |child, elapsed| {
        if elapsed >= instant {
            let _ = child.kill();
        }
    })?;
    let after = fs::read(&file).context("the file")?;
    let is_done = ended.status.success();
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("{}: {why}", stage.tool)),
        None if after == stage.output || (after == OLD && !is_done) => Outcome::Survived,
        None => Outcome::Lost(format!("{}: after {instant:?}: half a file", stage.tool)),
    })
}

/// A disk that has no room, or no room for another file.
pub(super) fn full(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = any(arena, random);
    let pages = 1 + random.below(stage.output.len() / 4096 + 3);
    let inodes = 2 + random.below(3);
    on_small_disk(arena, stage, &format!("size={}k,nr_inodes={inodes}", pages * 4), "rw")
}

/// A disk that nobody may write to.
pub(super) fn read_only(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    on_small_disk(arena, any(arena, random), "size=1m", "ro")
}

fn on_small_disk(arena: &Arena, stage: &Stage, options: &str, mode: &str) -> Result<Outcome> {
    if !Arena::may_mount() {
        return Ok(Outcome::Skipped("mounts of one's own need root"));
    }
    let folder = arena.folder()?;
    let [disk, after] = ["disk", "after"].map(|name| folder.path().join(name));
    fs::create_dir(&disk)?;
    fs::write(disk.with_extension("old"), OLD)?;
    let inner = arena.command(stage);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-euc", ON_SMALL_DISK, "sh"]);
    command.arg(&disk).args([options, mode]).arg(&after);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(arena.path());
    let ended = arena.run(&mut command, &stage.input)?;
    let found = fs::read(&after).context("what was left")?;
    let expected = match ended.code() {
        Some(0) if mode == "rw" => &stage.output[..],
        _ => OLD,
    };
    let is_said = ended.code() == Some(0) || ended.stderr.lines().count() >= 1;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("{}: {options}: {why}", stage.tool)),
        None if found != expected => {
            Outcome::Lost(format!("{}: {options}: half a file", stage.tool))
        }
        None if !is_said => Outcome::Lost(format!("{}: {options}: failed silently", stage.tool)),
        None if mode == "ro" && ended.code() != Some(1) => {
            Outcome::Lost(format!("{}: read-only, and {}", stage.tool, ended.status))
        }
        None => Outcome::Survived,
    })
}
