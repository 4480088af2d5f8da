//! `caches bench`: how fast each cache is, and in which order they are best asked.
//!
//! It changes nothing: what it finds, it prints.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow, ensure};
use clap::Args;
use detect::arguments::Common;
use detect::report::Hint;
use detect::stage;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::address::{Address, Place};
use crate::among::{Among, Chosen};
use crate::benched::{Benchmark, Death, Latency, Measured, State};
use crate::client::{Client, Trouble};
use crate::closure;
use crate::connect::steps;
use crate::coverage::{Seen, runtime, see};
use crate::find::{Knowledge, Wanted};
use crate::hash::{Hash, nix32};
use crate::many::{Asker, Found, Read, Told};
use crate::narinfo;
use crate::path::StorePath;
use crate::progress;
use crate::rank;
use crate::verify::Question;

/// Answers that are timed one by one, of each kind.
const PROBES: usize = 20;

/// Archives that say something of speed and cost little.
const ARCHIVE_BYTES: std::ops::RangeInclusive<u64> = 1_000_000..=20_000_000;

/// Which caches to measure, by which paths.
#[derive(Args, Debug)]
pub struct Command {
    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub among: Among,

    /// A store path to ask for, instead of some that this machine has; - for stdin
    #[arg(long, value_name = "PATH")]
    pub path: Vec<PathBuf>,

    /// Paths to ask for, of those that this machine has
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub samples: u16,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Measure, print, and fail if no cache is alive.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let chosen = self.among.choose()?;
        let count = chosen.questions.len();
        ensure!(count <= rank::MOST, "{count} caches: only {} can be ranked", rank::MOST);
        let paths: Arc<[StorePath]> = self.paths(&chosen)?.into();
        let runtime = runtime()?;
        let found = runtime.block_on(async {
            let client = self.among.client()?;
            let total = paths.len() * chosen.questions.len();
            let bar = progress::bar(total, "measuring", &self.common);
            let until = Instant::now() + self.among.within();
            let found = measure(&client, &chosen, &paths, until, &bar).await;
            bar.finish_and_clear();
            anyhow::Ok(found)
        });
        // A name that the system still looks up would be waited for.
        runtime.shutdown_background();
        let found = found?;
        let text = if self.json { stage::text(&found)? } else { found.table() };
        stage::write_human(&text, &self.common)?;
        if found.caches.iter().all(|cache| cache.state == State::Dead) {
            let error = anyhow!("none of {} caches is alive", found.caches.len());
            return Err(error.context(Hint::new("caches verify says what is wrong with each")));
        }
        Ok(())
    }

    /// Paths that some cache may have: those named, those in the store, or else
    /// those that anybody knows to be in a cache.
    fn paths(&self, chosen: &Chosen) -> Result<Vec<StorePath>> {
        if !self.path.is_empty() {
            return Ok(closure::named(&self.path, &chosen.store_dir)?.paths);
        }
        let knowledge = Knowledge::of_this_machine(Vec::new());
        let samples = usize::from(self.samples);
        let mut paths = closure::samples(&knowledge.store, samples, &chosen.store_dir);
        if paths.is_empty() {
            for Question { cache, keys, .. } in &chosen.questions {
                let names: Vec<String> = keys.iter().map(|key| key.name.clone()).collect();
                for candidate in knowledge.candidates(cache, &names, &chosen.store_dir) {
                    match candidate.path {
                        Wanted::Path(path) if !paths.contains(&path) => paths.push(path),
                        _ => {}
                    }
                }
            }
        }
        paths.truncate(samples);
        Ok(paths)
    }
}

/// Measure one cache after another, so that none gets in another's way.
async fn measure(
    client: &Client,
    chosen: &Chosen,
    paths: &Arc<[StorePath]>,
    until: Instant,
    bar: &ProgressBar,
) -> Benchmark {
    let mut caches = Vec::with_capacity(chosen.questions.len());
    let mut hits: Vec<(Vec<bool>, u64)> = vec![(Vec::new(), 0); paths.len()];
    for (index, question) in chosen.questions.iter().enumerate() {
        // One that never answers takes its own share of the time and no more; what
        // a quick one leaves of its share is for those after it.
        let until = share(Instant::now(), until, chosen.questions.len() - index);
        let client = client.until(until);
        let asker = Asker::new(0, client.clone(), question.cache.clone(), until);
        let (cache, found) = one(&client, asker, question, chosen, paths, bar).await;
        caches.push(cache);
        for (index, (hits, bytes)) in hits.iter_mut().enumerate() {
            let seen = found.get(index).and_then(Option::as_ref);
            hits.push(seen.is_some());
            // What one cache does not say, another may.
            *bytes = (*bytes).max(seen.and_then(|seen| seen.file_bytes).unwrap_or(0));
        }
    }
    Benchmark::new(caches, &hits, Death::of(chosen.nix_version.as_deref()))
}

/// The end of one cache's share of the time, where so many are still to be asked.
fn share(now: Instant, until: Instant, left: usize) -> Instant {
    let left = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
    now + until.saturating_duration_since(now) / left
}

