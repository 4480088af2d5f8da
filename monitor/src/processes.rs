//! Processes, as /proc has them.
//!
//! **Invariant:** a process may vanish at any moment: what cannot be read is
//! not there. Parsers take text, are bounded by it, and never panic.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use procfs_core::{FromBufRead, ProcessCGroups};

/// More than any file of a process that we read: `environ` is the largest, and
/// what it begins with is enough.
const LARGEST_BYTES: u64 = 1 << 20;

/// More files than Nix has open; who has more is looked at no further.
const MOST_FILES: usize = 65_536;

/// One process, from its `stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub parent: u32,
    /// Its session: the number of the process that began it.
    pub session: u32,
    /// E.g. `R` runs, `T` is stopped, `Z` has ended and nobody asked yet.
    pub state: char,
    /// When it started, in ticks after the machine did.
    pub started_ticks: u64,
    /// CPU time of its own and of its children that have ended and been asked.
    pub cpu_ticks: u64,
    /// That of the children alone.
    pub children_ticks: u64,
    /// Its memory, in pages.
    pub resident_pages: u64,
}

impl Process {
    /// Parse `/proc/PID/stat` (man 5 `proc_pid_stat`).
    ///
    /// By hand: `procfs-core` cuts the text around the parentheses without
    /// looking, and panics on one that ends there.
    pub fn parse(text: &str) -> Option<Self> {
        // A process chooses its name, which may hold spaces and parentheses.
        let (pid, _) = text.split_once(" (")?;
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // The manual counts from 1, and the state is the third.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let children_ticks = number(16)?.checked_add(number(17)?)?;
        Some(Self {
            pid: pid.parse().ok()?,
            parent: number(4)?.try_into().ok()?,
            session: number(6)?.try_into().ok()?,
            state: fields.first()?.chars().next()?,
            started_ticks: number(22)?,
            cpu_ticks: number(14)?.checked_add(number(15)?)?.checked_add(children_ticks)?,
            children_ticks,
            resident_pages: number(24)?,
        })
    }

    /// Whether it is stopped by a signal.
    pub fn is_stopped(&self) -> bool {
        self.state == 'T'
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The number of users that a process has been since it can tell: real,
/// effective, saved and that of files, from `/proc/PID/status`.
pub fn users(status: &str) -> Option<[u32; 4]> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut users = line.split_ascii_whitespace().map(str::parse);
    let mut next = || users.next()?.ok();
    Some([next()?, next()?, next()?, next()?])
}

/// Whether a process has a namespace of process numbers of its own, from
/// `/proc/PID/status`; `None` where the kernel does not say.
pub fn is_contained(status: &str) -> Option<bool> {
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(line.split_ascii_whitespace().count() > 1)
}

/// What a variable is in `/proc/PID/environ`.
pub fn variable<'a>(environ: &'a str, name: &str) -> Option<&'a str> {
    environ.split('\0').find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
}

/// The path of a process's group in the hierarchy of version 2, from
/// `/proc/PID/cgroup`.
pub fn unified_group(text: &str) -> Option<String> {
    let groups = ProcessCGroups::from_buf_read(text.as_bytes()).ok()?;
    groups.0.into_iter().find(|group| group.hierarchy == 0).map(|group| group.pathname)
}

/// Ticks as seconds.
#[expect(clippy::cast_precision_loss, reason = "2^53 ticks are three million years")]
pub fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second().max(1) as f64
}

/// Pages as bytes.
pub fn bytes(pages: u64) -> u64 {
    pages.saturating_mul(rustix::param::page_size() as u64)
}

/// A folder like /proc.
#[derive(Clone, Debug)]
pub struct Proc(PathBuf);

impl Proc {
    /// This machine's.
    pub fn live() -> Self {
        Self(PathBuf::from("/proc"))
    }

