//! When to look: as often as it matters, and otherwise so seldom that nobody
//! notices the guard.
//!
//! A build begins by locking its user, which wakes the guard. Whether it has to
//! hurry then depends on whether one more build would fit, whatever it is. How
//! full memory is takes a fraction of the time that looking at builds does, and
//! tells when they must be looked at.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::memory::Memory;
use super::pressure;

/// How often to look, when one that may not fit is just about to begin, and when
/// memory is short or something is stopped.
const EAGER: Duration = Duration::from_millis(10);
const TIGHT: Duration = Duration::from_millis(50);

/// How often to look at memory alone when builds have room, and when nothing is
/// built. Either is so little that the guard itself is not noticed.
const CALM: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(2);

/// How often to look at builds that have room, unless memory tells of a change
/// of this share.
const SELDOM: Duration = Duration::from_secs(1);
const CHANGE: f64 = 0.05;

/// How long processes that waited for memory are taken to wait still.
const PRESSED: Duration = Duration::from_secs(1);

/// How long after a build user was locked its builder mostly takes to begin, and
/// how long it may take where much has to be prepared.
const BEGINNING: Duration = Duration::from_millis(300);
const PREPARED: Duration = Duration::from_secs(10);

/// What was seen of builds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Builds {
    /// Some are there.
    pub(super) are_there: bool,
    /// Some are about to begin.
    pub(super) begin: bool,
}

/// What tells when to look.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// The share of memory above which every moment counts.
    low: f64,
    pool: PathBuf,
    /// Looks at the locks of build users, once that folder is there.
    watch: Option<OwnedFd>,
    /// Says when processes wait for memory, where the kernel does.
    pressure: Option<OwnedFd>,
    pressed: Option<Instant>,
    /// When a build user was last locked.
    begun: Option<Instant>,
    /// Whether a builder was found since.
    pub(super) found: bool,
    /// Whether one more build may not fit.
    pub(super) is_full: bool,
    /// Whether there are builds, and whether some have not begun yet.
    builds: Builds,
    /// When builds were last looked at, and what share of memory was used.
    looked: Option<(Instant, f64)>,
    used_share: f64,
}

impl Rhythm {
    /// By the locks in the folder `pool`.
    pub(super) fn new(low: f64, pool: PathBuf) -> Self {
        Self {
            low,
            pool,
            watch: None,
            pressure: pressure::watch(Path::new("/proc")),
            pressed: None,
            begun: None,
            found: false,
            is_full: true,
            builds: Builds::default(),
            looked: None,
            used_share: 0.0,
        }
    }

    /// Wait until it is time to look; false when stdin has ended.
    pub(super) fn wait(&mut self, has_stopped: bool) -> bool {
        if self.watch.is_none() {
            self.watch = watch(&self.pool);
        }
        let timeout = match () {
            () if self.is_full && self.begins() => EAGER,
            () if has_stopped || self.is_tight() || (self.is_full && self.builds.begin) => TIGHT,
            () if self.may_be_builds() || self.watch.is_none() => CALM,
            () => IDLE,
        };
        let timeout = Timespec::try_from(timeout).ok();
        let stdin = io::stdin();
        let mut files = vec![PollFd::new(&stdin, PollFlags::IN)];
        // To lock one user Nix looks at many; while there is room, that is heard
        // of a little later and all at once.
        let heeds = self.is_full || self.begun.is_none_or(|begun| begun.elapsed() >= CALM);
        let watch = self.watch.as_ref().filter(|_| heeds);
        files.extend(watch.map(|watch| PollFd::new(watch, PollFlags::IN)));
        let watched = files.len();
        files.extend(self.pressure.as_ref().map(|file| PollFd::new(file, PollFlags::PRI)));
        if poll(&mut files, timeout.as_ref()).is_err() {
            // A signal, which the loop looks at.
            return true;
        }
        let events = |at: usize| files.get(at).map_or(PollFlags::empty(), PollFd::revents);
        let told = !events(0).is_empty();
        let locked = watched > 1 && !events(1).is_empty();
        let pressed = events(watched);
        if pressed.contains(PollFlags::ERR) {
            self.pressure = None;
        } else if !pressed.is_empty() {
            self.pressed = Some(Instant::now());
        }
        if locked && let Some(watch) = &self.watch {
            let mut events = [0; 4096];
            let _ = rustix::io::read(watch.as_fd(), &mut events);
            self.begun = Some(Instant::now());
            self.found = false;
        }
        !told || io::stdin().lock().read(&mut [0; 16]).is_ok_and(|length| length > 0)
    }

    /// Whether processes waited for memory just now.
    pub(super) fn is_pressed(&self) -> bool {
        self.pressed.is_some_and(|at| at.elapsed() < PRESSED)
    }

    /// Whether every moment counts.
    fn is_tight(&self) -> bool {
        self.used_share > self.low || self.is_pressed()
    }

    /// Whether a user was locked just now, and no builder was seen to begin since.
    fn begins(&self) -> bool {
        !self.found && self.begun.is_some_and(|begun| begun.elapsed() < BEGINNING)
    }

    fn may_be_builds(&self) -> bool {
        self.builds.are_there || self.begun.is_some_and(|begun| begun.elapsed() < PREPARED)
    }

    /// Whether memory alone tells that builds need not be looked at.
    pub(super) fn is_quiet(&mut self, memory: impl FnOnce() -> Option<Memory>) -> bool {
        let Some((at, share)) = self.looked else { return false };
        let hurries = self.is_full && (self.begins() || self.builds.begin);
        if self.is_tight() || self.watch.is_none() || hurries {
            return false;
        }
        let Some(memory) = memory() else { return false };
        self.used_share = memory.used_share();
        if self.used_share > self.low || self.used_share - share > CHANGE {
            return false;
        }
        // Who is about to begin is there a little later.
        let most = if self.begun.is_some_and(|begun| begun >= at) { CALM } else { SELDOM };
        at.elapsed() < most || !self.may_be_builds()
    }

    /// Builds were looked at.
    pub(super) fn looked_at(&mut self, memory: Memory, builds: Builds) {
        self.used_share = memory.used_share();
        self.looked = Some((Instant::now(), self.used_share));
        self.builds = builds;
    }
}

/// Be woken when a file of the pool is opened, as Nix does to lock it.
fn watch(pool: &Path) -> Option<OwnedFd> {
    File::open(pool).ok()?;
    let watch =
        inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&watch, pool, inotify::WatchFlags::OPEN).ok()?;
    Some(watch)
}
