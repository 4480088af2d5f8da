//! The whole chain on this machine, and what developers run.

mod all;
mod capture;
mod ci;
mod command;
mod generated;
mod man;
mod nix;
mod packages;
mod schema;
mod speed;
mod test;
mod tidy;
mod tune;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use detect::{arguments, stage};

/// The whole chain on this machine, and what developers run
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
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
    /// Write manual pages and completions, from the command lines
    Man {
        /// Where to put them, instead of target/nixpace
        #[arg(long, value_name = "DIR", value_parser = absolute)]
        out: Option<PathBuf>,
    },
    /// Build real Nix versions side by side, under target/nix
    Nix,
    /// Write the schemas of the documents, from their types
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
        Task::Man { out } => man::run(out.as_deref()),
        Task::Nix => nix::run(),
        Task::Schema { check } => schema::run(check),
        Task::Speed { part } => speed::run(part),
        Task::Tidy => tidy::run(),
        Task::Tune(tune) => tune.run(),
        Task::Test { arguments } => test::run(&arguments),
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
