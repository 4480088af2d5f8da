//! Whether a cache is there, and whether its key is its own.

use std::time::Duration;

use profile::plan::Verdict;
use schemars::JsonSchema;
use serde::Serialize;

use crate::address::{Address, Place};
use crate::client::{Client, Trouble};
use crate::find::{Candidate, Knowledge, Source, Wanted, in_folder};
use crate::foreign;
use crate::info::{self, CacheInfo, Priority, is_page};
use crate::judge::{Judgement, judge};
use crate::key::Keys;
use crate::nar::{self, Archive, Flaw};
use crate::narinfo::{self, NarInfo};

/// A cache to look at.
#[derive(Clone, Debug)]
pub struct Question {
    /// Where it is.
    pub cache: Address,
    /// Keys that may be its own, by its user.
    pub keys: Keys,
    /// Whether the machine's Nix asks it already.
    pub is_configured: bool,
    /// Whether the user named it for the plan.
    pub is_named: bool,
}

/// What is known of a cache after it was asked.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Where it is, without credentials.
    pub url: String,
    /// What its key is worth.
    pub verdict: Verdict,
    /// Why, on one line.
    pub why: String,
    /// The key that signed, or the only one it was said to have.
    pub key: Option<String>,
    /// Whether it answered as a cache does.
    pub is_alive: bool,
    /// Whether nothing answered at all, as when there is no network.
    #[serde(skip)]
    pub is_unreachable: bool,
    /// What it says of itself, as Nix takes it; `null` when it did not say.
    pub priority: Option<i32>,
    /// Whether it wants to be asked for many paths at once.
    pub want_mass_query: Option<bool>,
    /// From asking for a narinfo to the first byte of it.
    pub latency_seconds: Option<f64>,
    /// The path that was tested.
    pub path: Option<String>,
    /// Who knew that it was there.
    pub source: Option<Source>,
    /// Its archive, when that was asked for and is what was signed.
    pub archive: Option<Archive>,
    /// What else is wrong with it.
    pub findings: Vec<String>,
}

impl Report {
    /// What is known of a cache before it is asked.
    pub(crate) fn of(question: &Question) -> Self {
        let mut keys = question.keys.iter();
        let only = keys.next().filter(|_| keys.next().is_none());
        Self {
            url: question.cache.to_string(),
            verdict: Verdict::Unverified,
            why: String::new(),
            key: only.map(ToString::to_string),
            is_alive: false,
            is_unreachable: false,
            priority: None,
            want_mass_query: None,
            latency_seconds: None,
            path: None,
            source: None,
            archive: None,
            findings: Vec::new(),
        }
    }
}

/// Ask a cache what it is, and prove its key; with `deep`, by an archive too.
pub async fn verify(
    client: &Client,
    question: &Question,
    knowledge: &Knowledge,
    store_dir: &str,
    deep: bool,
) -> Report {
    let cache = &question.cache;
    let names: Vec<String> = question.keys.iter().map(|key| key.name.clone()).collect();
    let mut report = Report::of(question);
    // Of itself, such a cache only says things to Nix.
    if !matches!(cache.place(), Place::Other(_))
        && let Err(why) = about(client, cache, store_dir, &mut report).await
    {
        report.why = why;
        return report;
    }
    let mut candidates = knowledge.candidates(cache, &names, store_dir);
    if let Place::Folder(folder) = cache.place() {
        candidates.extend(in_folder(folder));
    }
    let proof = prove(client, question, &candidates, store_dir, &mut report).await;
    if let Some(info) = proof.filter(|_| deep) {
        archive(client, cache, &info, &mut report).await;
    }
    report
}

/// What the cache says of itself; why it is none, otherwise.
async fn about(
    client: &Client,
    cache: &Address,
    store_dir: &str,
    report: &mut Report,
) -> Result<(), String> {
    let answer = client.get(cache, "nix-cache-info", info::LARGEST_BYTES).await;
    report.is_unreachable = matches!(answer, Err(Trouble::Unreachable(_) | Trouble::Silent(_)));
    let answer = answer.map_err(|trouble| match trouble {
        Trouble::Missing(403) => {
            "private, or no cache: nix-cache-info is refused (status 403)".to_owned()
        }
        Trouble::Missing(status) => format!("no cache: it has no nix-cache-info (status {status})"),
        trouble => format!("nix-cache-info: {trouble}"),
    })?;
    let info = CacheInfo::of(&answer.body, store_dir).map_err(|refusal| refusal.to_string())?;
    if info.store_dir.is_none() {
        report.findings.push("nix-cache-info names no StoreDir".to_owned());
    }
    if info.priority == Priority::Missing {
        let what = "Nix takes that as 0 and asks it before all others";
        report.findings.push(format!("nix-cache-info names no Priority: {what}"));
    }
    report.priority = info.priority.effective();
    report.want_mass_query = Some(info.want_mass_query);
    report.is_alive = true;
    Ok(())
}

