//! The command line of `storage`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::stage;

use crate::check::{Expected, check};

const EXAMPLES: &str = "\
Examples:
  detect | profile | storage                    where builds run, and what stays free
  detect | profile | storage | nix-conf-write   and all of it as nix.conf
  storage plan.json -o plan.json
  storage check                                 what will fail on this machine
  storage check --json --build-size 20000000000

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
}

/// What to check.
#[derive(Args, Debug)]
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

    /// Bytes that each build is expected to write
    #[arg(long, value_name = "BYTES", default_value_t = 2 << 30)]
    pub build_size: u64,

    /// Files that each build is expected to make
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000)]
    pub build_files: u64,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl CheckCli {
    /// Check, and say what was found; an error if anything will fail.
    pub fn run(&self) -> Result<()> {
        let expected = Expected { bytes: self.build_size, files: self.build_files };
        let report = check(self.root.as_deref(), expected)?;
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
