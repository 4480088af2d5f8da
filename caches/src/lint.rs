//! What is wrong with how this machine's Nix is told of its caches.
//!
//! Each rule stands for something that Nix does in silence or to everything at
//! once; what each release does was measured on 2.8.0, 2.26.3 and 2.34.8.

use std::collections::BTreeMap;

use detect::hardware::{Level, Nix, Note};
use detect::release::Release;
use profile::plan::{Setting, Value, Verdict};
use serde_json::json;
use url::Url;

use crate::address::{Address, Place, is_loopback};
use crate::config::words;
use crate::key::{IS_SECRET, PublicKey};
use crate::verify::{Question, Report};

/// What is known of a configuration.
pub struct Configuration<'a> {
    /// The machine's Nix.
    pub nix: &'a Nix,
    /// What a plan would change.
    pub planned: &'a BTreeMap<String, Setting>,
    /// The caches that were looked at.
    pub questions: &'a [Question],
    /// What was found out about them, in the same order; or nothing.
    pub reports: &'a [Report],
}

/// What is wrong with a configuration, worst first.
pub fn lint(configuration: &Configuration) -> Vec<Note> {
    let mut notes = configuration.keys();
    notes.extend(configuration.addresses());
    notes.extend(configuration.rights());
    notes.extend(configuration.waiting());
    notes.extend(configuration.signatures());
    notes.sort_by_key(|note| std::cmp::Reverse(note.level));
    notes
}

fn note(level: Level, id: &str, text: impl Into<String>) -> Note {
    Note { id: id.to_owned(), level, text: text.into() }
}

