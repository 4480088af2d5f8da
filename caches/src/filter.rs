//! What proofs make of a plan.

use detect::hardware::Note;
use profile::plan::{Cache, Plan, Setting, Value, Verdict};

use crate::config::trusted_keys;
use crate::key::{Keys, PublicKey};
use crate::lint::{Configuration, lint};
use crate::verify::{Question, Report};

/// The settings that this stage owns.
pub const OWNED: [&str; 2] = ["extra-substituters", "extra-trusted-public-keys"];

/// What asking the caches makes of a plan; `None` is not asking them. Where
/// nothing at all can be reached there is no network, and no cache to blame.
pub fn decide(plan: &mut Plan, questions: &[Question], reports: Option<&[Report]>) {
    match reports {
        None => keep(plan, questions, "caches were not asked, as you wished"),
        Some(reports) if is_offline(questions, reports) => {
            keep(plan, questions, "no cache can be reached, so nothing about caches was changed");
        }
        Some(reports) => apply(plan, questions, reports),
    }
}

/// Whether nothing can be reached. What is on this machine answers without a network, and
/// counts only where there is nothing else.
fn is_offline(questions: &[Question], reports: &[Report]) -> bool {
    let is_far = |question: &Question| !question.cache.is_here();
    let any_far = questions.iter().any(is_far);
    let mut asked = questions.iter().zip(reports).filter(|(it, _)| !any_far || is_far(it));
    !reports.is_empty() && asked.all(|(_, report)| report.is_unreachable)
}

/// Put what was found into a plan: proven caches as settings, everything as a
/// record of it, and what people should know as notes.
fn apply(plan: &mut Plan, questions: &[Question], reports: &[Report]) {
    plan.notes.retain(|note| !note.id.starts_with("cache-"));
    plan.caches = reports.iter().map(record).collect();
    let mut trusted = Keys::new(trusted_keys(plan.hardware.nix.as_ref()));
    let mut urls = Vec::new();
    let mut keys = Vec::new();
    for (question, report) in questions.iter().zip(reports) {
        plan.notes.extend(note(question, report));
        let Some(key) = report.key.as_ref().filter(|_| report.verdict == Verdict::Verified) else {
            continue;
        };
        let Ok(key) = PublicKey::parse(key) else { continue };
        if let Some(obstacle) = obstacle(question, &key, &trusted) {
            plan.notes.push(obstacle);
            continue;
        }
        // What the user names stays in the plan though Nix has it: it may have it of an
        // earlier plan, which the next one replaces.
        let stays = question.is_named && question.cache.is_plain() && !question.cache.is_official();
        if !question.is_configured || stays {
            urls.push(report.url.clone());
        }
        let text = key.to_string();
        if trusted.find(&key.name).is_none() || (stays && !keys.contains(&text)) {
            keys.push(text);
            trusted.add([key]);
        }
    }
    let why = "each of them served a path that its own key had signed";
    set(plan, OWNED[0], urls, why);
    set(plan, OWNED[1], keys, "each of them signed what its cache served when it was asked");
    plan.notes.extend(configuration(plan, questions, reports));
}

