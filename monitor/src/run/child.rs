//! The command: started, told of signals, waited for.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// A command that runs.
pub(super) struct Child {
    /// Nobody else may wait for it: a signal must not reach who has its number next.
    child: Arc<Mutex<std::process::Child>>,
}

impl Child {
    /// Start it, with what it writes to its stderr.
    ///
    /// It is of our own group of processes, so that it gets what the terminal sends:
    /// Ctrl-C ends it as it would without us. We end when it has.
    pub(super) fn start(command: &[OsString]) -> Result<(Self, ChildStderr)> {
        let [program, arguments @ ..] = command else { anyhow::bail!("no command") };
        // Before it starts, so that none is missed.
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
        let mut child = Command::new(program)
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let stderr = child.stderr.take().context("no stderr")?;
        let child = Arc::new(Mutex::new(child));
        let told = Arc::clone(&child);
        thread::spawn(move || {
            for signal in signals.forever() {
                // A terminal sends these two to the command itself.
                if matches!(signal, SIGINT | SIGQUIT) && of_the_terminal() {
                    continue;
                }
                tell(&told, signal);
            }
        });
        Ok((Self { child }, stderr))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Result<Option<ExitStatus>> {
        Ok(self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?)
    }
}

/// Send it a signal, unless it has ended.
fn tell(child: &Mutex<std::process::Child>, signal: i32) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
        // It may end at this moment.
        let _ = kill_process(pid, signal);
    }
}

/// Whether what a terminal sends goes to us, and thus to our child as well.
fn of_the_terminal() -> bool {
    let Ok(terminal) = File::open("/dev/tty") else { return false };
    tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp())
}

/// What to exit with: as shells have it, 128 and the signal's number when one ended
/// the command.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
