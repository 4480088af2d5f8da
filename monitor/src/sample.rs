//! What builds use while they run: CPU time and memory of each derivation, by
//! looking some times a second.
//!
//! Nix tells neither (but 2.26 for one derivation, in whole seconds). Where it
//! gives builds a control group, that counts all; else the sum over a build's
//! processes is low by what they did since the last look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use detect::mount;
use detect::root::Root;

use crate::active::{Build, Looker};
use crate::recorded::{Source, Usage};

/// How often to look: a build of ten seconds is then off by a fortieth, and
/// looking costs less than a hundredth of a core.
pub const EVERY: Duration = Duration::from_millis(250);

/// Looks at what is built until it is told to finish.
pub struct Sampler {
    stop: Sender<()>,
    thread: Option<JoinHandle<BTreeMap<String, Usage>>>,
}

impl Sampler {
    /// Begin to look, this often.
    pub fn start(every: Duration) -> Self {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            let mut looker = Looker::live();
            let mut tally = Tally::new(groups());
            loop {
                for build in &looker.look(SystemTime::now()).builds {
                    tally.add(build);
                }
                if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    return tally.used;
                }
            }
        };
        // Without a thread there are no figures, and the build goes on.
        let thread = thread::Builder::new().name("sampler".to_owned()).spawn(work).ok();
        Self { stop, thread }
    }

    /// What each derivation used, by its path.
    pub fn finish(self) -> BTreeMap<String, Usage> {
        drop(self.stop);
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// What builds have used so far.
#[derive(Clone, Debug)]
struct Tally {
    groups: Option<PathBuf>,
    used: BTreeMap<String, Usage>,
}

impl Tally {
    fn new(groups: Option<PathBuf>) -> Self {
        Self { groups, used: BTreeMap::new() }
    }

    /// Take what a build has used so far. It never becomes less, though its
    /// processes do.
    fn add(&mut self, build: &Build) {
        let (Some(drv), Some(now)) = (&build.drv, self.usage(build)) else { return };
        match self.used.get_mut(drv) {
            Some(used) => {
                used.cpu_seconds = used.cpu_seconds.max(now.cpu_seconds);
                used.peak_memory_bytes = used.peak_memory_bytes.max(now.peak_memory_bytes);
                used.source = now.source;
            }
            None => drop(self.used.insert(drv.clone(), now)),
        }
    }

    fn usage(&self, build: &Build) -> Option<Usage> {
        let memory = build.memory_bytes;
        let read = |file: &str| {
            let group = build.cgroup.as_ref()?.trim_start_matches('/');
            std::fs::read_to_string(self.groups.as_ref()?.join(group).join(file)).ok()
        };
        if let Some(cpu_seconds) = read("cpu.stat").and_then(|text| cpu_seconds(&text)) {
            let peak = read("memory.peak").or_else(|| read("memory.current"));
            let peak = peak.and_then(|text| text.trim().parse().ok());
            let peak_memory_bytes = peak.or(memory);
            return Some(Usage { cpu_seconds, peak_memory_bytes, source: Source::Cgroup });
        }
        let cpu_seconds = build.cpu_seconds?;
        Some(Usage { cpu_seconds, peak_memory_bytes: memory, source: Source::Sampled })
    }
}

/// Where groups of version 2 are, if anywhere.
pub(crate) fn groups() -> Option<PathBuf> {
    let mounts = mount::mounts(&Root::live());
    mounts.into_iter().find(|mount| mount.filesystem == "cgroup2").map(|mount| mount.mount_point)
}

/// CPU time of user and system together, from `cpu.stat`.
fn cpu_seconds(text: &str) -> Option<f64> {
    let microseconds = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    let time = Duration::from_micros(microseconds.trim().parse().ok()?);
    Some(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Tally, cpu_seconds};
    use crate::active::{Build, Source};
    use crate::recorded::{self, Usage};

    fn build(cpu_seconds: Option<f64>, memory_bytes: u64) -> Build {
        Build {
            drv: Some("/nix/store/x.drv".to_owned()),
            name: "x".to_owned(),
            source: Source::OpenFiles,
            started_unix_seconds: None,
            running_seconds: None,
            expected_seconds: None,
            worker: 1,
            client: None,
            user: None,
            builder: None,
            processes: None,
            sandboxed: None,
            cpu_seconds,
            memory_bytes: Some(memory_bytes),
            cgroup: Some("/nix-build-uid-1".to_owned()),
        }
    }

    fn used(tally: &Tally) -> Option<&Usage> {
        tally.used.get("/nix/store/x.drv")
    }

    #[test]
    fn the_most_of_what_was_seen_counts() {
        let mut tally = Tally::new(None);
        tally.add(&build(None, 7));
        assert_eq!(used(&tally), None);
        for (cpu, memory) in [(1.0, 5), (2.0, 9), (0.5, 1)] {
            tally.add(&build(Some(cpu), memory));
        }
        let source = recorded::Source::Sampled;
        let expected = Usage { cpu_seconds: 2.0, peak_memory_bytes: Some(9), source };
        assert_eq!(used(&tally), Some(&expected));
    }

    #[test]
    fn a_group_knows_better() {
        let folder = tempfile::tempdir().expect("folder");
        let group = folder.path().join("nix-build-uid-1");
        fs::create_dir(&group).expect("group");
        fs::write(group.join("cpu.stat"), "usage_usec 2500000\nuser_usec 1\n").expect("file");
        let mut tally = Tally::new(Some(folder.path().to_owned()));
        tally.add(&build(Some(1.0), 5));
        let source = recorded::Source::Cgroup;
        let expected = Usage { cpu_seconds: 2.5, peak_memory_bytes: Some(5), source };
        assert_eq!(used(&tally), Some(&expected));
        fs::write(group.join("memory.peak"), "4096\n").expect("file");
        tally.add(&build(Some(1.0), 5));
        assert_eq!(used(&tally).and_then(|used| used.peak_memory_bytes), Some(4096));
        assert_eq!(cpu_seconds("usage_usec -1"), None);
    }
}