impl Configuration<'_> {
    fn words(&self, name: &str) -> Vec<String> {
        self.nix.settings.get(name).map(words).unwrap_or_default()
    }

    /// A setting as it will be.
    fn value(&self, name: &str) -> Option<serde_json::Value> {
        match self.planned.get(name).map(|setting| &setting.value) {
            Some(Value::Bool(value)) => Some(json!(value)),
            Some(Value::Integer(value)) => Some(json!(value)),
            _ => self.nix.settings.get(name).cloned(),
        }
    }

    /// Keys that Nix cannot read or never uses.
    fn keys(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut known: Vec<PublicKey> = Vec::new();
        let texts = self.words("trusted-public-keys");
        for (index, text) in texts.iter().enumerate() {
            // Never all of it: it may be a secret.
            let name = text.split_once(':').map(|(name, _)| name).filter(|name| !name.is_empty());
            let name = name.map_or_else(|| format!("word {}", index + 1), plain);
            match PublicKey::parse(text) {
                Ok(key) => {
                    let same = known.iter().find(|other| other.name == key.name);
                    if same.is_some_and(|other| !other.same_bytes(&key)) {
                        let why = "stands there twice with other digits, and Nix only ever uses \
                                   the first: what the second signed is not taken";
                        let text = format!("trusted-public-keys: {name} {why}");
                        notes.push(note(Level::Warning, "cache-key-duplicate", text));
                    }
                    if !key.can_sign() {
                        let why = "is a key by which nothing can be signed";
                        let text = format!("trusted-public-keys: {name} {why}");
                        notes.push(note(Level::Warning, "cache-key-useless", text));
                    }
                    known.push(key);
                }
                Err(why) if why == IS_SECRET => {
                    let text = format!(
                        "trusted-public-keys: {name} is a secret key, which every user of this \
                         machine can read and sign with: make a new one, and put the public key \
                         there; until then every Nix command that needs keys ends with an error"
                    );
                    notes.push(note(Level::Error, "cache-key-secret", text));
                }
                Err(why) => {
                    let text = format!(
                        "trusted-public-keys: {name}: {why}: every Nix command that needs keys \
                         ends with an error"
                    );
                    notes.push(note(Level::Error, "cache-key-malformed", text));
                }
            }
        }
        let is_set = self.nix.settings.contains_key("trusted-public-keys");
        let has_caches = !self.words("substituters").is_empty();
        if is_set && texts.is_empty() && has_caches && !self.takes_anything() {
            let text = "trusted-public-keys is empty: nothing that a cache signed is taken";
            notes.push(note(Level::Error, "cache-without-key", text));
        }
        if !texts.is_empty() && self.nix.settings.contains_key("substituters") && !has_caches {
            let text = "substituters is empty: no cache is asked, and no key is needed";
            notes.push(note(Level::Info, "cache-key-unused", text));
        }
        notes.extend(self.unused(&known));
        notes
    }

    /// Keys by which no cache signed, when each cache is proven by another.
    fn unused(&self, keys: &[PublicKey]) -> Vec<Note> {
        let asked = || self.questions.iter().zip(self.reports);
        let configured = || asked().filter(|(question, _)| question.is_configured);
        let is_proven = |report: &Report| report.verdict == Verdict::Verified;
        if configured().next().is_none() || !configured().all(|(_, report)| is_proven(report)) {
            return Vec::new();
        }
        let used = |key: &PublicKey| {
            asked().any(|(_, report)| report.key.as_deref() == Some(&key.to_string()))
        };
        // Of two by one name, the second was spoken of already.
        let first = |index: usize, key: &PublicKey| {
            !keys[..index].iter().any(|other| other.name == key.name)
        };
        let keys = keys.iter().enumerate().filter(|(index, key)| first(*index, key));
        let unused = keys.map(|(_, key)| key).filter(|key| !used(key));
        let text = |key: &PublicKey| {
            format!("trusted-public-keys: {}: no cache here was proven by it", plain(&key.name))
        };
        unused.map(|key| note(Level::Info, "cache-key-unused", text(key))).collect()
    }

    /// Addresses that Nix cannot read, or reads otherwise than it looks.
    fn addresses(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let mut known: Vec<Address> = Vec::new();
        for (index, text) in self.words("substituters").iter().enumerate() {
            let cache = match Address::parse(text) {
                Ok(cache) => cache,
                // Nix's own names for stores of this machine.
                Err(_) if ["auto", "daemon", "local"].contains(&text.as_str()) => continue,
                Err(_) if text.starts_with('/') => continue,
                Err(why) => {
                    let text = format!("substituters: word {}: {why}", index + 1);
                    notes.push(note(Level::Error, "cache-address", text));
                    continue;
                }
            };
            if known.iter().any(|other| other.is_same(&cache)) {
                let text = format!("substituters: {cache} stands there twice");
                notes.push(note(Level::Warning, "cache-twice", text));
            } else {
                known.push(cache);
            }
        }
        let named = self.questions.iter().map(|question| &question.cache);
        let named = named.filter(|cache| !known.iter().any(|other| other.is_same(cache)));
        for cache in known.iter().chain(named) {
            notes.extend(address(cache));
        }
        notes
    }

    /// Caches that the daemon does not take from this user.
    fn rights(&self) -> Vec<Note> {
        if self.nix.trusted != Some(false) {
            return Vec::new();
        }
        let parse = |text: &String| Address::parse(text).ok();
        let official = "https://cache.nixos.org".to_owned();
        let mut allowed: Vec<Address> =
            self.words("trusted-substituters").iter().filter_map(parse).collect();
        allowed.extend(parse(&official));
        let caches = self.words("substituters");
        let beyond = caches.iter().filter_map(parse);
        let beyond = beyond.filter(|cache| !allowed.iter().any(|other| other.is_same(cache)));
        let text = |cache| {
            format!(
                "{cache} is not among trusted-substituters and this user is not trusted: unless \
                 the daemon's own nix.conf names it, the daemon leaves it out (Nix 2.8 in silence)"
            )
        };
        beyond.map(|cache| note(Level::Warning, "cache-untrusted-user", text(cache))).collect()
    }

    /// Settings that make one sick cache hold up everything.
    fn waiting(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        let release = self.nix.version.as_deref().and_then(Release::parse);
        let is_old = release.is_some_and(|release| release.has_nix(2, 8) && !release.has_nix(2, 9));
        if is_old && self.value("fallback") == Some(json!(true)) {
            let text = "fallback is on, and with it Nix 2.8 aborts (SIGABRT) as soon as a cache \
                        answers with an error or stalls: turn it off, or use a newer Nix";
            notes.push(note(Level::Error, "cache-fallback-aborts", text));
        }
        if self.value("connect-timeout") == Some(json!(0)) {
            let text = "connect-timeout is 0: a cache that cannot be reached holds up each \
                        command for up to 300 s, five times over";
            notes.push(note(Level::Warning, "cache-connect-timeout", text));
        }
        notes
    }

    fn takes_anything(&self) -> bool {
        self.value("require-sigs") == Some(json!(false))
    }

    /// Signatures that are not asked for.
    fn signatures(&self) -> Vec<Note> {
        let text = "require-sigs is off: whatever a cache sends is taken, whoever made it";
        let off = || note(Level::Error, "cache-signatures-off", text);
        self.takes_anything().then(off).into_iter().collect()
    }
}

/// What is odd about an address.
fn address(cache: &Address) -> Vec<Note> {
    let mut notes = Vec::new();
    let url = Url::parse(&cache.to_string()).ok();
    let pairs = url.iter().flat_map(Url::query_pairs);
    let mut remembered = Vec::new();
    for (name, value) in pairs {
        match (&*name, &*value) {
            ("trusted", "1" | "true" | "yes") => {
                let text =
                    format!("{cache}: trusted=1 takes whatever it sends, signed or not: drop it");
                notes.push(note(Level::Error, "cache-trusted", text));
            }
            ("priority" | "want-mass-query", _) => remembered.push(name.into_owned()),
            _ => {}
        }
    }
    if !remembered.is_empty() {
        let what = remembered.join(" and ");
        let text = format!(
            "{cache}: Nix remembers this {what} as the cache's own for 7 days, even after the \
             address is changed back"
        );
        notes.push(note(Level::Info, "cache-priority-remembered", text));
    }
    if let Place::Http(url) = cache.place()
        && url.scheme() == "http"
        && !is_loopback(url)
    {
        let text = format!(
            "{cache}: without TLS, whoever is on the way sees what is fetched and can hold back \
             what is new, though not forge it"
        );
        notes.push(note(Level::Warning, "cache-without-tls", text));
    }
    notes
}

/// A name as people can read it.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests;