/// Measure a cache, and say what it has of the paths that Nix would take.
async fn one(
    client: &Client,
    mut asker: Asker,
    question: &Question,
    chosen: &Chosen,
    paths: &Arc<[StorePath]>,
    bar: &ProgressBar,
) -> (Measured, Vec<Option<Seen>>) {
    let address = &question.cache;
    let mut cache = Measured { url: address.to_string(), ..Measured::default() };
    if let Place::Other(_) = address.place() {
        cache.state = State::Unmeasured;
        cache.why = Some("only Nix itself can ask it".to_owned());
        bar.inc(paths.len() as u64);
        return (cache, Vec::new());
    }
    let info = match asker.greet(&chosen.store_dir).await {
        Ok(info) => info,
        Err(trouble) => {
            cache.why = Some(trouble.to_string());
            bar.inc(paths.len() as u64);
            return (cache, Vec::new());
        }
    };
    cache.priority = info.priority.effective();
    cache.state = State::Alive;
    if let Place::Http(root) = address.place() {
        match steps(root).await {
            Ok(steps) => cache.steps = Some(steps),
            Err(why) => cache.why = Some(why),
        }
    }
    let began = Instant::now();
    let found = all(&mut asker, chosen, paths, bar, &mut cache).await;
    if !paths.is_empty() && asker.gave_up.is_none() {
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = paths.len() as f64 / began.elapsed().as_secs_f64().max(1e-6);
        cache.narinfos_per_second = Some(rate);
    }
    if let Some(trouble) = &asker.gave_up {
        cache.state = State::Dead;
        cache.why = Some(trouble.to_string());
        return (cache, Vec::new());
    }
    let there = paths.iter().zip(&found).filter(|(_, seen)| seen.is_some());
    let there: Vec<&StorePath> = there.map(|(path, _)| path).collect();
    cache.hits = there.len();
    let hashes = there.iter().cycle().take(if there.is_empty() { 0 } else { PROBES });
    let hashes = hashes.map(|path| path.hash().to_owned());
    cache.hit = Latency::of(probe(client, address, hashes, true).await);
    cache.miss = Latency::of(probe(client, address, nowhere(), false).await);
    cache.bytes_per_second = throughput(client, address, &found).await;
    (cache, found)
}

/// Ask for all paths, as fast as the cache likes.
async fn all(
    asker: &mut Asker,
    chosen: &Chosen,
    paths: &Arc<[StorePath]>,
    bar: &ProgressBar,
    cache: &mut Measured,
) -> Vec<Option<Seen>> {
    let (keys, store_dir) = (chosen.keys.clone(), chosen.store_dir.clone());
    let read: Read<Seen> =
        Arc::new(move |path, answer| see(path, answer, &keys, &store_dir, false));
    let (told, mut answers) = mpsc::channel::<Told<Seen>>(64);
    let mut found: Vec<Option<Seen>> = vec![None; paths.len()];
    let listen = async {
        while let Some(answer) = answers.recv().await {
            bar.inc(1);
            match answer.found {
                Found::There(seen) => match &seen.trusted {
                    Ok(()) => found[answer.path] = Some(seen),
                    Err(why) => {
                        cache.untrusted += 1;
                        cache.why.get_or_insert_with(|| why.clone());
                    }
                },
                Found::Missing => {}
                Found::Failed(trouble) => {
                    cache.why.get_or_insert_with(|| trouble.to_string());
                }
            }
        }
    };
    tokio::join!(asker.ask(Arc::clone(paths), read, told), listen);
    found
}

/// Seconds of answers, one after another on one connection.
async fn probe(
    client: &Client,
    cache: &Address,
    hashes: impl Iterator<Item = String>,
    is_there: bool,
) -> Vec<f64> {
    let mut seconds = Vec::new();
    for hash in hashes {
        let began = Instant::now();
        let answer = client.get(cache, &format!("{hash}.narinfo"), narinfo::LARGEST_BYTES).await;
        match answer {
            Ok(_) if is_there => {}
            Err(Trouble::Missing(_)) if !is_there => {}
            // A cache that has what nobody has, or has lost what it had, or does
            // not answer: no time of a good answer.
            Err(
                Trouble::Silent(_)
                | Trouble::Stalled(_)
                | Trouble::Busy(..)
                | Trouble::Unreachable(_),
            ) => break,
            _ => continue,
        }
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds
}

/// Hashes that no cache has, other ones each time, since what is between us and a
/// cache may remember that it has them not.
fn nowhere() -> impl Iterator<Item = String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    (0..PROBES).map(move |probe| {
        let hash = Hash::sha256(format!("nowhere {now} {} {probe}", std::process::id()).as_bytes());
        nix32(&hash.bytes[..20])
    })
}

/// Bytes in a second of an archive, the largest that is not too large.
async fn throughput(client: &Client, cache: &Address, found: &[Option<Seen>]) -> Option<f64> {
    let fits = |seen: &&Seen| seen.file_bytes.is_some_and(|size| ARCHIVE_BYTES.contains(&size));
    let seen = found.iter().flatten().filter(fits).max_by_key(|seen| seen.file_bytes)?;
    let most = usize::try_from(*ARCHIVE_BYTES.end()).ok()?;
    let began = Instant::now();
    let answer = client.get(cache, &seen.url, most).await.ok()?;
    let seconds = began.elapsed().saturating_sub(answer.first_byte).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let bytes = answer.body.len() as f64;
    Some(bytes / seconds.max(1e-6))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{PROBES, nowhere, share};
    use crate::path::StorePath;

    #[test]
    fn each_cache_has_its_share_of_the_time() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        assert_eq!(share(now, now + 300 * second, 3), now + 100 * second);
        assert_eq!(share(now, now + 300 * second, 1), now + 300 * second);
        assert_eq!(share(now + second, now, 2), now + second, "no time is left");
    }

    #[test]
    fn nowhere_is_another_place_each_time() {
        let hashes: HashSet<String> = nowhere().chain(nowhere()).collect();
        assert_eq!(hashes.len(), PROBES * 2);
        for hash in hashes {
            assert!(StorePath::parse(&format!("{hash}-x")).is_ok(), "{hash}");
        }
    }
}
