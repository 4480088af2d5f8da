//! A process and all that it has started.

use std::fs;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use monitor::active::{Build, active};

/// Looks at memory, a second ten: each takes a fraction of a millisecond.
const PAUSE: Duration = Duration::from_millis(100);

/// More processes than builds of one Nix have.
const MOST: usize = 10_000;

/// A process and its descendants, itself first. What ends meanwhile is missing.
pub fn of(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { continue };
        for thread in threads.filter_map(Result::ok) {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            all.extend(text.split_ascii_whitespace().filter_map(|id| id.parse::<u32>().ok()));
        }
        if all.len() > MOST {
            break;
        }
    }
    all
}

/// Memory that the processes of a tree have in use, pages that several share counted
/// for each; `None` where nothing can be seen.
fn resident_bytes(process: u32) -> Option<u64> {
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let pages = |process: u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
        let [_, resident, shared] = *text.split(' ').take(3).collect::<Vec<_>>() else {
            return None;
        };
        // Programs and libraries are the same pages in each.
        Some(resident.parse::<u64>().ok()?.saturating_sub(shared.parse().ok()?))
    };
    let all: Vec<u64> = of(process).into_iter().filter_map(pages).collect();
    (!all.is_empty()).then(|| all.iter().sum::<u64>() * page)
}

/// Builds of Nix that run and are none of a process, whether it builds itself or asks
/// a daemon to; `None` where builds cannot be seen.
fn other_builds(process: u32) -> Option<u32> {
    let active = active();
    if active.unseen().is_some() {
        return None;
    }
    let own = of(process);
    let is_own = |build: &&Build| {
        let client = build.client.as_ref().map(|client| client.pid);
        own.contains(&build.worker) || client.is_some_and(|client| own.contains(&client))
    };
    let others = active.builds.iter().filter(|build| !is_own(build)).count();
    u32::try_from(others).ok()
}

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// The memory of the tree, again and again.
    pub memory: bool,
    /// What others build, once.
    pub builds: bool,
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Most memory at once; `None` where nothing was seen.
    pub peak_memory_bytes: Option<u64>,
    /// Builds of others.
    pub other_builds: Option<u32>,
}

/// Looks at a tree until it is told to stop.
#[derive(Debug)]
pub struct Sampler {
    stop: Sender<()>,
    thread: thread::JoinHandle<Seen>,
}

impl Sampler {
    /// Look at a process and all it starts.
    pub fn start(process: u32, looks: Looks) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            if looks.builds {
                seen.other_builds = other_builds(process);
            }
            if !looks.memory {
                return seen;
            }
            // However soon it is told to stop, it has looked once.
            loop {
                seen.peak_memory_bytes = seen.peak_memory_bytes.max(resident_bytes(process));
                if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                    return seen;
                }
            }
        });
        Self { stop, thread }
    }

    /// What was seen.
    pub fn stop(self) -> Seen {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Looks, Sampler, of};

    #[test]
    fn children_of_children_belong_to_it() {
        let mut shell = Command::new("sh")
            .args(["-c", "sh -c 'sleep 60; true' & echo started; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut line = [0; 8];
        std::io::Read::read_exact(&mut shell.stdout.take().expect("stdout"), &mut line)
            .expect("started");
        let sampler = Sampler::start(shell.id(), Looks { memory: true, builds: true });
        let mut found = of(shell.id());
        // The inner shell starts its sleep when it likes.
        while found.len() < 3 {
            found = of(shell.id());
        }
        let seen = sampler.stop();
        assert!(seen.peak_memory_bytes.is_some_and(|bytes| bytes > 4096), "{seen:?}");
        assert!(seen.other_builds.is_some(), "{seen:?}");
        for process in found.iter().rev() {
            let _ = Command::new("kill").arg("-KILL").arg(process.to_string()).status();
        }
        let _ = shell.wait();
    }
}
