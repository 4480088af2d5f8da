//! The guard's hands: looks, decides, stops and lets go on.
//!
//! It tells its parent, before it does anything, what is going to be stopped;
//! when the parent is gone or stopped itself, everything goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use detect::human::size;
use detect::report::{reason, say};
use detect::stage;
use profile::costs::Costs;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::decide::{Action, Guard, Id, Marks, Moment, Seen, State};
use super::record::{Keeper, Record};
use super::stop::{Stopped, Stopper, can_freeze};
use super::{Options, memory, predict};
use crate::active::{self, Build, Source};
use crate::processes::{Proc, variable};
use crate::sample::groups;

/// How often to look: when nothing is built, when builds have room, when they
/// have not, and when one is just about to begin.
const IDLE: Duration = Duration::from_secs(1);
const CALM: Duration = Duration::from_millis(250);
const TIGHT: Duration = Duration::from_millis(50);
const EAGER: Duration = Duration::from_millis(10);

/// How long after a build user was locked its builder may take to begin.
const BEGINNING: Duration = Duration::from_millis(300);

/// Seconds after which a build that is seen for the first time is left alone.
const BEGUN: f64 = 2.0;

/// What is known of a build for as long as it runs.
struct Known {
    name: String,
    peak_bytes: u64,
    stopped: Stopped,
    since: Option<Instant>,
}

pub(super) struct Worker {
    options: Options,
    costs: Option<Costs>,
    keeper: Keeper,
    record: Record,
    guard: Guard,
    builds: active::Looker,
    memory: memory::Looker,
    stopper: Stopper,
    groups: Option<PathBuf>,
    known: BTreeMap<Id, Known>,
    proc: Proc,
    start: Instant,
    pool: PathBuf,
    /// Looks at the locks of build users, once that folder is there.
    watch: Option<OwnedFd>,
    begun: Option<Instant>,
    /// Whether a builder was found since.
    found: bool,
    used_share: f64,
    complained: bool,
}

impl Worker {
    /// Ready to look; what an earlier guard left stopped goes on.
    pub(super) fn new(options: Options) -> Result<Self> {
        let costs = options.costs.as_deref().map(|file| stage::read(Some(file))).transpose()?;
        let is_looking = options.dry_run || options.once;
        let keeper = if is_looking { Keeper::look() } else { Keeper::take()? };
        if !is_looking {
            super::stop::thaw(&keeper.read().unwrap_or_default().stopped);
            // What cannot be written down is not stopped; better known now.
            keeper.write(&Record::default())?;
        }
        let marks = Marks { high: options.high, low: options.low, admit: options.admit() };
        let state = std::env::var_os("NIX_STATE_DIR").unwrap_or_else(|| "/nix/var/nix".into());
        Ok(Self {
            options,
            costs,
            keeper,
            record: Record::default(),
            guard: Guard::new(marks),
            builds: active::Looker::live(),
            memory: memory::Looker::live(),
            stopper: Stopper::live(),
            groups: groups(),
            known: BTreeMap::new(),
            proc: Proc::live(),
            start: Instant::now(),
            pool: PathBuf::from(state).join("userpool"),
            watch: None,
            begun: None,
            found: false,
            used_share: 0.0,
            complained: false,
        })
    }

