//! What is measured, and made ready for it: evaluated, its inputs there, and every
//! run such that Nix has all of the work to do again.
//!
//! Three ways work on Nix 2.8 to 2.34, as root and as anyone else:
//!
//! - A store of our own, at a path of its own, empty before each run. Everything is
//!   built, in the order of the graph, and nothing of the machine's is touched. Paths
//!   in it differ from those of /nix/store, so nothing can come from a cache: it is
//!   for graphs that need little, such as the synthetic ones.
//! - `nix-store --realise --check`: the derivation is built again beside its valid
//!   output. It is for packages, whose inputs nobody wants to build; of a graph it
//!   builds only the last one.
//! - Deleting outputs would change the machine's store, and is refused for whatever
//!   is referred to; a chroot store (`local?root=`) needs the whole closure copied,
//!   and namespaces. Neither is used.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use detect::hardware::Hardware;
use detect::report::{Hint, Usage};
use profile::simulate::graph::Graph;

use crate::compared::{Method, Subject, What};
use crate::interrupt::Interrupt;
use crate::nix::Nix;
use crate::sample::{How, Sample, run};
use crate::sampler::Sampler;
use crate::store::Store;
use crate::sweep::Took;
use crate::synthetic::{self, Scale, Shape};

/// What to measure, as it was asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Which derivation.
    pub source: Source,
    /// Which part of the work.
    pub what: What,
    /// Whether to build everything in a store of our own.
    pub is_fresh: bool,
    /// Where such a store is to be.
    pub folder: PathBuf,
}

/// Where a derivation comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Whatever `nix build` takes.
    Installable(String),
    /// An expression in a file, and an attribute of it.
    File(PathBuf, Option<String>),
    /// A derivation that is in the store.
    Derivation(String),
    /// One of ours.
    Synthetic(Shape, Scale),
}

impl Source {
    /// Read an installable as people write it; a bare name is nixpkgs'.
    pub fn installable(text: &str) -> Self {
        match text {
            _ if is_derivation(text) => Self::Derivation(text.to_owned()),
            _ if text.contains(['#', '/', ':', '.']) => Self::Installable(text.to_owned()),
            _ => Self::Installable(format!("nixpkgs#{text}")),
        }
    }

    /// Whether a word of the command line can only be an installable.
    pub fn is_installable(text: &str) -> bool {
        is_derivation(text) || text.contains('#')
    }

    /// What people call it.
    fn name(&self) -> String {
        match self {
            Self::Installable(text) => text.clone(),
            Self::File(path, None) => path.display().to_string(),
            Self::File(path, Some(attribute)) => format!("{} {attribute}", path.display()),
            Self::Derivation(path) => monitor::stream::name(path).to_owned(),
            Self::Synthetic(shape, scale) => {
                format!("synthetic {}, {}", synthetic::name(shape), synthetic::name(scale))
            }
        }
    }
}

/// Whether a path is one of a derivation, as Nix tells: by its name.
fn is_derivation(path: &str) -> bool {
    path.strip_suffix(".drv").is_some()
}

/// What is ready to be measured again and again.
#[derive(Debug)]
pub struct Prepared {
    /// What it is.
    pub subject: Subject,
    nix: Nix,
    store: Option<Store>,
    sampler: Sampler,
    program: &'static str,
    arguments: Vec<String>,
    how: How,
    is_untrusted: bool,
    /// How a synthetic graph is evaluated.
    synthetic: Option<Vec<String>>,
}

const FEATURES: [&str; 2] = ["--extra-experimental-features", "nix-command flakes"];

