//! `caches coverage`, which checks every signature, beside `nix path-info`, which
//! checks none.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench::link::slow;
use detect::arguments::Common;
use detect::report::say;
use detect::stage;

use super::median;
use super::served::Served;
use crate::command::succeeds;
use crate::nix;

/// Paths to ask for.
const PATHS: usize = 2000;

/// Pairs of runs on loopback, and on the way that takes time: there Nix takes
/// most of a minute each time.
const PAIRS: [usize; 2] = [9, 2];

/// Each way of a round trip of 20 ms.
const EACH_WAY: Duration = Duration::from_millis(10);

/// The most that ours may take of Nix's time, on loopback and over 20 ms.
const BARS: [f64; 2] = [1.0 / 3.0, 1.0 / 15.0];

/// Paths to ask for while memory is watched, and the most it may take.
const MANY_PATHS: usize = 100_000;
const MOST_KIB: u64 = 64 << 10;

/// Compare, and print a table.
pub(super) fn run(tool: &Path) -> Result<()> {
    if !succeeds(Command::new("nginx").arg("-v")) {
        say("SKIPPED: caches beside Nix: nginx is not installed");
        return Ok(());
    }
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = base.join(format!("nixpace-speed-caches-{}", std::process::id()));
    let result = compare(tool, &folder);
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    stage::write_human(&result?, &Common::default())
}

fn compare(tool: &Path, folder: &Path) -> Result<String> {
    let mut text = format!("{PATHS} narinfos, median of pairs, in milliseconds\n\n");
    text += &format!("{:>8} {:>8} {:>6} {:>6}\n", "ours", "theirs", "ratio", "bar");
    let theirs = nix::folder()?.join("2.34/bin/nix");
    let nix = std::env::var_os("NIXPACE_NIX")
        .map_or(theirs, |folder| Path::new(&folder).join("2.34/bin/nix"));
    if nix.exists() {
        let served = Served::new(folder, PATHS)?;
        let ports = [served.port, slow(served.port, EACH_WAY, None)?];
        let what = ["on loopback", "20 ms away"];
        for index in 0..what.len() {
            let pairs = (0..PAIRS[index])
                .map(|pair| {
                    let ours = || seconds(&mut ours(tool, &served, ports[index]), &served.list);
                    let theirs = || with_nix(&nix, &served, ports[index]);
                    // Who is first changes, since the second finds warmer caches.
                    if pair % 2 == 0 {
                        return Ok((ours()?, theirs()?));
                    }
                    let theirs = theirs()?;
                    Ok((ours()?, theirs))
                })
                .collect::<Result<Vec<(f64, f64)>>>()?;
            let of = |figure: fn(&(f64, f64)) -> f64| median(pairs.iter().map(figure).collect());
            let (left, right) = (of(|pair| pair.0) * 1000.0, of(|pair| pair.1) * 1000.0);
            let ratio = of(|(ours, theirs)| ours / theirs);
            let bar = BARS[index];
            let verdict = if ratio <= bar { "" } else { "  above the bar" };
            let what = what[index];
            text += &format!("{left:8.0} {right:8.0} {ratio:6.3} {bar:6.3}  {what}{verdict}\n");
        }
    } else {
        say("SKIPPED: caches beside Nix: no Nix 2.34 (cargo xtask nix)");
    }
    let served = Served::new(folder, MANY_PATHS)?;
    let (elapsed, most) = watched(&mut ours(tool, &served, served.port), &served.list)?;
    let verdict = if most <= MOST_KIB { "" } else { "  above the bar" };
    text += &format!(
        "\n{MANY_PATHS} narinfos: {elapsed:.1} s, {} MiB at most of {}{verdict}\n",
        most >> 10,
        MOST_KIB >> 10
    );
    Ok(text)
}

fn ours(tool: &Path, served: &Served, port: u16) -> Command {
    let mut command = Command::new(tool);
    let cache = format!("http://127.0.0.1:{port}={}", served.key);
    command.args(["coverage", "--only", "--cache", &cache, "-"]);
    command
}

/// Nix with nothing in its own cache, which would answer in the server's place.
fn with_nix(nix: &Path, served: &Served, port: u16) -> Result<f64> {
    let home = std::env::temp_dir().join(format!("nixpace-speed-home-{}", std::process::id()));
    fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
    let mut command = Command::new(nix);
    command
        .args(["--extra-experimental-features", "nix-command", "path-info", "--stdin"])
        .arg("--store")
        .arg(format!("http://127.0.0.1:{port}"))
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", home.join("cache"));
    let took = seconds(&mut command, &served.list);
    fs::remove_dir_all(&home).with_context(|| home.display().to_string())?;
    took
}

/// How long a command takes with a file on its stdin.
fn seconds(command: &mut Command, stdin: &Path) -> Result<f64> {
    let started = Instant::now();
    let output = command.stdin(File::open(stdin)?).stdout(Stdio::null()).output();
    let output = output.with_context(|| format!("{command:?}"))?;
    let took = started.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(took)
}

/// How long a command takes, and how much memory at most, in KiB.
fn watched(command: &mut Command, stdin: &Path) -> Result<(f64, u64)> {
    let started = Instant::now();
    let mut child = command.stdin(File::open(stdin)?).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let ended = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !ended.success() {
        bail!("{command:?}: {ended}");
    }
    Ok((started.elapsed().as_secs_f64(), most))
}
