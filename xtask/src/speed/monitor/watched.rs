//! What watching costs: a million events of Nix, and looking at eight builds.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use detect::report::say;
use monitor::processes::{Process, seconds};

/// As many events as a large build of nixpkgs writes.
const EVENTS: usize = 1_000_000;

/// How many builds are looked at, and for how long.
const BUILDS: usize = 8;
const WATCHED: Duration = Duration::from_secs(10);

/// How long Nix may take to begin them.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines of the table: what was measured, and its bar.
pub(super) fn rows(monitor: &Path, nix: Option<&Path>, folder: &Path) -> Result<String> {
    let mut text = String::new();
    let mut row = |figure: f64, unit: &str, bar: f64, what: &str| {
        let verdict = if figure < bar { "" } else { "  above the bar" };
        text += &format!("{figure:8.3} {unit:3} {bar:7.2}  {what}{verdict}\n");
    };
    match streams() {
        None => say("SKIPPED: events: no recorded streams (set NIXPACE_SHARED)"),
        Some(streams) => {
            let (cpu, peak_bytes) = million(monitor, &streams)?;
            row(cpu, "s", 0.2, "CPU time for 1,000,000 real events");
            row(peak_bytes / f64::from(1 << 20), "MiB", 20.0, "most memory meanwhile");
        }
    }
    match nix {
        None => say("SKIPPED: eight builds: run cargo xtask nix"),
        Some(nix) => {
            let share = sampling(monitor, nix, folder)?;
            row(share * 100.0, "%", 1.0, "of a core to watch 8 builds by monitor run");
        }
    }
    Ok(text)
}

/// All recorded streams, in order.
fn streams() -> Option<Vec<u8>> {
    let shared = std::env::var_os("NIXPACE_SHARED").unwrap_or_else(|| "../shared".into());
    let folders = fs::read_dir(Path::new(&shared).join("nixlogs")).ok()?;
    let files = folders.flatten().filter_map(|folder| fs::read_dir(folder.path()).ok()).flatten();
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut text = Vec::new();
    for file in files {
        File::open(file).ok()?.read_to_end(&mut text).ok()?;
    }
    (!text.is_empty()).then_some(text)
}

/// CPU time and most memory of who reads a million of their lines.
fn million(monitor: &Path, streams: &[u8]) -> Result<(f64, f64)> {
    let mut child = Command::new(monitor)
        .args(["ingest", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("monitor ingest")?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    let lines = streams.split(|byte| *byte == b'\n').count() - 1;
    for _ in 0..EVENTS.div_ceil(lines.max(1)) {
        stdin.write_all(streams)?;
    }
    // What is left in the pipe is some thousandths of all.
    let measured = (cpu_seconds(&child)?, peak_bytes(&child)?);
    drop(stdin);
    if !child.wait()?.success() {
        bail!("monitor ingest failed");
    }
    Ok(measured)
}

/// The share of a core that `monitor run` takes while eight builds run.
fn sampling(monitor: &Path, nix: &Path, folder: &Path) -> Result<f64> {
    let folder = folder.join("watched");
    let told = folder.join("told");
    fs::create_dir_all(&told).with_context(|| told.display().to_string())?;
    let go = folder.join("go");
    let expression = format!(
        "map (n: derivation {{ name = \"watched-${{toString n}}\"; builder = \"/bin/sh\"; \
         system = builtins.currentSystem; args = [ \"-c\" ''PATH=/bin:/usr/bin; \
         : > {told}/$name; until [ -e {go} ]; do sleep 0.1; done; : > $out'' ]; }}) \
         (builtins.genList (n: n) {BUILDS})",
        told = told.display(),
        go = go.display(),
    );
    let mut child = Command::new(monitor)
        .args(["run", "--quiet", "--db"])
        .arg(folder.join("history"))
        .arg("--")
        .arg(nix.with_file_name("nix-build"))
        .args(["--no-out-link", "-j", &BUILDS.to_string(), "-E", &expression])
        .env("NIX_STORE_DIR", folder.join("store"))
        .env("NIX_STATE_DIR", folder.join("state"))
        .env("NIX_LOG_DIR", folder.join("log"))
        .env("NIX_CONF_DIR", "/nonexistent")
        .env("NIX_CONFIG", "build-users-group =\nsandbox = false\nsubstitute = false")
        .stdout(Stdio::null())
        .spawn()
        .context("monitor run")?;
    let share = watch(&mut child, &told);
    // Each build ends by itself once this is there.
    fs::write(&go, "").context("go")?;
    if !child.wait()?.success() {
        bail!("the builds failed");
    }
    share
}

/// The share of a core that a process takes, once all builds have told that they run.
fn watch(child: &mut Child, told: &Path) -> Result<f64> {
    let began = Instant::now();
    while fs::read_dir(told)?.count() < BUILDS {
        if began.elapsed() > PATIENCE || child.try_wait()?.is_some() {
            bail!("Nix did not begin {BUILDS} builds");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let (began, before) = (Instant::now(), cpu_seconds(child)?);
    std::thread::sleep(WATCHED);
    Ok((cpu_seconds(child)? - before) / began.elapsed().as_secs_f64())
}

fn of(child: &Child, file: &str) -> Result<String> {
    let file = format!("/proc/{}/{file}", child.id());
    fs::read_to_string(&file).context(file)
}

/// CPU time of a process so far, without its children's.
fn cpu_seconds(child: &Child) -> Result<f64> {
    let process = Process::parse(&of(child, "stat")?).context("stat")?;
    Ok(seconds(process.cpu_ticks - process.children_ticks))
}

fn peak_bytes(child: &Child) -> Result<f64> {
    let status = of(child, "status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: f64 = peak.trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0)
}
