//! A tool as a child: what it printed, how it ended, and what memory it took.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Whatever goes wrong, it ends by then, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often to look.
const STEP: Duration = Duration::from_micros(200);

/// A child that has ended.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    /// Most memory at once, as far as it was seen.
    pub(super) peak_bytes: u64,
    in_time: bool,
}

/// Run a command, with `chunk` bytes at a time through its pipes.
pub(super) fn run(
    command: &mut Command,
    input: &[u8],
    chunk: usize,
    mut meddle: impl FnMut(&mut Child, Duration),
) -> Result<Ended> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        bail!("no pipes");
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            // A tool that has seen enough closes its stdin.
            input.chunks(chunk).all(|part| stdin.write_all(part).is_ok())
        });
        let stdout = scope.spawn(move || drain(stdout, chunk));
        let stderr = scope.spawn(move || drain(stderr, chunk));
        let started = Instant::now();
        let (mut peak_bytes, mut in_time) = (0, true);
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            peak_bytes = peak_bytes.max(high_water(child.id()).unwrap_or(0));
            meddle(&mut child, started.elapsed());
            if started.elapsed() > PATIENCE {
                in_time = false;
                child.kill()?;
            }
            thread::sleep(STEP);
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (stdout.join(), stderr.join());
        let (Ok(stdout), Ok(stderr)) = (stdout, stderr.map(text)) else { bail!("a reader died") };
        Ok(Ended { status, stdout, stderr, peak_bytes, in_time })
    })
}

fn drain(mut pipe: impl Read, chunk: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; chunk.min(1 << 16)];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

impl Ended {
    /// What it exited with; `None` where it was killed.
    pub(super) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What no tool may do, whatever was done to it, but for dying of a kill.
    pub(super) fn offence(&self) -> Option<String> {
        let why = if !self.in_time {
            "did not end"
        } else if self.stderr.contains("panicked") {
            "panicked"
        } else if !matches!(self.code(), Some(0..=2)) && self.status.signal() != Some(9) {
            "ended badly"
        } else {
            return None;
        };
        Some(format!("{why}: {}: {}", self.status, self.stderr.trim_end()))
    }

    /// What it printed, where it succeeded.
    pub(super) fn whole(self, tool: &str) -> Result<Vec<u8>> {
        if !self.status.success() {
            bail!("{tool}: {}: {}", self.status, self.stderr.trim_end());
        }
        Ok(self.stdout)
    }
}
