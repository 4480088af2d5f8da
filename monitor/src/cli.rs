//! The command line of `monitor`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::hardware::Note;
use detect::report::reason;
use detect::stage;

use crate::active::{self, table::table};
use crate::estimate::Estimates;
use crate::history::Place;
use crate::watch::watch;
use crate::{builds, costs, guard, ingest, listen, metrics, report, run, snapshot, status, trace};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

const EXAMPLES: &str = "\
Examples:
  monitor                            what Nix is set to, has done and is doing
  monitor status --plan plan.json    the same, and where it is set otherwise
  monitor run -- nix build nixpkgs#hello   build, watch, and remember it
  monitor builds --since 7d --slowest   what took longest
  monitor active                     who builds what since when
  monitor active --watch             the same again and again
  monitor report --html report.html  what was built, as a page
  monitor snapshot                   record what happened since the last one
  monitor metrics --textfile /var/lib/nixpace/nixpace.prom   for node_exporter
  monitor costs | profile --costs /dev/stdin hardware.json   plan by what builds cost
  monitor guard --costs costs.json   keep builds within memory
  monitor listen /run/nixpace/nix.sock   hear every build, by json-log-path
  monitor ingest build.jsonl         what a recorded stream of events says happened
  monitor trace -o trace.json -      and when, of events that come by stdin, for ui.perfetto.dev
";

/// What to look at; without a command, the status.
#[derive(Debug, Parser)]
#[command(name = "monitor", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Option<Command>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub status: status::Command,
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
    /// Draw a recorded stream of events as a timeline, for ui.perfetto.dev
    Trace(trace::Command),
    /// Hear every build of this machine, by the socket of json-log-path
    ///
    /// For Nix 2.30 or later: `json-log-path = SOCKET` in the daemon's nix.conf. Nix
    /// waits for who hears it: never stop this program (SIGSTOP) while it builds.
    Listen(listen::Command),
    /// Who builds what since when, with CPU time and memory
    Active(Active),
    /// What was built, when, in what time, and how it ended
    Builds(builds::Command),
    /// What builds have cost, by package: for profile --costs
    Costs(costs::Command),
    /// Record what happened since the last snapshot, as far as Nix left a trace
    ///
    /// Reads the logs of builds and Nix's database; for a timer.
    Snapshot(snapshot::Command),
    /// Figures for Prometheus: how many builds, how long, how much from caches
    Metrics(metrics::Command),
    /// Show what Nix built, how long that took, and where everything came from
    Report(report::command::Command),
    /// What Nix is set to, has done and is doing (the default)
    Status(status::Command),
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
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Active {
    fn run(self) -> Result<()> {
        self.common.apply_color();
        // Without what was, there is still what is.
        let (mut estimates, why) = match Estimates::open(&self.place) {
            Ok(estimates) => (estimates, None),
            Err(error) => (Estimates::default(), Some(reason(&error))),
        };
        let why = why.map(|why| Note::info("estimates-missing", why));
        if self.watch {
            self.common.tell(why.as_slice());
            return watch(EVERY, self.json, estimates, &self.common);
        }
        let mut active = active::active();
        estimates.tell(&mut active);
        active.notes.extend(why);
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
        match self.command.unwrap_or(Command::Status(self.status)) {
            Command::Run(command) => return command.run(),
            Command::Ingest(command) => command.run()?,
            Command::Trace(command) => command.run()?,
            Command::Listen(command) => command.run()?,
            Command::Active(active) => active.run()?,
            Command::Builds(command) => command.run()?,
            Command::Costs(command) => command.run()?,
            Command::Snapshot(command) => command.run()?,
            Command::Metrics(command) => command.run()?,
            Command::Report(command) => command.run()?,
            Command::Status(command) => command.run()?,
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
