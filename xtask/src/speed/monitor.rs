//! `monitor status` beside what people otherwise ask of a store, both on stores
//! made up for this: a database of 100,000 paths, and a tree of 300,000 files. Then
//! what watching builds costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use detect::arguments::Common;
use detect::report::say;
use detect::stage;

use super::{made_up, median};

mod watched;

/// Runs of each, in turn.
const RUNS: usize = 7;

/// As many files as `du` looks at.
const FILES: (u32, u32) = (3000, 100);

/// Paths of the made-up store.
const PATHS: u32 = 100_000;

/// Compare, and print a table.
pub(super) fn run(monitor: &Path) -> Result<()> {
    // Rather than in memory: stores are on disks.
    let folder = std::env::temp_dir().join(format!("nixpace-speed-monitor-{}", std::process::id()));
    let result = compare(monitor, &folder);
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    result
}

fn compare(monitor: &Path, folder: &Path) -> Result<()> {
    let (state, tree) = (folder.join("state"), folder.join("tree"));
    made_up::store(&state, PATHS)?;
    make_tree(&tree)?;
    let status = || {
        let mut command = Command::new(monitor);
        command.args(["status", "--json", "--db"]).arg(folder.join("none"));
        command.env("NIX_STATE_DIR", &state).env("NIX_LOG_DIR", folder);
        command
    };
    let du = || {
        let mut command = Command::new("du");
        command.arg("-sh").arg(&tree);
        command
    };
    let nix = nix();
    let path_info = || {
        let mut command = Command::new(nix.as_ref()?);
        command.args(["--extra-experimental-features", "nix-command"]);
        command.args(["path-info", "--all", "--size"]);
        command.env("NIX_STATE_DIR", &state).env("NIX_CONF_DIR", "/nonexistent");
        command.env("NIX_CONFIG", "build-users-group =");
        Some(command)
    };
    let (mut ours, mut files, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        ours.push(seconds(status())?);
        files.push(seconds(du())?);
        // It takes a hundred times as long.
        if run % 3 == 0
            && let Some(command) = path_info()
        {
            paths.push(seconds(command)?);
        }
    }
    let ours = median(ours);
    let mut text = format!("median of {RUNS} runs in turn, in milliseconds\n\n");
    text += &format!("{:>7} {:>8} {:>6} {:>6}\n", "ours", "theirs", "ratio", "bar");
    let mut row = |theirs: f64, bar: f64, what: &str| {
        let (left, right, ratio) = (ours * 1000.0, theirs * 1000.0, ours / theirs);
        let verdict = if ratio <= bar { "" } else { "  above the bar" };
        text += &format!(
            "{left:7.2} {right:8.2} {ratio:6.3} {bar:6.2}  monitor status, beside {what}{verdict}\n"
        );
    };
    row(median(files), 0.1, "du -sh of 300,000 files");
    if paths.is_empty() {
        say("SKIPPED: nix path-info: run cargo xtask nix");
    } else {
        row(median(paths), 0.01, "nix path-info --all --size of 100,000 paths");
    }
    text += "\nfigure and bar\n\n";
    text += &watched::rows(monitor, nix.as_deref(), folder)?;
    stage::write_human(&text, &Common::default())
}

/// The newest real Nix that `cargo xtask nix` has made.
fn nix() -> Option<PathBuf> {
    let base = std::env::var_os("NIXPACE_NIX").unwrap_or_else(|| "target/nix".into());
    let nix = std::path::absolute(Path::new(&base).join("2.34/bin/nix")).ok()?;
    nix.exists().then_some(nix)
}

fn make_tree(tree: &Path) -> Result<()> {
    for folder in 0..FILES.0 {
        let folder = tree.join(folder.to_string());
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for file in 0..FILES.1 {
            fs::write(folder.join(file.to_string()), "").context("a file")?;
        }
    }
    Ok(())
}

fn seconds(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let started = Instant::now();
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let took = started.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(took)
}