/// Make ready what is to be measured.
pub fn prepare(wish: &Wish, hardware: &Hardware, interrupt: &Interrupt) -> Result<Prepared> {
    if wish.what == What::Fetch {
        return fetch(wish, interrupt);
    }
    let is_synthetic = matches!(wish.source, Source::Synthetic(..));
    let mut store =
        (wish.is_fresh || is_synthetic).then(|| Store::new(&wish.folder)).transpose()?;
    let nix = store.as_ref().map_or_else(Nix::of_machine, Store::nix).ended_by(interrupt);
    let Evaluated { drv, seconds: evaluation_seconds, program, arguments } =
        evaluated(wish, &nix, store.as_ref())?;
    let synthetic = is_synthetic.then(|| arguments.clone());
    let (method, program, arguments, how) = match (wish.what, &mut store) {
        (What::Eval, _) => (Method::Evaluation, program, arguments, How::default()),
        (_, Some(store)) => {
            store.remember()?;
            let arguments = vec!["--realise".to_owned(), drv.clone()];
            let how = How { events: true, ..How::default() };
            (Method::FreshStore, "nix-store", arguments, how)
        }
        (_, None) => {
            make_valid(&drv, interrupt)?;
            let arguments = vec!["--realise".to_owned(), drv.clone(), "--check".to_owned()];
            let how = How { by_daemon: is_by_daemon(hardware), events: true, accepted: &[104] };
            (Method::Check, "nix-store", arguments, how)
        }
    };
    let subject = Subject {
        name: wish.source.name(),
        what: wish.what,
        method,
        drv: Some(drv),
        nix: nix.banner().ok(),
        evaluation_seconds,
    };
    let trusted = hardware.nix.as_ref().and_then(|nix| nix.trusted);
    let is_untrusted = how.by_daemon && trusted != Some(true);
    let sampler = Sampler::default();
    Ok(Prepared { subject, nix, store, sampler, program, arguments, how, is_untrusted, synthetic })
}

/// A source's derivation, and how it came from there.
struct Evaluated {
    drv: String,
    seconds: Option<f64>,
    program: &'static str,
    arguments: Vec<String>,
}

fn evaluated(wish: &Wish, nix: &Nix, store: Option<&Store>) -> Result<Evaluated> {
    if let Source::Derivation(path) = &wish.source {
        if wish.what == What::Eval {
            bail!(Usage(format!("--what eval: {path}: a derivation is evaluated already")));
        }
        // As Nix has it in its store, where what was named may but lead to.
        let path = Path::new(path).canonicalize().with_context(|| path.clone())?;
        let drv = path.display().to_string();
        return Ok(Evaluated { drv, seconds: None, program: "", arguments: Vec::new() });
    }
    let (program, arguments) = evaluation(&wish.source, store)?;
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let began = Instant::now();
    let answer = nix.ask(program, &words, "");
    let answer = match wish.source {
        Source::Synthetic(..) => answer?,
        _ => answer.context(Hint::new("--synthetic needs nothing but Nix"))?,
    };
    let seconds = Some(began.elapsed().as_secs_f64());
    let drv = answer.lines().next().unwrap_or_default();
    // What an output is chosen by.
    let drv = drv.split_once('!').map_or(drv, |(drv, _)| drv).to_owned();
    ensure!(is_derivation(&drv), "{}: no derivation: {drv:?}", wish.source.name());
    Ok(Evaluated { drv, seconds, program, arguments })
}

/// The program that turns a source into the path of a derivation, and its arguments.
fn evaluation(source: &Source, store: Option<&Store>) -> Result<(&'static str, Vec<String>)> {
    let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Ok(match (source, store) {
        (Source::Synthetic(shape, scale), Some(store)) => {
            let graph = synthetic::write(store.path())?;
            let [shape, scale] = [synthetic::name(shape), synthetic::name(scale)];
            let arguments = [&graph, "--argstr", "shape", &shape, "--argstr", "scale", &scale];
            ("nix-instantiate", of(&arguments))
        }
        (Source::Synthetic(..), None) => bail!("no store for a synthetic graph"),
        (Source::File(path, attribute), _) => {
            let path = std::path::absolute(path)?.display().to_string();
            let mut arguments = of(&[&path]);
            if let Some(attribute) = attribute {
                arguments.extend(["-A".to_owned(), attribute.clone()]);
            }
            ("nix-instantiate", arguments)
        }
        (Source::Installable(text), None) => {
            ("nix", of(&[FEATURES[0], FEATURES[1], "path-info", "--derivation", text]))
        }
        (source, _) => {
            bail!(Usage(format!("--fresh: {}: only a file can be evaluated anew", source.name())))
        }
    })
}