    /// Guard until told to end, by a signal or by the end of stdin; and then let
    /// everything go on.
    pub(super) fn run(mut self) -> Result<()> {
        let ends = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&ends)).context("signals")?;
        }
        let parent = std::os::unix::process::parent_id();
        while !ends.load(Ordering::Relaxed) && self.wait() {
            if self.proc.process(parent).is_some_and(|parent| parent.is_stopped()) {
                self.let_all_go();
            } else {
                self.step();
            }
            // A parent that is gone has closed the pipe.
            if !self.options.dry_run && self.tell().is_err() {
                break;
            }
        }
        self.let_all_go();
        Ok(())
    }

    /// Wait until it is time to look; false when stdin has ended.
    fn wait(&mut self) -> bool {
        if self.watch.is_none() {
            self.watch = watch(&self.pool);
        }
        let is_tight = !self.record.stopped.is_empty() || self.used_share > self.options.low;
        let timeout = match self.begun {
            Some(at) if at.elapsed() < BEGINNING => {
                if self.found {
                    TIGHT
                } else {
                    EAGER
                }
            }
            _ if is_tight => TIGHT,
            _ if !self.known.is_empty() => CALM,
            _ if self.watch.is_none() => CALM,
            _ => IDLE,
        };
        let timeout = Timespec::try_from(timeout).ok();
        let stdin = io::stdin();
        let mut files = vec![PollFd::new(&stdin, PollFlags::IN)];
        files.extend(self.watch.as_ref().map(|watch| PollFd::new(watch, PollFlags::IN)));
        if poll(&mut files, timeout.as_ref()).is_err() {
            // A signal, which the loop looks at.
            return true;
        }
        let has = |file: Option<&PollFd<'_>>| file.is_some_and(|file| !file.revents().is_empty());
        let (told, locked) = (has(files.first()), has(files.get(1)));
        if locked && let Some(watch) = &self.watch {
            let mut events = [0; 4096];
            let _ = rustix::io::read(watch.as_fd(), &mut events);
            self.begun = Some(Instant::now());
            self.found = false;
        }
        !told || stdin.lock().read(&mut [0; 16]).is_ok_and(|length| length > 0)
    }

    /// Look once, and do what follows.
    pub(super) fn step(&mut self) {
        let Some(moment) = self.look() else { return };
        let actions = self.guard.decide(&moment);
        let lines: Vec<String> =
            actions.iter().map(|action| describe(action, &moment, &self.known)).collect();
        if self.options.once || self.options.dry_run {
            if self.options.dry_run {
                for line in &lines {
                    say(&format!("monitor: guard: would: {line}"));
                }
            }
            return;
        }
        if let Err(error) = self.act(&actions) {
            if !self.complained {
                say(&format!("monitor: guard: nothing is stopped: {}", reason(&error)));
                self.complained = true;
            }
            self.let_all_go();
            return;
        }
        self.complained = false;
        for line in &lines {
            say(&format!("monitor: guard: {line}"));
        }
    }

    fn look(&mut self) -> Option<Moment> {
        let active = self.builds.look(SystemTime::now());
        let mut seen = Vec::new();
        for build in &active.builds {
            if let Some(id) = self.know(build) {
                let peak = self.known.get(&id).map_or(0, |known| known.peak_bytes);
                let memory_bytes = build.memory_bytes.unwrap_or(0);
                let has_begun = build.running_seconds.is_some_and(|time| time > BEGUN);
                seen.push(Seen { id, memory_bytes, predicted_bytes: peak, has_begun });
            }
        }
        self.known.retain(|id, _| seen.iter().any(|build| build.id == *id));
        let is_known = |stopped: &Stopped| self.known.values().any(|one| one.stopped == *stopped);
        let (stays, gone): (Vec<Stopped>, Vec<Stopped>) =
            std::mem::take(&mut self.record.stopped).into_iter().partition(is_known);
        self.record.stopped = stays;
        for stopped in &gone {
            // Its user may build something else by now, of which we may have
            // stopped a part.
            self.stopper.go(stopped);
        }
        if !gone.is_empty() {
            // Late is soon enough.
            let _ = self.keeper.write(&self.record);
        }
        let memory = self.memory.look(active.builds.first().map(|build| build.worker))?;
        #[expect(clippy::cast_precision_loss, reason = "a share of bytes")]
        let share = memory.used_bytes as f64 / memory.limit_bytes.max(1) as f64;
        self.used_share = share;
        Some(Moment {
            now: self.start.elapsed(),
            limit_bytes: memory.limit_bytes,
            used_bytes: memory.used_bytes,
            builds: seen,
            patience: self.options.patience.map(Duration::from_secs),
        })
    }

    /// Who a build is, if it may be touched: what root's Nix builds by one of the
    /// build users, once its builder has begun.
    fn know(&mut self, build: &Build) -> Option<Id> {
        let (user, builder) = (build.user?, build.builder?);
        let is_nix = build.source == Source::OpenFiles && self.proc.user(build.worker) == Some(0);
        if !is_nix || !self.options.users.contains(&user) {
            return None;
        }
        let started_ticks = self.proc.process(builder)?.started_ticks;
        let id = Id { started_ticks, user };
        if !self.known.contains_key(&id) {
            // Until it has begun it is still Nix, which waits for it to say so,
            // and would wait with all its other builds. What Nix does itself,
            // such as downloads, never begins.
            let environ = self.proc.of(builder, "environ")?;
            variable(&environ, "NIX_BUILD_TOP")?;
            let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
            let cores = variable(&environ, "NIX_BUILD_CORES").and_then(|text| text.parse().ok());
            let threads =
                cores.filter(|&cores| cores > 0).map_or(cpus, |cores: u64| cores.min(cpus));
            let (peak_bytes, _) = predict::peak_bytes(self.costs.as_ref(), &build.name, threads);
            let group = build
                .cgroup
                .as_ref()
                .and_then(|path| Some(self.groups.as_ref()?.join(path.trim_start_matches('/'))));
            let stopped = Stopped { user, group: group.filter(|group| can_freeze(group)) };
            let known = Known { name: build.name.clone(), peak_bytes, stopped, since: None };
            self.known.insert(id, known);
            self.found = true;
        }
        Some(id)
    }

    /// Write down what is going to be stopped, stop it, and let others go on.
    fn act(&mut self, actions: &[Action]) -> Result<()> {
        if actions.is_empty() {
            return Ok(());
        }
        let stops: BTreeSet<Id> = actions.iter().filter_map(stopped_by).collect();
        if !stops.is_empty() {
            let builds = stops.iter().filter_map(|id| self.known.get(id));
            self.record.stopped.extend(builds.map(|known| known.stopped.clone()));
            self.keeper.write(&self.record)?;
            self.tell()?;
        }
        for action in actions {
            let (Action::Hold(id) | Action::Freeze(id) | Action::Run(id)) = action;
            let Some(known) = self.known.get_mut(id) else { continue };
            if let Action::Run(_) = action {
                self.stopper.go(&known.stopped);
                self.record.stopped.retain(|stopped| *stopped != known.stopped);
                let held = known.since.take().map(|since| since.elapsed().as_secs_f64());
                self.record.stopped_seconds += held.unwrap_or(0.0);
            } else {
                self.stopper.stop(&known.stopped);
                known.since = Some(Instant::now());
                match action {
                    Action::Hold(_) => self.record.holds += 1,
                    _ => self.record.freezes += 1,
                }
            }
        }
        // Too much is written down now, which would do no harm.
        let _ = self.keeper.write(&self.record);
        Ok(())
    }

    /// Let everything go on, and begin anew.
    fn let_all_go(&mut self) {
        for stopped in std::mem::take(&mut self.record.stopped) {
            self.stopper.go(&stopped);
        }
        let marks =
            Marks { high: self.options.high, low: self.options.low, admit: self.options.admit() };
        self.guard = Guard::new(marks);
        if !(self.options.dry_run || self.options.once) {
            let _ = self.keeper.write(&self.record);
        }
    }

    /// Tell the parent what is stopped, which is also how it knows that we are
    /// there.
    fn tell(&self) -> Result<()> {
        let mut line = serde_json::to_vec(&self.record.stopped)?;
        line.push(b'\n');
        let mut stdout = io::stdout().lock();
        stdout.write_all(&line).and_then(|()| stdout.flush()).context("the guard's parent")
    }

    /// What each build does.
    pub(super) fn states(&self) -> Vec<String> {
        let line = |(id, state): (&Id, &State)| {
            let known = self.known.get(id)?;
            let does = match state {
                State::Running(_) => "runs",
                State::Held(_) => "would be held",
                State::Frozen(_) => "would be frozen",
            };
            Some(format!("{} {does}: predicted {}", known.name, size(known.peak_bytes)))
        };
        self.guard.states().iter().filter_map(line).collect()
    }
}

fn stopped_by(action: &Action) -> Option<Id> {
    match action {
        Action::Hold(id) | Action::Freeze(id) => Some(*id),
        Action::Run(_) => None,
    }
}

fn describe(action: &Action, moment: &Moment, known: &BTreeMap<Id, Known>) -> String {
    let (verb, id) = match action {
        Action::Hold(id) => ("hold", id),
        Action::Freeze(id) => ("freeze", id),
        Action::Run(id) => ("let go on", id),
    };
    let peak = known.get(id).map_or(0, |known| known.peak_bytes);
    let name = known.get(id).map_or("?", |known| known.name.as_str());
    format!(
        "{verb} {name} of user {}: predicted {}, {} of {} used",
        id.user,
        size(peak),
        size(moment.used_bytes),
        size(moment.limit_bytes)
    )
}

/// Be woken when a file of the pool is opened, as Nix does to lock it.
fn watch(pool: &std::path::Path) -> Option<OwnedFd> {
    File::open(pool).ok()?;
    let watch =
        inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&watch, pool, inotify::WatchFlags::OPEN).ok()?;
    Some(watch)
}
