//! The command line of `monitor`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::stage;

use crate::active::{self, table::table};
use crate::guard;
use crate::watch::watch;

const EXAMPLES: &str = "\
Examples:
  monitor                            what Nix is set to, has done and is doing
  monitor active                     who builds what since when
  monitor active --watch             the same again and again
  monitor guard --costs costs.json   keep builds within memory
";

/// What to look at; without a command, the status.
#[derive(Debug, Parser)]
#[command(name = "monitor", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who builds what since when, with CPU time and memory
    Active(Active),
    /// Keep builds within memory: hold those that would not fit, until they do
    Guard(guard::Options),
}

/// `monitor active`.
#[derive(Args, Debug)]
pub struct Active {
    /// Print the JSON document
    #[arg(long)]
    pub json: bool,

    /// Look again every second; with --json, a document on each line
    #[arg(long, conflicts_with = "output")]
    pub watch: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Active {
    fn run(self) -> Result<()> {
        if self.watch {
            self.common.apply_color();
            return watch(Duration::from_secs(1), self.json, &self.common);
        }
        let active = active::active();
        self.common.apply_color();
        self.common.tell(&active.notes);
        if self.json {
            return stage::write(&active, &self.common);
        }
        stage::write_human(&table(&active), &self.common)
    }
}

impl Cli {
    /// Do it; the code to exit with is a wrapped command's own, where there is one.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Active(active) => active.run()?,
            Command::Guard(guard) => guard.run()?,
        }
        Ok(ExitCode::SUCCESS)
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
