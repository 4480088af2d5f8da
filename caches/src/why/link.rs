//! One link of the chain: what one cache has to do with a path.

use std::time::Duration;

use detect::hardware::Nix;
use profile::plan::Verdict;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use super::memory::Memory;
use crate::address::{Address, Place};
use crate::client::{Client, Trouble};
use crate::info::{self, CacheInfo, Refusal, is_page};
use crate::judge::{Judgement, judge, signers};
use crate::key::{Keys, PublicKey};
use crate::narinfo::{self, NarInfo};
use crate::path::StorePath;
use crate::verify::Question;

/// What comes of a cache for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nix can take the path from it.
    Usable,
    /// It could, but Nix does not ask this cache.
    NotConfigured,
    /// It could, but Nix remembers that the path was missing.
    RememberedMissing,
    /// It could, but Nix remembers the path with other signatures.
    RememberedUntrusted,
    /// The cache has it not.
    Missing,
    /// No key that this machine trusts has signed it.
    Untrusted,
    /// The cache is for another store.
    OtherStore,
    /// The cache does not answer as one: Nix passes it by, after a while.
    Dead,
    /// The cache says what it is, and then does not answer for the path.
    Failing,
    /// What it says of the path Nix refuses with an error.
    Malformed,
    /// What it says of itself ends every substitution, from whichever cache.
    Fatal,
    /// It could not be asked.
    Unknown,
}

/// What a cache said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// It is a cache for this store, of this priority.
    Cache(i32),
    /// Why it is none, or none that can be asked.
    Not(Outcome, String),
}

/// What a cache said of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has it.
    Found(Box<NarInfo>),
    /// Why it is not to be had.
    Not(Outcome, String),
}

/// A cache that is silent for so long is to blame for it; what was asked when less
/// time was left is not.
const PATIENCE: Duration = Duration::from_secs(5);

/// What there is to say when a cache was not waited for; `None` where the trouble
/// is its own.
fn cut_short(client: &Client, asked: Instant, trouble: &Trouble) -> Option<String> {
    let is_late = matches!(trouble, Trouble::Silent(_) | Trouble::Stalled(_))
        && Instant::now() >= client.deadline()
        && asked.elapsed() < PATIENCE;
    is_late.then(|| format!("{trouble}, and then the time was up: --timeout gives more"))
}

/// Ask a cache what it is, by the rules of Nix.
pub async fn about(client: &Client, cache: &Address, store_dir: &str) -> About {
    use Outcome::{Dead, Fatal, Malformed, OtherStore, Unknown};
    if let Place::Other(_) = cache.place() {
        return About::Not(Unknown, "only Nix itself can ask it".to_owned());
    }
    let asked = Instant::now();
    let body = match client.get(cache, "nix-cache-info", info::LARGEST_BYTES).await {
        Ok(answer) => answer.body,
        Err(trouble @ Trouble::Private(_)) => return About::Not(Unknown, trouble.to_string()),
        Err(trouble) => {
            return match cut_short(client, asked, &trouble) {
                Some(why) => About::Not(Unknown, format!("nix-cache-info: {why}")),
                None => About::Not(Dead, format!("nix-cache-info: {trouble}")),
            };
        }
    };
    match CacheInfo::of(&body, store_dir) {
        Ok(info) => About::Cache(info.priority.effective().unwrap_or(0)),
        Err(refusal) => {
            let outcome = match refusal {
                Refusal::Page => Malformed,
                Refusal::OtherStore { .. } => OtherStore,
                Refusal::BadPriority(_) => Fatal,
            };
            About::Not(outcome, refusal.to_string())
        }
    }
}

