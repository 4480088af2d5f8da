//! `monitor ingest`: what a recorded or live stream of events says happened.

mod table;
mod times;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use detect::arguments::Common;
use detect::report::{say, tool};
use detect::stage;
use rustix::fs::FileType;

use crate::event::each;
use crate::recorded::Recorded;
use crate::stream::Stream;
use times::Times;

pub use table::seconds;

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
        let recorded = self.timing.read(&self.input, &self.common)?;
        if self.json {
            return stage::write(&recorded, &self.common);
        }
        stage::write_human(&table::table(&recorded), &self.common)
    }
}

impl Timing {
    /// What a file, or stdin, says happened.
    pub fn read(&self, input: &Path, common: &Common) -> Result<Recorded> {
        if input == Path::new("-") {
            let stdin = io::stdin().lock();
            let kind = rustix::fs::fstat(stdin.as_fd()).map(|found| found.st_mode);
            let is_live =
                kind.is_ok_and(|mode| FileType::from_raw_mode(mode) != FileType::RegularFile);
            let mut times = self.times.as_deref().map(Times::open).transpose()?;
            let began = Instant::now();
            return read(stdin, common, || match &mut times {
                Some(times) => times.next(),
                None => is_live.then(|| began.elapsed().as_secs_f64()),
            })
            .context("stdin");
        }
        let file = File::open(input).with_context(|| input.display().to_string())?;
        let beside = input.with_extension("times");
        let mut times = match &self.times {
            Some(times) => Some(Times::open(times)?),
            None if beside != input && beside.is_file() => Some(Times::open(&beside)?),
            None => None,
        };
        read(BufReader::with_capacity(BUFFER_BYTES, file), common, || times.as_mut()?.next())
            .with_context(|| input.display().to_string())
    }
}

/// What a stream says happened, whose lines come when `clock` says.
fn read(
    text: impl BufRead,
    common: &Common,
    mut clock: impl FnMut() -> Option<f64>,
) -> Result<Recorded> {
    let mut stream = Stream::default();
    each(text, |line| {
        stream.line(line, clock(), &mut |_| {});
        Ok(())
    })?;
    warn_of_left_out(&stream, common);
    Ok(stream.finish())
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
