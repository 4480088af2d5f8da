//! The guard's parent: it stops nothing, and outlives whoever does.
//!
//! Whether the worker is killed, crashes or is stopped itself: the parent lets
//! everything go on. The worker does the same for the parent. What is left when
//! both are killed at once is written down, for the service manager's
//! `monitor guard --thaw` and for the next guard.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Options;
use super::notify::Manager;
use super::stop::{Stopped, thaw};

/// How long a worker that has stopped something may be silent: it speaks twenty
/// times a second.
const SILENCE: Duration = Duration::from_secs(1);

/// How long one that has stopped nothing may be silent: it speaks every two
/// seconds, but on a busy machine.
const ABSENCE: Duration = Duration::from_secs(20);

/// What the worker is called, so that who ends the one by its name does not end
/// the other.
const NAME: &str = "nixpace-guard";

enum Event {
    Said(Vec<Stopped>),
    Gone,
    End,
}

/// Run a worker until it or we are told to end.
pub(super) fn run(options: &Options) -> Result<()> {
    let (sender, events) = mpsc::channel();
    let mut signals = Signals::new([SIGTERM, SIGINT]).context("signals")?;
    let ends = sender.clone();
    thread::spawn(move || signals.forever().for_each(|_| drop(ends.send(Event::End))));
    let mut worker = Command::new(std::env::current_exe().context("own path")?)
        .arg0(NAME)
        .args(["guard", "--worker"])
        .args(options.arguments())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("worker")?;
    let stdin = worker.stdin.take();
    let stdout = worker.stdout.take().context("worker: no stdout")?;
    thread::spawn(move || listen(BufReader::new(stdout), &sender));

    let mut stopped: Vec<Stopped> = Vec::new();
    let manager = Manager::of_environment();
    manager.tell("READY=1");
    let mut told = Instant::now();
    let mut heard = Instant::now();
    let why = loop {
        if told.elapsed() >= SILENCE {
            manager.tell("WATCHDOG=1");
            told = Instant::now();
        }
        match events.recv_timeout(SILENCE) {
            Ok(Event::Said(said)) => {
                stopped = said;
                heard = Instant::now();
            }
            Ok(Event::End) => break None,
            Ok(Event::Gone) | Err(RecvTimeoutError::Disconnected) => {
                break Some("the worker is gone");
            }
            Err(RecvTimeoutError::Timeout) if stopped.is_empty() && heard.elapsed() < ABSENCE => {}
            Err(RecvTimeoutError::Timeout) => break Some("the worker has stopped"),
        }
    };
    // The end of its stdin tells it to let all go on, and to end.
    drop(stdin);
    if why.is_none() {
        while let Ok(Event::Said(said)) = events.recv_timeout(SILENCE) {
            stopped = said;
        }
    }
    thaw(&stopped);
    let _ = worker.kill();
    let status = worker.wait().context("worker")?;
    // It may have stopped more between its last word and its end.
    thaw(&stopped);
    match why {
        Some(why) => bail!("{why} ({status}): everything goes on, unguarded"),
        None => Ok(()),
    }
}

/// Pass on what the worker says.
fn listen(lines: impl BufRead, sender: &Sender<Event>) {
    for line in lines.lines() {
        let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(said) = said else { break };
        if sender.send(Event::Said(said)).is_err() {
            return;
        }
    }
    let _ = sender.send(Event::Gone);
}
