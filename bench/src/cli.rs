//! The command line of `bench`.

mod ci;
mod more;
mod work;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use detect::arguments::Common;
use detect::report::{Usage, say, tool};
use detect::root::Root;
use detect::{file, stage};

use crate::compared::{Compared, Measured};
use crate::configuration::{Taker, Wanted, read, read_back};
use crate::export::{Document, Form};
use crate::gate::{Outcome, gate};
use crate::html;
use crate::interrupt::Interrupt;
use crate::pairs::Stopped;
use crate::rounds::{Bench, Contender, bar};
use crate::subject::{Prepared, Source, prepare};
use work::{Precision, Work};

const EXAMPLES: &str = "\
Examples:
  bench run --synthetic              builds that need nothing but Nix, as Nix is set
  bench compare --synthetic          is the plan for this machine faster than Nix's default?
  bench compare original plan.json --synthetic --scale medium -o result.json
  bench compare default max-jobs=4,cores=2 hello
  bench compare old.drv new.drv
  bench null --synthetic             how much of a difference is noise here?
  bench sweep --synthetic            which jobs × cores are best here?
  bench simulate graph.json --machine 64/128 --guard
  bench calibrate                    this machine's speedFactor
  bench ci                           which cache makes a CI run short
  bench gate result.json --against baseline.json --max-regression 5%

A and B are default (Nix's own), original (the original design's for this machine),
plan (what profile says of it), a plan, a nix.conf, or NAME=VALUE,…; or both are
installables with a # in them, or derivations ending in .drv. They run in pairs, in
random order, until the interval is narrow or the time is over.";

/// What to do; without a command, run.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about = env!("CARGO_PKG_DESCRIPTION"), after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(subcommand)]
    pub command: Option<Command>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub run: Run,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How long one configuration takes
    Run(Run),
    /// Whether B is faster than A, on the same derivations
    Compare(Compare),
    /// What two runs of the same differ by: this machine's noise
    Null(Run),
    /// Every jobs × cores that makes sense here, and how far the plan is from the best
    Sweep(more::Sweep),
    /// Whether a result is slower than a baseline by more than is allowed
    ///
    /// Exits with 1 when that is proven.
    Gate(Gate),
    /// What settings would make of a graph of builds on any machine
    Simulate(more::Simulate),
    /// How fast this machine builds: its speedFactor for a list of machines
    Calibrate(more::Calibrate),
    /// What a CI run costs with each kind of cache, over a link that takes time
    Ci(ci::Ci),
}

/// How one configuration is measured.
#[derive(Args, Debug)]
pub struct Run {
    /// What to build: a name in nixpkgs, whatever `nix build` takes, a .drv; hello
    /// when nothing is named
    #[arg(value_name = "INSTALLABLE")]
    pub installable: Option<String>,

    /// The configuration: as Nix is set here, unless named
    #[arg(long, value_name = "CONFIG")]
    pub with: Option<String>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub how: How,
}

/// What is compared.
#[derive(Args, Debug)]
pub struct Compare {
    /// What the other is compared with
    #[arg(value_name = "A", default_value = "default")]
    pub a: String,

    /// What is judged
    #[arg(value_name = "B", default_value = "plan")]
    pub b: String,

    /// What to build: a name in nixpkgs, whatever `nix build` takes, a .drv; hello
    /// when nothing is named
    #[arg(value_name = "INSTALLABLE")]
    pub installable: Option<String>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub how: How,
}

/// How to measure, and how to say it.
#[derive(Args, Debug)]
pub struct How {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub work: Work,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub precision: Precision,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub output: Output,
}

/// In which form.
#[derive(Args, Debug)]
pub struct Output {
    /// The form: markdown on stdout, json into a file, unless named
    #[arg(long, value_name = "FORM", value_enum)]
    pub export: Option<Form>,

    /// The same as --export json
    #[arg(long, conflicts_with = "export")]
    pub json: bool,

