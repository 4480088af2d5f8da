//! The command line of `detect`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Parser;

use crate::Options;
use crate::arguments::Common;
use crate::hardware::Hardware;
use crate::root::Root;
use crate::{facter, stage};

const EXAMPLES: &str = "\
Examples:
  detect                         this machine, as JSON
  detect --human                 the same, for people
  detect -o hardware.json        as JSON, into a file to commit
  detect --root captured/        a captured machine (proc, sys, …)
  detect --from-facter r.json    what a nixos-facter report tells
  detect | profile | nix-conf-write

Works without root; what it could not see is null, with a note.";

/// What to look at.
#[derive(Debug, Parser)]
#[command(name = "detect", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
pub struct Cli {
    /// Read a captured tree (proc, sys, perhaps etc and nix) instead of this machine
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Take a report of nixos-facter instead of looking; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["root", "store", "build_dir", "live"])]
    pub from_facter: Option<PathBuf>,

    /// The store to look below, instead of Nix's own
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,

    /// The build directory to look below, instead of Nix's own
    #[arg(long, value_name = "DIR")]
    pub build_dir: Option<PathBuf>,

    /// Add what changes from moment to moment: free memory and space, load, pressure
    #[arg(long)]
    pub live: bool,

    /// Print what a person wants to see, on one screen, instead of JSON
    #[arg(long)]
    pub human: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Look at what the command line says.
    pub fn look(&self) -> Result<Hardware> {
        if let Some(report) = &self.from_facter {
            return Ok(facter::hardware(&stage::read(Some(report))?));
        }
        let root = match &self.root {
            Some(path) => Root::captured(path).with_context(|| path.display().to_string())?,
            None => Root::live(),
        };
        // A path in a captured tree starts at its root.
        let place = |path: &Option<PathBuf>| match path {
            Some(path) if root.is_live() => std::path::absolute(path).ok(),
            Some(path) => Some(Path::new("/").join(path)),
            None => None,
        };
        let (store, build_dir) = (place(&self.store), place(&self.build_dir));
        Ok(crate::run(&root, &Options { store, build_dir, live: self.live }))
    }
}
