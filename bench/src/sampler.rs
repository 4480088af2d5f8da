//! What is seen of a run while it goes on: by one thread that waits for the next run,
//! since starting one for each, and waiting for its end, takes longer than all else
//! that is done between two runs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::disturbance::Moment;
use crate::tree;

/// Looks at memory, a second ten: each takes a fraction of a millisecond.
const PAUSE: Duration = Duration::from_millis(100);

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// The memory of the tree, again and again.
    pub memory: bool,
    /// What others build, once.
    pub builds: bool,
}

/// What was seen. A run may be over before anything was.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// What the machine had done when it began.
    pub before: Option<Moment>,
    /// Most memory at once.
    pub peak_memory_bytes: Option<u64>,
    /// Builds of others.
    pub other_builds: Option<u32>,
}

/// Looks at one process and all it starts, then at the next one.
#[derive(Debug)]
pub struct Sampler {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The run that goes on, if one does.
    run: Option<(u32, Looks)>,
    /// How many there have been: what is seen of one is not the next one's.
    number: u64,
    seen: Seen,
    is_over: bool,
}

impl Sampler {
    /// Look at a process and all it starts until [`Sampler::stop`].
    pub fn start(&self, process: u32, looks: Looks) {
        let mut state = self.shared.lock();
        state.number += 1;
        state.run = Some((process, looks));
        state.seen = Seen::default();
        drop(state);
        self.shared.news.notify_one();
    }

    /// What was seen. The thread is not woken for it: it finds out at its next look.
    pub fn stop(&self) -> Seen {
        let mut state = self.shared.lock();
        state.run = None;
        std::mem::take(&mut state.seen)
    }
}

impl Default for Sampler {
    fn default() -> Self {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        Self { shared, thread: Some(thread::spawn(move || own.watch())) }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look at one run after the other, until there will be no more.
    fn watch(&self) {
        let mut last = 0;
        loop {
            let waits =
                |state: &mut State| !state.is_over && (state.run.is_none() || state.number == last);
            let state = self.news.wait_while(self.lock(), waits);
            let state = state.unwrap_or_else(PoisonError::into_inner);
            let Some((process, looks)) = state.run.filter(|_| !state.is_over) else { return };
            last = state.number;
            drop(state);
            self.look(last, process, looks);
        }
    }

    /// Look at a run until it is over.
    fn look(&self, number: u64, process: u32, looks: Looks) {
        let now = Moment::now();
        self.see(number, |seen| seen.before = Some(now));
        if looks.builds {
            let others = tree::other_builds(process);
            self.see(number, |seen| seen.other_builds = others);
        }
        if !looks.memory {
            return;
        }
        loop {
            let bytes = tree::resident_bytes(process);
            self.see(number, |seen| seen.peak_memory_bytes = seen.peak_memory_bytes.max(bytes));
            let goes_on = |state: &mut State| state.is_on(number);
            let waited = self.news.wait_timeout_while(self.lock(), PAUSE, goes_on);
            if !waited.unwrap_or_else(PoisonError::into_inner).0.is_on(number) {
                return;
            }
        }
    }

    /// Keep what was seen of a run, if it still goes on.
    fn see(&self, number: u64, keep: impl FnOnce(&mut Seen)) {
        let mut state = self.lock();
        if state.is_on(number) {
            keep(&mut state.seen);
        }
    }
}

impl State {
    fn is_on(&self, number: u64) -> bool {
        self.run.is_some() && self.number == number && !self.is_over
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::thread;
    use std::time::Duration;

    use super::{Looks, Sampler};

    fn sleep() -> Child {
        Command::new("sleep").arg("60").spawn().expect("sleep")
    }

    #[test]
    fn each_run_is_seen_by_itself() {
        let sampler = Sampler::default();
        let mut first = sleep();
        sampler.start(first.id(), Looks { memory: true, builds: true });
        let seen = loop {
            thread::sleep(Duration::from_millis(10));
            let state = sampler.shared.lock();
            if state.seen.peak_memory_bytes.is_some() {
                drop(state);
                break sampler.stop();
            }
        };
        assert!(seen.before.is_some() && seen.other_builds.is_some(), "{seen:?}");
        assert!(seen.peak_memory_bytes.is_some_and(|bytes| bytes > 4096), "{seen:?}");
        let mut second = sleep();
        sampler.start(second.id(), Looks { memory: false, builds: false });
        thread::sleep(Duration::from_millis(300));
        let seen = sampler.stop();
        assert!(seen.before.is_some() && seen.peak_memory_bytes.is_none(), "{seen:?}");
        assert!(seen.other_builds.is_none(), "{seen:?}");
        for child in [&mut first, &mut second] {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }

    #[test]
    fn one_that_is_over_at_once_is_unseen() {
        let sampler = Sampler::default();
        for _ in 0..100 {
            sampler.start(std::process::id(), Looks { memory: true, builds: false });
            sampler.stop();
        }
        assert!(sampler.stop().before.is_none(), "nothing is left of an earlier one");
    }
}
