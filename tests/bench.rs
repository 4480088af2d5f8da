//! Builds compared on real Nix: what is faster is found, what is no different is not,
//! and whoever interrupts leaves nothing behind.

mod exports;
mod tuned;
mod ways;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools::{RealNix, path_with, real_nix, text, tool, workspace};

/// Where real Nix, which has a root of its own, sees folders too.
fn scratch() -> TempDir {
    let base = ["/dev/shm", "/tmp"].iter().map(Path::new).find(|base| base.is_dir());
    tempfile::tempdir_in(base.expect("a folder")).expect("folder")
}

/// `bench` with a Nix, and its stores in a folder.
fn bench(nix: &RealNix, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = tool("bench");
    command
        .env("PATH", path_with(&[&nix.bin]))
        .env_remove("NIX_CONFIG")
        .env_remove("GITHUB_STEP_SUMMARY")
        .args(arguments)
        .arg("--folder")
        .arg(folder);
    command
}

fn answer(output: &Output) -> Value {
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

/// What is left of our stores in a folder.
fn left(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("list").map(|entry| entry.expect("entry").file_name());
    names
        .map(|name| name.display().to_string())
        .filter(|name| name.starts_with("nixpace"))
        .collect()
}

/// Three builds that a second job or core halves, whatever the CPUs: they sleep.
const SLEEPS: &str = r#"
let
  build = name: needs: derivation {
    inherit name needs;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" "PATH=/bin:/usr/bin; sleep 0.2; echo $NIX_BUILD_CORES > $out" ];
  };
in
build "last" [ (build "one" [ ]) (build "two" [ ]) ]
"#;

#[test]
fn more_jobs_are_found_faster_on_every_nix() {
    let folder = scratch();
    let file = folder.path().join("sleeps.nix");
    fs::write(&file, SLEEPS).expect("written");
    for nix in real_nix() {
        let file = file.to_str().expect("a path");
        let arguments = ["compare", "max-jobs=1", "max-jobs=2", "-f", file, "--fresh", "--json"];
        let found = answer(&bench(&nix, folder.path(), &arguments).output().expect("it runs"));
        assert_eq!(found["verdict"], json!("faster"), "Nix {}: {found}", nix.version);
        let ratio = found["ratio"].as_f64().expect("a ratio");
        // Three sleeps after one another become two.
        assert!((0.55..0.85).contains(&ratio), "Nix {}: {ratio}", nix.version);
        let runs = found["runs"].as_array().expect("runs");
        assert!(runs.iter().all(|run| run["builds"] == json!(3)), "Nix {}: {runs:?}", nix.version);
        let first = &runs[0];
        assert!(first["seconds"].as_f64() <= first["wall_seconds"].as_f64(), "{first}");
        assert!(first["cpu_seconds"].is_f64() && first["peak_memory_bytes"].is_u64(), "{first}");
        assert_eq!(left(folder.path()), [""; 0]);
    }
}

#[test]
fn a_slower_result_is_caught_by_the_gate() {
    let folder = scratch();
    let Some(nix) = real_nix().pop() else { return };
    let slowed = SLEEPS.replace("sleep 0.2", "sleep 0.4");
    let mut results = Vec::new();
    for (name, expression) in [("base", SLEEPS), ("equal", SLEEPS), ("slow", slowed.as_str())] {
        // One name for all: it is the same thing at different times.
        let file = folder.path().join("sleeps.nix");
        fs::write(&file, expression).expect("written");
        let result = folder.path().join(format!("{name}.json")).display().to_string();
        let arguments =
            ["run", "-f", file.to_str().expect("a path"), "--fresh", "--pairs", "8", "-o", &result];
        let output = bench(&nix, folder.path(), &arguments).output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        results.push(result);
    }
    let gate = |result: &str| {
        let arguments = ["gate", result, "--against", &results[0], "--max-regression", "20%"];
        tool("bench").args(arguments).output().expect("it runs")
    };
    assert_eq!(gate(&results[1]).status.code(), Some(0), "{}", text(&gate(&results[1]).stdout));
    let caught = gate(&results[2]);
    assert_eq!(caught.status.code(), Some(1));
    assert!(text(&caught.stdout).starts_with("regressed: "), "{}", text(&caught.stdout));
}

#[test]
fn what_nix_would_ignore_is_refused() {
    let folder = scratch();
    for nix in real_nix() {
        for (configuration, why) in
            [("parallel-builds=true", "not a setting of this Nix"), ("cores=many", "cores")]
        {
            let arguments = ["compare", "default", configuration, "--synthetic"];
            let output = bench(&nix, folder.path(), &arguments).output().expect("it runs");
            assert_eq!(output.status.code(), Some(1));
            let errors = text(&output.stderr);
            assert!(errors.contains(why), "Nix {}: {errors}", nix.version);
        }
        assert_eq!(left(folder.path()), [""; 0]);
    }
}

#[test]
fn exports_and_documents_are_what_they_say() {
    let folder = scratch();
    let Some(nix) = real_nix().pop() else { return };
    let result = folder.path().join("result.json");
    let page = folder.path().join("page.html");
    let summary = folder.path().join("summary.md");
    let output =
        bench(&nix, folder.path(), &["null", "--synthetic", "--shape", "wide", "--pairs", "2"])
            .arg("-o")
            .arg(&result)
            .arg("--html")
            .arg(&page)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .output()
            .expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found: Value = serde_json::from_slice(&fs::read(&result).expect("a result")).expect("JSON");
    let schema = fs::read(workspace().join("bench/schema.json")).expect("the schema");
    let schema: Value = serde_json::from_slice(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let wrong: Vec<String> = validator.iter_errors(&found).map(|error| error.to_string()).collect();
    assert_eq!(wrong, [""; 0]);
    assert_eq!(found["verdict"], json!("no-difference-shown"), "of two pairs nothing is");
    let page = fs::read_to_string(page).expect("a page");
    assert!(page.contains("<svg") && !page.contains("<script"), "{page}");
    assert!(fs::read_to_string(summary).expect("a summary").contains("| default |"));
}

/// All processes whose command line or environment names a folder.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let names = fs::read_dir("/proc").expect("proc").filter_map(Result::ok);
    names
        .filter(|entry| {
            ["cmdline", "environ"].iter().any(|name| {
                let text = fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&text).contains(&folder)
            })
        })
        .map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            format!("{}: {}", entry.file_name().display(), text(&line))
        })
        .collect()
}

