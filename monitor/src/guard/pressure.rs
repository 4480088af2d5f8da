//! Being woken by the kernel when processes wait for memory (PSI).

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// When to be woken: some process waited 150 ms within a second.
const TRIGGER: &[u8] = b"some 150000 1000000\0";

/// A file that is ready (`PRI`) whenever that happens; `None` where the kernel
/// has no such thing.
pub(super) fn watch(proc: &Path) -> Option<OwnedFd> {
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).ok()?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(nonblocking);
    let mut file = options.open(proc.join("pressure/memory")).ok()?;
    file.write_all(TRIGGER).ok()?;
    Some(file.into())
}
