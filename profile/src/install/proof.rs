//! The proof that Nix takes a configuration: the machine's own Nix reads a copy
//! of it before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use detect::answer::{Answer, Heard};
use detect::nix;
use detect::report::Hint;
use detect::root::Root;
use serde_json::Value;

use super::include::{lead, redirected};
use crate::plan::{Plan, Setting};
use crate::refuse;

/// Texts by the names of their files in one folder.
pub(super) type Texts<'a> = BTreeMap<&'a str, &'a [u8]>;

/// A setting that Nix would not read as planned.
#[derive(Debug)]
pub(super) struct Override {
    /// Its name.
    pub(super) name: String,
    /// What it would be.
    pub(super) value: String,
}

/// The machine's Nix, and a private folder for what it is to read.
pub(super) struct Prover<'a> {
    program: PathBuf,
    scratch: tempfile::TempDir,
    /// The folder that the texts are meant for.
    folder: &'a Path,
}

impl<'a> Prover<'a> {
    /// Find Nix.
    pub(super) fn new(folder: &'a Path) -> Result<Self> {
        let Some(program) = nix::program(&Root::live()) else {
            let hint = "without --apply or --check the text is printed, and nothing is proven";
            return Err(anyhow!("no Nix found that could read it").context(Hint::new(hint)));
        };
        let scratch = tempfile::Builder::new().prefix("nixpace-").tempdir()?;
        if let Some(path) = [folder, scratch.path()].into_iter().find(|path| !is_word(path)) {
            bail!("{}: Nix can include no file from a path with spaces", path.display());
        }
        Ok(Self { program, scratch, folder })
    }

    /// The program that reads.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Have Nix read what would be there. An error if it refuses it, or warns of
    /// something that it does not warn of with the texts of before; else the
    /// settings of `plan` that are not what `ours`, its text, says.
    pub(super) fn prove(
        &self,
        plan: &Plan,
        ours: &[u8],
        before: &Texts<'_>,
        after: &Texts<'_>,
    ) -> Result<Vec<Override>> {
        // Both at once: Nix takes longer than all that we do ourselves.
        let alone = self.ask("alone", &Texts::from([("nix.conf", ours)]))?;
        let whole = self.ask("whole", after)?;
        let alone = alone.take(self).with_context(|| {
            let target = &plan.profile.target;
            format!("{} does not take the plan for {}", self.program.display(), target.version)
        })?;
        if let Some(warning) = alone.warnings.first() {
            let hint = "detect | profile, on this machine, plans for the Nix that is here";
            let why = anyhow!("{}: {warning}", self.program.display());
            return Err(why.context(Hint::new(hint)));
        }
        let whole = whole.take(self).with_context(|| self.program.display().to_string())?;
        if !whole.warnings.is_empty() {
            let had = self.ask("before", before)?.take(self)?.warnings;
            if let Some(warning) = whole.warnings.difference(&had).next() {
                let hint = "the plan alone draws no warning, only together with what is there; \
                            nothing was written";
                let why = anyhow!("{}: {warning}", self.program.display());
                return Err(why.context(Hint::new(hint)));
            }
        }
        let differs = |(name, setting): (&String, &Setting)| {
            let own = refuse::base(name);
            let read = whole.values.get(own.unwrap_or(name)).and_then(|entry| entry.get("value"));
            let planned = alone.values.get(name).and_then(|entry| entry.get("value"));
            let agree = match own {
                Some(_) => holds(read, &setting.value),
                None => words(read) == words(planned),
            };
            let value = words(read).join(" ");
            (!agree).then(|| Override { name: name.clone(), value })
        };
        Ok(plan.settings.iter().filter_map(differs).collect())
    }

    /// Let Nix start to read a copy of some texts.
    fn ask(&self, copy: &'static str, texts: &Texts<'_>) -> Result<Asked> {
        let folder = self.scratch.path().join(copy);
        fs::create_dir(&folder)?;
        // Of the files in the folder, those of the copy are included.
        let redirect = |path: PathBuf| {
            let own = texts.keys().find(|name| lead(self.folder, name) == path);
            own.map_or(path, |name| folder.join(name))
        };
        for (name, text) in texts {
            fs::write(folder.join(name), redirected(text, self.folder, redirect))?;
        }
        let mut command = Command::new(&self.program);
        // `config show` since 2.20, of which this stays an alias.
        command
            .args(["--extra-experimental-features", "nix-command", "show-config", "--json"])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.scratch.path())
            .env("NIX_CONF_DIR", &folder)
            .env("NIX_USER_CONF_FILES", "");
        let answer = Answer::start(&mut command);
        let answer = answer.with_context(|| format!("{}: cannot run", self.program.display()))?;
        Ok(Asked { answer, folder })
    }
}

/// Nix while it reads.
struct Asked {
    answer: Answer,
    folder: PathBuf,
}

/// What Nix read.
struct Reading {
    values: serde_json::Map<String, Value>,
    warnings: BTreeSet<String>,
}

impl Asked {
    fn take(self, prover: &Prover<'_>) -> Result<Reading> {
        let Heard { text, errors, succeeded } = self.answer.hear().context("does not answer")?;
        // People know the texts by where they are meant to be.
        let words = errors
            .replace(&self.folder.display().to_string(), &prover.folder.display().to_string());
        if !succeeded {
            let errors: Vec<&str> =
                words.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
            bail!("{}", if errors.is_empty() { words } else { errors.join(": ") });
        }
        let is_news = |line: &&str| !line.trim().is_empty() && !line.contains("deprecated alias");
        Ok(Reading {
            values: serde_json::from_str(&text).context("what it prints is no JSON")?,
            warnings: words.lines().filter(is_news).map(str::to_owned).collect(),
        })
    }
}

/// A value's words, sorted: what adds to a list may stand anywhere in it, and
/// Nix sorts some lists itself.
fn words(value: Option<&Value>) -> Vec<String> {
    let mut words: Vec<String> = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(words)) => words.iter().map(text).collect(),
        Some(value) => vec![text(value)],
    };
    words.sort_unstable();
    words
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a list has all that a setting adds to it.
fn holds(value: Option<&Value>, added: &crate::plan::Value) -> bool {
    let words = words(value);
    added.to_string().split_whitespace().all(|word| words.iter().any(|had| had == word))
}

/// Whether Nix would read a path as one word.
fn is_word(path: &Path) -> bool {
    path.to_str().is_some_and(|path| !path.contains(|c: char| c.is_whitespace() || c == '#'))
}
