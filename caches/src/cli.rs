//! The command line of `caches`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::report::Usage;
use detect::root::Root;
use detect::stage;
use profile::catalogue::CACHE_KEY;
use profile::plan::Plan;

use crate::ask::{How, WITHIN, ask};
use crate::client::Client;
use crate::config::{Named, named, questions};
use crate::find::Knowledge;
use crate::key::{Keys, PublicKey};
use crate::lint::{Configuration, lint};
use crate::netrc::Netrc;
use crate::path::StorePath;
use crate::verified::Verified;
use crate::verify::{Question, Report};
use crate::{bench, coverage, filter, human, inspect, why};

const EXAMPLES: &str = "\
Examples:
  detect | profile | caches | nix-conf-write
  caches --cache https://cache.example=cache.example-1:ZYr…= plan.json
  caches verify                     is every cache of this machine what it says it is?
  caches verify --deep --timeout 60 --config caches.toml --json
  caches coverage --closure ./result   how much of it need not be built?
  caches bench                      which cache to ask first, measured
  caches why /nix/store/…-hello      why is it built here, and not fetched?
  caches inspect *.narinfo          what files prove, without a network

A cache enters the plan only when a key that you named has signed what it serves.";

/// What to do; without a command, add the proven caches to a plan.
#[derive(Debug, Parser)]
#[command(name = "caches", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Option<Command>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub filter: Filter,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask each cache what it is, and prove its key
    ///
    /// Exits with 1 when one of them is not proven, or when something is wrong with
    /// how this machine's Nix is told of them.
    Verify(Verify),
    /// How fast each cache is, and in which order they are best asked
    ///
    /// Exits with 1 when none is alive.
    Bench(bench::Command),
    /// What share of some paths, or of all they need, is in which cache
    ///
    /// Exits with 1 when some of them are in none.
    Coverage(coverage::Command),
    /// Judge narinfo files, without a network: one JSON object a line
    ///
    /// Exits with 1 when Nix would not take every one of them.
    Inspect(Inspect),
    /// Say why a path is, or is not, fetched from a cache, and what would help
    ///
    /// Exits with 1 when Nix would not fetch every one of them.
    Why(why::command::Command),
}

/// Which caches, and what of them.
#[derive(Args, Debug)]
pub struct Which {
    /// Caches and their keys in a file, besides the machine's
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// A cache and a key that you say is its own, besides the machine's
    #[arg(long, value_name = "URL=KEY")]
    pub cache: Vec<String>,

    /// A store path to ask for, when none is known that the cache has
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,

    /// Seconds for all caches together
    #[arg(long, value_name = "SECONDS", default_value_t = WITHIN.as_secs())]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// Logins for private caches, sent by https only and to their own hosts only
    #[arg(long, value_name = "FILE")]
    pub netrc: Option<PathBuf>,
}

/// The filter: Plan in, Plan out.
#[derive(Args, Debug)]
pub struct Filter {
    /// The plan; stdin when it is absent or -
    #[arg(value_name = "PLAN")]
    pub input: Option<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub which: Which,

    /// Ask nobody: keep what the plan and the machine have
    #[arg(long)]
    pub offline: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// What to verify.
#[derive(Args, Debug)]
pub struct Verify {
    /// A plan whose caches to ask; without one, this machine's; - is stdin
    #[arg(value_name = "PLAN")]
    pub input: Option<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub which: Which,

    /// Download an archive of each cache too, and check that it is what was signed
    /// (large ones may need more of --timeout)
    #[arg(long)]
    pub deep: bool,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// What to judge, by which keys.
#[derive(Args, Debug)]
pub struct Inspect {
    /// A public key to trust, NAME:BASE64; the key of cache.nixos.org when none is given
    #[arg(long, value_name = "KEY")]
    pub key: Vec<String>,

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
            None => self.filter.run(),
            Some(Command::Verify(command)) => command.run(),
            Some(Command::Bench(command)) => command.run(),
            Some(Command::Coverage(command)) => command.run(),
            Some(Command::Inspect(command)) => command.run(),
            Some(Command::Why(command)) => command.run(),
        }
    }
}

