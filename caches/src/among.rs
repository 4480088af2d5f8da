//! Which caches to ask many questions, by the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use detect::report::Usage;
use detect::root::Root;

use crate::client::Client;
use crate::config::{Named, questions, read};
use crate::key::Keys;
use crate::netrc::Netrc;
use crate::verify::Question;

/// Which caches to ask, and for how long.
#[derive(Args, Debug)]
pub struct Among {
    /// Caches and their keys in a file, besides the machine's
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A cache and a key that you say is its own, besides the machine's
    #[arg(long, value_name = "URL=KEY", value_parser = Named::parse)]
    pub cache: Vec<Named>,

    /// Ask only the caches named here, not the machine's
    #[arg(long)]
    pub only: bool,

    /// Seconds for all of it
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,

    /// Logins for private caches, sent by https only and to their own hosts only
    #[arg(long, value_name = "FILE")]
    pub netrc: Option<PathBuf>,
}

/// The caches, and whose paths they are asked for.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// The caches with their keys.
    pub questions: Vec<Question>,
    /// The store's folder.
    pub store_dir: String,
    /// Version of the machine's Nix, where it was looked at.
    pub nix_version: Option<String>,
}

impl Among {
    /// Time for all of it.
    pub fn within(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Who asks them.
    pub fn client(&self) -> Result<Client> {
        let logins = self.netrc.as_deref().map(Netrc::read).transpose()?.unwrap_or_default();
        Ok(Client::new(self.within())?.with_logins(logins))
    }

    /// The caches to ask.
    pub fn choose(&self) -> Result<Chosen> {
        let mut named = match &self.config {
            Some(path) => read(path)?,
            None => Vec::new(),
        };
        named.extend(self.cache.iter().cloned());
        if self.only {
            return only(named);
        }
        let hardware = detect::run(&Root::live(), &detect::Options::default());
        let plan = profile::run(hardware, &profile::Options::default())?;
        let questions = questions(&plan, &named)?;
        let nix = plan.hardware.nix;
        Ok(Chosen {
            questions,
            nix_version: nix.as_ref().and_then(|nix| nix.version.clone()),
            store_dir: nix.and_then(|nix| nix.store_dir).unwrap_or_else(default_store),
        })
    }
}

/// The caches that were named, each once with all its keys.
fn only(named: Vec<Named>) -> Result<Chosen> {
    if named.is_empty() {
        bail!(Usage("--only: no cache is named, by --cache or --config".to_owned()));
    }
    let mut questions: Vec<Question> = Vec::new();
    for Named { cache, keys } in named {
        match questions.iter_mut().find(|known| known.cache.is_same(&cache)) {
            Some(known) => known.keys.add(keys),
            None => {
                questions.push(Question { cache, keys: Keys::new(keys), is_configured: false });
            }
        }
    }
    Ok(Chosen { questions, store_dir: default_store(), nix_version: None })
}

/// As Nix finds it when nothing else is said.
fn default_store() -> String {
    std::env::var("NIX_STORE_DIR").unwrap_or_else(|_| "/nix/store".to_owned())
}
