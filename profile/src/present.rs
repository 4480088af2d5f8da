//! What the machine's present settings do to its builds, where that is harm.
//!
//! Only effective values are known here. What a file says without effect, or in
//! an order in which Nix forgets it, is noted by `detect`, which reads it, and
//! repeated here: `detect` tells people only when asked to.

use std::path::Path;

use detect::hardware::{ConfOwner, Note};
use detect::human::count;
use detect::release::Release;
use serde_json::Value;

use crate::decide::Case;
use crate::target;

/// Where everyone may write, so that anyone can put something in a build's way.
const OPEN_PLACES: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];

/// More names than anyone reads in one line.
const MOST_NAMES: usize = 5;

/// What `detect` notes that whoever sets Nix should hear.
const REPEATED: [&str; 2] = ["nix-unknown-setting", "nix-extra-forgotten"];

/// Longer than `detect` writes them.
const LONGEST_NOTE: usize = 1000;

/// What deserves attention.
pub(crate) fn notes(case: &Case) -> Vec<Note> {
    let Some(nix) = &case.hardware.nix else { return Vec::new() };
    let present = Present {
        case,
        setting: &|name| nix.settings.get(name),
        // A plan may be asked for another release than the one that is there.
        release: target::detected(case.hardware).unwrap_or(case.release),
    };
    let notes = [
        present.oversubscribed(),
        present.auto_under_a_limit(),
        present.few_build_users(),
        present.useless_max_free(),
        present.open_build_dir(),
        present.trusted_users(),
        present.fallback(),
        present.sandbox(),
        present.require_sigs(),
    ];
    notes.into_iter().flatten().chain(repeated(case)).collect()
}

/// What `detect` noted about settings. The text comes from a document: it is
/// kept to a line, as our own notes are.
fn repeated<'a>(case: &Case<'a>) -> impl Iterator<Item = Note> + use<'a> {
    let notes = case.hardware.notes.iter().filter(|note| REPEATED.contains(&note.id.as_str()));
    notes.take(REPEATED.len()).map(|note| {
        let text: String = note.text.chars().take(LONGEST_NOTE).collect();
        Note::warning(&note.id, text.replace(char::is_control, " "))
    })
}

/// The settings as they are.
struct Present<'a> {
    case: &'a Case<'a>,
    setting: &'a dyn Fn(&str) -> Option<&'a Value>,
    release: Release,
}

