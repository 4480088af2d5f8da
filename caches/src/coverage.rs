//! `caches coverage`: what share of some paths, or of all they need, is in which
//! cache.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use detect::arguments::Common;
use detect::stage;
use indicatif::ProgressBar;
use profile::plan::Verdict;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::among::{Among, Chosen};
use crate::client::{Answer, Client};
use crate::closure::{self, Wanted};
use crate::covered::{Cell, Coverage, Row};
use crate::find::Knowledge;
use crate::judge::judge;
use crate::key::Keys;
use crate::many::{Asker, Found, Read, Told};
use crate::narinfo::NarInfo;
use crate::path::StorePath;
use crate::progress;

/// Answers that wait to be counted, at most.
const WAITING: usize = 256;

/// Paths that are looked at, at most: what hostile narinfos name has no end.
const MOST_PATHS: usize = 4 << 20;

/// Which paths to look for, and where.
#[derive(Args, Debug)]
pub struct Command {
    /// Store paths, or links to them; - reads them from stdin, one a line
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// A path and all that it needs; the system in use when nothing is named
    #[arg(long, value_name = "PATH")]
    pub closure: Vec<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub among: Among,

    /// Name the paths that no cache has
    #[arg(long)]
    pub display_missing: bool,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Ask, print, and fail if something is in no cache.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let chosen = self.among.choose()?;
        let wanted = self.wanted(&chosen.store_dir)?;
        let runtime = runtime()?;
        let coverage = runtime.block_on(async {
            let client = self.among.client()?;
            let bar = progress::bar(0, "asking", &self.common);
            let until = Instant::now() + self.among.within();
            let found = measure(&client, &chosen, wanted, until, &bar).await;
            bar.finish_and_clear();
            anyhow::Ok(found)
        });
        // A name that the system still looks up would be waited for.
        runtime.shutdown_background();
        let mut coverage = coverage?;
        let missing = coverage.paths - coverage.union.covered;
        let text = if self.json {
            if !self.display_missing {
                coverage.missing.clear();
            }
            stage::text(&coverage)?
        } else {
            coverage.table(self.display_missing)
        };
        stage::write_human(&text, &self.common)?;
        if missing > 0 {
            bail!("{missing} of {} {}", coverage.paths, coverage.fault());
        }
        Ok(())
    }

    fn wanted(&self, store_dir: &str) -> Result<Wanted> {
        let mut wanted = closure::named(&self.paths, store_dir)?;
        if self.paths.is_empty() || !self.closure.is_empty() {
            let database = Knowledge::of_this_machine(Vec::new()).store;
            let more = closure::of(&self.closure, &database, store_dir)?;
            let known: HashSet<StorePath> = wanted.paths.iter().cloned().collect();
            wanted.is_open = more.is_open;
            wanted.paths.extend(more.paths.into_iter().filter(|path| !known.contains(path)));
        }
        Ok(wanted)
    }
}

/// As many threads as help: signatures are checked where answers are read.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?)
}

/// What is kept of a narinfo.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Whether Nix would take the path; why not, otherwise.
    pub trusted: Result<(), String>,
    /// What there is to download.
    pub file_bytes: Option<u64>,
    /// What that is unpacked.
    pub nar_bytes: u64,
    /// Where the archive is.
    pub url: String,
    /// What the path needs, where that is asked for.
    pub references: Vec<StorePath>,
}

/// Read and judge a narinfo.
pub fn see(
    path: &StorePath,
    answer: &Answer,
    keys: &Keys,
    store_dir: &str,
    with_references: bool,
) -> Seen {
    let mut seen = Seen {
        trusted: Ok(()),
        file_bytes: None,
        nar_bytes: 0,
        url: String::new(),
        references: Vec::new(),
    };
    let info = match NarInfo::parse(&answer.body, store_dir) {
        Ok(info) if info.path == *path => info,
        Ok(info) => {
            seen.trusted = Err(format!("asked for {path}, it answers with {}", info.path));
            return seen;
        }
        Err(malformed) => {
            seen.trusted = Err(format!("{path}: malformed: {malformed}"));
            return seen;
        }
    };
    seen.trusted = match judge(&info, keys, store_dir) {
        Ok(judged) => match judged.verdict {
            Verdict::Verified | Verdict::ContentAddressed => Ok(()),
            _ => Err(format!("{path}: {}", judged.why)),
        },
        Err(why) => Err(format!("{path}: malformed: {why}")),
    };
    seen.file_bytes = info.file_size_bytes;
    seen.nar_bytes = info.nar_size_bytes;
    if with_references && seen.trusted.is_ok() {
        seen.references = info.references.into_iter().collect();
    }
    seen.url = info.url;
    seen
}

