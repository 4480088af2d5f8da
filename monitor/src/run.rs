//! `monitor run`: a command of Nix, watched and remembered.
//!
//! **Invariant:** the command fares as it would without us: what it exits with and
//! the signals are its own, and when something of ours fails, that is one line, and
//! it goes on.

mod child;
mod program;
mod screen;
mod settings;

use std::ffi::OsString;
use std::io::BufReader;
use std::process::{ChildStderr, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use detect::arguments::Common;
use detect::report::{reason, say, tool};

use crate::estimate::Estimates;
use crate::event::{Line, each};
use crate::history::run::Run;
use crate::history::{History, Place};
use crate::ingest::warn_of_left_out;
use crate::recorded::Recorded;
use crate::sample::{self, Sampler};
use crate::snapshot::now;
use crate::stream::Stream;
use child::Child;
use screen::Screen;
use settings::Settings;

/// How many lines may wait to be shown. When they cannot be, as on a terminal that is
/// stopped, the command waits, as it would for the terminal itself.
const WAITING_LINES: usize = 4096;

/// How often what is shown changes, and how often the command is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// How long something that the command left behind may hold its stderr without a
/// word, e.g. a connection of ssh.
const PATIENCE: Duration = Duration::from_millis(300);

/// What to run.
#[derive(Args, Debug)]
pub struct Command {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    /// Remember nothing
    #[arg(long, conflicts_with = "file")]
    pub no_history: bool,

    /// Show only errors, and what is no event
    #[arg(short, long)]
    pub quiet: bool,

    /// The command: nix, nix-build, nix-shell, nix-store, nix-env, nixos-rebuild; another
    /// must itself be given --log-format internal-json
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

impl Command {
    /// Run it.
    pub fn run(self) -> Result<ExitCode> {
        let command = program::with_events(&self.command)?;
        let began = Instant::now();
        let started = now();
        let (child, stderr) = Child::start(&command)?;
        let watched = (!self.no_history).then(|| (Settings::ask(), Sampler::start(sample::EVERY)));
        let logs = program::shows_logs(&self.command);
        let estimates = Estimates::open(&self.place).unwrap_or_default();
        let screen = Screen::new(logs, self.quiet, estimates);
        let (status, mut recorded) = watch(&child, stderr, screen, began)?;
        if let Some((settings, sampler)) = watched {
            let settings = settings.hear(&self.command);
            let mut used = sampler.finish();
            for build in &mut recorded.builds {
                build.usage = used.remove(&build.drv);
            }
            let run = Run {
                started,
                ended: now(),
                command: self.command.iter().map(|word| word.display().to_string()).collect(),
                exit_code: status.code(),
                nix_version: settings.version,
                jobs: settings.jobs,
                cores: settings.cores,
                recorded,
                digest: None,
            };
            let kept = self.place.find().and_then(|file| History::open(&file)?.record(&run));
            if let Err(error) = kept {
                say(&format!("{}: warning: not remembered: {}", tool(), reason(&error)));
            }
        }
        Ok(ExitCode::from(child::code(status)))
    }
}

/// A line, and when it came.
type Arrived = (Option<Vec<u8>>, f64);

/// Take what it writes until it has ended.
fn watch(
    child: &Child,
    stderr: ChildStderr,
    mut screen: Screen,
    began: Instant,
) -> Result<(std::process::ExitStatus, Recorded)> {
    let lines = arriving(stderr, began);
    let elapsed = || began.elapsed().as_secs_f64();
    let mut stream = Stream::default();
    let mut looked = Instant::now();
    let mut ended: Option<(std::process::ExitStatus, Instant)> = None;
    loop {
        let arrived = lines.recv_timeout(EVERY);
        let closed = matches!(arrived, Err(RecvTimeoutError::Disconnected));
        if let Ok((line, at)) = arrived {
            let line = line.as_deref().map_or(Line::TooLong, Line::Whole);
            stream.line(line, Some(at), &mut |change| screen.show(&change, at));
            if let Some((_, heard)) = &mut ended {
                *heard = Instant::now();
            }
        }
        if closed || looked.elapsed() >= EVERY {
            looked = Instant::now();
            screen.tick(elapsed(), stream.downloaded_bytes());
            if ended.is_none() {
                ended = child.ended()?.map(|status| (status, looked));
            }
        }
        match ended {
            Some((status, heard)) if closed || heard.elapsed() >= PATIENCE => {
                warn_of_left_out(&stream, &Common::default());
                let recorded = stream.finish();
                screen.finish(&recorded, elapsed());
                return Ok((status, recorded));
            }
            // It has closed its stderr and goes on.
            None if closed => thread::sleep(EVERY / 10),
            _ => {}
        }
    }
}

/// The lines of its stderr, read by a thread, since what the command left behind may
/// keep it open.
fn arriving(stderr: ChildStderr, began: Instant) -> Receiver<Arrived> {
    let (sender, receiver) = mpsc::sync_channel(WAITING_LINES);
    thread::spawn(move || {
        let _ = each(BufReader::with_capacity(64 << 10, stderr), |line| {
            let line = match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            };
            Ok(sender.send((line, began.elapsed().as_secs_f64()))?)
        });
    });
    receiver
}