    /// Another, e.g. a captured one.
    pub fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }

    /// A file's text, e.g. of `locks` or `12/stat`; what is not UTF-8 is
    /// replaced.
    pub fn read(&self, file: &str) -> Option<String> {
        // Room for most of them at once: a file of /proc has no size to go by.
        let mut bytes = Vec::with_capacity(1024);
        let file = File::open(self.0.join(file)).ok()?;
        file.take(LARGEST_BYTES).read_to_end(&mut bytes).ok()?;
        Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// A file of a process.
    pub fn of(&self, pid: u32, file: &str) -> Option<String> {
        self.read(&format!("{pid}/{file}"))
    }

    /// A process, if it is there.
    pub fn process(&self, pid: u32) -> Option<Process> {
        Process::parse(&self.of(pid, "stat")?).filter(|process| process.pid == pid)
    }

    /// The user that a process runs as, as its folder's owner tells.
    pub fn user(&self, pid: u32) -> Option<u32> {
        fs::metadata(self.0.join(pid.to_string())).ok().map(|folder| folder.uid())
    }

    /// The numbers of all processes.
    pub fn pids(&self) -> Vec<u32> {
        let entries = fs::read_dir(&self.0).into_iter().flatten();
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// All processes, each with its user.
    pub fn all(&self) -> Vec<(Process, u32)> {
        let with_user = |pid| Some((self.process(pid)?, self.user(pid)?));
        self.pids().into_iter().filter_map(with_user).collect()
    }

    /// The processes of some users. Of all others only the owner is looked at,
    /// which takes the kernel a tenth of the time.
    pub fn of_users(&self, users: &BTreeSet<u32>) -> Vec<(Process, u32)> {
        if users.is_empty() {
            return Vec::new();
        }
        let of_user = |pid| {
            let user = self.user(pid).filter(|user| users.contains(user))?;
            Some((self.process(pid)?, user))
        };
        self.pids().into_iter().filter_map(of_user).collect()
    }

    /// What a process has open: each file's number and path; `None` when that
    /// may not be seen.
    pub fn files(&self, pid: u32) -> Option<Vec<(u32, String)>> {
        let folder = self.0.join(pid.to_string()).join("fd");
        let entries = fs::read_dir(folder).ok()?.take(MOST_FILES);
        let file = |entry: fs::DirEntry| {
            let path = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, path.to_str()?.to_owned()))
        };
        let mut files: Vec<(u32, String)> =
            entries.filter_map(|entry| entry.ok().and_then(file)).collect();
        files.sort_unstable();
        Some(files)
    }

    /// The command line of a process; empty for one of the kernel's own.
    pub fn command(&self, pid: u32) -> Option<Vec<String>> {
        let text = self.of(pid, "cmdline")?;
        let words = text.trim_end_matches('\0').split('\0').map(str::to_owned);
        Some(words.filter(|word| !word.is_empty()).collect())
    }

    /// When the machine, or the container that has a clock of its own, started.
    pub fn boot(&self) -> Option<SystemTime> {
        let text = self.read("uptime")?;
        let uptime: f64 = text.split_ascii_whitespace().next()?.parse().ok()?;
        SystemTime::now().checked_sub(Duration::try_from_secs_f64(uptime).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, is_contained, unified_group, users, variable};

    const STAT: &str = "25561 (a) (b c) T 25548 25561 25561 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 \
                        4711 2568192 200 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0";

    #[test]
    fn a_name_may_hold_anything() {
        let process = Process::parse(STAT).expect("a process");
        let expected = Process {
            pid: 25561,
            parent: 25548,
            session: 25561,
            state: 'T',
            started_ticks: 4711,
            cpu_ticks: 26,
            children_ticks: 15,
            resident_pages: 200,
        };
        assert_eq!(process, expected);
        assert!(process.is_stopped() && !process.has_ended());
    }

    #[test]
    fn a_part_of_a_process_is_none() {
        // Up to the memory, the last that is read.
        let needed = STAT.find(" 200 ").expect("memory") + 2;
        for end in (0..needed).filter(|&end| STAT.is_char_boundary(end)) {
            assert_eq!(Process::parse(&STAT[..end]), None, "{}", &STAT[..end]);
        }
    }

    #[test]
    fn who_and_where() {
        let status = "Name:\tsh\nUid:\t999\t999\t999\t999\nNSpid:\t26018\t1\n";
        assert_eq!(users(status), Some([999; 4]));
        assert_eq!(is_contained(status), Some(true));
        assert_eq!(is_contained("NSpid:\t7\n"), Some(false));
        assert_eq!(users("Uid:\t1\t2\t3\n"), None);
        assert_eq!(variable("a=1\0names=2\0name=x=y\0", "name"), Some("x=y"));
        let groups = "3:cpu:/y\n0::/nix.slice/nix-build-uid-999\n";
        assert_eq!(unified_group(groups).as_deref(), Some("/nix.slice/nix-build-uid-999"));
        assert_eq!(unified_group("0:"), None);
    }
}