/// Ask a cache for a path.
pub async fn answer(client: &Client, cache: &Address, path: &StorePath, store_dir: &str) -> Answer {
    use Outcome::{Failing, Malformed, Missing, Unknown};
    let file = format!("{}.narinfo", path.hash());
    let asked = Instant::now();
    let body = match client.get(cache, &file, narinfo::LARGEST_BYTES).await {
        Ok(answer) => answer.body,
        Err(Trouble::Missing(status)) => {
            return Answer::Not(Missing, format!("it has no {file} (status {status})"));
        }
        // Nix may have a login that is not ours to use.
        Err(trouble @ Trouble::Private(_)) => return Answer::Not(Unknown, trouble.to_string()),
        Err(trouble) => {
            return match cut_short(client, asked, &trouble) {
                Some(why) => Answer::Not(Unknown, format!("{file}: {why}")),
                None => Answer::Not(Failing, format!("{file}: {trouble}")),
            };
        }
    };
    match NarInfo::parse(&body, store_dir) {
        Ok(info) if info.path != *path => {
            Answer::Not(Malformed, format!("asked for {path}, it answers with {}", info.path))
        }
        Ok(info) => Answer::Found(Box::new(info)),
        Err(_) if is_page(&body) => {
            Answer::Not(Malformed, format!("a web page answers for {file}"))
        }
        Err(malformed) => Answer::Not(Malformed, format!("{file} is malformed: {malformed}")),
    }
}

/// Whom this machine's Nix believes.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The keys it trusts, in their order, two by one name among them.
    pub keys: Vec<PublicKey>,
    /// Whether it takes what nobody signed.
    pub takes_all: bool,
    /// Where its store is.
    pub store_dir: String,
}

impl Trust {
    /// As this Nix is set.
    pub fn of(nix: Option<&Nix>, store_dir: &str) -> Self {
        Self {
            keys: crate::config::trusted_keys(nix),
            takes_all: super::machine::is_on(nix, "require-sigs") == Some(false),
            store_dir: store_dir.to_owned(),
        }
    }

    fn judge(&self, info: &NarInfo) -> Result<Judgement, String> {
        judge(info, &Keys::new(self.keys.iter().cloned()), &self.store_dir)
    }
}

/// What comes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// What comes of it.
    pub outcome: Outcome,
    /// What the signatures are worth.
    pub verdict: Option<Verdict>,
    /// Why.
    pub why: String,
    /// What would help.
    pub fix: Option<String>,
}

/// What comes of an answer for a path, by whom this machine trusts and what its
/// Nix remembers.
pub fn conclude(
    answer: &Answer,
    question: &Question,
    trust: &Trust,
    remembered: &[Memory],
) -> Conclusion {
    let end = |outcome, verdict, why: String, fix: Option<String>| Conclusion {
        outcome,
        verdict,
        why,
        fix,
    };
    let info = match answer {
        Answer::Found(info) => info,
        Answer::Not(outcome, why) => {
            let gone = remembered.iter().any(|memory| memory.counts() && memory.is_present);
            let why = match outcome {
                Outcome::Missing if gone => format!("{why}, though Nix remembers that it had"),
                _ => why.clone(),
            };
            return end(*outcome, None, why, mend(*outcome).map(str::to_owned));
        }
    };
    let judgement = match trust.judge(info) {
        Ok(judgement) => judgement,
        Err(why) => {
            return end(Outcome::Malformed, None, why, mend(Outcome::Malformed).map(str::to_owned));
        }
    };
    let verdict = Some(judgement.verdict);
    let takes_all = trust.takes_all || is_trusted_by_address(&question.cache);
    if !takes_all && !is_proof(judgement.verdict) {
        let fix = trust_fix(&judgement, info, question, trust);
        return end(Outcome::Untrusted, verdict, judgement.why, Some(fix));
    }
    if !question.is_configured {
        let fix = format!("add {} to extra-substituters", question.cache);
        let why = format!("{}, but this machine's Nix does not ask it", judgement.why);
        return end(Outcome::NotConfigured, verdict, why, Some(fix));
    }
    for memory in remembered.iter().filter(|memory| memory.counts()) {
        let when = duration(memory.expires_in_seconds);
        if !memory.is_present {
            let why = format!(
                "{}, but {} ago Nix was told that it is missing, and will not ask for another {when}",
                judgement.why,
                duration(memory.age_seconds)
            );
            let fix = format!(
                "wait {when}, or fetch it with --option narinfo-cache-negative-ttl 0 as the user \
                 whose {} that is",
                memory.database
            );
            return end(Outcome::RememberedMissing, verdict, why, Some(fix));
        }
        let old = memory.info(&trust.store_dir).and_then(|info| trust.judge(&info).ok());
        if let Some(old) = old.filter(|old| !takes_all && !is_proof(old.verdict)) {
            let why = format!(
                "{} now, but Nix remembers it from {} ago, when {}",
                judgement.why,
                duration(memory.age_seconds),
                old.why
            );
            let fix = format!("wait {when}, or delete {}", memory.database);
            return end(Outcome::RememberedUntrusted, verdict, why, Some(fix));
        }
    }
    let why = match judgement.verdict {
        verdict if is_proof(verdict) => judgement.why,
        _ if trust.takes_all => format!("{}; require-sigs = false takes it", judgement.why),
        _ => format!("{}; ?trusted=1 takes it", judgement.why),
    };
    end(Outcome::Usable, verdict, why, None)
}