impl Which {
    /// The caches that the user named.
    pub(crate) fn named(&self) -> Result<Vec<Named>> {
        named(self.config.as_deref(), &self.cache)
    }

    fn logins(&self) -> Result<Netrc> {
        Ok(self.netrc.as_deref().map(Netrc::read).transpose()?.unwrap_or_default())
    }

    /// Who asks these caches.
    pub(crate) fn client(&self) -> Result<Client> {
        Ok(Client::new(Duration::from_secs(self.timeout))?.with_logins(self.logins()?))
    }

    fn ask(&self, plan: &Plan, questions: &[Question], deep: bool) -> Result<Vec<Report>> {
        let store_dir = store_dir(plan);
        let named = self.path.iter().map(|path| {
            let found = StorePath::containing(Path::new(path), store_dir);
            found.map_err(|why| Usage(format!("--path: {why}")))
        });
        let named = named.collect::<Result<_, _>>()?;
        let knowledge = Knowledge::of_this_machine(named);
        let within = Duration::from_secs(self.timeout);
        let how = How { within, deep, logins: self.logins()? };
        ask(questions, knowledge, store_dir, how)
    }
}

pub(crate) fn store_dir(plan: &Plan) -> &str {
    let nix = plan.hardware.nix.as_ref();
    nix.and_then(|nix| nix.store_dir.as_deref()).unwrap_or("/nix/store")
}

impl Filter {
    fn run(self) -> Result<()> {
        self.common.apply_color();
        let named = self.which.named()?;
        let mut plan: Plan = stage::read(self.input.as_deref())?;
        let questions = questions(&plan, &named)?;
        let ask = || self.which.ask(&plan, &questions, false);
        let reports = (!self.offline).then(ask).transpose()?;
        filter::decide(&mut plan, &questions, reports.as_deref());
        stage::write(&plan, &self.common)?;
        let own = plan.notes.iter().filter(|note| note.id.starts_with("cache-"));
        self.common.tell(&own.cloned().collect::<Vec<_>>());
        Ok(())
    }
}

impl Verify {
    fn run(self) -> Result<()> {
        self.common.apply_color();
        let named = self.which.named()?;
        let plan = if let Some(path) = &self.input {
            stage::read(Some(path))?
        } else {
            let hardware = detect::run(&Root::live(), &detect::Options::default());
            profile::run(hardware, &profile::Options::default())?
        };
        let questions = questions(&plan, &named)?;
        let reports = self.which.ask(&plan, &questions, self.deep)?;
        let notes = plan.hardware.nix.as_ref().map_or_else(Vec::new, |nix| {
            // What this plan would change is not what the machine does now.
            let planned = &BTreeMap::new();
            lint(&Configuration { nix, planned, questions: &questions, reports: &reports })
        });
        let found = Verified::new(reports, notes);
        if self.json {
            stage::write(&found, &self.common)?;
        } else {
            stage::write_human(&human::table(&found.caches), &self.common)?;
            self.common.tell(&found.notes);
        }
        found.check()
    }
}

/// The keys that are named, or else that of `cache.nixos.org`. What is wrong with
/// one never repeats it, since it may be a secret one.
fn trusted(keys: &[String]) -> Result<Keys> {
    if keys.is_empty() {
        return Ok(Keys::new(PublicKey::parse(CACHE_KEY)));
    }
    let mut found = Vec::with_capacity(keys.len());
    for (index, text) in keys.iter().enumerate() {
        let wrong = |why: String| Usage(format!("--key {}: {why}", index + 1));
        found.push(PublicKey::parse(text).map_err(wrong)?);
    }
    Ok(Keys::new(found))
}

impl Inspect {
    fn run(self) -> Result<()> {
        self.common.apply_color();
        let keys = trusted(&self.key)?;
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