/// Ask every cache for every path, all side by side.
pub async fn measure(
    client: &Client,
    chosen: &Chosen,
    wanted: Wanted,
    until: Instant,
    bar: &ProgressBar,
) -> Coverage {
    let Wanted { mut paths, is_open } = wanted;
    let began = Instant::now();
    let count = chosen.questions.len();
    let questions = chosen.questions.iter();
    let mut rows: Vec<Row> = questions
        .map(|question| Row { url: question.cache.to_string(), ..Row::default() })
        .collect();
    let (keys, store_dir) = (chosen.keys.clone(), chosen.store_dir.clone());
    let read: Read<Seen> =
        Arc::new(move |path, answer| see(path, answer, &keys, &store_dir, is_open));
    let mut askers: Vec<Asker> = greeted(client, chosen, until).await;

    let mut nar_bytes: Vec<u64> = Vec::new();
    let mut known: HashSet<StorePath> = HashSet::new();
    if is_open {
        known.extend(paths.iter().cloned());
    }
    let mut done = 0;
    while done < paths.len() {
        let round: Arc<[StorePath]> = paths[done..].into();
        let (told, mut answers) = mpsc::channel::<Told<Seen>>(WAITING);
        let mut tasks = JoinSet::new();
        for mut asker in askers.drain(..) {
            let (round, told) = (Arc::clone(&round), told.clone());
            let read = Arc::clone(&read);
            tasks.spawn(async move {
                asker.ask(round, read, told).await;
                (asker, Instant::now())
            });
        }
        drop(told);
        nar_bytes.resize(paths.len(), 0);
        for row in &mut rows {
            row.cells.resize(paths.len(), Cell::Failed);
        }
        bar.set_length((paths.len() * count) as u64);
        let first = done;
        done = paths.len();
        while let Some(Told { cache, path, found }) = answers.recv().await {
            bar.inc(1);
            let row = &mut rows[cache];
            row.cells[first + path] = match found {
                Found::Missing => Cell::Missing,
                Found::Failed(trouble) => {
                    row.why.get_or_insert_with(|| trouble.to_string());
                    Cell::Failed
                }
                Found::There(Seen { trusted: Err(why), .. }) => {
                    row.why.get_or_insert(why);
                    Cell::Untrusted
                }
                Found::There(seen) => {
                    nar_bytes[first + path] = seen.nar_bytes;
                    for path in seen.references {
                        if paths.len() < MOST_PATHS && known.insert(path.clone()) {
                            paths.push(path);
                        }
                    }
                    Cell::Covered(seen.file_bytes)
                }
            };
        }
        while let Some(ended) = tasks.join_next().await {
            let Ok((asker, ended)) = ended else { continue };
            let row = &mut rows[asker.index()];
            row.requests = asker.requests;
            row.elapsed_seconds = (ended - began).as_secs_f64();
            askers.push(asker);
        }
    }
    let is_covered =
        |path: usize| rows.iter().any(|row| matches!(row.cells.get(path), Some(Cell::Covered(_))));
    let is_complete = !is_open || (0..paths.len()).all(is_covered);
    let names: Vec<String> =
        paths.iter().map(|path| format!("{}/{path}", chosen.store_dir)).collect();
    Coverage::new(&names, &rows, &nar_bytes, is_complete)
}

/// Caches that were asked what they are; those that did not say are asked nothing
/// more.
async fn greeted(client: &Client, chosen: &Chosen, until: Instant) -> Vec<Asker> {
    let mut tasks = JoinSet::new();
    for (index, question) in chosen.questions.iter().enumerate() {
        let mut asker = Asker::new(index, client.clone(), question.cache.clone(), until);
        let store_dir = chosen.store_dir.clone();
        tasks.spawn(async move {
            // What is wrong, it remembers.
            let _ = asker.greet(&store_dir).await;
            asker
        });
    }
    tasks.join_all().await
}
