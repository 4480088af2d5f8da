//! The fuzz targets without a fuzzer: each for a second, on seeds and on what
//! became of them. `NIXPACE_SEED` tries other changes.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fuzz::bytes;
use crate::fuzz::random::Random;
use crate::fuzz::target::{TARGETS, Target};
use crate::tools::{binaries, has, text, workspace};

/// How long each target is tried with changed inputs; all seeds are, however long.
const TIME: Duration = Duration::from_secs(1);

/// As long as inputs may become.
const MOST: usize = 8192;

/// Changes of one seed before the next is taken.
const CHANGES: u32 = 8;

#[test]
#[expect(clippy::print_stdout, reason = "figures, for --nocapture")]
fn every_parser_holds_its_laws_for_any_bytes() {
    if !has(&["python3"]) {
        return;
    }
    binaries();
    let folder = tempfile::tempdir().expect("folder");
    // Captured machines are for the fuzzer, which has the time.
    let seeds = Command::new("python3")
        .arg(workspace().join("tests/fuzz/seed.py"))
        .arg(folder.path())
        .env("NIXPACE_SHARED", folder.path().join("none"))
        .env("NIXPACE_SEEDS_ONLY", "1")
        .output()
        .expect("python3 runs");
    assert!(seeds.status.success(), "{}", text(&seeds.stderr));

    let seed = std::env::var("NIXPACE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for target in TARGETS {
        let inputs = inputs(&folder.path().join(target.name));
        let runs = fuzz(&target, &inputs, seed);
        println!("{}: {} seeds, {runs} changed inputs, seed {seed}", target.name, inputs.len());
        assert!(runs > 0, "{}: nothing was changed", target.name);
    }
}

/// What a target starts from, in the same order each time.
fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    // For some, nothing is the best that there is.
    let mut paths: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.expect("an entry").path()).collect())
        .unwrap_or_default();
    paths.sort_unstable();
    let mut inputs: Vec<Vec<u8>> =
        paths.iter().map(|path| fs::read(path).expect("a seed")).collect();
    if inputs.is_empty() {
        inputs.push(Vec::new());
    }
    inputs
}

/// Run a target on all inputs, and on changes of each until the time is up.
fn fuzz(target: &Target, inputs: &[Vec<u8>], seed: u32) -> u32 {
    for input in inputs {
        hold(target, input, "a seed");
    }
    let started = Instant::now();
    let mut runs = 0;
    for input in inputs.iter().cycle() {
        let mut data = input.clone();
        let mut size = data.len().min(MOST);
        data.resize(MOST, 0);
        for _ in 0..CHANGES {
            let change = seed.wrapping_add(runs);
            let mut random = Random::new(change);
            let mut plainly =
                |data: &mut [u8], size, most| bytes::mutate(&mut random, data, size, most);
            size = (target.mutate)(&mut data, size, MOST, change, &mut plainly);
            hold(target, &data[..size], &format!("seed {seed}, run {runs}"));
            runs += 1;
        }
        if started.elapsed() > TIME {
            break;
        }
    }
    runs
}

/// Say for which input a law does not hold.
fn hold(target: &Target, input: &[u8], which: &str) {
    let held = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    assert!(held.is_ok(), "{}: {which}: {}", target.name, input.escape_ascii());
}
