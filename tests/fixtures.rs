//! Our own captured machines, each with what is found out about it and what
//! follows. `UPDATE=1 cargo test` writes the expected files anew; the review is
//! `git diff`.

use std::fs;
use std::path::{Path, PathBuf};

use detect::hardware::Hardware;
use detect::release::Release;
use detect::root::Root;
use detect::stage;
use profile::form::{Form, render};
use profile::plan::Plan;

use crate::tools::workspace;

/// The captured trees.
pub(crate) fn fixtures() -> Vec<PathBuf> {
    let folder = workspace().join("tests/fixtures");
    let entries = fs::read_dir(folder).expect("tests/fixtures");
    let mut trees: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    trees.retain(|path| path.is_dir());
    trees.sort();
    trees
}

/// What follows from a captured tree.
pub(crate) fn plan_for(tree: &Path, options: &profile::Options) -> Plan {
    let root = Root::captured(tree).expect("a tree");
    let hardware = detect::run(&root, &detect::Options::default());
    profile::run(hardware, options).expect("a plan")
}

/// Every fixture's machine, by name.
pub(crate) fn machines() -> Vec<(String, Hardware)> {
    let machine = |tree: PathBuf| {
        let name = tree.file_name().expect("a name").to_string_lossy().into_owned();
        let root = Root::captured(&tree).expect("a tree");
        (name, detect::run(&root, &detect::Options::default()))
    };
    fixtures().into_iter().map(machine).collect()
}

/// Compare with the file beside the tree, or write it.
pub(crate) fn expect(tree: &Path, extension: &str, text: &str) {
    let path = tree.with_extension(extension);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, text).expect("written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{} (UPDATE=1 writes it anew)", path.display());
}

#[test]
fn every_fixture_gives_its_document_and_its_settings() {
    let trees = fixtures();
    assert!(trees.len() >= 6, "{trees:?}");
    for tree in trees {
        let root = Root::captured(&tree).expect("a tree");
        let hardware = detect::run(&root, &detect::Options::default());
        let document = stage::text(&hardware).expect("text");
        expect(&tree, "json", &document);

        // The text between stages, as in the pipe.
        let hardware: Hardware = stage::parse(document.as_bytes()).expect("a document");
        let options =
            profile::Options { for_nix: Release::parse("2.34.9"), ..profile::Options::default() };
        let plan = profile::run(hardware, &options).expect("a plan");
        let plan = stage::text(&plan).expect("text");
        let again: Plan = stage::parse(plan.as_bytes()).expect("a plan");
        assert_eq!(stage::text(&again).expect("text"), plan, "{}", tree.display());
        expect(&tree, "conf", &render(&again, Form::NixConf).expect("rendered"));
    }
}
