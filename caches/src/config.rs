//! Which caches to look at, and what keys they are said to have.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use detect::hardware::Nix;
use detect::report::Usage;
use detect::stage;
use profile::catalogue::CACHE_KEY;
use profile::plan::Plan;
use serde::Deserialize;
use serde_json::Value;

use crate::address::{Address, OFFICIAL};
use crate::filter::OWNED;
use crate::key::{Keys, PublicKey};
use crate::verify::Question;

/// Caches that one person names; more are a mistake or worse.
const MOST: usize = 200;

/// Keys in one place, likewise.
const MOST_KEYS: usize = 1000;

/// A `caches.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    cache: Vec<Entry>,
}

/// A cache in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: String,
    keys: Vec<String>,
}

/// A cache and a key that the user says is its own: `URL=KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it is.
    pub cache: Address,
    /// Its keys.
    pub keys: Vec<PublicKey>,
}

impl Named {
    /// Read `URL=KEY`. Both may hold `=`: a key at its end, after its colon, and
    /// an address in its parameters.
    pub fn parse(text: &str) -> Result<Self, String> {
        let splits = text.rmatch_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let Some((url, key)) = splits.into_iter().find(|(_, key)| key.contains(':')) else {
            return Err("not of the form URL=NAME:BASE64".to_owned());
        };
        let cache = Address::parse(url)?;
        Ok(Self { cache, keys: vec![PublicKey::parse(key)?] })
    }
}

/// The caches that a command line names, in a file and one by one. What is wrong
/// with one never repeats it, since it may hold a login or a secret key.
pub fn named(file: Option<&Path>, caches: &[String]) -> Result<Vec<Named>> {
    let mut named = file.map(read).transpose()?.unwrap_or_default();
    for (index, text) in caches.iter().enumerate() {
        let wrong = |why: String| Usage(format!("--cache {}: {why}", index + 1));
        named.push(Named::parse(text).map_err(wrong)?);
    }
    bounded(named.len(), named.iter().map(|named| named.keys.len()).sum())?;
    Ok(named)
}

/// So many caches and keys that looking through them is quick.
fn bounded(caches: usize, keys: usize) -> Result<()> {
    ensure!(caches <= MOST, "more than {MOST} caches");
    ensure!(keys <= MOST_KEYS, "more than {MOST_KEYS} keys");
    Ok(())
}

/// The caches of a `caches.toml`.
pub fn read(path: &Path) -> Result<Vec<Named>> {
    let name = || path.display().to_string();
    let text = String::from_utf8(stage::read_file(path).with_context(name)?).with_context(name)?;
    parse(&text).with_context(name)
}

/// The caches of a `caches.toml`, from its text.
pub fn parse(text: &str) -> Result<Vec<Named>> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow!("line {line}: {}", without_values(error.message()))
    })?;
    bounded(file.cache.len(), file.cache.iter().map(|entry| entry.keys.len()).sum())?;
    file.cache
        .into_iter()
        .enumerate()
        .map(|(index, Entry { url, keys })| {
            let wrong = |why: String| anyhow!("cache {}: url: {why}", index + 1);
            let cache = Address::parse(&url).map_err(wrong)?;
            let keys = keys.iter().map(|key| PublicKey::parse(key)).collect::<Result<_, _>>();
            let keys = keys.map_err(|why: String| anyhow!("{cache}: {why}"))?;
            Ok(Named { cache, keys })
        })
        .collect()
}

/// A message without the text that it quotes, which may be a secret.
fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}…{}", &message[..=first], &message[last..])
        }
        _ => message.to_owned(),
    }
}

/// The caches to look at: the machine's, the plan's and those the user named;
/// each once, with all its keys.
pub fn questions(plan: &Plan, named: &[Named]) -> Result<Vec<Question>> {
    let nix = plan.hardware.nix.as_ref();
    // Before each is compared with all others.
    let (configured, trusted) = (substituters(nix), trusted_keys(nix));
    bounded(configured.len(), trusted.len())?;
    bounded(named.len(), named.iter().map(|named| named.keys.len()).sum())?;
    bounded(plan.caches.len(), 0)?;
    let mut questions: Vec<Question> = Vec::new();
    let mut add = |cache: Address, keys: Vec<PublicKey>, is_configured: bool, is_named: bool| {
        if let Some(known) = questions.iter_mut().find(|known| known.cache.is_same(&cache)) {
            known.keys.add(keys);
            known.is_named |= is_named;
        } else {
            let keys = Keys::new(keys);
            questions.push(Question { cache, keys, is_configured, is_named });
        }
    };
    for url in configured {
        // What Nix itself cannot read is the lint's to say.
        if let Ok(cache) = Address::parse(&url) {
            add(cache, trusted.clone(), true, false);
        }
    }
    for Named { cache, keys } in named {
        add(cache.clone(), keys.clone(), false, true);
    }
    let planned = match plan.settings.get(OWNED[0]).map(|setting| &setting.value) {
        Some(profile::plan::Value::List(urls)) => urls.as_slice(),
        _ => &[],
    };
    for (index, cache) in plan.caches.iter().enumerate() {
        let wrong = |why: String| anyhow!("caches[{index}]: {why}");
        let keys = cache.key.iter().map(|key| PublicKey::parse(key)).collect::<Result<_, _>>();
        // What an earlier stage put into the plan stays there for the same reason.
        let is_named = planned.iter().any(|url| url == &cache.url);
        add(Address::parse(&cache.url).map_err(wrong)?, keys.map_err(wrong)?, false, is_named);
    }
    bounded(questions.len(), 0)?;
    Ok(questions)
}