fn is_proof(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Verified | Verdict::ContentAddressed)
}

/// What would help against what a cache itself is.
pub fn mend(outcome: Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Missing => "upload it, if the cache is yours; else Nix builds it",
        Outcome::Dead => "mend the cache, or take it out of substituters: each fetch waits for it",
        Outcome::Failing | Outcome::Malformed => "mend the cache, or take it out of substituters",
        Outcome::OtherStore => "take it out of substituters: nothing of it fits this store",
        Outcome::Fatal => {
            "take it out of substituters, until its nix-cache-info has a number for Priority"
        }
        _ => return None,
    })
}

/// What would help against a missing proof. No key is ever named that came from
/// the cache: only its name, for the user to ask about elsewhere.
fn trust_fix(judgement: &Judgement, info: &NarInfo, question: &Question, trust: &Trust) -> String {
    // Of two keys by one name Nix uses the first.
    let second = trust.keys.iter().find(|key| {
        judge(info, &Keys::new([(*key).clone()]), &trust.store_dir)
            .is_ok_and(|judged| judged.verdict == Verdict::Verified)
    });
    if let Some(key) = second {
        let name = &key.name;
        return format!(
            "trusted-public-keys has two keys named {name}, and Nix uses the first: take it out, \
             the second is the right one"
        );
    }
    let own = judge(info, &question.keys, &trust.store_dir).ok().and_then(|judged| judged.key);
    if let Some(key) = own {
        let name = &key.name;
        if trust.keys.iter().any(|other| other.name == *name) {
            return format!(
                "you named its key, but trusted-public-keys has another named {name}, and of two \
                 by one name Nix uses the first: take that one out, and add {key} instead"
            );
        }
        return format!("you named its key: add {key} to extra-trusted-public-keys");
    }
    match judgement.verdict {
        Verdict::BadSignature => {
            "compare the key in trusted-public-keys with the one that the owner of the cache \
             publishes elsewhere"
        }
        Verdict::OtherKey => {
            let names = signers(info);
            return format!(
                "if you trust {}'s key, get it from its owner, not from the cache, and add it to \
                 extra-trusted-public-keys",
                names.join("'s or ")
            );
        }
        _ => "have the owner of the cache sign it: nix store sign --key-file FILE, then upload it",
    }
    .to_owned()
}

/// Whether the address itself says that all there is to be trusted.
fn is_trusted_by_address(cache: &Address) -> bool {
    let value = super::chain::parameter(cache, "trusted");
    value.is_some_and(|value| ["1", "true", "yes"].contains(&value.as_str()))
}

/// A time, as people say it.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds.div_ceil(60)),
        7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        _ => format!("{} days", seconds.div_ceil(86400)),
    }
}

#[cfg(test)]
mod tests;
