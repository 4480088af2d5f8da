//! The rules on workflows that were made for them, on the original's, and on ours.
//!
//! Each file says itself what is found on a line: `# expect: rule rule`.

use std::fs;
use std::path::{Path, PathBuf};

use super::rules::RULES;
use super::{Form, Linted, check};
use detect::number::Version;

fn xtask() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn fixtures() -> Vec<(String, String)> {
    let entries = fs::read_dir(xtask().join("fixtures/ci-lint")).expect("fixtures");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("text");
    files
        .iter()
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), read(path)))
        .collect()
}

/// `line rule`, sorted.
fn found(name: &str, text: &str) -> Vec<String> {
    let findings = check(name, text).expect(name);
    let mut found: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", finding.line, finding.rule)).collect();
    found.sort();
    found
}

#[test]
fn every_fault_is_found_where_it_is_and_nothing_else() {
    let fixtures = fixtures();
    for (name, text) in &fixtures {
        let mut expected = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            let rules = line.split_once("# expect: ").map_or("", |(_, rules)| rules);
            expected.extend(rules.split_whitespace().map(|rule| format!("{number} {rule}")));
        }
        expected.sort();
        assert_eq!(found(name, text), expected, "{name}");
        assert_eq!(expected.is_empty(), name.starts_with("good"), "{name}");
    }
    assert!(fixtures.len() >= 20, "{}", fixtures.len());
    for rule in RULES {
        let word = |text: &str| text.split_whitespace().any(|word| word == rule.name);
        assert!(fixtures.iter().any(|(_, text)| word(text)), "{}: no fixture", rule.name);
    }
}

#[test]
fn the_original_s_faults_are_all_found() {
    let shared = std::env::var_os("NIXPACE_SHARED")
        .map_or_else(|| xtask().join("../../shared"), PathBuf::from);
    let Ok(design) = fs::read_to_string(shared.join("original-design.md")) else {
        detect::report::say("SKIPPED: the original design is not here (set NIXPACE_SHARED)");
        return;
    };
    let (_, section) = design.split_once("# .github/workflows/performance-ci.yml\n").expect("it");
    let (workflow, _) = section.split_once("```").expect("its end");
    let findings = check("original", workflow).expect("a workflow");
    let count = |rule: &str| findings.iter().filter(|finding| finding.rule == rule).count();
    for (rule, times) in [
        // checkout@v4, install-nix-action@v22, cachix-action@v12 and cache@v3.
        ("dead-action", 4),
        ("unpinned-action", 4),
        ("store-in-actions-cache", 1),
        ("cache-too-late", 1),
        ("key-without-runner", 1),
        ("foreign-cache", 1),
        ("secret-in-pull-request", 1),
        ("persisted-credentials", 1),
        ("no-permissions", 1),
        ("no-timeout", 1),
        ("no-concurrency", 1),
        // Both, in the action's settings and in the script.
        ("unbounded-jobs", 4),
        ("not-a-system", 1),
    ] {
        assert_eq!(count(rule), times, "{rule}");
    }
    assert_eq!(findings.len(), 22);
}

#[test]
fn ours_have_none() {
    let root = xtask().parent().expect("the workspace");
    let mut files: Vec<PathBuf> = fs::read_dir(root.join(".github/workflows"))
        .expect("workflows")
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.push(root.join("action.yml"));
    assert_eq!(files.len(), 3);
    for path in files {
        let text = fs::read_to_string(&path).expect("text");
        assert_eq!(found("ours", &text), [""; 0], "{}", path.display());
    }
}

#[test]
fn github_reads_each_finding_as_one_command() {
    let text = "on: push\njobs:\n  a:\n    steps:\n      - uses: \"x\\n::stop-commands::y@v1\"\n";
    let findings = check("a,b:c.yml", text).expect("a workflow");
    let linted = Linted { version: Version, findings };
    let lines = linted.text(Form::Annotations).expect("text");
    assert_eq!(lines.lines().count(), linted.findings.len());
    for line in lines.lines() {
        assert!(line.starts_with("::error file=a%2Cb%3Ac.yml,line="), "{line}");
    }
    let json = linted.text(Form::Json).expect("JSON");
    assert!(json.contains("\"rule\": \"unpinned-action\"") && json.contains("\"version\": 1"));
    assert!(linted.text(Form::Text).expect("text").contains(":5: unpinned-action: "));
}

#[test]
fn what_is_no_workflow_is_said() {
    for text in ["", "a: b", "- 1", "jobs: [", "on: push\njobs: x"] {
        if let Err(error) = check("x", text) {
            assert!(!error.to_string().is_empty());
        } else {
            assert_eq!(text, "on: push\njobs: x");
        }
    }
}
