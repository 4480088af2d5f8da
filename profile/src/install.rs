//! A plan put in place beside nix.conf, looked after, and taken out again.
//!
//! The settings go into a file of our own, `nixpace.conf`, which one line at the
//! end of nix.conf includes: what comes later wins, so a plan is stronger than
//! what the file said before, and nothing of it is lost. `nixpace.conf.previous`
//! keeps what was in force before the last `--apply`; it is empty when nothing
//! of ours was.
//!
//! **Invariant:** at any instant, Nix reads either what was there before or what
//! is there after, whatever kills us. Each file is replaced whole, and ours is
//! there before the line that includes it, and until after that line is gone.
//! `--apply` writes nothing that the machine's Nix does not take without a new
//! warning and read as planned; `--rollback` asks no Nix, so that it also works
//! where Nix no longer does. Only our own files are ever removed, and a nix.conf
//! that was made for our line and holds nothing else.

mod change;
mod folder;
mod include;
mod proof;
mod state;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use detect::report::{Hint, say, tool};
use detect::stage;

use crate::cli::NixConfWriteCli;
use crate::form::{self, Form, render};
use crate::plan::{Plan, Value};
use folder::Folder;
use include::OURS;
use proof::{Override, Prover};
use state::State;

/// What was in force before the last `--apply`.
const PREVIOUS: &str = "nixpace.conf.previous";

/// What to do with a plan besides printing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Print what would change.
    Diff,
    /// Find out whether the plan is in place and in force.
    Check,
    /// Put the plan in place.
    Apply,
    /// Put in place what was there before.
    Rollback,
}

/// Do what the command line says.
pub fn run(action: Action, cli: &NixConfWriteCli) -> Result<()> {
    let open = || Folder::open(&cli.conf_dir());
    let read = || -> Result<(Plan, Vec<u8>)> {
        let plan = stage::read(cli.input()?)?;
        let ours = render(&plan, Form::NixConf)?.into_bytes();
        Ok((plan, ours))
    };
    match action {
        Action::Diff => {
            let (_, ours) = read()?;
            stage::write_human(&diff(&open()?, &ours)?, &cli.common)?;
        }
        Action::Check => {
            let (plan, ours) = read()?;
            check(&open()?, &plan, &ours)?;
        }
        Action::Apply => {
            let (plan, ours) = read()?;
            tell(cli, &apply(&open()?, &plan, &ours)?);
            cli.common.tell(&form::notes(&plan, Form::NixConf));
        }
        Action::Rollback => tell(cli, &rollback(&open()?)?),
    }
    Ok(())
}

fn tell(cli: &NixConfWriteCli, done: &[String]) {
    for line in done.iter().filter(|_| !cli.common.quiet) {
        say(&format!("{}: {line}", tool()));
    }
}

/// What would change, as `diff -u` prints it.
fn diff(folder: &Folder, ours: &[u8]) -> Result<String> {
    let now = State::read(folder)?;
    let next = now.with(folder, ours)?;
    let mut output = change::diff(&folder.file(OURS), now.ours.as_deref(), next.ours.as_deref());
    output += &change::diff(&folder.file(folder.host), now.host(), next.host());
    Ok(output)
}

/// An error that names what is not as planned; each finding has a line.
fn check(folder: &Folder, plan: &Plan, ours: &[u8]) -> Result<()> {
    let now = State::read(folder)?;
    let mut findings = Vec::new();
    let file = folder.file(OURS);
    match &now.ours {
        None => findings.push(format!("{}: missing", file.display())),
        Some(text) if text != ours => {
            findings.push(format!("{}: differs from the plan", file.display()));
        }
        Some(_) => {}
    }
    if !now.is_included(folder) {
        findings.push(format!("{}: does not include {OURS}", folder.file(folder.host).display()));
    }
    if findings.is_empty() {
        let texts = now.texts();
        let overrides = Prover::new(folder.path())?.prove(plan, ours, &texts, &texts)?;
        findings.extend(overrides.iter().map(|found| overridden(folder, &now, found)));
    }
    if findings.is_empty() {
        return Ok(());
    }
    Err(anyhow!("not in place: {}", findings.join("; "))
        .context(Hint::new("--diff shows what --apply would change")))
}

fn overridden(folder: &Folder, state: &State, found: &Override) -> String {
    let Override { name, value } = found;
    match state.overrider(folder, name) {
        Some(place) => format!("{name}: stays {value:?}: {place} sets it"),
        None => format!("{name}: stays {value:?}: {OURS} is not what Nix reads last"),
    }
}