    /// Also write a page with a plot
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// What is judged by what.
#[derive(Args, Debug)]
pub struct Gate {
    /// The result, as JSON
    #[arg(value_name = "RESULT")]
    pub result: PathBuf,

    /// The baseline, as JSON
    #[arg(long, value_name = "BASELINE")]
    pub against: PathBuf,

    /// How much slower is allowed
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = work::share)]
    pub max_regression: f64,

    /// Print JSON instead of a line
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Cli {
    /// Do it.
    pub fn run(self) -> Result<()> {
        match self.command {
            None => self.run.run(),
            Some(Command::Run(command)) => command.run(),
            Some(Command::Compare(command)) => command.run(),
            Some(Command::Null(command)) => command.null(),
            Some(Command::Sweep(command)) => command.run(),
            Some(Command::Gate(command)) => command.run(),
            Some(Command::Simulate(command)) => command.run(),
            Some(Command::Calibrate(command)) => command.run(),
            Some(Command::Ci(command)) => command.run(),
        }
    }
}

impl Run {
    fn run(self) -> Result<()> {
        let How { work, precision, output } = self.how;
        output.common.apply_color();
        let interrupt = Interrupt::listen()?;
        let hardware = detect::run(&Root::live(), &detect::Options::default());
        let prepared = prepare(&work.wish(self.installable.as_deref())?, &hardware, &interrupt)?;
        let with = self
            .with
            .as_deref()
            .map_or(Ok(Wanted::nothing("as set")), |text| read(text, &hardware))?;
        let [configuration, _] = resolve([&prepared; 2], [&with, &with])?;
        let one = Contender { prepared: &prepared, configuration };
        let rules = precision.rules(work.scale());
        let bar = bar("runs", rules.most_pairs, &output.common);
        let bench = Bench { rules, seed: precision.most.seed(), interrupt: &interrupt, bar };
        let mut save = |now: &dyn Fn() -> Measured| {
            output.keep(&|form| Document::Measured(&now()).write(form))
        };
        let measured = bench.measure(&one, &[], &mut save)?;
        output.write(&Document::Measured(&measured))?;
        output.common.tell(&measured.notes);
        ended(measured.stopped, measured.runs.len())
    }

    fn null(self) -> Result<()> {
        let with = self.with.clone().unwrap_or_else(|| "default".to_owned());
        Compare { a: with.clone(), b: with, installable: self.installable, how: self.how }.run()
    }
}

impl Compare {
    fn run(self) -> Result<()> {
        let How { work, precision, output } = self.how;
        output.common.apply_color();
        let interrupt = Interrupt::listen()?;
        let hardware = detect::run(&Root::live(), &detect::Options::default());
        let are_installables = [&self.a, &self.b].map(|text| Source::is_installable(text));
        let (prepared, wanted) = match are_installables {
            [true, true] => {
                if self.installable.is_some() || work.file.is_some() || work.synthetic {
                    bail!(Usage("A and B are installables: name nothing else to build".to_owned()));
                }
                let each = [&self.a, &self.b]
                    .map(|text| prepare(&work.wish(Some(text))?, &hardware, &interrupt));
                let [a, b] = each;
                let wanted = [&self.a, &self.b].map(|text| Wanted::nothing(text));
                (vec![a?, b?], wanted)
            }
            [false, false] => {
                let a = read(&self.a, &hardware)?;
                let b = read(&self.b, &hardware)?;
                (
                    vec![prepare(&work.wish(self.installable.as_deref())?, &hardware, &interrupt)?],
                    [a, b],
                )
            }
            _ => {
                let what = "one is a configuration and one an installable";
                bail!(Usage(format!("{} and {}: {what}", self.a, self.b)));
            }
        };
        let (Some(first), Some(last)) = (prepared.first(), prepared.last()) else {
            bail!("nothing to measure");
        };
        let [a, b] = resolve([first, last], [&wanted[0], &wanted[1]])?;
        let a = Contender { prepared: first, configuration: a };
        let b = Contender { prepared: last, configuration: b };
        let rules = precision.rules(work.scale());
        let bar = bar("pairs", rules.most_pairs, &output.common);
        let bench = Bench { rules, seed: precision.most.seed(), interrupt: &interrupt, bar };
        let mut save = |now: &dyn Fn() -> Compared| {
            output.keep(&|form| Document::Compared(&now()).write(form))
        };
        let compared = bench.compare([&a, &b], &[], &mut save)?;
        output.write(&Document::Compared(&compared))?;
        output.common.tell(&compared.notes);
        ended(compared.stopped, compared.runs.len())
    }
}

