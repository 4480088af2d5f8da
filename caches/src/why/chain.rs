//! The whole chain: every cache, in the order in which Nix asks them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use detect::database;
use detect::hardware::Nix;
use detect::number::Version;
use detect::release::Release;
use url::Url;

use super::link::{About, Answer, Outcome, Trust, about, answer, conclude, mend};
use super::machine::{is_on, obstacles};
use super::memory::{Database, Memory};
use super::target::Target;
use super::{Chain, Link, Why};
use crate::address::Address;
use crate::client::Client;
use crate::find::Knowledge;
use crate::judge::signers;
use crate::path::StorePath;
use crate::verify::Question;

/// Paths that a cache is asked for at once.
const AT_ONCE: usize = 8;

/// What one cache said, of itself and of each path.
struct Asked {
    about: About,
    answers: Vec<Answer>,
}

/// Look at every link between these paths and this machine's Nix.
pub fn why(
    targets: &[Target],
    questions: &[Question],
    nix: Option<&Nix>,
    store_dir: &str,
    client: &Client,
) -> Result<Why> {
    let knowledge = Knowledge::of_this_machine(Vec::new());
    let (databases, mut notes) = databases(&knowledge, nix);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let paths: Vec<StorePath> = targets.iter().filter_map(|target| target.path.clone()).collect();
    let asked = ask(&paths, questions, store_dir, client)?;
    let trust = Trust::of(nix, store_dir);
    let obstacles = obstacles(nix);
    let mut priorities = Vec::new();
    for database in databases.iter().filter(|database| database.is_used) {
        match database.priorities(now) {
            Ok(known) => priorities.extend(known),
            Err(error) => notes.push(format!("{error:#}")),
        }
    }
    let mut chains = Vec::new();
    let mut at = 0;
    for target in targets {
        let mut remembered = Vec::new();
        for database in databases.iter().filter(|_| target.path.is_some()) {
            let Some(path) = &target.path else { continue };
            // What cannot be read is not known; that it cannot was said above.
            remembered.extend(database.of(path, store_dir, now).unwrap_or_default());
        }
        let mut links = Vec::new();
        for (question, asked) in questions.iter().zip(&asked).filter(|_| target.path.is_some()) {
            let own = remembered.iter().filter(|(url, _)| url.is_same(&question.cache));
            let own: Vec<Memory> = own.map(|(_, memory)| memory.clone()).collect();
            let known = priorities.iter().find(|(url, _)| url.is_same(&question.cache));
            let known = known.map(|(_, priority)| *priority);
            links.push(link(question, asked, at, &trust, own, known));
        }
        at += usize::from(target.path.is_some());
        links.sort_by_key(|link| {
            (!link.is_configured, link.priority.is_none(), link.priority.unwrap_or(0))
        });
        let from = source(&links, nix);
        let is_free = obstacles.is_empty() && target.obstacles.is_empty();
        chains.push(Chain {
            asked: target.asked.clone(),
            output: target.output.clone(),
            path: target.path.as_ref().map(|path| format!("{store_dir}/{path}")),
            is_in_store: target
                .path
                .as_ref()
                .and_then(|path| is_in_store(&knowledge, &format!("{store_dir}/{path}"))),
            is_substitutable: is_free && from.is_some(),
            from: from.filter(|_| is_free),
            obstacles: target.obstacles.clone(),
            caches: links,
        });
    }
    Ok(Why { version: Version, obstacles, notes, paths: chains })
}

fn link(
    question: &Question,
    asked: &Asked,
    at: usize,
    trust: &Trust,
    remembered: Vec<Memory>,
    known: Option<i32>,
) -> Link {
    let (answer, own) = match &asked.about {
        About::Cache(priority) => (asked.answers[at].clone(), Some(*priority)),
        // Nix takes a web page for a cache that does not say its priority.
        About::Not(Outcome::Malformed, why) => {
            (Answer::Not(Outcome::Malformed, why.clone()), Some(0))
        }
        About::Not(outcome, why) => (Answer::Not(*outcome, why.clone()), None),
    };
    let conclusion = conclude(&answer, question, trust, &remembered);
    let given = parameter(&question.cache, "priority").and_then(|text| text.parse().ok());
    let mut fix = conclusion.fix;
    if !question.is_configured && mend(conclusion.outcome).is_some() {
        // Nothing here asks it, so there is nothing to take out.
        fix = fix.filter(|_| conclusion.outcome == Outcome::Missing);
    }
    Link {
        url: question.cache.to_string(),
        is_configured: question.is_configured,
        is_alive: match (&asked.about, conclusion.outcome) {
            (_, Outcome::Unknown) => None,
            (About::Cache(_), outcome) => Some(outcome != Outcome::Failing),
            (About::Not(outcome, _), _) => Some(*outcome == Outcome::OtherStore),
        },
        priority: given.or(own.and(known)).or(own),
        is_present: match (&answer, conclusion.outcome) {
            (Answer::Found(_), _) => Some(true),
            (_, Outcome::Missing) => Some(false),
            _ => None,
        },
        signed_by: match &answer {
            Answer::Found(info) => signers(info),
            Answer::Not(..) => Vec::new(),
        },
        verdict: conclusion.verdict,
        remembered,
        outcome: conclusion.outcome,
        why: conclusion.why.replace(char::is_control, " "),
        fix,
    }
}