impl Present<'_> {
    fn number(&self, name: &str) -> Option<u64> {
        (self.setting)(name)?.as_u64()
    }

    fn words(&self, name: &str) -> Vec<&str> {
        let words = (self.setting)(name).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A choice that Nix prints as a bool or as text.
    fn is_off(&self, name: &str) -> bool {
        match (self.setting)(name) {
            Some(Value::Bool(value)) => !value,
            Some(Value::String(text)) => matches!(text.as_str(), "false" | "no" | "0"),
            _ => false,
        }
    }

    fn is_auto(&self) -> bool {
        (self.setting)("max-jobs").and_then(Value::as_str) == Some("auto")
    }

    /// CPUs that `auto` counts: every one that runs, whatever limits hold.
    fn all_cpus(&self) -> Option<u64> {
        self.case.hardware.cpu.online.map(|cpus| cpus.get().into())
    }

    /// CPUs that a build counts when cores is 0: every one that runs, or from
    /// Nix 2.11 on, what a quota leaves of them.
    fn counted_cpus(&self) -> Option<u64> {
        let all = self.all_cpus()?;
        let daemon = self.case.hardware.daemon.as_ref();
        let quotas = [self.case.hardware.cpu.quota, daemon.and_then(|daemon| daemon.quota)];
        let may = u64::from(self.case.budget.whole_cpus()?.get());
        let counts = self.release.has_nix(2, 11) && quotas.iter().any(Option::is_some);
        Some(if counts { all.min(may) } else { all })
    }

    /// jobs × cores far above what CPUs carry and the plan gives them: such
    /// builds spend their time taking turns, and their memory all at once.
    fn oversubscribed(&self) -> Option<Note> {
        let cpus = self.case.budget.whole_cpus()?.get();
        let (_, planned) = self.case.budget.sizes()?;
        let jobs = if self.is_auto() { self.all_cpus()? } else { self.number("max-jobs")? };
        let cores = match self.number("cores") {
            None | Some(0) => self.counted_cpus()?,
            Some(cores) => cores,
        };
        let present = jobs.saturating_mul(cores);
        let planned = u64::from(planned.jobs) * u64::from(planned.cores);
        let least = planned.max(u64::from(cpus)).saturating_mul(2);
        // A single build is what every Nix starts with, and does no harm.
        (jobs > 1 && present >= least && present > 4).then(|| {
            Note::warning(
                "jobs-times-cores",
                format!(
                    "max-jobs and cores now allow {jobs} builds of {cores} processes each on {}, \
                     {present} at once: builds then slow each other down or run out of memory",
                    count(cpus, "CPU")
                ),
            )
        })
    }

    fn auto_under_a_limit(&self) -> Option<Note> {
        let all = self.all_cpus()?;
        let may = u64::from(self.case.budget.whole_cpus()?.get());
        (self.is_auto() && may < all).then(|| {
            Note::warning(
                "jobs-auto-limited",
                format!(
                    "max-jobs = auto counts all {all} CPUs, but builds may use only {may}: it sees \
                     neither a quota nor an affinity mask"
                ),
            )
        })
    }

    /// `NixOS` makes as many users as there are jobs.
    fn few_build_users(&self) -> Option<Note> {
        let nix = self.case.hardware.nix.as_ref()?;
        let users = nix.build_users.filter(|users| *users > 0)?;
        let (_, planned) = self.case.budget.sizes()?;
        let allocates = (self.setting)("auto-allocate-uids").and_then(Value::as_bool);
        let fixed = nix.conf_owner != Some(ConfOwner::Nixos) && allocates != Some(true);
        (fixed && users < planned.jobs).then(|| {
            Note::warning(
                "few-build-users",
                format!(
                    "{} for {} jobs: builds beyond them wait for one to be free",
                    count(users, "build user"),
                    planned.jobs
                ),
            )
        })
    }

    fn useless_max_free(&self) -> Option<Note> {
        let (min, max) = (self.number("min-free")?, self.number("max-free")?);
        (min > 0 && max <= min).then(|| {
            Note::warning(
                "max-free-too-low",
                format!(
                    "max-free is {max} and min-free {min}: Nix never collects garbage then, \
                     however full the disk; max-free must be the larger"
                ),
            )
        })
    }

    fn open_build_dir(&self) -> Option<Note> {
        let set = Path::new((self.setting)("build-dir")?.as_str()?);
        let place = OPEN_PLACES.iter().find(|place| set.starts_with(place))?;
        let what = if self.release.has_nix(2, 30) {
            "this Nix refuses to build there"
        } else {
            "others can get between a build and its files (CVE-2025-46415)"
        };
        let text = format!("build-dir is below {place}, where everyone may write: {what}");
        Some(Note::warning("build-dir-open", text))
    }

    fn trusted_users(&self) -> Option<Note> {
        let mut others = self.words("trusted-users");
        others.retain(|user| *user != "root");
        let more = others.len().saturating_sub(MOST_NAMES);
        // As Rust writes them: a name from a document can hold anything.
        let names: Vec<String> =
            others.iter().take(MOST_NAMES).map(|name| format!("{name:?}")).collect();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!others.is_empty()).then(|| {
            Note::warning(
                "trusted-users",
                format!(
                    "trusted-users has {}{more} beside root: whoever is trusted can become root",
                    names.join(", ")
                ),
            )
        })
    }

    /// Seen with 2.8, and no longer with 2.26: `SubstituterDisabled` is thrown
    /// where nothing catches it.
    fn fallback(&self) -> Option<Note> {
        let is_on = (self.setting)("fallback").and_then(Value::as_bool) == Some(true);
        (is_on && !self.release.has_nix(2, 9)).then(|| {
            Note::warning(
                "fallback-aborts",
                format!(
                    "fallback is on: {} aborts when a cache fails, instead of building",
                    self.release
                ),
            )
        })
    }

    fn sandbox(&self) -> Option<Note> {
        self.is_off("sandbox").then(|| {
            Note::warning(
                "sandbox-off",
                "sandbox is off: builds see this machine's files and network, so what they give \
                 may not be what a cache or another machine gives",
            )
        })
    }

    fn require_sigs(&self) -> Option<Note> {
        self.is_off("require-sigs").then(|| {
            Note::warning(
                "signatures-off",
                "require-sigs is off: whatever any cache serves is taken for genuine",
            )
        })
    }
}

#[cfg(test)]
mod tests;
