//! `monitor metrics`: figures for Prometheus, as a file for `node_exporter`'s
//! textfile collector or, on stdout, as `OpenMetrics`.
//!
//! **Invariant:** no derivation's name is a label: each would be a series of its
//! own for ever. What is not known is left out, and never 0.

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use detect::arguments::Common;
use detect::report::Usage;
use detect::{file, stage};

use crate::history::Place;

mod exposition;
mod facts;
mod family;

pub use exposition::{open_metrics, prometheus};
pub use facts::Facts;
pub use family::{Family, families};

/// Figures for Prometheus
#[derive(Args, Debug)]
pub struct Command {
    /// Write FILE, which must end in .prom, for `node_exporter`'s textfile
    /// collector, instead of `OpenMetrics` to stdout
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    pub textfile: Option<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Gather and print them.
    pub fn run(&self) -> Result<()> {
        let Some(path) = &self.textfile else {
            return stage::write_text(&open_metrics(&self.families()), &self.common);
        };
        if path.extension() != Some(OsStr::new("prom")) {
            let path = path.display();
            bail!(Usage(format!("{path}: node_exporter reads only files that end in .prom")));
        }
        // Others read it, whoever they are; and never half of it.
        file::publish(path, prometheus(&self.families()).as_bytes())
    }

    fn families(&self) -> Vec<Family> {
        families(&Facts::gather(&self.place, &self.common))
    }
}

#[cfg(test)]
mod tests;
