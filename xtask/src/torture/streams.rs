//! Pipes that break, trickle or were never there.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use bench::random::Random;
use rustix::process::{Pid, Signal, kill_process};

use super::Outcome;
use super::arena::{Arena, Stage};
use super::child::Ended;

/// Shell words that take something away from a program, and whether its document
/// cannot get out then. Rust's own start-up puts /dev/null where nothing is.
const TAKEN: [(&str, bool); 8] = [
    ("<&-", false),
    (">&-", false),
    ("2>&-", false),
    (">&- 2>&-", false),
    ("<&- >&- 2>&-", false),
    (">/dev/full", true),
    ("2>/dev/full", false),
    (">/dev/full 2>/dev/full", true),
];

/// Signals that a program gets for all kinds of reasons, and goes on.
const HARMLESS: [Signal; 4] = [Signal::WINCH, Signal::CONT, Signal::CHILD, Signal::URG];

/// Stages that read a document.
fn any<'a>(arena: &'a Arena, random: &mut Random) -> &'a Stage {
    &arena.stages[1 + random.below(arena.stages.len() - 1)]
}

/// It printed what it prints undisturbed, and succeeded.
fn is_whole(stage: &Stage, ended: &Ended) -> Outcome {
    match ended.offence() {
        Some(why) => Outcome::Lost(format!("{}: {why}", stage.tool)),
        None if !ended.status.success() => {
            Outcome::Lost(format!("{}: {}: {}", stage.tool, ended.status, ended.stderr))
        }
        None if ended.stdout != stage.output => {
            Outcome::Lost(format!("{}: another document", stage.tool))
        }
        None => Outcome::Survived,
    }
}

/// A document that ends too early: whoever wrote it was killed.
pub(super) fn cut(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = any(arena, random);
    // Without its last brace, at least.
    let length = random.below(stage.input.len() - 2);
    let ended = arena.run(&mut arena.command(stage), &stage.input[..length])?;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("{}: {why}", stage.tool)),
        None if ended.code() == Some(1) && ended.stdout.is_empty() => Outcome::Survived,
        None => Outcome::Lost(format!("{}: took {length} bytes for a document", stage.tool)),
    })
}

/// A document with some bytes changed: it may mean something, or nothing.
pub(super) fn garbled(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = any(arena, random);
    let mut input = stage.input.clone();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len());
        input[at] = u8::try_from(random.below(256))?;
    }
    let ended = arena.run(&mut arena.command(stage), &input)?;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("{}: {why}", stage.tool)),
        None if ended.code() == Some(0) || ended.stdout.is_empty() => Outcome::Survived,
        None => Outcome::Lost(format!("{}: failed, and printed something", stage.tool)),
    })
}

/// Pipes that give and take a byte at a time.
pub(super) fn by_bytes(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = any(arena, random);
    let ended = arena.meddle(&mut arena.command(stage), &stage.input, 1, |_, _| {})?;
    Ok(is_whole(stage, &ended))
}

/// Signals that interrupt whatever it waits for; and stops.
pub(super) fn signals(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = any(arena, random);
    let mut next = Duration::ZERO;
    let ended = arena.meddle(&mut arena.command(stage), &stage.input, 64, |child, elapsed| {
        if elapsed >= next {
            let pid = Pid::from_child(child);
            let _ = kill_process(pid, HARMLESS[random.below(HARMLESS.len())]);
            if random.below(8) == 0 {
                let _ = kill_process(pid, Signal::STOP);
                let _ = kill_process(pid, Signal::CONT);
            }
            next = elapsed + Duration::from_micros(random.below(2000) as u64);
        }
    })?;
    Ok(is_whole(stage, &ended))
}

/// Something missing that programs count on.
pub(super) fn closed(arena: &Arena, random: &mut Random) -> Result<Outcome> {
    let stage = &arena.stages[random.below(arena.stages.len())];
    let (taken, must_fail) = TAKEN[random.below(TAKEN.len())];
    let inner = arena.command(stage);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec \"$@\" {taken}"), "sh"]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(arena.path());
    let ended = arena.run(&mut command, &stage.input)?;
    Ok(match ended.offence() {
        Some(why) => Outcome::Lost(format!("{} {taken}: {why}", stage.tool)),
        None if must_fail && ended.code() == Some(0) => {
            Outcome::Lost(format!("{} {taken}: lost its document, and succeeded", stage.tool))
        }
        None => Outcome::Survived,
    })
}
