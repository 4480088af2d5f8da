//! The whole chain on this machine, and what developers run.

mod all;
mod capture;
mod ci;
mod command;
mod crates;
mod dist;
mod generated;
mod lint;
mod linters;
mod man;
mod nix;
mod packages;
mod schema;
mod settings;
mod speed;
mod test;
mod tidy;
mod torture;
mod tune;
mod workflow;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use detect::{arguments, stage};

const EXAMPLES: &str = "\
Examples:
  cargo xtask all                     look at this machine, and plan for it
  cargo xtask test                    the tests, on three real versions of Nix
  cargo xtask ci                      all that CI checks
  cargo xtask dist                    an archive and a Debian package
  cargo xtask torture --seconds 600   what goes wrong on machines, done on purpose";

/// The whole chain on this machine, and what developers run
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
#[command(after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Plan for this machine, write every document, and sum up; changes nothing else
    All,
    /// Copy what detect reads of this machine, to test on it elsewhere
    Capture {
        /// What to call it, after what it shows: laptop-4cpu-hdd
        name: String,
        /// Copy from this captured tree instead
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        root: Option<PathBuf>,
        /// Where to put the folder, instead of tests/fixtures
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        into: Option<PathBuf>,
    },
    /// Run everything that continuous integration checks, and sum up
    Ci,
    /// Find faults of GitHub workflows and composite actions that build with Nix
    ///
    /// Exits with 1 when there are any. In a job of GitHub they are shown beside the code.
    CiLint {
        /// The workflows
        #[arg(required = true, value_name = "FILE", value_parser = absolute)]
        files: Vec<PathBuf>,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
    },
    /// Pack a release: an archive, a Debian package and their checksums
    Dist {
        /// Pack these programs quickly instead of building, to test the packing
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        bin: Option<PathBuf>,
        /// Where to put them, instead of target/nixpace/dist
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        out: Option<PathBuf>,
    },
    /// Write manual pages and completions, from the command lines
    Man {
        /// Where to put them, instead of target/nixpace
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        out: Option<PathBuf>,
    },
    /// Build real Nix versions side by side, under target/nix
    Nix,
    /// Write what is made from code: the documents' schemas, and the page of settings
    Schema {
        /// Only say whether they are up to date
        #[arg(long)]
        check: bool,
    },
    /// Time the tools beside those they replace
    Speed {
        /// Only this part
        #[arg(value_enum)]
        part: Option<speed::Part>,
    },
    /// Build, plan by what that cost, and keep the plan if it is proven faster
    Tune(tune::Tune),
    /// Check the rules that the compiler cannot
    Tidy,
    /// Do to the tools what goes wrong on machines, and count what they survive
    Torture {
        /// For so long
        #[arg(long, value_name = "N", default_value_t = 60)]
        seconds: u64,
        /// Repeat what a run with this seed did
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Also on a store of a million paths, which takes a minute to make
        #[arg(long)]
        large: bool,
    },
    /// Write the workflow that builds each host of a flake
    Workflow {
        /// Only say whether ours is up to date
        #[arg(long, conflicts_with = "hosts")]
        check: bool,
        /// Print one for a flake with these hosts instead: NAME, or NAME=darwin for a Mac
        #[arg(long, value_name = "HOST", value_delimiter = ',', requires = "action")]
        hosts: Vec<String>,
        /// Where it finds the action of this project: OWNER/NAME@COMMIT
        #[arg(long, requires = "hosts")]
        action: Option<String>,
    },
    /// Install what the tests need, and run them all
    Test {
        /// For cargo nextest, or for cargo test where that is missing
        #[arg(last = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let Cli { task } = arguments::parse()?;
    let workspace = workspace();
    env::set_current_dir(&workspace).with_context(|| workspace.display().to_string())?;
    match task {
        Task::All => all::run(),
        Task::Capture { name, root, into } => capture::run(&name, root.as_deref(), into.as_deref()),
        Task::Ci => ci::run(),
        Task::CiLint { files, json } => lint::run(&files, json),
        Task::Dist { bin, out } => dist::run(bin.as_deref(), out.as_deref()),
        Task::Man { out } => man::run(out.as_deref()),
        Task::Nix => nix::run(),
        Task::Schema { check } => schema::run(check),
        Task::Speed { part } => speed::run(part),
        Task::Tidy => tidy::run(),
        Task::Torture { seconds, seed, large } => torture::run(seconds, seed, large),
        Task::Tune(tune) => tune.run(),
        Task::Test { arguments } => test::run(&arguments),
        Task::Workflow { check, hosts, action } => workflow::run(check, &hosts, action.as_deref()),
    }
}

/// The folder that holds all crates. Cargo says where ours is; a copy of this
/// program that is run without cargo remembers where it was built.
fn workspace() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    let xtask = Path::new(&xtask);
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A path as the user meant it, from the folder where the command was typed.
fn absolute(path: &str) -> io::Result<PathBuf> {
    std::path::absolute(path)
}
