//! Which caches to ask many questions, by the command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use detect::report::Usage;
use detect::root::Root;

use crate::client::Client;
use crate::config::{Named, named, questions, trusted_keys};
use crate::key::{Keys, PublicKey};
use crate::netrc::Netrc;
use crate::verify::Question;

/// Which caches to ask, and for how long.
#[derive(Args, Debug)]
pub struct Among {
    /// Caches and their keys in a file, besides the machine's
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A cache and a key that you say is its own, besides the machine's
    #[arg(long, value_name = "URL=KEY")]
    pub cache: Vec<String>,

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
    /// All keys that the machine trusts or the user named: Nix takes a path that one
    /// of them signed, from whichever cache.
    pub keys: Keys,
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
        let named = named(self.config.as_deref(), &self.cache)?;
        if self.only {
            return only(named);
        }
        let hardware = detect::run(&Root::live(), &detect::Options::default());
        let plan = profile::run(hardware, &profile::Options::default())?;
        let questions = questions(&plan, &named)?;
        let nix = plan.hardware.nix;
        let mut keys = Keys::new(trusted_keys(nix.as_ref()));
        keys.add(all_keys(&questions));
        Ok(Chosen {
            keys,
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
        if let Some(known) = questions.iter_mut().find(|known| known.cache.is_same(&cache)) {
            known.keys.add(keys);
        } else {
            let (is_configured, is_named) = (false, true);
            questions.push(Question { cache, keys: Keys::new(keys), is_configured, is_named });
        }
    }
    let keys = Keys::new(all_keys(&questions));
    Ok(Chosen { keys, questions, store_dir: default_store(), nix_version: None })
}

/// The keys of each cache, in their order.
fn all_keys(questions: &[Question]) -> Vec<PublicKey> {
    questions.iter().flat_map(|question| question.keys.iter().cloned()).collect()
}

/// As Nix finds it when nothing else is said.
fn default_store() -> String {
    std::env::var("NIX_STORE_DIR").unwrap_or_else(|_| "/nix/store".to_owned())
}
