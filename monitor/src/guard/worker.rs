//! The guard's hands: looks, decides, stops and lets go on.
//!
//! It tells its parent, before it does anything, what is going to be stopped;
//! when the parent is gone or stopped itself, everything goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use detect::human::size;
use detect::report::{reason, say};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::costs_file::CostsFile;
use super::decide::{Action, Guard, Id, Marks, Moment, Seen, State};
use super::known::{Known, describe};
use super::predict::Predictor;
use super::record::{Keeper, Record};
use super::rhythm::{Builds, Rhythm};
use super::stop::{Stopped, Stopper, can_freeze};
use super::{Options, memory};
use crate::active::{self, Build, Source};
use crate::pname;
use crate::processes::{Proc, variable};
use crate::sample::groups;

/// How often to tell the parent that we are there when nothing is stopped.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How often to tell it while many are stopped or let go on, one after the other.
const PULSE: Duration = Duration::from_millis(100);

/// Seconds after which a build that is seen for the first time is left alone.
const BEGUN: f64 = 2.0;

pub(super) struct Worker {
    options: Options,
    predictor: Predictor,
    costs: CostsFile,
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
    rhythm: Rhythm,
    /// One of the processes that build.
    nix: Option<u32>,
    complained: bool,
    /// When the parent was last told anything.
    told: Option<Instant>,
}

impl Worker {
    /// Ready to look; what an earlier guard left stopped goes on.
    pub(super) fn new(options: Options) -> Result<Self> {
        let keeper = if options.only_looks() { Keeper::look() } else { Keeper::take()? };
        Self::with(options, keeper)
    }

    fn with(options: Options, keeper: Keeper) -> Result<Self> {
        let (file, costs) = CostsFile::open(&options)?;
        let mut record = keeper.read().unwrap_or_default();
        // Where we only look, another guard has stopped these, and sees to them.
        let left = std::mem::take(&mut record.stopped);
        if !options.only_looks() {
            super::stop::thaw(&left);
            // What cannot be written down is not stopped; better known now.
            keeper.write(&record)?;
        }
        let marks = Marks { high: options.high, low: options.low };
        let low = options.low;
        let state = std::env::var_os("NIX_STATE_DIR").unwrap_or_else(|| "/nix/var/nix".into());
        Ok(Self {
            options,
            predictor: Predictor::new(costs),
            costs: file,
            keeper,
            record,
            guard: Guard::new(marks),
            builds: active::Looker::live(),
            memory: memory::Looker::live(),
            stopper: Stopper::live(),
            groups: groups(),
            known: BTreeMap::new(),
            proc: Proc::live(),
            start: Instant::now(),
            rhythm: Rhythm::new(low, PathBuf::from(state).join("userpool")),
            nix: None,
            complained: false,
            told: None,
        })
    }