/// Have the inputs of a derivation, and its outputs: downloads are welcome here, and
/// in no run.
fn make_valid(drv: &str, interrupt: &Interrupt) -> Result<()> {
    let nix = Nix::untouched().ended_by(interrupt);
    let inputs = nix.ask("nix-store", &["--query", "--references", drv], "")?;
    let inputs: Vec<&str> = inputs.lines().filter(|path| is_derivation(path)).collect();
    if !inputs.is_empty() {
        nix.ask("nix-store", &[&["--realise"], inputs.as_slice()].concat(), "")?;
    }
    nix.ask("nix-store", &["--realise", drv], "").map(drop)
}

/// Whether nix-daemon builds for us: root's Nix opens the store itself, unless it is
/// told not to.
fn is_by_daemon(hardware: &Hardware) -> bool {
    let is_told = std::env::var_os("NIX_REMOTE")
        .is_some_and(|remote| !["", "auto", "local"].iter().any(|local| remote == *local));
    let is_multi_user = hardware.nix.as_ref().is_some_and(|nix| nix.multi_user != Some(false));
    is_told || (is_multi_user && !rustix::process::geteuid().is_root())
}

/// Fetching: each run asks the machine's caches, for a store in a folder of our own,
/// without any memory of what they have.
fn fetch(wish: &Wish, interrupt: &Interrupt) -> Result<Prepared> {
    let Source::Installable(path) = &wish.source else {
        bail!(Usage("--what fetch: name a store path".to_owned()));
    };
    ensure!(Path::new(path).is_absolute(), "{path}: not a store path");
    let mut store = Store::new(&wish.folder)?;
    store.remember()?;
    let nix = Nix::fetching(store.path()).ended_by(interrupt);
    let root = store.path().join("var/root").display().to_string();
    let arguments = ["--store", &root, "--realise", path].map(str::to_owned).to_vec();
    let subject = Subject {
        name: path.clone(),
        what: What::Fetch,
        method: Method::FreshDownload,
        drv: None,
        nix: nix.banner().ok(),
        evaluation_seconds: None,
    };
    let how = How { events: true, ..How::default() };
    let (store, program) = (Some(store), "nix-store");
    let (is_untrusted, synthetic) = (false, None);
    let sampler = Sampler::default();
    Ok(Prepared { subject, nix, store, sampler, program, arguments, how, is_untrusted, synthetic })
}

impl Prepared {
    /// The Nix that it runs with.
    pub fn nix(&self) -> &Nix {
        &self.nix
    }

    /// Whether a daemon takes the settings that does not trust us.
    pub fn is_untrusted(&self) -> bool {
        self.is_untrusted
    }

    /// One run with these settings; `None` when it was interrupted.
    pub fn sample(&self, settings: &str, interrupt: &Interrupt) -> Result<Option<Sample>> {
        if let Some(store) = &self.store
            && self.subject.what != What::Eval
        {
            store.reset()?;
        }
        if interrupt.came() {
            return Ok(None);
        }
        let mut command = self.nix.command(self.program, settings);
        command.args(&self.arguments);
        if self.subject.what == What::Eval {
            command.args(["--option", "eval-cache", "false"]);
        }
        let sample = run(&mut command, self.how, &self.sampler, interrupt)?;
        if self.subject.what == What::Build
            && sample.as_ref().is_some_and(|sample| sample.build_seconds.is_none())
        {
            bail!("{}: nothing was built", self.subject.name);
        }
        Ok(sample)
    }

    /// What the simulator can build of it: synthetic graphs, whose work is known, once
    /// it is known how long all of it takes one by one.
    pub fn graph(&self, one_by_one: Option<Took>) -> Result<Option<Graph>> {
        let (Some(one_by_one), Some(store), Some(words)) =
            (one_by_one, &self.store, &self.synthetic)
        else {
            return Ok(None);
        };
        store.reset()?;
        let flags = ["--eval", "--strict", "--json", "--arg", "described", "true"];
        let words: Vec<&str> = words.iter().map(String::as_str).chain(flags).collect();
        let described = self.nix.ask("nix-instantiate", &words, "")?;
        let unit = synthetic::unit_seconds(store.path())?;
        synthetic::graph(&described, unit, one_by_one).map(Some)
    }

    /// The figure of a run that is compared.
    pub fn seconds(&self, sample: &Sample) -> f64 {
        match self.subject.what {
            What::Build => sample.build_seconds.unwrap_or(sample.wall_seconds),
            What::Eval | What::Fetch => sample.wall_seconds,
        }
    }
}