/// Wait until a process ends, for a minute.
fn end(child: &mut Child) -> Option<i32> {
    for _ in 0..600 {
        if let Some(status) = child.try_wait().expect("waits") {
            return status.code();
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("it does not end");
}

#[test]
fn an_interruption_leaves_no_build_and_no_store() {
    for nix in real_nix() {
        for (signal, milliseconds) in
            [("INT", 100), ("TERM", 700), ("INT", 1500), ("HUP", 2500), ("TERM", 4000)]
        {
            let what = format!("Nix {}, SIG{signal} after {milliseconds} ms", nix.version);
            let folder = scratch();
            let result = folder.path().join("result.json");
            let mut command = bench(
                &nix,
                folder.path(),
                &["compare", "--synthetic", "--time", "60", "--precision", "0"],
            );
            let mut child = command
                .arg("-o")
                .arg(&result)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            thread::sleep(Duration::from_millis(milliseconds));
            let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
            assert!(kill.is_ok_and(|status| status.success()), "{what}");
            let code = end(&mut child);
            // Before it listens, a signal ends it as it ends everything.
            assert!(matches!(code, Some(1) | None), "{what}: {code:?}");
            assert_eq!(left(folder.path()), [""; 0], "{what}");
            assert_eq!(processes(folder.path()), [""; 0], "{what}");
            if let Ok(text) = fs::read(&result) {
                let found: Value = serde_json::from_slice(&text).expect(&what);
                assert_eq!(found["stopped"], json!("interrupted"), "{what}");
                let pairs = found["pairs"].as_u64().expect("pairs");
                let runs = found["runs"].as_array().expect("runs").len();
                assert!(runs as u64 >= 2 * pairs, "{what}");
            }
        }
    }
}

#[test]
fn a_ci_run_builds_only_what_its_cache_lacks() {
    let folder = scratch();
    for nix in real_nix() {
        let arguments = ["ci", "--packages", "4", "--kib", "64", "--work", "1", "--runs", "1"];
        let link = ["--round-trip", "10", "--rate", "100", "--json"];
        let output = bench(&nix, folder.path(), &[&arguments[..], &link].concat()).output();
        let found = answer(&output.expect("it runs"));
        let of = |cache: &str, changed: bool, field: &str| {
            let mut rows = found["rows"].as_array().expect("rows").iter();
            let row = rows.find(|row| row["cache"] == cache && row["changed"] == changed);
            row.expect("a row")[field].as_u64().expect("a number")
        };
        for (cache, changed, built) in [
            ("none", false, 5),
            ("none", true, 5),
            ("binary-cache", false, 0),
            ("binary-cache", true, 1),
            ("per-path", false, 0),
            ("per-path", true, 1),
            ("store-archive", false, 0),
            ("store-archive", true, 1),
        ] {
            let what = format!("Nix {}: {cache}, changed: {changed}", nix.version);
            assert_eq!(of(cache, changed, "built"), built, "{what}: {found:#}");
            // All that is needed comes over the link, and what was built goes back.
            let down = of(cache, changed, "downloaded_bytes");
            assert_eq!(down > 4 * (64 << 10), cache != "none", "{what}: {down}");
            let up = of(cache, changed, "uploaded_bytes");
            assert_eq!(up > 64 << 10, cache != "none" && changed, "{what}: {up}");
        }
        let up = |cache| of(cache, true, "uploaded_bytes");
        assert!(up("store-archive") > 3 * up("binary-cache"), "an archive goes back whole");
        let schema = fs::read_to_string(workspace().join("bench/ci.schema.json")).expect("it");
        let schema = serde_json::from_str(&schema).expect("JSON");
        assert!(jsonschema::is_valid(&schema, &found), "{found:#}");
        assert_eq!(left(folder.path()), [""; 0]);
    }
}
