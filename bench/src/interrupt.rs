//! The wish to stop, passed on to the Nix that runs.

use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::tree;

/// Nix ends its builds within a moment of being asked to; longer is a hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether somebody wished us to stop, and what must be stopped for it.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    came: Arc<AtomicBool>,
    running: Arc<Mutex<Option<Pid>>>,
}

impl Interrupt {
    /// Listen for SIGINT, SIGTERM and SIGHUP from now on.
    pub fn listen() -> Result<Self> {
        let interrupt = Self::default();
        let heard = interrupt.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signals")?;
        thread::spawn(move || {
            for _ in signals.forever() {
                heard.came.store(true, Ordering::SeqCst);
                heard.stop();
            }
        });
        Ok(interrupt)
    }

    /// Whether we are to stop.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    /// A Nix that runs until the guard is dropped, and is stopped when the wish
    /// comes, or has come while it was started.
    pub fn guard(&self, child: &Child) -> Guard<'_> {
        *self.lock() = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        if self.came() {
            let interrupt = self.clone();
            thread::spawn(move || interrupt.stop());
        }
        Guard(self)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ask Nix to end, which ends its builds; where it does not, end all of them. The
    /// lock is held only to look: whoever waits for Nix takes it when Nix has ended.
    fn stop(&self) {
        let Some(nix) = *self.lock() else { return };
        let _ = kill_process(nix, Signal::TERM);
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            thread::sleep(Duration::from_millis(20));
            if *self.lock() != Some(nix) {
                return;
            }
        }
        // Builders are in groups of their own, and would outlive it.
        for process in tree::of(nix.as_raw_nonzero().get().unsigned_abs()) {
            let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// While it lives, a Nix is known to run.
#[derive(Debug)]
pub struct Guard<'a>(&'a Interrupt);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Interrupt;

    /// Whether a process is there and no zombie.
    fn is_alive(process: u32) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let state = status.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        state.is_some_and(|rest| !rest.starts_with('Z'))
    }

    #[test]
    fn what_starts_after_the_wish_is_stopped_too() {
        let interrupt = Interrupt::default();
        interrupt.came.store(true, std::sync::atomic::Ordering::SeqCst);
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        assert!(is_alive(child.id()));
        let guard = interrupt.guard(&child);
        let status = child.wait().expect("it ends");
        drop(guard);
        assert!(!status.success());
        assert!(!is_alive(child.id()));
    }
}
