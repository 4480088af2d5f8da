//! Stopping and continuing all processes of a build.
//!
//! By signals: a build user's processes cannot refuse SIGSTOP, and whoever is
//! stopped this way can still be killed. (The freezer of control groups
//! version 1 keeps even SIGKILL waiting, so that Nix could not end a build; it
//! is left alone.) Where Nix gave the build a group of version 2, by that.
//!
//! **Invariant:** no process is signalled but one that runs as the build user
//! and nobody else, which is checked while a handle keeps its number from
//! meaning another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::processes::{self, Proc, Process};

/// How often to look for processes that were begun meanwhile. Each round stops
/// all that there are, and who is stopped begins none.
const ROUNDS: u32 = 200;

/// How long a signal takes to arrive.
const ARRIVAL: Duration = Duration::from_millis(1);

/// A build whose processes are stopped: what is enough to let them go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stopped {
    /// Its build user.
    pub user: u32,
    /// Its group, where Nix gave it one that can be frozen.
    pub group: Option<PathBuf>,
}

/// A process, by its number and when it started.
type Which = (u32, u64);

/// Stops and continues builds.
#[derive(Debug)]
pub struct Stopper {
    proc: Proc,
    /// Those that were stopped before, by the build itself: not ours to wake.
    spared: BTreeMap<u32, BTreeSet<Which>>,
}

impl Stopper {
    /// On this machine.
    pub fn live() -> Self {
        Self { proc: Proc::live(), spared: BTreeMap::new() }
    }

    /// Stop a build.
    pub fn stop(&mut self, build: &Stopped) {
        let own = self.of(build.user);
        let stopped = own.iter().filter(|process| process.is_stopped()).map(which);
        self.spared.insert(build.user, stopped.collect());
        if freeze(build, true) {
            return;
        }
        self.signal_all(build.user, Signal::STOP, |process| !process.is_stopped());
    }

    /// Let a build go on.
    pub fn go(&mut self, build: &Stopped) {
        freeze(build, false);
        let spared = self.spared.remove(&build.user).unwrap_or_default();
        let is_ours = |process: &Process| !spared.contains(&which(process));
        // First all of them: to one that waits in the kernel, or for a CPU, the
        // signal to stop has not come yet, and would come later. This one takes it
        // back.
        let mut own = self.of(build.user);
        own.retain(is_ours);
        self.signal_each(own, build.user, Signal::CONT);
        let is_left = |process: &Process| process.is_stopped() && is_ours(process);
        self.signal_all(build.user, Signal::CONT, is_left);
    }

    /// Signal all processes of a user that need it, until there are none: twice,
    /// since while we looked one that was not yet stopped may have begun another
    /// whose number we had passed.
    fn signal_all(&self, user: u32, signal: Signal, needs: impl Fn(&Process) -> bool) {
        let mut done: BTreeSet<Which> = BTreeSet::new();
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            let mut own = self.of(user);
            own.retain(|process| needs(process) && !done.contains(&which(process)));
            if own.is_empty() {
                quiet += 1;
                if quiet == 2 {
                    return;
                }
                continue;
            }
            quiet = 0;
            done.extend(own.iter().map(which));
            self.signal_each(own, user, signal);
            thread::sleep(ARRIVAL);
        }
    }

    /// Parents are stopped before their children, and woken after them: a shell
    /// that waits should not see a child stopped.
    fn signal_each(&self, mut processes: Vec<Process>, user: u32, signal: Signal) {
        processes.sort_unstable_by_key(|process| (process.started_ticks, process.pid));
        if signal == Signal::CONT {
            processes.reverse();
        }
        for process in &processes {
            self.signal(process, user, signal);
        }
    }

    fn of(&self, user: u32) -> Vec<Process> {
        let processes = self.proc.of_users(&BTreeSet::from([user]));
        processes.into_iter().map(|(process, _)| process).filter(|one| !one.has_ended()).collect()
    }

    fn signal(&self, process: &Process, user: u32, signal: Signal) {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let Some(Ok(handle)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return };
        // From here on the handle means one process; whether it is this one is
        // looked at now, and stays so.
        let now = self.proc.process(process.pid);
        let is_same = now.is_some_and(|now| now.started_ticks == process.started_ticks);
        let status = self.proc.of(process.pid, "status").unwrap_or_default();
        if is_same && user != 0 && processes::users(&status) == Some([user; 4]) {
            // It may have ended by now, and then there is nothing to stop.
            let _ = pidfd_send_signal(&handle, signal);
        }
    }
}

/// Let all of these go on, whoever stopped them.
pub fn thaw(builds: &[Stopped]) {
    let mut stopper = Stopper::live();
    for build in builds {
        stopper.go(build);
    }
}

/// Freeze or thaw a build's own group; whether there was one.
fn freeze(build: &Stopped, frozen: bool) -> bool {
    let Some(group) = &build.group else { return false };
    // What is not there is not made.
    let file = OpenOptions::new().write(true).open(group.join("cgroup.freeze"));
    file.and_then(|mut file| file.write_all(if frozen { b"1" } else { b"0" })).is_ok()
}

/// Whether a group is one that can be frozen.
pub fn can_freeze(group: &Path) -> bool {
    group.join("cgroup.freeze").exists()
}

fn which(process: &Process) -> Which {
    (process.pid, process.started_ticks)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Stopped, Stopper, can_freeze};

    /// A user of whom there are no processes.
    const NOBODY: u32 = 4_000_000_000;

    #[test]
    fn a_group_of_its_own_is_frozen_and_thawed() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("cgroup.freeze");
        assert!(!can_freeze(folder.path()));
        fs::write(&file, "0").expect("written");
        assert!(can_freeze(folder.path()));
        let build = Stopped { user: NOBODY, group: Some(folder.path().to_owned()) };
        let mut stopper = Stopper::live();
        stopper.stop(&build);
        assert_eq!(fs::read_to_string(&file).expect("read"), "1");
        stopper.go(&build);
        assert_eq!(fs::read_to_string(&file).expect("read"), "0");
    }

    #[test]
    fn where_a_group_cannot_be_frozen_nothing_is_made() {
        let folder = tempfile::tempdir().expect("folder");
        let group = folder.path().join("gone");
        let build = Stopped { user: NOBODY, group: Some(group.clone()) };
        let mut stopper = Stopper::live();
        stopper.stop(&build);
        stopper.go(&build);
        assert!(!group.exists());
    }
}
