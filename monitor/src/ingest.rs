//! `monitor ingest`: what a recorded or live stream of events says happened.

mod table;
mod times;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use detect::arguments::Common;
use detect::report::{say, tool};
use detect::stage;
use sha2::{Digest, Sha256};

use crate::event::{Line, each};
use crate::history::History;
use crate::history::run::Run;
use crate::recorded::Recorded;
use crate::snapshot::now;
use crate::stream::Stream;
use times::Times;

/// Larger reads save no time; smaller ones cost some.
const BUFFER_BYTES: usize = 256 << 10;

/// What to read.
#[derive(Args, Debug)]
pub struct Command {
    /// The events; stdin when it is -
    #[arg(value_name = "FILE")]
    pub input: PathBuf,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub timing: Timing,

    /// Remember it in the history FILE: a recorded file once, however often it is read
    #[arg(long = "db", value_name = "FILE")]
    pub history: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// When recorded events came.
#[derive(Args, Debug)]
pub struct Timing {
    /// When each line came, in seconds, a line each; without it, FILE with .times for
    /// its suffix, if that is there
    #[arg(long, value_name = "FILE")]
    pub times: Option<PathBuf>,
}

impl Command {
    /// Read, and say what happened.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let digest = self.history.is_some().then(Sha256::new);
        let Heard { recorded, started, ended, digest } =
            self.timing.read(&self.input, digest, &self.common)?;
        let recorded = match &self.history {
            None => recorded,
            Some(history) => {
                let input = self.input.display().to_string();
                let run = Run {
                    started,
                    ended,
                    command: vec![tool(), "ingest".to_owned(), input],
                    exit_code: None,
                    nix_version: None,
                    jobs: None,
                    cores: None,
                    digest,
                    recorded,
                };
                History::open(history)?.record(&run)?;
                run.recorded
            }
        };
        if self.json {
            return stage::write(&recorded, &self.common);
        }
        stage::write_human(&table::table(&recorded), &self.common)
    }
}

/// What was read.
pub struct Heard {
    /// What it says happened.
    pub recorded: Recorded,
    /// When it began, in seconds since 1970: of a file, which was last written to when
    /// it ended, that less its times.
    pub started: f64,
    /// When it ended.
    pub ended: f64,
    /// Of a file, where that is asked for. What comes through a pipe is taken for what
    /// happens now, and is never the same twice.
    pub digest: Option<String>,
}

impl Timing {
    /// What a file, or stdin, says happened.
    pub fn read(&self, input: &Path, digest: Option<Sha256>, common: &Common) -> Result<Heard> {
        let times = self.times.as_deref();
        if input == Path::new("-") {
            // Rust's own way to it has a buffer of but 8 KiB.
            let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
            let mut times = times.map(Times::open).transpose()?;
            if file.metadata().is_ok_and(|found| found.is_file()) {
                let mut text = BufReader::with_capacity(BUFFER_BYTES, &file);
                return from_file(&file, &mut text, times, digest, common).context("stdin");
            }
            // A pipe that holds as much as is read at once wakes both its ends less often.
            #[cfg(target_os = "linux")]
            let _ = rustix::pipe::fcntl_setpipe_size(&file, BUFFER_BYTES);
            let started = now();
            let clock = Clock::start();
            let text = BufReader::with_capacity(BUFFER_BYTES, Clocked { file, clock: &clock });
            let (recorded, _) = read(text, None, common, || match &mut times {
                Some(times) => times.next(),
                None => Some(clock.read_at.get()),
            })
            .context("stdin")?;
            return Ok(Heard { recorded, started, ended: now(), digest: None });
        }
        let name = || input.display().to_string();
        let file = File::open(input).with_context(name)?;
        let beside = input.with_extension("times");
        let times = match times {
            Some(times) => Some(Times::open(times)?),
            None if beside != input && beside.is_file() => Some(Times::open(&beside)?),
            None => None,
        };
        let text = &mut BufReader::with_capacity(BUFFER_BYTES, &file);
        from_file(&file, text, times, digest, common).with_context(name)
    }
}

/// When something was last read, in seconds after the clock was started. What comes
/// at once has come at one time, and asking for the time takes some.
struct Clock {
    began: Instant,
    read_at: Cell<f64>,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), read_at: Cell::new(0.0) }
    }
}

/// What comes, with a clock that says when.
struct Clocked<'a> {
    file: File,
    clock: &'a Clock,
}

impl Read for Clocked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.clock.read_at.set(self.clock.began.elapsed().as_secs_f64());
        Ok(count)
    }
}

/// What a file says happened.
fn from_file(
    file: &File,
    text: &mut impl BufRead,
    mut times: Option<Times>,
    mut digest: Option<Sha256>,
    common: &Common,
) -> Result<Heard> {
    let written = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (recorded, last) = read(text, digest.as_mut(), common, || times.as_mut()?.next())?;
    let ended = written.as_secs_f64();
    let digest = digest.map(|digest| {
        digest.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    });
    Ok(Heard { recorded, started: ended - last, ended, digest })
}

/// What a stream says happened, whose lines come when `clock` says; and when the last
/// one came.
fn read(
    text: impl BufRead,
    mut digest: Option<&mut Sha256>,
    common: &Common,
    mut clock: impl FnMut() -> Option<f64>,
) -> Result<(Recorded, f64)> {
    let mut stream = Stream::default();
    let mut last = 0.0_f64;
    each(text, |line| {
        let at = clock();
        last = last.max(at.unwrap_or(0.0));
        if let Some(digest) = &mut digest {
            if let Line::Whole(text) = &line {
                digest.update(text);
            }
            digest.update(at.unwrap_or(-1.0).to_le_bytes());
        }
        stream.line(line, at, &mut |_| {});
        Ok(())
    })?;
    warn_of_left_out(&stream, common);
    Ok((stream.finish(), last))
}

/// Say that a stream had more than is kept.
pub fn warn_of_left_out(stream: &Stream, common: &Common) {
    if stream.left_out() > 0 && !common.quiet {
        let events = stream.left_out();
        say(&format!(
            "{}: warning: more than is kept of one stream: {events} events are left out",
            tool()
        ));
    }
}
