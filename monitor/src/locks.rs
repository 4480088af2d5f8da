//! Which process holds which file, from /proc/locks: the one thing about other
//! users' builds that everybody may see.

use procfs_core::{FromBufRead, LockKind, LockType, Locks};

/// More locks than a machine has; what comes after them is not looked at.
const MOST_LOCKS: usize = 100_000;

/// A whole file that a process holds for itself, as Nix does by flock(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The process.
    pub pid: u32,
    /// The file's number. That of its device is no help: file systems with
    /// volumes, such as btrfs, tell another one here than they tell elsewhere.
    pub inode: u64,
}

/// Parse /proc/locks.
pub fn parse(text: &str) -> Vec<Held> {
    text.lines().take(MOST_LOCKS).filter_map(line).collect()
}

/// Line by line: one that `procfs-core` does not understand, e.g. of a lease,
/// must not hide all others.
fn line(line: &str) -> Option<Held> {
    // Who waits for a lock does not hold it.
    if line.split_ascii_whitespace().nth(1) == Some("->") {
        return None;
    }
    let lock = Locks::from_buf_read(line.as_bytes()).ok()?.0.pop()?;
    let is_held = lock.lock_type == LockType::FLock && matches!(lock.kind, LockKind::Write);
    // A process of another namespace has the number 0.
    let pid = lock.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0);
    Some(Held { pid: pid?, inode: lock.inode }).filter(|_| is_held)
}

#[cfg(test)]
mod tests {
    use super::{Held, parse};

    #[test]
    fn only_who_holds_a_whole_file_for_itself() {
        let text = "\
1: POSIX  ADVISORY  WRITE 723 00:14:16845 0 EOF
2: FLOCK  ADVISORY  WRITE 652 00:14:16763 0 EOF
2: -> FLOCK  ADVISORY  WRITE 653 00:14:16763 0 EOF
3: FLOCK  ADVISORY  READ 654 fd:00:396528 0 EOF
4: LEASE  ACTIVE    READ 655 <none>:0 0 EOF
5: OFDLCK ADVISORY  WRITE -1 00:06:1028 0 EOF
6: FLOCK  ADVISORY  WRITE 0 00:06:1029 0 EOF
7: FLOCK  ADVISORY  WRITE 656 fd:01:4711 0 EOF
";
        let held = [Held { pid: 652, inode: 16763 }, Held { pid: 656, inode: 4711 }];
        assert_eq!(parse(text), held);
    }
}