/// The caches that this machine's Nix asks.
fn substituters(nix: Option<&Nix>) -> Vec<String> {
    match nix.and_then(|nix| nix.settings.get("substituters")) {
        Some(list) => words(list),
        None => vec![OFFICIAL.to_owned()],
    }
}

/// The keys that this machine's Nix trusts.
pub fn trusted_keys(nix: Option<&Nix>) -> Vec<PublicKey> {
    let keys = match nix.and_then(|nix| nix.settings.get("trusted-public-keys")) {
        Some(list) => words(list),
        None => vec![CACHE_KEY.to_owned()],
    };
    keys.iter().filter_map(|key| PublicKey::parse(key).ok()).collect()
}

/// The words of a setting.
pub(crate) fn words(list: &Value) -> Vec<String> {
    match list {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(words) => words.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use detect::hardware::{Hardware, Nix};
    use detect::report::Usage;
    use proptest::prelude::*;
    use serde_json::json;

    use super::{Named, named, parse, questions};
    use profile::catalogue::CACHE_KEY;

    const KEY: &str = "a:tLAEn+EeaBUJYqEpTd2yeerr7Ic6+0vWe+aXL/vYUpE=";

    #[test]
    fn a_cache_and_its_key() {
        let named = Named::parse(&format!("https://a.example/?priority=5={KEY}")).expect("both");
        assert_eq!(named.cache.to_string(), "https://a.example/?priority=5");
        assert_eq!(named.keys[0].to_string(), KEY);
        let bare = Named::parse(&format!("https://a.example={}", KEY.trim_end_matches('=')));
        assert_eq!(bare.expect("no padding").keys, named.keys);
        for bad in ["", "https://a.example", KEY, "https://a.example=a:b", "a=a:tLAE"] {
            assert!(Named::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_of_caches() {
        let text = format!("[[cache]]\nurl = \"https://a.example\"\nkeys = [\"{KEY}\"]\n");
        assert_eq!(parse(&text).expect("a file").len(), 1);
        let why = |text: &str| format!("{:#}", parse(text).expect_err(text));
        assert!(why(&text.replace("keys", "key")).starts_with("line 3: "), "{}", why("a"));
        assert!(why(&text.replace("a:tL", "atL")).starts_with("https://a.example: not of"));
        assert!(parse("").expect("none").is_empty());
    }

    #[test]
    fn what_is_wrong_never_tells_a_secret() {
        let secret = crate::base64::encode(&[7; 64]);
        let login = "https://me:BwcHBw@a.example";
        let texts = [
            format!("[[cache]]\nurl = \"{login}\"\nkeys = [\"a:{secret}\"]\n"),
            format!("[[cache]]\nurl = \"{login}:x\"\nkeys = []\n"),
            format!("[[cache]]\nurl = \"{login}\"\nkeys = \"a:{secret}\"\n"),
        ];
        for text in texts {
            let why = format!("{:#}", parse(&text).expect_err(&text));
            assert!(!why.contains("BwcH"), "{why}");
        }
        let good = format!("https://a.example={KEY}");
        for bad in [format!("{login}=a:{secret}"), format!("{login}:x={KEY}"), login.to_owned()] {
            let error = named(None, &[good.clone(), bad]).expect_err("a mistake");
            assert!(error.is::<Usage>(), "{error}");
            let why = error.to_string();
            assert!(why.starts_with("--cache 2: ") && !why.contains("BwcH"), "{why}");
        }
    }

    #[test]
    fn too_many_are_not_compared() {
        let caches: Vec<String> =
            (0..201).map(|cache| format!("https://{cache}.example={KEY}")).collect();
        assert_eq!(named(None, &caches[..200]).expect("caches").len(), 200);
        let why = named(None, &caches).expect_err("too many").to_string();
        assert_eq!(why, "more than 200 caches");
        let mut nix = Nix::default();
        nix.settings.insert("trusted-public-keys".to_owned(), json!(vec![KEY; 1001]));
        let why = questions(&plan(Some(nix)), &[]).expect_err("too many").to_string();
        assert_eq!(why, "more than 1000 keys");
    }

    #[test]
    fn the_file_that_we_ship() {
        let caches = parse(include_str!("../caches.toml")).expect("caches.toml");
        assert_eq!(caches.len(), 4);
        assert_eq!(caches[0].keys[0].to_string(), CACHE_KEY);
        for Named { cache, keys } in caches {
            // Each of these names its keys after itself.
            let host = cache.to_string().replace("https://", "");
            assert_eq!(keys[0].name, format!("{host}-1"));
            assert!(keys.len() == 1 && keys[0].can_sign(), "{host}");
        }
    }

    fn plan(nix: Option<Nix>) -> profile::plan::Plan {
        let hardware = Hardware { nix, ..Hardware::default() };
        profile::run(hardware, &profile::Options::default()).expect("a plan")
    }

    #[test]
    fn each_cache_once_with_all_its_keys() {
        let named = Named::parse(&format!("https://cache.nixos.org/={KEY}")).expect("both");
        let found = questions(&plan(None), &[named]).expect("caches");
        assert_eq!(found.len(), 1);
        assert!(found[0].is_configured);
        let keys: Vec<String> = found[0].keys.iter().map(ToString::to_string).collect();
        assert_eq!(keys, [CACHE_KEY, KEY]);

        let mut nix = Nix::default();
        nix.settings.insert("substituters".to_owned(), json!(["https://b.example", "file:///c"]));
        nix.settings.insert("trusted-public-keys".to_owned(), json!([KEY, "junk"]));
        let found = questions(&plan(Some(nix)), &[]).expect("caches");
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].keys.iter().count(), 1);
    }

    proptest! {
        #[test]
        fn never_panics(text in ".*=?.*:?.*", file in ".*") {
            let _ = Named::parse(&text);
            let _ = parse(&file);
        }
    }
}
