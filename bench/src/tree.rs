//! A process and all that it has started.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Ten looks a second: each takes a fraction of a millisecond.
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

/// Looks at a tree until it is told to stop.
#[derive(Debug)]
pub struct Sampler {
    done: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Sampler {
    /// Look at a process and all it starts.
    pub fn start(process: u32) -> Self {
        let (done, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = thread::spawn({
            let (done, most) = (done.clone(), most.clone());
            move || {
                // However soon it is told to stop, it has looked once.
                loop {
                    most.fetch_max(resident_bytes(process).unwrap_or(0), Ordering::SeqCst);
                    thread::park_timeout(PAUSE);
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            }
        });
        Self { done, most, thread }
    }

    /// Most memory that was seen; `None` where nothing was.
    pub fn stop(self) -> Option<u64> {
        self.done.store(true, Ordering::SeqCst);
        self.thread.thread().unpark();
        let _ = self.thread.join();
        Some(self.most.load(Ordering::SeqCst)).filter(|bytes| *bytes > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Sampler, of};

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
        let sampler = Sampler::start(shell.id());
        let mut found = of(shell.id());
        // The inner shell starts its sleep when it likes.
        while found.len() < 3 {
            found = of(shell.id());
        }
        assert!(sampler.stop().is_some_and(|bytes| bytes > 4096));
        for process in found.iter().rev() {
            let _ = Command::new("kill").arg("-KILL").arg(process.to_string()).status();
        }
        let _ = shell.wait();
    }
}