    /// Guard until told to end, by a signal or by the end of stdin; and then let
    /// everything go on.
    pub(super) fn run(mut self) -> Result<()> {
        let ends = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&ends)).context("signals")?;
        }
        while !ends.load(Ordering::Relaxed) {
            if !self.rhythm.wait(!self.record.stopped.is_empty()) {
                break;
            }
            if !self.record.stopped.is_empty() && self.is_alone() {
                self.let_all_go();
            } else {
                self.step();
            }
            // A parent that is gone has closed the pipe.
            let is_time = self.told.is_none_or(|told| told.elapsed() >= HEARTBEAT);
            let says = !self.record.stopped.is_empty() || is_time;
            if says && self.tell().is_err() {
                break;
            }
        }
        self.let_all_go();
        // Or it would wake those, too, whom builds had stopped themselves.
        if !self.is_alone() {
            let _ = self.tell();
        }
        Ok(())
    }

    /// Whether the parent is stopped, so that nobody would let go on what we stop.
    fn is_alone(&self) -> bool {
        let parent = std::os::unix::process::parent_id();
        self.proc.process(parent).is_none_or(|parent| parent.is_stopped())
    }

    /// Look once, and do what follows.
    pub(super) fn step(&mut self) {
        let memory = || self.memory.look(self.nix);
        if self.record.stopped.is_empty() && self.rhythm.is_quiet(memory) {
            return;
        }
        let Some(moment) = self.look() else { return };
        let actions = self.guard.decide(&moment);
        let most = self.predictor.most_bytes(cpus());
        self.rhythm.is_full = !self.guard.has_room_for(most, &moment);
        let lines: Vec<String> =
            actions.iter().map(|action| describe(action, &moment, &self.known)).collect();
        if self.options.only_looks() {
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
        let ours: Vec<&Build> = active.builds.iter().filter(|build| self.is_ours(build)).collect();
        let mut seen = Vec::new();
        for build in &ours {
            if let Some(id) = self.know(build) {
                let memory_bytes = build.memory_bytes.unwrap_or(0);
                let peak = self.known.get_mut(&id).map_or(0, |known| {
                    known.used_bytes = known.used_bytes.max(memory_bytes);
                    known.peak_bytes
                });
                let has_begun = build.running_seconds.is_some_and(|time| time > BEGUN);
                seen.push(Seen { id, memory_bytes, predicted_bytes: peak, has_begun });
            }
        }
        self.forget_all_but(&seen);
        self.let_gone_go();
        self.nix = ours.first().map(|build| build.worker);
        let memory = self.memory.look(self.nix)?;
        let begin = ours.len() > seen.len();
        self.rhythm.looked_at(memory, Builds { are_there: !ours.is_empty(), begin });
        Some(Moment {
            now: self.start.elapsed(),
            limit_bytes: memory.limit_bytes,
            used_bytes: memory.used_bytes,
            is_pressed: self.rhythm.is_pressed(),
            builds: seen,
            patience: self.options.patience.map(Duration::from_secs),
        })
    }

    /// Let go on what is left of builds that were stopped and are no longer there.
    fn let_gone_go(&mut self) {
        // The next build of the same user is another one, and may run.
        let is_held = |stopped: &Stopped| {
            self.known.values().any(|one| one.since.is_some() && one.stopped == *stopped)
        };
        let (stays, gone): (Vec<Stopped>, Vec<Stopped>) =
            std::mem::take(&mut self.record.stopped).into_iter().partition(is_held);
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
    }

    /// Forget the builds that are no longer there, but not what they needed.
    fn forget_all_but(&mut self, seen: &[Seen]) {
        let before = self.known.len();
        let (predictor, record) = (&mut self.predictor, &mut self.record);
        self.known.retain(|id, known| {
            let stays = seen.iter().any(|build| build.id == *id);
            if !stays {
                if known.tells_its_need() {
                    predictor.learn(&known.package, known.used_bytes);
                }
                record.stopped_seconds += known.goes_on();
            }
            stays
        });
        if self.known.len() < before
            && let Some(costs) = self.costs.news()
        {
            self.predictor.replace(costs);
        }
    }

    /// Whether a build may be touched: what root's Nix builds by one of the build
    /// users.
    fn is_ours(&self, build: &Build) -> bool {
        build.source == Source::OpenFiles
            && build.user.is_some_and(|user| self.options.users.contains(&user))
            && self.proc.user(build.worker) == Some(0)
    }

    /// Which build it is, once its builder has begun.
    fn know(&mut self, build: &Build) -> Option<Id> {
        let (user, builder) = (build.user?, build.builder?);
        let started_ticks = self.proc.process(builder)?.started_ticks;
        let id = Id { started_ticks, user };
        if !self.known.contains_key(&id) {
            // Until it has begun it is still Nix, which waits for it to say so,
            // and would wait with all its other builds. What Nix does itself,
            // such as downloads, never begins.
            let environ = self.proc.of(builder, "environ")?;
            variable(&environ, "NIX_BUILD_TOP")?;
            let cpus = cpus();
            let cores = variable(&environ, "NIX_BUILD_CORES").and_then(|text| text.parse().ok());
            let threads =
                cores.filter(|&cores| cores > 0).map_or(cpus, |cores: u64| cores.min(cpus));
            let package = pname::of(build.drv.as_deref().unwrap_or_default(), &build.name);
            let peak_bytes = self.predictor.peak_bytes(&package, threads);
            let group = build
                .cgroup
                .as_ref()
                .and_then(|path| Some(self.groups.as_ref()?.join(path.trim_start_matches('/'))));
            let stopped = Stopped { user, group: group.filter(|group| can_freeze(group)) };
            let name = build.name.clone();
            self.known.insert(id, Known::new(name, package, peak_bytes, stopped));
            self.rhythm.found = true;
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
            ensure!(!self.is_alone(), "the guard's parent is stopped");
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
                self.record.stopped_seconds += known.goes_on();
            } else {
                self.stopper.stop(&known.stopped);
                known.since = Some(Instant::now());
                match action {
                    Action::Hold(_) => self.record.holds += 1,
                    _ => self.record.freezes += 1,
                }
            }
            self.pulse()?;
        }
        let held = |(id, state): (&Id, &State)| match state {
            State::Held(_) => self.known.get(id).map(|known| known.peak_bytes),
            _ => None,
        };
        let held = self.guard.states().iter().filter_map(held).fold(0, u64::saturating_add);
        self.record.most_held_bytes = self.record.most_held_bytes.max(held);
        self.told = None;
        // Too much is written down now, which would do no harm.
        let _ = self.keeper.write(&self.record);
        Ok(())
    }

    /// Let everything go on, and begin anew.
    fn let_all_go(&mut self) {
        while let Some(stopped) = self.record.stopped.pop() {
            self.stopper.go(&stopped);
            // One that is stopped itself reads nothing, and is not to be waited for.
            if !self.is_alone() {
                let _ = self.pulse();
            }
        }
        let held: f64 = self.known.values_mut().map(Known::goes_on).sum();
        self.record.stopped_seconds += held;
        let marks = Marks { high: self.options.high, low: self.options.low };
        self.guard = Guard::new(marks);
        self.told = None;
        if !self.options.only_looks() {
            let _ = self.keeper.write(&self.record);
        }
    }

    /// Tell the parent that we are there, if it has heard nothing for a while: to
    /// stop or let go on many may take longer than it waits for a word.
    fn pulse(&mut self) -> Result<()> {
        if self.told.is_some_and(|told| told.elapsed() < PULSE) {
            return Ok(());
        }
        self.tell()
    }

    /// Tell the parent what is stopped, which is also how it knows that we are
    /// there.
    fn tell(&mut self) -> Result<()> {
        self.told = Some(Instant::now());
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

fn cpus() -> u64 {
    std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64)
}

#[cfg(test)]
mod tests;