/// Ask for paths until one is there, and judge it: the proof, if it is one.
async fn prove(
    client: &Client,
    question: &Question,
    candidates: &[Candidate],
    store_dir: &str,
    report: &mut Report,
) -> Option<Box<NarInfo>> {
    let mut asked = 0;
    for Candidate { path, source } in candidates {
        let looked = look(client, &question.cache, path, store_dir).await;
        if !matches!(looked, Look::Absent | Look::Unaskable) {
            // What a path before this one was worth does not excuse it.
            report.verdict = Verdict::Unverified;
        }
        let (info, latency) = match looked {
            Look::Found(info, latency) => (info, latency),
            Look::Absent => {
                asked += 1;
                continue;
            }
            Look::Unaskable => continue,
            Look::Sick(why, is_unreachable) => {
                report.is_alive = false;
                report.is_unreachable = is_unreachable;
                report.why = why;
                return None;
            }
            Look::Malformed(why) => {
                report.source = Some(*source);
                report.why = why;
                return None;
            }
        };
        asked += 1;
        report.is_alive = true;
        report.latency_seconds = Some(seconds(latency));
        report.source = Some(*source);
        report.path = Some(format!("{store_dir}/{}", info.path));
        if !path.is(&info.path) {
            report.why = format!("asked for {}, it answers with {}", path.file(), info.path);
            return None;
        }
        match judge(&info, &question.keys, store_dir) {
            // A path that needs no signature proves no key: look for another.
            Ok(Judgement { verdict: Verdict::ContentAddressed, why, .. }) => {
                report.verdict = Verdict::ContentAddressed;
                report.why = why;
                continue;
            }
            Ok(judgement) => {
                if let Some(key) = judgement.key {
                    report.key = Some(key.to_string());
                }
                report.verdict = judgement.verdict;
                report.why = judgement.why;
            }
            Err(why) => report.why = format!("{} is malformed: {why}", path.file()),
        }
        return (report.verdict == Verdict::Verified).then_some(info);
    }
    if report.why.is_empty() {
        report.why = match asked {
            0 => "no path is known to ask it for: name one by --path".to_owned(),
            _ => format!("it has none of {asked} paths known here: name one by --path"),
        };
        if report.is_alive {
            report.why.insert_str(0, "alive, but ");
        }
    }
    None
}

/// What came of asking for a path.
enum Look {
    /// A narinfo, and the time to its first byte.
    Found(Box<NarInfo>, Duration),
    /// The cache does not have it.
    Absent,
    /// Nobody can ask this cache for no more than a hash.
    Unaskable,
    /// No answer, and why; and whether nobody was there to give one.
    Sick(String, bool),
    /// An answer that Nix would refuse, and why.
    Malformed(String),
}

async fn look(client: &Client, cache: &Address, wanted: &Wanted, store_dir: &str) -> Look {
    let file = wanted.file();
    let trouble = |trouble: Trouble| match trouble {
        Trouble::Missing(_) => Look::Absent,
        trouble => {
            let is_unreachable = matches!(trouble, Trouble::Unreachable(_));
            Look::Sick(format!("{file}: {trouble}"), is_unreachable)
        }
    };
    if let Place::Other(address) = cache.place() {
        let Wanted::Path(path) = wanted else { return Look::Unaskable };
        let shown = cache.to_string();
        let asked = foreign::ask(address, &shown, path, store_dir, client.deadline()).await;
        return asked.map_or_else(trouble, |(info, latency)| Look::Found(Box::new(info), latency));
    }
    let answer = match client.get(cache, &file, narinfo::LARGEST_BYTES).await {
        Ok(answer) => answer,
        Err(error) => return trouble(error),
    };
    match NarInfo::parse(&answer.body, store_dir) {
        Ok(info) => Look::Found(Box::new(info), answer.first_byte),
        Err(malformed) if is_page(&answer.body) => {
            Look::Sick(format!("a web page answers for {file}: {malformed}"), false)
        }
        Err(malformed) => Look::Malformed(format!("{file} is malformed: {malformed}")),
    }
}

/// Check that an archive is what was signed. A cache that serves another one
/// proves nothing by what it signed: Nix would refuse it.
async fn archive(client: &Client, cache: &Address, info: &NarInfo, report: &mut Report) {
    if matches!(cache.place(), Place::Other(_)) {
        report.findings.push("its archives were not checked: only Nix speaks to it".to_owned());
        return;
    }
    match nar::check(client, cache, info, &mut report.findings).await {
        Ok(mut archive) => {
            archive.elapsed_seconds = rounded(archive.elapsed_seconds);
            report.archive = Some(archive);
        }
        Err(Flaw::Unchecked(why)) => report.findings.push(why),
        Err(Flaw::Wrong(why)) => {
            report.verdict = Verdict::Unverified;
            report.why = format!("{}, but {why}", report.why);
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64())
}

/// To the microsecond: the rest is noise.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use profile::plan::Verdict;

    use super::{Question, Report, verify};
    use crate::address::Address;
    use crate::client::Client;
    use crate::content::made;
    use crate::find::Knowledge;
    use crate::key::Keys;

    /// What is found of a folder that has these narinfos.
    fn report(files: &[String]) -> Report {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path();
        let write = |name: &str, text: &str| std::fs::write(path.join(name), text).expect("a file");
        write("nix-cache-info", "StoreDir: /nix/store\nPriority: 40\n");
        for text in files {
            let hash = &text["StorePath: /nix/store/".len()..][..32];
            write(&format!("{hash}.narinfo"), text);
        }
        let cache = Address::parse(&format!("file://{}", path.display())).expect("an address");
        let question =
            Question { cache, keys: Keys::default(), is_configured: false, is_named: false };
        let knowledge = Knowledge {
            store: path.join("none"),
            nix_caches: Vec::new(),
            named: Vec::new(),
            links: Vec::new(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let client = Client::new(Duration::from_secs(9)).expect("a client");
            verify(&client, &question, &knowledge, "/nix/store", false).await
        })
    }

    #[test]
    fn what_is_content_addressed_excuses_nothing_after_it() {
        let good = made("x");
        assert_eq!(report(std::slice::from_ref(&good)).verdict, Verdict::ContentAddressed);
        // Hashes are asked for in their order, and this is the last one.
        let last = "z".repeat(32);
        let malformed = format!("StorePath: /nix/store/{last}-y\n");
        let found = report(&[good, malformed]);
        assert_eq!(found.verdict, Verdict::Unverified, "{}", found.why);
        assert!(found.why.contains("malformed"), "{}", found.why);
    }
}
