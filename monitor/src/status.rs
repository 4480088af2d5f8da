//! `monitor status`: what Nix is set to, has done and is doing, on one screen.
//!
//! **Invariant:** every part says where it is from and, where it cannot be had,
//! why; and none keeps the others from being shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::Result;
use clap::Args;
use detect::arguments::Common;
use detect::hardware::{Implementation, Nix};
use detect::number::Version;
use detect::report::reason;
use detect::root::Root;
use detect::{nix, stage};
use profile::plan::Plan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::active::{self, Active, Build};
use crate::estimate::expected;
use crate::guard::told::{Guarded, guarded};
use crate::history::Place;
use crate::history::attempt::{Attempt, Filter, attempts};
use crate::history::reader::Reader;
use crate::remembered::{self, Remembered};
use crate::snapshot::{now, past};
use crate::store::{self, Kept, Store, kept};

pub mod drift;
mod screen;
#[cfg(test)]
mod tests;

use drift::Drift;

/// How many of the last builds are shown.
const RECENT: u32 = 8;

/// What to compare with, and how to show it
#[derive(Args, Debug, Default)]
pub struct Command {
    /// A plan: say where this machine's Nix is set otherwise
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,

    /// Say also how much of the store is garbage: follows every reference in it, which
    /// for 100,000 paths takes longer than all the rest
    #[arg(long)]
    pub garbage: bool,

    /// Print JSON instead of a screen
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// What Nix is set to, has done and is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Version of this document's format.
    pub version: Version<1>,
    /// The installed Nix and its settings.
    pub nix: Figure<Settings>,
    /// What the store holds, where it is from, and how much caches have spared.
    pub store: Figure<Store>,
    /// How much of it is kept, and how much a collection of garbage would free.
    pub kept: Figure<Kept>,
    /// What caches had and had not when Nix asked them, by their addresses: of
    /// this user, and of root, for whom a daemon asks.
    pub caches: Vec<Figure<BTreeMap<String, Remembered>>>,
    /// What is being built.
    pub active: Figure<Vec<Build>>,
    /// The last builds.
    pub recent: Figure<Vec<Attempt>>,
    /// What `monitor guard` has done.
    pub guard: Figure<Guarded>,
}

/// What was found, or why not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FigureOf{T}")]
pub struct Figure<T> {
    /// Where it is from, or would be.
    pub source: String,
    /// What was found.
    pub found: Option<T>,
    /// Why nothing, or not all, was found.
    pub why: Option<String>,
}

/// The installed Nix and its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which Nix.
    pub implementation: Option<Implementation>,
    /// Its version, e.g. `2.34.8`.
    pub version: Option<String>,
    /// The effective values of what we plan, by their names.
    pub settings: BTreeMap<String, Value>,
    /// Where they are not what the plan says; `null` without a plan.
    pub drift: Option<Vec<Drift>>,
}

impl<T> Figure<T> {
    pub(crate) fn new(source: impl Into<String>, found: Result<T>) -> Self {
        let source = source.into();
        match found {
            Ok(found) => Self { source, found: Some(found), why: None },
            Err(error) => Self { source, found: None, why: Some(reason(&error)) },
        }
    }

    pub(crate) fn missing(source: impl Into<String>, why: impl Into<String>) -> Self {
        Self { source: source.into(), found: None, why: Some(why.into()) }
    }
}

impl Command {
    /// Look, and print it.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let plan = self.plan.as_deref().map(|file| stage::read(Some(file))).transpose()?;
        let now = now();
        let status = look(plan.as_ref(), &self.place, self.garbage, now);
        if self.json {
            return stage::write(&status, &self.common);
        }
        stage::write_human(&screen::screen(&status, now), &self.common)
    }
}

/// Look at everything; at what is garbage only when that is wanted.
pub fn look(plan: Option<&Plan>, place: &Place, garbage: bool, now: f64) -> Status {
    let root = Root::live();
    let asked = nix::ask(&root);
    let database = store::place();
    // What takes longest, beside the rest: Nix, the database, and /proc/locks, for
    // which the kernel first waits until nobody changes them.
    let (store, caches, past, active) = thread::scope(|scope| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 are few enough")]
        let store = scope.spawn(|| store::look(&database, now as i64));
        let caches = remembered::folders().iter().map(|folder| cache(folder)).collect();
        let past = past(place);
        let active = active(past.as_ref().ok());
        let store = store.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (Figure::new(database.display().to_string(), store), caches, past, active)
    });
    let recent = recent(past);
    let mut notes = Vec::new();
    let (found, _) = nix::nix(&root, asked, &mut notes);
    let kept = if garbage {
        Figure::new(database.display().to_string(), kept::look(&database, found.as_ref()))
    } else {
        Figure::missing("how much is garbage", "monitor status --garbage says")
    };
    let nix =
        settings(found, plan, &notes.iter().map(|note| note.text.as_str()).collect::<Vec<_>>());
    Status { version: Version, nix, store, kept, caches, active, recent, guard: guarded() }
}

fn settings(nix: Option<Nix>, plan: Option<&Plan>, notes: &[&str]) -> Figure<Settings> {
    let source = "nix --version, nix show-config";
    let Some(nix) = nix else { return Figure::missing(source, notes.join("; ")) };
    let drift = plan.map(|plan| drift::drift(plan, &nix.settings));
    let found = Settings {
        implementation: nix.implementation,
        version: nix.version,
        settings: nix.settings,
        drift,
    };
    let why = (!notes.is_empty()).then(|| notes.join("; "));
    Figure { source: source.to_owned(), found: Some(found), why }
}

fn cache(folder: &Path) -> Figure<BTreeMap<String, Remembered>> {
    match remembered::file(folder) {
        Ok(Some(file)) => Figure::new(file.display().to_string(), remembered::caches(&file)),
        Ok(None) => Figure::missing(folder.display().to_string(), "Nix has asked no cache here"),
        Err(error) => Figure::new(folder.display().to_string(), Err(error)),
    }
}

fn active(past: Option<&Reader>) -> Figure<Vec<Build>> {
    shown(active::active(), past)
}

/// The builds, each with the time it will take; none where they cannot be seen.
fn shown(mut active: Active, past: Option<&Reader>) -> Figure<Vec<Build>> {
    for build in &mut active.builds {
        let drv = build.drv.as_deref().unwrap_or_default();
        build.expected_seconds = past.and_then(|past| expected(past, drv, &build.name));
    }
    let is_seen = active.unseen().is_none();
    let notes: Vec<String> = active.notes.into_iter().map(|note| note.text).collect();
    Figure {
        source: "/proc".to_owned(),
        found: is_seen.then_some(active.builds),
        why: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

fn recent(past: Result<Reader>) -> Figure<Vec<Attempt>> {
    let filter = Filter { most: RECENT, ..Filter::default() };
    match past {
        Ok(past) => {
            let found = past.ask(|connection| attempts(connection, &filter));
            Figure::new(past.source(), found)
        }
        Err(error) => Figure::new("history", Err(error)),
    }
}