/// What keeps a proven cache out of a plan, by the keys that are trusted before
/// its own.
fn obstacle(question: &Question, key: &PublicKey, trusted: &Keys) -> Option<Note> {
    let Question { cache, is_configured, .. } = question;
    if !is_configured && !cache.is_plain() {
        let text = format!(
            "{cache} is left out: it is proven, but a plan holds only plain addresses, with no \
             login and no parameter but priority: put it into nix.conf yourself"
        );
        return Some(Note::warning("cache-not-plain", text));
    }
    let other = trusted.find(&key.name).filter(|other| !other.same_bytes(key))?;
    let text = format!(
        "{cache} is left out: it is proven, but another key named {} is trusted already, and of \
         two by one name Nix uses the first: take that one out first",
        other.name
    );
    Some(Note::warning("cache-key-duplicate", text))
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

#[cfg(test)]
mod tests {
    use detect::hardware::{Hardware, Nix};
    use ed25519_dalek::SigningKey;
    use profile::plan::{Plan, Value, Verdict};
    use serde_json::json;

    use super::{decide, is_offline};
    use crate::address::Address;
    use crate::base64;
    use crate::key::{Keys, PublicKey};
    use crate::verify::{Question, Report};

    fn key(name: &str, seed: u8) -> String {
        let secret = SigningKey::from_bytes(&[seed; 32]);
        format!("{name}:{}", base64::encode(secret.verifying_key().as_bytes()))
    }

    /// What becomes of caches that are all proven, where one key is trusted: the
    /// caches and the keys that a plan adds, and the ids of its notes.
    fn decided(caches: &[(&str, &str)], trusted: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        decided_of(caches, trusted, false)
    }

    fn decided_of(
        caches: &[(&str, &str)],
        trusted: &str,
        is_old: bool,
    ) -> (Vec<String>, Vec<String>, Vec<String>) {
        let mut nix = Nix::default();
        nix.settings.insert("trusted-public-keys".to_owned(), json!([trusted]));
        let hardware = Hardware { nix: Some(nix), ..Hardware::default() };
        let mut plan = profile::run(hardware, &profile::Options::default()).expect("a plan");
        let question = |(url, key): &(&str, &str)| Question {
            cache: Address::parse(url).expect("an address"),
            keys: Keys::new(PublicKey::parse(key)),
            is_configured: is_old,
            is_named: is_old,
        };
        let questions: Vec<Question> = caches.iter().map(question).collect();
        let proven = |question| Report { verdict: Verdict::Verified, ..Report::of(question) };
        let reports: Vec<Report> = questions.iter().map(proven).collect();
        decide(&mut plan, &questions, Some(&reports));
        let words = |plan: &Plan, name: &str| match plan.settings.get(name).map(|it| &it.value) {
            Some(Value::List(words)) => words.clone(),
            _ => Vec::new(),
        };
        let ids = plan.notes.iter().map(|note| note.id.clone());
        let ids = ids.filter(|id| id.starts_with("cache-")).collect();
        let (urls, keys) =
            (words(&plan, "extra-substituters"), words(&plan, "extra-trusted-public-keys"));
        (urls, keys, ids)
    }

    #[test]
    fn only_plain_addresses_come_in() {
        let (a, b) = (key("a", 1), key("b", 2));
        let caches = [("https://me:secret@a.example", &*a), ("https://b.example", &*b)];
        let (urls, keys, ids) = decided(&caches, &key("c", 3));
        assert_eq!(urls, ["https://b.example"]);
        assert_eq!(keys, [b], "the other's key would be of no use");
        assert_eq!(ids, ["cache-not-plain"]);
    }

    #[test]
    fn what_is_named_stays_though_nix_has_it_by_now() {
        let a = key("a", 1);
        let caches = [("https://a.example", &*a), ("https://cache.nixos.org/", &*a)];
        let (urls, keys, ids) = decided_of(&caches, &a, true);
        assert_eq!((urls, keys), (vec!["https://a.example".to_owned()], vec![a]));
        assert!(ids.is_empty(), "{ids:?}");
    }

    #[test]
    fn without_a_network_what_is_here_decides_nothing() {
        let question = |url: &str| Question {
            cache: Address::parse(url).expect("an address"),
            keys: Keys::default(),
            is_configured: true,
            is_named: false,
        };
        let questions = ["file:///mnt/cache", "http://localhost:5000", "https://a.example"];
        let questions = questions.map(question);
        let mut reports: Vec<Report> = questions.iter().map(Report::of).collect();
        reports[2].is_unreachable = true;
        assert!(is_offline(&questions, &reports));
        assert!(!is_offline(&questions[..2], &reports[..2]), "they answer");
        reports[2].is_unreachable = false;
        assert!(!is_offline(&questions, &reports));
        reports[1].is_unreachable = true;
        assert!(is_offline(&questions[1..2], &reports[1..2]), "there is nothing else");
        assert!(!is_offline(&[], &[]));
    }

    #[test]
    fn of_two_keys_by_one_name_the_first_counts() {
        let (a, other) = (key("a", 1), key("a", 2));
        let caches = [("https://a.example", &*a), ("https://b.example", &*other)];
        let (urls, keys, ids) = decided(&caches, &key("c", 3));
        assert_eq!((urls.len(), keys), (1, vec![a.clone()]));
        assert_eq!(ids, ["cache-key-duplicate"]);
        let (urls, keys, ids) = decided(&caches, &other);
        assert_eq!(urls, ["https://b.example"]);
        assert!(keys.is_empty(), "it is trusted already");
        assert_eq!(ids, ["cache-key-duplicate"]);
    }
}
