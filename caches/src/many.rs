//! Asking one cache for many paths.
//!
//! Nix's own `path-info --store` waits for each answer before it asks again.
//! Here as many questions are open as the cache takes ([`crate::pace`]), on
//! connections that stay open, and by HTTP/2 all on one.
//!
//! **Invariant:** no answer is kept longer than it takes to read it; "not there"
//! and "cannot say" are never taken for each other; a cache that keeps failing
//! is left alone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::address::Address;
use crate::client::{Answer, Client, Trouble};
use crate::info::{self, CacheInfo};
use crate::narinfo;
use crate::pace::{self, Pace};
use crate::path::StorePath;

/// Answers in a row that are none before a cache is left alone: all that are open
/// at once, and some more once it had time to recover.
const MOST_FAILURES: usize = pace::MOST + 8;

/// Attempts for a path that the cache is too busy to answer for. What is refused so
/// often, while less and less is asked, is no matter of how much is asked.
const BUSY_ATTEMPTS: u8 = 8;

/// Attempts for a path whose answer is an error of the server.
const ATTEMPTS: u8 = 3;

/// What is made of an answer for a path, on whatever thread has it.
pub type Read<T> = Arc<dyn Fn(&StorePath, &Answer) -> T + Send + Sync>;

/// What a cache said of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It has it; what was read of its narinfo.
    There(T),
    /// It has it not.
    Missing,
    /// It did not say.
    Failed(Trouble),
}

/// An answer: which cache said what of which path, by their indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<T> {
    /// The cache's index, as [`Asker::new`] was given it.
    pub cache: usize,
    /// The path's index among those asked for.
    pub path: usize,
    /// What was said.
    pub found: Found<T>,
}

/// Asks one cache, and learns how it likes to be asked.
#[derive(Debug)]
pub struct Asker {
    index: usize,
    client: Client,
    cache: Arc<Address>,
    until: Instant,
    began: Instant,
    pace: Pace,
    failures: usize,
    last: Option<Trouble>,
    /// Questions asked, repeated ones too.
    pub requests: usize,
    /// Why the cache was left alone.
    pub gave_up: Option<Trouble>,
}

/// A question: a path's index, and how often it was asked before.
type Open = (usize, u8);

impl Asker {
    /// Ask this cache, of this index in all answers, until then.
    pub fn new(index: usize, client: Client, cache: Address, until: Instant) -> Self {
        Self {
            index,
            client,
            cache: Arc::new(cache),
            until,
            began: Instant::now(),
            pace: Pace::default(),
            failures: 0,
            last: None,
            requests: 0,
            gave_up: None,
        }
    }

    /// The cache's index.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Ask what the cache is; why Nix would not ask it, otherwise. It leaves a
    /// connection open for what follows.
    pub async fn greet(&mut self, store_dir: &str) -> Result<CacheInfo, Trouble> {
        self.requests += 1;
        let answer = self.client.get(&self.cache, "nix-cache-info", info::LARGEST_BYTES).await;
        let found = answer.and_then(|answer| {
            CacheInfo::of(&answer.body, store_dir)
                .map_err(|refusal| Trouble::Broken(refusal.to_string()))
        });
        if let Err(trouble) = &found {
            self.gave_up = Some(trouble.clone());
        }
        found
    }

    /// Ask for all these paths, and send what is read of each answer as it comes.
    /// Every path gets one answer, unless nobody listens any more.
    pub async fn ask<T: Send + 'static>(
        &mut self,
        paths: Arc<[StorePath]>,
        read: Read<T>,
        told: Sender<Told<T>>,
    ) {
        let cache = self.index;
        let mut again: VecDeque<Open> = VecDeque::new();
        let mut fresh = 0..paths.len();
        let mut open = JoinSet::new();
        loop {
            while self.may_ask(open.len()) {
                let next = again.pop_front().or_else(|| fresh.next().map(|path| (path, 0)));
                let Some((path, tries)) = next else { break };
                self.requests += 1;
                let (client, address) = (self.client.clone(), Arc::clone(&self.cache));
                let (paths, read) = (Arc::clone(&paths), Arc::clone(&read));
                let asked = self.began.elapsed();
                open.spawn(async move {
                    let file = format!("{}.narinfo", paths[path].hash());
                    let answer = client.get(&address, &file, narinfo::LARGEST_BYTES).await;
                    let answer = answer.map(|answer| read(&paths[path], &answer));
                    ((path, tries + 1), asked, answer)
                });
            }
            let found = match open.join_next().await {
                Some(Ok((question, asked, answer))) => {
                    let Some(found) = self.learn(question.1, asked, answer) else {
                        again.push_back(question);
                        continue;
                    };
                    Told { cache, path: question.0, found }
                }
                // A task that panicked took its question with it.
                Some(Err(_)) => continue,
                None if self.gave_up.is_none() => {
                    if again.is_empty() && fresh.is_empty() {
                        return;
                    }
                    self.rest().await;
                    continue;
                }
                None => {
                    let left = again.pop_front().map(|(path, _)| path).or_else(|| fresh.next());
                    let (Some(path), Some(trouble)) = (left, &self.gave_up) else { return };
                    Told { cache, path, found: Found::Failed(trouble.clone()) }
                }
            };
            if told.send(found).await.is_err() {
                return;
            }
        }
    }

    fn may_ask(&self, open: usize) -> bool {
        self.gave_up.is_none()
            && open < self.pace.limit()
            && self.began.elapsed() >= self.pace.resume()
    }

    /// Wait until the cache wants to be asked again, if that is in time.
    async fn rest(&mut self) {
        let resume = self.began.checked_add(self.pace.resume());
        if let Some(resume) = resume.filter(|resume| *resume <= self.until) {
            sleep_until(resume).await;
        } else {
            // Nothing but what it said makes us wait.
            let silent = || Trouble::Silent(self.began.elapsed().as_secs());
            self.gave_up = Some(self.last.clone().unwrap_or_else(silent));
        }
    }

    /// What an answer says; `None` if it is to be asked for again.
    fn learn<T>(
        &mut self,
        tries: u8,
        asked: Duration,
        answer: Result<T, Trouble>,
    ) -> Option<Found<T>> {
        let trouble = match answer {
            Ok(read) => {
                self.failures = 0;
                self.pace.good();
                return Some(Found::There(read));
            }
            Err(Trouble::Missing(_)) => {
                self.failures = 0;
                self.pace.good();
                return Some(Found::Missing);
            }
            Err(trouble) => trouble,
        };
        self.last = Some(trouble.clone());
        let now = self.began.elapsed();
        // One that is busy is there, and is asked again for as long as there is time.
        if !matches!(trouble, Trouble::Busy(..)) {
            self.failures += 1;
        }
        let attempts = match trouble {
            Trouble::Busy(_, seconds) => {
                self.pace.busy(asked, now, seconds.map(Duration::from_secs));
                BUSY_ATTEMPTS
            }
            Trouble::Status(500..) | Trouble::Broken(_) => {
                self.pace.busy(asked, now, None);
                ATTEMPTS
            }
            _ => 1,
        };
        if self.failures >= MOST_FAILURES {
            self.gave_up.get_or_insert_with(|| trouble.clone());
        }
        if tries < attempts && self.gave_up.is_none() {
            return None;
        }
        if matches!(trouble, Trouble::Busy(..)) {
            self.gave_up.get_or_insert_with(|| trouble.clone());
        }
        Some(Found::Failed(trouble))
    }
}
