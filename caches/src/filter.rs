//! What proofs make of a plan.

use detect::hardware::Note;
use profile::plan::{Cache, Plan, Setting, Value, Verdict};

use crate::config::trusted_keys;
use crate::lint::{Configuration, lint};
use crate::verify::{Question, Report};

/// The settings that this stage owns.
pub const OWNED: [&str; 2] = ["extra-substituters", "extra-trusted-public-keys"];

/// What asking the caches makes of a plan; `None` is not asking them. Where
/// nothing at all can be reached there is no network, and no cache to blame.
pub fn decide(plan: &mut Plan, questions: &[Question], reports: Option<&[Report]>) {
    match reports {
        None => keep(plan, questions, "caches were not asked, as you wished"),
        Some(reports) if !reports.is_empty() && reports.iter().all(|it| it.is_unreachable) => {
            keep(plan, questions, "no cache can be reached, so nothing about caches was changed");
        }
        Some(reports) => apply(plan, questions, reports),
    }
}

/// Put what was found into a plan: proven caches as settings, everything as a
/// record of it, and what people should know as notes.
fn apply(plan: &mut Plan, questions: &[Question], reports: &[Report]) {
    plan.notes.retain(|note| !note.id.starts_with("cache-"));
    plan.caches = reports.iter().map(record).collect();
    let trusted = trusted_keys(plan.hardware.nix.as_ref());
    let mut urls = Vec::new();
    let mut keys = Vec::new();
    for (question, report) in questions.iter().zip(reports) {
        plan.notes.extend(note(question, report));
        let Some(key) = report.key.as_ref().filter(|_| report.verdict == Verdict::Verified) else {
            continue;
        };
        if !question.is_configured {
            urls.push(report.url.clone());
        }
        let is_trusted = trusted.iter().any(|known| known.to_string() == *key);
        if !is_trusted && !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let why = "each of them served a path that its own key had signed";
    set(plan, OWNED[0], urls, why);
    set(plan, OWNED[1], keys, "each of them signed what its cache served when it was asked");
    plan.notes.extend(configuration(plan, questions, reports));
}

/// What is wrong with how the machine's Nix is told of its caches, once the plan
/// is in force.
fn configuration(plan: &Plan, questions: &[Question], reports: &[Report]) -> Vec<Note> {
    let Some(nix) = &plan.hardware.nix else { return Vec::new() };
    lint(&Configuration { nix, planned: &plan.settings, questions, reports })
}

/// Nobody could be asked: keep what there is, and say so.
fn keep(plan: &mut Plan, questions: &[Question], why: &str) {
    plan.notes.retain(|note| !note.id.starts_with("cache-"));
    plan.notes.push(Note::info("cache-not-asked", why));
    plan.notes.extend(configuration(plan, questions, &[]));
    if plan.caches.is_empty() {
        plan.caches = questions
            .iter()
            .map(|question| Cache {
                url: question.cache.to_string(),
                key: None,
                verdict: None,
                priority: None,
                latency_seconds: None,
            })
            .collect();
    }
}

fn set(plan: &mut Plan, name: &str, words: Vec<String>, why: &str) {
    if words.is_empty() {
        plan.settings.remove(name);
        return;
    }
    let setting =
        Setting { value: Value::List(words), why: why.to_owned(), stage: "caches".to_owned() };
    plan.settings.insert(name.to_owned(), setting);
}

fn record(report: &Report) -> Cache {
    Cache {
        url: report.url.clone(),
        key: report.key.clone(),
        verdict: Some(report.verdict),
        priority: report.priority.and_then(|priority| u32::try_from(priority).ok()),
        latency_seconds: report.latency_seconds,
    }
}

/// What people should know of a cache.
fn note(question: &Question, report: &Report) -> Option<Note> {
    let Report { url, verdict, why, .. } = report;
    if *verdict == Verdict::Verified {
        return None;
    }
    let text = if question.is_configured {
        format!("{url}, which this machine asks: {why}")
    } else {
        format!("{url} is left out: {why}")
    };
    Some(Note::warning("cache-unproven", text))
}
