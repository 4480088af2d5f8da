//! `bench ci`: what a CI run costs with each kind of cache.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use detect::arguments::Common;
use detect::stage;

use crate::ci::{KINDS, Setting, measure};
use crate::interrupt::Interrupt;
use crate::rounds::bar;

/// The link, and what is built.
#[derive(Args, Debug)]
pub struct Ci {
    /// Milliseconds to the cache and back
    #[arg(long, value_name = "MS", default_value_t = 20)]
    pub round_trip: u16,

    /// MiB a second in each direction
    #[arg(long, value_name = "MIB", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub rate: u16,

    /// Dependencies of the project
    #[arg(long, value_name = "N", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=5000))]
    pub packages: u16,

    /// KiB of each output
    #[arg(long, value_name = "KIB", default_value_t = 512)]
    pub kib: u32,

    /// Work of each build, in units of some milliseconds
    #[arg(long, value_name = "UNITS", default_value_t = 25)]
    pub work: u16,

    /// Times to measure each
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=50))]
    pub runs: u16,

    /// Where the runner's store is to be, instead of in the temporary folder
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub common: Common,
}

impl Ci {
    pub(super) fn run(self) -> Result<()> {
        self.common.apply_color();
        let setting = Setting {
            round_trip_seconds: f64::from(self.round_trip) / 1000.0,
            bytes_per_second: f64::from(self.rate) * f64::from(1 << 20),
            packages: self.packages.into(),
            output_bytes: u64::from(self.kib) << 10,
            work: self.work.into(),
            runs: self.runs.into(),
        };
        // The real path: Nix refuses a store below a link.
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        let interrupt = Interrupt::listen()?;
        let bar = bar("runs", KINDS.len() * 2 * usize::from(self.runs), &self.common);
        let found = measure(setting, &folder, &interrupt, &mut || bar.inc(1))?;
        bar.finish_and_clear();
        if self.json || self.common.output.is_some() {
            return stage::write(&found, &self.common);
        }
        stage::write_text(&found.table(), &self.common)
    }
}