/// Put a plan in place; what was done is the answer, for people.
fn apply(folder: &Folder, plan: &Plan, ours: &[u8]) -> Result<Vec<String>> {
    let _lock = folder.lock()?;
    let now = State::read(folder)?;
    let next = now.with(folder, ours)?;
    let prover = Prover::new(folder.path())?;
    let overrides = prover.prove(plan, ours, &now.texts(), &next.texts())?;
    if let Some(found) = overrides.first() {
        let hint = "remove it there, or the setting from the plan; nothing was written";
        return Err(anyhow!("{}", overridden(folder, &next, found)).context(Hint::new(hint)));
    }
    if let Some(missing) = missing_build_dir(plan) {
        let hint = Hint::new(&format!("sudo install --directory --mode=0755 {missing}"));
        let error =
            anyhow!("{missing}: missing, and before 2.30 Nix does not make what it builds in");
        return Err(error.context(hint));
    }
    let file = folder.file(OURS);
    if next == now {
        return Ok(vec![format!("{}: already in place", file.display())]);
    }
    // Editors know nothing of our lock.
    if State::read(folder)? != now {
        bail!("{}: changed while Nix read it: try again", folder.path().display());
    }
    folder.publish(PREVIOUS, now.in_force(folder))?;
    folder.publish(OURS, ours)?;
    let program = prover.program().display();
    let mut told = vec![format!("{}: written, as {program} takes it", file.display())];
    if next.host() != now.host()
        && let Some(host) = next.host()
    {
        folder.replace(folder.host, host)?;
        told.push(format!("{}: includes it at its end", folder.file(folder.host).display()));
    }
    told.extend(change::restart(now.in_force(folder), ours));
    Ok(told)
}

/// The build directory, where every build would fail for want of it: since 2.30 Nix makes
/// it itself.
fn missing_build_dir(plan: &Plan) -> Option<&str> {
    let release = plan.profile.target.release()?;
    match &plan.settings.get("build-dir")?.value {
        Value::Text(path) if !release.has_nix(2, 30) && !Path::new(path).is_dir() => Some(path),
        _ => None,
    }
}

/// Put in place what was there before the last `--apply`, of which there is but
/// one: a second time is an error. What was done is the answer, for people.
fn rollback(folder: &Folder) -> Result<Vec<String>> {
    let nothing = || anyhow!("{}: nothing to roll back", folder.path().display());
    if !folder.path().exists() {
        return Err(nothing());
    }
    let _lock = folder.lock()?;
    let now = State::read(folder)?;
    let file = folder.file(OURS);
    let Some(previous) = folder.read(PREVIOUS)? else {
        if now.ours.is_none() {
            return Err(nothing());
        }
        let host = folder.file(folder.host);
        let hint = format!(
            "to take the plan out, delete the line of {} that includes {OURS}, then {}",
            host.display(),
            file.display()
        );
        return Err(nothing().context(Hint::new(&hint)));
    };
    let mut told = Vec::new();
    if previous.is_empty() {
        let next = now.without();
        if let Some(place) = next.needs(folder) {
            bail!("{place}: Nix would fail without {OURS}: write !include there");
        }
        match next.host() {
            None => folder.remove(folder.host)?,
            Some(text) if next.host() != now.host() => folder.replace(folder.host, text)?,
            Some(_) => {}
        }
        folder.remove(OURS)?;
        folder.remove(PREVIOUS)?;
        let line = if next.host() == now.host() { "" } else { ", with the line that included it" };
        told.push(format!("{}: removed{line}", file.display()));
    } else {
        folder.rename(PREVIOUS, OURS)?;
        told.push(format!("{}: as before the last --apply", file.display()));
        if !now.is_included(folder) {
            told.push(format!(
                "{}: does not include it, so none of it is in force",
                folder.file(folder.host).display()
            ));
            return Ok(told);
        }
    }
    told.extend(change::restart(now.in_force(folder), &previous));
    Ok(told)
}

/// Where Nix looks for nix.conf when nobody says otherwise.
pub(crate) fn default_folder() -> PathBuf {
    let set = std::env::var_os("NIX_CONF_DIR").filter(|set| !set.is_empty());
    set.map_or_else(|| Path::new("/etc/nix").to_owned(), PathBuf::from)
}
