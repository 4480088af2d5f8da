//! The command line of `detect`.

use std::path::PathBuf;

use clap::Parser;

use crate::Options;
use crate::arguments::Common;

const EXAMPLES: &str = "\
Examples:
  detect                         this machine, as JSON
  detect -o hardware.json        the same, into a file to commit
  detect --root captured/        a captured machine (proc, sys, …)
  detect | profile | nix-conf-write

Works without root; what it could not see is null, with a note.";

/// What to look at.
#[derive(Debug, Parser)]
#[command(name = "detect", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
pub struct Cli {
    /// Read a captured tree (proc, sys, perhaps etc and nix) instead of this machine
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// The store to look below, instead of Nix's own
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,

    /// The build directory to look below, instead of Nix's own
    #[arg(long, value_name = "DIR")]
    pub build_dir: Option<PathBuf>,

    /// Add what changes from moment to moment: free memory and space, load, pressure
    #[arg(long)]
    pub live: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// What `run` needs of it.
    pub fn options(&self) -> Options {
        Options { store: self.store.clone(), build_dir: self.build_dir.clone(), live: self.live }
    }
}