/// The cache that Nix takes a path from: the first that has it and is trusted,
/// if nothing before it ends the search.
fn source(links: &[Link], nix: Option<&Nix>) -> Option<String> {
    let configured = || links.iter().filter(|link| link.is_configured);
    if configured().any(|link| link.outcome == Outcome::Fatal) {
        return None;
    }
    for link in configured() {
        if link.outcome == Outcome::Usable {
            return Some(link.url.clone());
        }
        if ends_search(link.outcome, nix) {
            return None;
        }
    }
    None
}

/// Whether Nix gives a path up at a cache that fails (facts of three versions:
/// 2.34 goes on; older ones do with `fallback`, but for 2.8, which it makes
/// crash when a cache fails rather than lies).
fn ends_search(outcome: Outcome, nix: Option<&Nix>) -> bool {
    let release = nix.and_then(|nix| Release::parse(nix.version.as_deref()?));
    let has = |minor| release.is_some_and(|release| release.has_nix(2, minor));
    let falls_back = is_on(nix, "fallback") == Some(true);
    match outcome {
        Outcome::Failing => !(has(34) || has(26) && falls_back),
        Outcome::Malformed => !(has(34) || falls_back),
        _ => false,
    }
}

/// A parameter of an address.
pub(super) fn parameter(cache: &Address, name: &str) -> Option<String> {
    let url = Url::parse(&cache.to_string()).ok()?;
    let mut pairs = url.query_pairs().filter(|(known, _)| known == name);
    pairs.next().map(|(_, value)| value.into_owned())
}

/// Nix's memories on this machine, and which of them cannot be read.
fn databases(knowledge: &Knowledge, nix: Option<&Nix>) -> (Vec<Database>, Vec<String>) {
    let is_root = rustix::process::geteuid().is_root();
    let has_daemon = nix.and_then(|nix| nix.multi_user) == Some(true) && !is_root;
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    let mut folders = knowledge.nix_caches.clone();
    folders.dedup();
    for (index, folder) in folders.iter().enumerate() {
        // The user's own comes first, root's last.
        let is_used = if has_daemon { index + 1 == folders.len() } else { index == 0 };
        match Database::find(folder, is_used, nix) {
            Ok(database) => found.extend(database),
            Err(_) if !is_used => {}
            Err(error) => notes.push(format!(
                "what Nix's daemon remembers of caches is not known: {error:#}: run as root"
            )),
        }
    }
    (found, notes)
}

/// Whether the store has a path; `None` if nobody can tell.
fn is_in_store(knowledge: &Knowledge, path: &str) -> Option<bool> {
    if !knowledge.store.exists() {
        return None;
    }
    let found = database::read(&knowledge.store, |connection| {
        connection.prepare("select 1 from ValidPaths where path = ?1")?.exists([path])
    });
    found.ok()
}

/// Ask every cache at once for all paths.
fn ask(
    paths: &[StorePath],
    questions: &[Question],
    store_dir: &str,
    client: &Client,
) -> Result<Vec<Asked>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = runtime.block_on(async {
        let paths: Arc<[StorePath]> = paths.into();
        let tasks: Vec<_> = questions
            .iter()
            .map(|question| {
                let (client, paths) = (client.clone(), Arc::clone(&paths));
                let (cache, store_dir) = (question.cache.clone(), store_dir.to_owned());
                tokio::spawn(one(client, cache, paths, store_dir))
            })
            .collect();
        let mut asked = Vec::with_capacity(tasks.len());
        for task in tasks {
            asked.push(task.await.context("asking ended early")??);
        }
        Ok(asked)
    });
    // A name that the system still looks up would be waited for.
    runtime.shutdown_background();
    asked
}

/// Ask one cache what it is, and then for all paths, some at once.
async fn one(
    client: Client,
    cache: Address,
    paths: Arc<[StorePath]>,
    store_dir: String,
) -> Result<Asked> {
    let about = about(&client, &cache, &store_dir).await;
    let mut answers = Vec::new();
    if let About::Cache(_) = about {
        for some in paths.chunks(AT_ONCE) {
            let ask = |path: &StorePath| {
                let (client, cache) = (client.clone(), cache.clone());
                let (path, store_dir) = (path.clone(), store_dir.clone());
                tokio::spawn(async move { answer(&client, &cache, &path, &store_dir).await })
            };
            let tasks: Vec<_> = some.iter().map(ask).collect();
            for task in tasks {
                answers.push(task.await.context("asking ended early")?);
            }
        }
    }
    Ok(Asked { about, answers })
}

#[cfg(test)]
mod tests;
