//! What `bench` and hyperfine add to each run of the same command, which does next to
//! nothing: a stand-in for Nix that answers at once.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use detect::arguments::Common;
use detect::stage;
use serde_json::Value;

use super::median;

/// Runs of a short and of a long measurement: what both take once is not in their
/// difference.
const RUNS: [u32; 2] = [10, 410];

/// Measurements of each, in turn.
const ROUNDS: usize = 7;

/// Evaluates anything to the same derivation.
const INSTANTIATE: &str =
    "#!/bin/sh\necho /nix/store/00000000000000000000000000000000-nothing.drv\n";

/// Has a version and no settings.
const NIX: &str =
    "#!/bin/sh\ncase \"$*\" in *--version*) echo 'nix (Nix) 2.34.0';; *) echo '{}';; esac\n";

/// Compare, and print a table.
pub(super) fn run(bench: &Path) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("nixpace-speed-bench-{}", std::process::id()));
    let result = compare(bench, &folder);
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    result
}

fn compare(bench: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, text) in [("nix-instantiate", INSTANTIATE), ("nix", NIX)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let file = folder.join("nothing.nix");
    fs::write(&file, "").context("a file")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path =
        std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&path)))?;
    let ours = |runs: u32| -> Result<f64> {
        let runs = runs.to_string();
        let mut command = Command::new(bench);
        // The same document from both.
        command.args(["run", "--what", "eval", "--export", "hyperfine"]);
        command.args(["--precision", "0", "--time", "3600"]);
        command.args(["--pairs", &runs, "--min-pairs", &runs, "-f"]).arg(&file).env("PATH", &path);
        let (wall, text) = timed(&mut command)?;
        let document: Value = serde_json::from_str(&text).context("bench")?;
        Ok(wall - sum(&document)?)
    };
    let export = folder.join("hyperfine.json");
    let theirs = |runs: u32| -> Result<f64> {
        let line = format!("nix-instantiate {} --option eval-cache false", file.display());
        let mut command = Command::new("hyperfine");
        command.args(["-N", "--style", "none", "--warmup", "1", "--runs", &runs.to_string()]);
        command.arg("--export-json").arg(&export).arg(line).env("PATH", &path);
        let (wall, _) = timed(&mut command)?;
        let document: Value = serde_json::from_slice(&fs::read(&export).context("hyperfine")?)?;
        Ok(wall - sum(&document)?)
    };
    let [few, many] = RUNS;
    let each = |add: &dyn Fn(u32) -> Result<f64>| -> Result<f64> {
        Ok((add(many)? - add(few)?) / f64::from(many - few) * 1000.0)
    };
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        left.push(each(&ours)?);
        right.push(each(&theirs)?);
    }
    let (ours, theirs) = (median(left), median(right));
    let verdict = if ours <= theirs { "" } else { "  above the bar" };
    let text = format!(
        "median of {ROUNDS} measurements in turn, in milliseconds beside each run\n\n\
         {:>7} {:>9}\n{ours:7.3} {theirs:9.3}{verdict}\n",
        "bench", "hyperfine"
    );
    stage::write_human(&text, &Common::default())
}

/// What all runs took together.
fn sum(document: &Value) -> Result<f64> {
    let times = document["results"][0]["times"].as_array().context("times")?;
    Ok(times.iter().filter_map(Value::as_f64).sum())
}

/// How long a command takes, and what it prints.
fn timed(command: &mut Command) -> Result<(f64, String)> {
    let program = PathBuf::from(command.get_program()).display().to_string();
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().with_context(|| program.clone())?;
    let took = started.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((took, String::from_utf8_lossy(&output.stdout).into_owned()))
}
