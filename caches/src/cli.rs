//! The command line of `caches`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::stage;
use profile::catalogue::CACHE_KEY;

use crate::inspect;
use crate::key::{Keys, PublicKey};

const EXAMPLES: &str = "\
Examples:
  caches inspect *.narinfo
  caches inspect --key cache.example.org-1:ZYr…= cache/*.narinfo";

/// What to do.
#[derive(Debug, Parser)]
#[command(name = "caches", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge narinfo files, without a network: one JSON object a line
    ///
    /// Exits with 1 when Nix would not take every one of them.
    Inspect(Inspect),
}

/// What to judge, by which keys.
#[derive(Args, Debug)]
pub struct Inspect {
    /// A public key to trust, NAME:BASE64; the key of cache.nixos.org when none is given
    #[arg(long, value_name = "KEY", value_parser = PublicKey::parse)]
    pub key: Vec<PublicKey>,

    /// The store whose paths they are
    #[arg(long, value_name = "DIR", default_value = "/nix/store")]
    pub store_dir: String,

    /// Print JSON (the only form there is)
    #[arg(long)]
    pub json: bool,

    /// The files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Do it.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Inspect(command) => command.run(),
        }
    }
}

impl Inspect {
    fn run(self) -> Result<()> {
        self.common.apply_color();
        let mut keys = self.key;
        if keys.is_empty() {
            keys.extend(PublicKey::parse(CACHE_KEY));
        }
        let keys = Keys::new(keys);
        let mut output = String::new();
        let mut refused = 0;
        for path in &self.files {
            let name = path.display().to_string();
            let text = inspect::read(path).with_context(|| name.clone())?;
            let finding = inspect::inspect(&name, &text, &keys, &self.store_dir);
            refused += usize::from(!finding.is_trusted());
            output.push_str(&serde_json::to_string(&finding)?);
            output.push('\n');
        }
        stage::write_text(&output, &self.common)?;
        if refused > 0 {
            bail!("{refused} of {} would not be taken", self.files.len());
        }
        Ok(())
    }
}
