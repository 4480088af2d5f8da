//! What a file system does in a second.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use detect::hardware::Media;
use schemars::JsonSchema;
use serde::Serialize;

use super::rate;
use crate::check::finding::Finding;

/// How long each of four figures may take, where only one file system is looked
/// at: two seconds in all, and some more for what is slow to return.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is written at once: a slow card takes some tenths of a second.
const CHUNK: usize = 4 << 20;

/// The most that is written, and the share of free space that may be.
const MOST_BYTES: u64 = 512 << 20;
const SHARE: u64 = 4;

/// The most small files, and their size: that of a page.
const MOST_FILES: usize = 5_000;
const FILE_BYTES: usize = 4096;

/// A spinning disk of 7,200 turns a minute waits half a turn, 4 ms, on average.
const TURN_SECONDS: f64 = 0.001;

/// No disk has taken anything in so short a time: it takes the kernel longer to
/// write a journal.
const NOTHING_SECONDS: f64 = 0.000_015;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Rates {
    /// Of one large file, until it is on disk.
    pub write_bytes_per_second: u64,
    /// Of the same file, past the cache of this kernel.
    pub read_bytes_per_second: u64,
    /// Files of a page made, as builds make them.
    pub files_per_second: u64,
    /// Files of a page made, each until it is on disk.
    pub synced_files_per_second: u64,
    /// How long until one of these is on disk: the median.
    pub sync_seconds: f64,
}

/// Measure below a folder, of `share` that are measured; ends early when told.
pub(super) fn rates(folder: &Path, share: u32, stop: &AtomicBool) -> Result<Rates> {
    let patience = PATIENCE / share;
    let name = || folder.display().to_string();
    // Removed when it goes out of scope, whatever happens.
    let own = tempfile::Builder::new()
        .prefix(".nixpace-measure-")
        .tempdir_in(folder)
        .with_context(name)?;
    let free = rustix::fs::statvfs(folder).map(|at| at.f_bavail.saturating_mul(at.f_frsize));
    let most = MOST_BYTES.min(free.with_context(name)? / SHARE);
    let path = own.path().join("large");
    let (written, write_bytes_per_second) =
        write(&path, most, patience, stop).with_context(name)?;
    let read_bytes_per_second = read(&path, written, patience, stop).with_context(name)?;
    let (plain, _) = files(own.path(), "plain", false, patience, stop).with_context(name)?;
    let (synced, sync) = files(own.path(), "synced", true, patience, stop).with_context(name)?;
    Ok(Rates {
        write_bytes_per_second,
        read_bytes_per_second,
        files_per_second: plain,
        synced_files_per_second: synced,
        sync_seconds: sync,
    })
}

impl Rates {
    pub(super) fn human(&self) -> String {
        let Self { write_bytes_per_second, read_bytes_per_second, .. } = self;
        format!(
            "  {:<22}{}\n  {:<22}{}\n  {:<22}{} a second\n  {:<22}{} a second, {:.2} ms each\n",
            "large file, written",
            rate(*write_bytes_per_second),
            "large file, read",
            rate(*read_bytes_per_second),
            "small files, made",
            self.files_per_second,
            "small files, on disk",
            self.synced_files_per_second,
            self.sync_seconds * 1000.0
        )
    }

    /// What cannot be as the kernel says it is.
    pub(super) fn remarks(&self, media: Media, is_virtual: bool, path: &str) -> Option<Finding> {
        let each = format!("{:.3} ms", self.sync_seconds * 1000.0);
        if matches!(media, Media::Memory) {
            return None;
        }
        if self.sync_seconds < NOTHING_SECONDS {
            let text = format!(
                "a file is said to be on disk in {each} below {path}: nothing waits for a disk there"
            );
            let next = "keep no store there that must survive a power cut";
            return Some(Finding::warning("sync-ignored", text, next));
        }
        if media == Media::Hdd && self.sync_seconds < TURN_SECONDS {
            let text = format!(
                "below {path} is a spinning disk by what the kernel says, but a file is on it in \
                 {each}, before it could turn: {}",
                if is_virtual {
                    "the host of this virtual machine caches, or its disk does not spin"
                } else {
                    "it is no such disk, or a cache answers for it"
                }
            );
            let next = "see that the cache survives a power cut; plan for a faster disk";
            return Some(Finding::info("disk-faster-than-said", text, next));
        }
        is_virtual.then(|| {
            let text =
                format!("the disk of {path} is virtual: what its host caches is in these figures");
            Finding::info("disk-virtual", text, "measure again while the host is busy")
        })
    }
}

