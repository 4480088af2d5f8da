//! The pages of docs/: their examples run, and what they name is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{binaries, path_with, shell, text, workspace};

/// A page and its text.
fn pages() -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(workspace().join("docs")).expect("docs");
    let mut pages: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    pages.push(workspace().join("README.md"));
    pages.sort_unstable();
    let read = |page: PathBuf| {
        let text = fs::read_to_string(&page).expect("a page");
        (page, text)
    };
    pages.into_iter().filter(|page| page.extension() == Some("md".as_ref())).map(read).collect()
}

/// A command of an example, and the lines that it prints.
struct Example<'a> {
    command: &'a str,
    output: Vec<&'a str>,
}

/// The examples of a page: blocks of `console`, where a `$` starts a command.
fn examples(page: &str) -> Vec<Example<'_>> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in page.lines().map(str::trim) {
        match (inside, line) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => examples.push(Example { command, output: Vec::new() }),
                (None, Some(example)) => example.output.push(line),
                (None, None) => panic!("{line}: no command before it"),
            },
            _ => {}
        }
    }
    examples
}

/// Whether what is printed is as shown: `…` stands for anything, on a line of its own
/// for any lines.
fn is_shown(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((&"…", later)), _) => {
            (0..=printed.len()).any(|skipped| is_shown(later, &printed[skipped..]))
        }
        (Some((line, later)), Some((found, rest))) => is_like(line, found) && is_shown(later, rest),
        (Some(_), None) => false,
    }
}

fn is_like(shown: &str, printed: &str) -> bool {
    match shown.split_once('…') {
        Some((start, end)) => printed.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => shown.trim() == printed.trim(),
    }
}

#[test]
fn examples_print_what_is_shown() {
    // So that the lock on the machine is held while they look at it.
    drop(shell("true"));
    let mut count = 0;
    for (page, text_of) in pages() {
        // Each page is a session in a folder of its own.
        let folder = tempfile::tempdir().expect("folder");
        for Example { command, output } in examples(&text_of) {
            let run = Command::new("bash")
                .args(["-o", "pipefail", "-c", command])
                .current_dir(folder.path())
                .env("PATH", path_with(&[binaries()]))
                .env("XDG_STATE_HOME", folder.path())
                .output()
                .expect("bash runs");
            let name = format!("{}: {command}", page.display());
            // A reader that has seen enough ends whoever writes to it.
            assert!(run.status.success(), "{name}: {}", text(&run.stderr));
            let printed = text(&run.stdout);
            let printed: Vec<&str> = printed.lines().collect();
            assert!(output.is_empty() || is_shown(&output, &printed), "{name}: {printed:#?}");
            count += 1;
        }
    }
    assert!(count > 10, "{count} examples");
}

#[test]
fn what_an_example_leaves_out_is_anything() {
    assert!(is_shown(&["a", "…", "c…e"], &["a", "b", "b", "c d e"]));
    assert!(is_shown(&["…"], &[]));
    assert!(!is_shown(&["a"], &["a", "b"]));
    assert!(!is_shown(&["a", "b"], &["a"]));
}

#[test]
fn links_lead_somewhere() {
    for (page, text) in pages() {
        let folder = page.parent().expect("a folder");
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{}: {target}", page.display());
            }
        }
    }
}

#[test]
fn each_invariant_has_tests_that_exist() {
    let page = fs::read_to_string(workspace().join("docs/threat-model.md")).expect("the page");
    let mut invariant = 0;
    let mut tests = vec![0; 9];
    for line in page.lines() {
        if let Some((number, _)) = line.split_once(". **") {
            invariant = number.parse().unwrap_or(invariant);
        }
        for name in line.split('`').filter(|word| word.contains(".rs::")) {
            let (file, test) = name.split_once("::").expect("FILE::TEST");
            let source = fs::read_to_string(workspace().join(file)).expect(file);
            // One with cases made up for it takes arguments.
            let found = source.lines().any(|line| {
                line.trim_start().strip_prefix("fn ").is_some_and(|rest| {
                    rest.strip_prefix(test).is_some_and(|rest| rest.starts_with('('))
                })
            });
            assert!(found, "{name}: no such test");
            tests[invariant] += 1;
        }
    }
    assert!(tests[1..].iter().all(|&count| count > 0), "invariants by number of tests: {tests:?}");
}

#[test]
fn every_schema_is_listed() {
    let page = fs::read_to_string(workspace().join("docs/documents.md")).expect("the page");
    for folder in fs::read_dir(workspace()).expect("the workspace") {
        let folder = folder.expect("an entry").path();
        for path in schemas(&folder) {
            let path = path.strip_prefix(workspace()).expect("below it");
            assert!(page.contains(&format!("(../{})", path.display())), "{}", path.display());
        }
    }
}

/// The schemas in a crate's folder.
fn schemas(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().ends_with("schema.json")).collect()
}

#[test]
fn every_metric_is_explained() {
    let page = fs::read_to_string(workspace().join("docs/metrics.md")).expect("the page");
    let source = fs::read_to_string(workspace().join("monitor/src/metrics/family.rs"));
    let source = source.expect("the source");
    let names = source.split('"').filter(|word| word.starts_with("nix_"));
    let mut count = 0;
    for name in names {
        assert!(page.contains(&format!("| `{name}` |")), "{name}: not in docs/metrics.md");
        count += 1;
    }
    assert!(count > 5, "{count} metrics");
}
