//! How long our tools take beside those they replace.
//!
//! Runs alternate, so that whatever else the machine does falls on both; what
//! counts is the median of the ratios of neighbours. Nothing here is a test: a
//! busy machine may draw any figure once.

mod bench;
mod caches;
pub(crate) mod made_up;
mod monitor;
mod served;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use detect::arguments::Common;
use detect::report::say;
use detect::stage;
use tempfile::TempDir;

use crate::command::{self, cargo};

/// Pairs of runs for each row.
const PAIRS: usize = 40;

/// A machine of 96 CPUs, among the data that other projects' machines left.
const LARGE: &str = "machines/lscpu/x86_64-epyc_7451.tar.xz";

/// A comparison: ours, theirs, and the most that ours may take of theirs.
struct Row {
    ours: String,
    theirs: String,
    bar: f64,
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Those that look at the machine
    Machine,
    /// The one that asks caches
    Caches,
    /// The one that watches Nix
    Monitor,
    /// The one that times Nix, where hyperfine is installed
    Bench,
}

/// Compare, and print a table.
pub(crate) fn run(part: Option<Part>) -> Result<()> {
    let is_wanted = |one| part.is_none_or(|part| part == one);
    if is_wanted(Part::Machine) {
        machine()?;
    }
    if is_wanted(Part::Caches) {
        command::run(&mut cargo(["build", "--quiet", "--release", "--package", "caches"]))?;
        caches::run(&released()?.join("caches"))?;
    }
    if is_wanted(Part::Monitor) {
        command::run(&mut cargo(["build", "--quiet", "--release", "--package", "monitor"]))?;
        monitor::run(&released()?.join("monitor"))?;
    }
    if is_wanted(Part::Bench) {
        if !command::succeeds(Command::new("hyperfine").arg("--version")) {
            say("SKIPPED: bench: install hyperfine");
            return Ok(());
        }
        command::run(&mut cargo(["build", "--quiet", "--release", "--package", "bench"]))?;
        bench::run(&released()?.join("bench"))?;
    }
    Ok(())
}

fn machine() -> Result<()> {
    command::run(&mut cargo(["build", "--quiet", "--release", "--workspace", "--bins"]))?;
    let folder = released()?;
    let tool = |name: &str| folder.join(name).display().to_string();
    let [detect, profile, storage, write] =
        ["detect", "profile", "storage", "nix-conf-write"].map(tool);
    let row = |ours: String, theirs: &str, bar| Row { ours, theirs: theirs.to_owned(), bar };
    let mut rows = vec![
        row(detect.clone(), "lscpu -J", 1.0),
        row(format!("{detect} | {profile} | {storage} | {write}"), "lscpu -J", 3.0),
    ];
    let tree = large()?;
    match &tree {
        Some(tree) => {
            let at = tree.path().display();
            let theirs = format!("lscpu --sysroot {at}");
            rows.push(row(format!("{detect} --root {at}"), &theirs, 0.5));
        }
        None => say("SKIPPED: the machine of 96 CPUs: set NIXPACE_SHARED to where it is"),
    }
    let mut text = format!("median of {PAIRS} pairs, in milliseconds\n\n");
    text += &format!("{:>7} {:>7} {:>6} {:>6}\n", "ours", "theirs", "ratio", "bar");
    for Row { ours, theirs, bar } in &rows {
        let pairs = (0..PAIRS)
            .map(|pair| {
                // Who is first changes, since the second finds warmer caches.
                let (one, other) = if pair % 2 == 0 { (ours, theirs) } else { (theirs, ours) };
                let (one, other) = (seconds(one)?, seconds(other)?);
                Ok(if pair % 2 == 0 { (one, other) } else { (other, one) })
            })
            .collect::<Result<Vec<(f64, f64)>>>()?;
        let of = |figure: fn(&(f64, f64)) -> f64| median(pairs.iter().map(figure).collect());
        let (left, right) = (of(|pair| pair.0) * 1000.0, of(|pair| pair.1) * 1000.0);
        let ratio = of(|(ours, theirs)| ours / theirs);
        let verdict = if ratio <= *bar { "" } else { "  above the bar" };
        let ours = ours.replace(&format!("{}/", folder.display()), "");
        text += &format!("{left:7.2} {right:7.2} {ratio:6.2} {bar:6.2}  {ours}{verdict}\n");
    }
    stage::write_human(&text, &Common::default())
}

/// How long a line takes: a program by itself, or a shell with a pipe.
fn seconds(line: &str) -> Result<f64> {
    let words: Vec<&str> =
        if line.contains('|') { vec!["sh", "-c", line] } else { line.split(' ').collect() };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let status = command.status().with_context(|| line.to_owned())?;
    let took = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(took)
}

/// Where the released tools are.
fn released() -> Result<PathBuf> {
    let built = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    Ok(std::path::absolute(Path::new(&built).join("release"))?)
}

/// Unpack the large machine, in memory where that can be.
fn large() -> Result<Option<TempDir>> {
    let shared = std::env::var_os("NIXPACE_SHARED").unwrap_or_else(|| "../shared".into());
    let archive = Path::new(&shared).join(LARGE);
    if !archive.exists() {
        return Ok(None);
    }
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("nixpace-speed-").tempdir_in(base)?;
    command::run(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(folder.path()))?;
    Ok(Some(folder))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        return figures[middle];
    }
    f64::midpoint(figures[middle - 1], figures[middle])
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
    }
}
