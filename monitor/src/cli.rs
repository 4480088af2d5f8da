//! The command line of `monitor`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{ingest, run, snapshot};

const EXAMPLES: &str = "\
Examples:
  monitor                            what Nix is set to, has done and is doing
  monitor run -- nix build nixpkgs#hello   build, watch, and remember it
  monitor ingest build.jsonl         what a recorded stream of events says happened
  monitor snapshot                   record what happened since the last one
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
    /// Run a command of Nix, show how far it is, and remember what it did
    ///
    /// Exits with what the command exits with.
    Run(run::Command),
    /// Say what a stream of Nix's events says happened
    ///
    /// Events are what Nix writes to stderr with --log-format internal-json, or to
    /// the socket or file of json-log-path.
    Ingest(ingest::Command),
    /// Record what happened since the last snapshot, as far as Nix left a trace
    ///
    /// Reads the logs of builds and Nix's database; for a timer.
    Snapshot(snapshot::Command),
}

impl Cli {
    /// Do it; the code to exit with is a wrapped command's own, where there is one.
    pub fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Run(command) => return command.run(),
            Command::Ingest(command) => command.run()?,
            Command::Snapshot(command) => command.run()?,
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
