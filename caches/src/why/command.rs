//! The command `caches why`.

use anyhow::{Result, bail};
use clap::Args;
use detect::arguments::Common;
use detect::root::Root;
use detect::stage;

use super::chain::why;
use super::target::targets;
use super::tree::tree;
use crate::cli::{Which, store_dir};
use crate::config::questions;

/// Why a path is, or is not, fetched from a cache.
#[derive(Args, Debug)]
pub struct Command {
    /// Store paths, links to them, or derivations: DRV, DRV^OUTPUT
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<String>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub which: Which,

    /// Print JSON instead of a tree
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Do it.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let named = self.which.named()?;
        let hardware = detect::run(&Root::live(), &detect::Options::default());
        let plan = profile::run(hardware, &profile::Options::default())?;
        let store_dir = store_dir(&plan);
        let nix = plan.hardware.nix.as_ref();
        let mut found = Vec::new();
        for path in self.paths.iter().chain(&self.which.path) {
            found.extend(targets(path, store_dir, nix)?);
        }
        let questions = questions(&plan, &named)?;
        let client = self.which.client()?;
        let why = why(&found, &questions, nix, store_dir, &client)?;
        if self.json {
            stage::write(&why, &self.common)?;
        } else {
            stage::write_human(&tree(&why), &self.common)?;
        }
        let built = why.paths.iter().filter(|chain| !chain.is_substitutable).count();
        if built > 0 {
            bail!("{built} of {} would not be fetched", why.paths.len());
        }
        Ok(())
    }
}
