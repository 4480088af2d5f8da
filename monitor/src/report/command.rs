//! `monitor report`: the report, as a page, as JSON or as a table of builds.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use detect::arguments::Common;
use detect::report::say;
use detect::root::Root;
use detect::{file, nix, stage};

use super::gather::{Sources, gather};
use super::text::whole;
use super::{csv, page};
use crate::history::Place;
use crate::snapshot::{now, past};
use crate::status::Figure;
use crate::{builds, remembered, store};

/// Show what Nix built, how long that took, and where everything came from
#[derive(Args, Debug)]
pub struct Command {
    /// Write the page to FILE, which opens in any browser, without a network
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv", "output"])]
    pub html: Option<PathBuf>,

    /// Print the document instead of the page
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,

    /// Print the builds, comma-separated (RFC 4180)
    #[arg(long)]
    pub csv: bool,

    /// What happened within this time: 90s, 30m, 12h, 7d or 4w
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = builds::seconds)]
    pub since: f64,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Make it.
    pub fn run(&self) -> Result<()> {
        self.common.apply_color();
        let root = Root::live();
        let asked = nix::ask(&root);
        let history = past(&self.place);
        let nix = nix::nix(&root, asked, &mut Vec::new()).0;
        let sources = Sources { database: store::place(), caches: remembered::folders(), nix };
        let now = now();
        let report = gather(history, &sources, whole(now - self.since), whole(now));
        if self.json {
            return stage::write(&report, &self.common);
        }
        if self.csv {
            let Figure { found, why, .. } = &report.builds;
            let Some(builds) = found else {
                bail!("{}", why.as_deref().unwrap_or("no builds are known"));
            };
            return stage::write_text(&csv::render(builds), &self.common);
        }
        let html = page::render(&report);
        let Some(path) = &self.html else {
            return stage::write_text(&html, &self.common);
        };
        file::replace(path, html.as_bytes())?;
        if !self.common.quiet {
            say(&format!("{}: open it in a browser", path.display()));
        }
        Ok(())
    }
}