/// What Nix makes of two configurations.
fn resolve(
    prepared: [&Prepared; 2],
    wanted: [&Wanted; 2],
) -> Result<[crate::compared::Configuration; 2]> {
    let one = |own: usize| {
        let (prepared, wanted, other) = (prepared[own], wanted[own], wanted[1 - own]);
        let shown = prepared.nix().settings("")?;
        let taker = Taker { shown: &shown, is_untrusted: prepared.is_untrusted() };
        let settings = wanted.resolve(other, taker)?;
        let shown = prepared.nix().settings(&crate::configuration::lines(&settings))?;
        read_back(&wanted.name, settings, &shown)
    };
    Ok([one(0)?, one(1)?])
}

fn ended(stopped: Stopped, runs: usize) -> Result<()> {
    if stopped == Stopped::Interrupted {
        bail!("interrupted after {runs} runs, which are in the result");
    }
    Ok(())
}

impl Output {
    fn form(&self) -> Form {
        let natural =
            if self.json || self.common.output.is_some() { Form::Json } else { Form::Markdown };
        self.export.unwrap_or(natural)
    }

    /// Keep what is known so far where the result will be, so that not even a power
    /// cut loses it. Where it will be nowhere, nothing is worked out for it.
    fn keep(&self, text: &dyn Fn(Form) -> Result<String>) -> Result<()> {
        match self.common.file() {
            Some(path) => file::replace(path, text(self.form())?.as_bytes()),
            None => Ok(()),
        }
    }

    fn write(&self, document: &Document) -> Result<()> {
        stage::write_text(&document.write(self.form())?, &self.common)?;
        if let Some(path) = &self.html {
            file::replace(path, html::page(document).as_bytes())?;
        }
        if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY") {
            append(Path::new(&path), &document.write(Form::Markdown)?)?;
        }
        if !self.common.quiet
            && self.common.output.is_some()
            && let Document::Compared(compared) = document
        {
            say(&format!("{}: {}", tool(), compared.sentence()));
        }
        Ok(())
    }
}

fn append(path: &Path, text: &str) -> Result<()> {
    let open = || OpenOptions::new().create(true).append(true).open(path);
    open()
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| path.display().to_string())
}

impl Gate {
    fn run(self) -> Result<()> {
        self.common.apply_color();
        let read = |path: &Path| -> Result<Outcome> {
            let name = || path.display().to_string();
            Outcome::parse(&stage::read_file(path).with_context(name)?).with_context(name)
        };
        let gated = gate(&read(&self.result)?, &read(&self.against)?, self.max_regression)?;
        let sentence = gated.sentence();
        if self.json {
            stage::write(&gated, &self.common)?;
        } else {
            stage::write_text(&format!("{sentence}\n"), &self.common)?;
        }
        if gated.regressed {
            bail!("{}: {sentence}", self.result.display());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Command};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_name_without_a_command_is_run() {
        let cli = Cli::try_parse_from(["bench", "hello"]).expect("parses");
        assert_eq!(cli.run.installable.as_deref(), Some("hello"));
        let cli = Cli::try_parse_from(["bench", "compare", "--synthetic"]).expect("parses");
        let Some(Command::Compare(compare)) = cli.command else { panic!("{cli:?}") };
        assert_eq!((compare.a.as_str(), compare.b.as_str()), ("default", "plan"));
        assert!(Cli::try_parse_from(["bench", "run", "hello", "--synthetic"]).is_err());
    }
}