/// A number of things in a time, by the second.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "never below 0, and a byte is no matter"
)]
fn by_second(number: u64, time: Duration) -> u64 {
    (number as f64 / time.as_secs_f64().max(1e-9)) as u64
}

fn told(stop: &AtomicBool) -> Result<()> {
    if stop.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

/// Write a file chunk by chunk, each until it is on disk, so that none is waited
/// for at the end. How much, and how fast.
fn write(path: &Path, most: u64, patience: Duration, stop: &AtomicBool) -> Result<(u64, u64)> {
    let chunk = noise(CHUNK);
    let mut file = File::create(path)?;
    let start = Instant::now();
    let mut written = 0;
    while written == 0 || (written + CHUNK as u64 <= most && start.elapsed() < patience) {
        told(stop)?;
        if CHUNK as u64 > most {
            bail!("too little free space to measure");
        }
        file.write_all(&chunk)?;
        file.sync_data()?;
        written += CHUNK as u64;
    }
    Ok((written, by_second(written, start.elapsed())))
}

/// Read what was written, from the disk rather than from memory.
fn read(path: &Path, written: u64, patience: Duration, stop: &AtomicBool) -> Result<u64> {
    let mut file = File::open(path)?;
    // A file system that cannot forget reads from memory, as builds will.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(
        &file,
        0,
        std::num::NonZeroU64::new(written),
        rustix::fs::Advice::DontNeed,
    );
    let mut chunk = vec![0; CHUNK];
    let start = Instant::now();
    let mut bytes = 0;
    while bytes == 0 || start.elapsed() < patience {
        told(stop)?;
        match file.read(&mut chunk)? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    Ok(by_second(bytes, start.elapsed()))
}

/// Make small files, each of which may have to be on disk: how many a second,
/// and the median time of one.
fn files(
    folder: &Path,
    name: &str,
    sync: bool,
    patience: Duration,
    stop: &AtomicBool,
) -> Result<(u64, f64)> {
    let contents = noise(FILE_BYTES);
    let start = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || (times.len() < MOST_FILES && start.elapsed() < patience) {
        told(stop)?;
        let began = Instant::now();
        let path = folder.join(format!("{name}-{}", times.len()));
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            // Out of inodes, say: what there is tells enough.
            Err(error) if error.kind() == ErrorKind::StorageFull && !times.is_empty() => break,
            file => file?,
        };
        file.write_all(&contents)?;
        if sync {
            file.sync_all()?;
        }
        times.push(began.elapsed());
    }
    let total = start.elapsed();
    times.sort_unstable();
    Ok((by_second(times.len() as u64, total), times[times.len() / 2].as_secs_f64()))
}

/// Bytes that no file system makes smaller (xorshift).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::AtomicBool;

    use detect::hardware::Media;

    use super::{Rates, rates};

    #[test]
    fn nothing_stays_behind() {
        let folder = tempfile::tempdir().expect("folder");
        let left = || fs::read_dir(folder.path()).expect("list").count();
        // So short a time is still enough for one of each.
        let found = rates(folder.path(), 1000, &AtomicBool::new(false)).expect("rates");
        assert!(found.write_bytes_per_second > 0 && found.read_bytes_per_second > 0, "{found:?}");
        assert!(found.files_per_second > 0 && found.synced_files_per_second > 0, "{found:?}");
        assert_eq!(left(), 0);
        let error = rates(folder.path(), 1, &AtomicBool::new(true)).expect_err("interrupted");
        assert!(format!("{error:#}").ends_with(": interrupted"), "{error:#}");
        assert_eq!(left(), 0);
        assert!(rates(&folder.path().join("none"), 1, &AtomicBool::new(false)).is_err());
    }

    #[test]
    fn flags_that_lie_are_named() {
        let of = |seconds: f64, media, is_virtual| {
            let rates = Rates {
                write_bytes_per_second: 1,
                read_bytes_per_second: 1,
                files_per_second: 1,
                synced_files_per_second: 1,
                sync_seconds: seconds,
            };
            rates.remarks(media, is_virtual, "/x").map(|found| found.id).unwrap_or_default()
        };
        assert_eq!(of(0.008, Media::Hdd, false), "");
        assert_eq!(of(0.000_4, Media::Hdd, false), "disk-faster-than-said");
        assert_eq!(of(0.000_4, Media::Nvme, false), "");
        assert_eq!(of(0.000_4, Media::Unknown, true), "disk-virtual");
        assert_eq!(of(0.000_001, Media::Nvme, false), "sync-ignored");
        assert_eq!(of(0.000_001, Media::Memory, false), "", "memory keeps nothing anyway");
    }
}
