//! The command line of `storage`.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::hardware::Hardware;
use detect::report::Hint;
use detect::stage;

use crate::check::{self, Expected};

const EXAMPLES: &str = "\
Examples:
  detect | profile | storage                    where builds run, and what stays free
  detect | profile | storage | nix-conf-write   and all of it as nix.conf
  storage plan.json -o plan.json
  storage check                                 what will fail on this machine
  storage roots                                 what keeps the store large
  storage measure                               how fast its disks really are

Where the defaults are good, nothing is added but the space that stays free.";

/// What to plan for.
#[derive(Debug, Parser)]
#[command(name = "storage", version, about = env!("CARGO_PKG_DESCRIPTION"))]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The plan; stdin when it is absent or -
    #[arg(value_name = "PLAN")]
    pub input: Option<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// What to do instead of planning.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what of this machine will fail before it fails; exits with 1 if
    /// anything will
    Check(CheckCli),

    /// Say what each root of the garbage collector keeps, and what removing it
    /// would free
    Roots(RootsCli),

    /// Measure the file systems of builds and of the store: takes some seconds,
    /// and writes temporary files
    Measure(MeasureCli),
}

impl Command {
    /// Do it.
    pub fn run(&self) -> Result<()> {
        match self {
            Self::Check(check) => check.run(),
            Self::Roots(roots) => roots.run(),
            Self::Measure(measure) => measure.run(),
        }
    }
}

const CHECK_EXAMPLES: &str = "\
Examples:
  storage check
  storage check --build-size 60000000000        as for Qt or Chromium
  storage check --costs costs.json              as builds have needed before
  storage check --json | jq '.findings[].id'
  storage check --root captured --live hardware.json
                                                another machine, by its tree and
                                                what `detect --live` said on it";

/// What to check.
#[derive(Args, Debug)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckCli {
    /// Print a document instead of lines for people
    #[arg(long, conflicts_with = "human")]
    pub json: bool,

    /// Print lines for people, as is the default
    #[arg(long)]
    pub human: bool,

    /// A captured machine to look at, instead of this one
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// What `detect --live` said of that machine: a captured tree holds neither
    /// its free space nor how its Nix is set
    #[arg(long, value_name = "FILE", requires = "root")]
    pub live: Option<PathBuf>,

    /// What builds have cost before, as `monitor costs` says: each is expected
    /// to need what the largest did
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,

    /// Bytes that each build is expected to write, instead of 10 GiB
    #[arg(long, value_name = "BYTES")]
    pub build_size: Option<u64>,

    /// Files that each build is expected to make, instead of 100,000
    #[arg(long, value_name = "NUMBER")]
    pub build_files: Option<u64>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl CheckCli {
    /// Check, and say what was found; an error if anything will fail.
    pub fn run(&self) -> Result<()> {
        self.common.apply_color();
        let expected = match &self.costs {
            Some(path) => {
                let costs = stage::read(Some(path))?;
                Expected::recorded(&costs).with_context(|| path.display().to_string())?
            }
            None => Expected::default(),
        };
        let expected = expected.given(self.build_size, self.build_files);
        let said = self.live.as_deref().map(|path| {
            let said: Hardware = stage::read(Some(path))?;
            let is_live = said.live.is_some();
            let said = is_live.then_some(said).context("no live figures: use detect --live");
            said.with_context(|| path.display().to_string())
        });
        let report = check::check(self.root.as_deref(), said.transpose()?, expected)?;
        if self.json {
            stage::write(&report, &self.common)?;
        } else {
            stage::write_text(&report.human(), &self.common)?;
        }
        match report.errors() {
            0 => Ok(()),
            errors => bail!("check: errors found: {errors}"),
        }
    }
}

const ROOTS_EXAMPLES: &str = "\
Examples:
  storage roots
  storage roots -n 100
  storage roots --json | jq -r '.roots[] | select(.only.bytes > 1e9) | .links[]'

Sizes are logical: what hard links save is not counted.";

/// What to weigh.
#[derive(Args, Debug)]
#[command(after_help = ROOTS_EXAMPLES)]
pub struct RootsCli {
    /// Print a document, of all roots, instead of lines for people
    #[arg(long)]
    pub json: bool,

    /// Show the N heaviest roots
    #[arg(short, value_name = "N", default_value_t = 20)]
    pub n: usize,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl RootsCli {
    /// Weigh them, and say what each keeps.
    pub fn run(&self) -> Result<()> {
        self.common.apply_color();
        let roots = crate::roots::roots()?;
        if self.json {
            stage::write(&roots, &self.common)
        } else {
            stage::write_text(&roots.human(self.n), &self.common)
        }
    }
}

const MEASURE_EXAMPLES: &str = "\
Examples:
  storage measure                    where builds run, and where the store is
  storage measure /mnt/fast          where builds might run
  storage measure --store-size --json

What is written is removed, also when it is interrupted.";

/// What to measure.
#[derive(Args, Debug)]
#[command(after_help = MEASURE_EXAMPLES)]
pub struct MeasureCli {
    /// Measure this folder's file system instead
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,

    /// Also say how large the store is
    #[arg(long)]
    pub store_size: bool,

    /// Print a document instead of lines for people
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl MeasureCli {
    /// Measure, and say what was found; an error if that is nothing.
    pub fn run(&self) -> Result<()> {
        self.common.apply_color();
        let measured = crate::measure::measure(self.folder.as_deref(), self.store_size)?;
        if self.json {
            stage::write(&measured, &self.common)?;
        } else {
            stage::write_text(&measured.human(), &self.common)?;
        }
        if measured.is_empty() {
            let hint = Hint::new("run as root, or name a DIR that you may write to");
            return Err(anyhow!("measure: nothing could be measured").context(hint));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
