//! A machine as a folder of files, to test on elsewhere.
//!
//! Only the files that `detect` asks for are copied, and of those that may hold
//! secrets only what it looks for, so that a capture is small enough to read
//! through before it is published.

mod public;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use detect::Options;
use detect::hardware::{Hardware, Place};
use detect::report::Usage;
use detect::root::Root;
use serde_json::{Value, json};

use detect::report::say;
use tree::Tree;

/// Capture this machine, or the one below `root`, as `name` in the folder `into`.
pub(crate) fn run(name: &str, root: Option<&Path>, into: Option<&Path>) -> Result<()> {
    if !is_name(name) {
        bail!(Usage(format!("{name}: a name has only a-z, 0-9 and -")));
    }
    let target = into.unwrap_or(Path::new("tests/fixtures")).join(name);
    let what = || target.display().to_string();
    fs::create_dir_all(target.parent().unwrap_or(&target)).with_context(what)?;
    // Fails when there is one by this name already.
    fs::create_dir(&target).with_context(what)?;
    let copied = capture(root, &target);
    if copied.is_err() {
        fs::remove_dir_all(&target).with_context(what)?;
    }
    say(&format!("{}: {} files", target.display(), copied?));
    say("Look it over before you publish it: paths, mount points and names of");
    say("groups and interfaces may name people or places.");
    Ok(())
}

/// Copy what `detect` asks for, and check that it then finds the same.
fn capture(from: Option<&Path>, target: &Path) -> Result<usize> {
    let root = match from {
        Some(path) => Root::captured(path).with_context(|| path.display().to_string())?,
        None => Root::live(),
    };
    let root = root.recording();
    let hardware = detect::run(&root, &Options::default());

    let places = [&hardware.storage.store, &hardware.storage.build_dir, &hardware.storage.tmp];
    let places: Vec<&Place> = places.into_iter().flatten().collect();
    let mut tree = Tree::new(from.unwrap_or(Path::new("/")), target);
    for path in root.asked() {
        tree.copy(&path)?;
    }
    // The folders may be reached through links, which matter like the rest.
    for place in &places {
        tree.copy_links(Path::new(&place.path))?;
    }

    tree.keep_folders()?;
    let path = |place: &Option<Place>| place.as_ref().map(|place| PathBuf::from(&place.path));
    let options = Options {
        store: path(&hardware.storage.store),
        build_dir: path(&hardware.storage.build_dir),
        live: false,
    };
    let again = detect::run(&Root::captured(target)?, &options);
    for section in differences(&hardware, &again)? {
        say(&format!("xtask: warning: {section}: detect finds something else in the capture"));
    }
    Ok(tree.files())
}

fn is_name(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && !name.starts_with('-') && name.chars().all(is_fit)
}

/// The sections in which two documents differ, but for what only a running
/// machine can tell: sizes of file systems, and whatever Nix or the
/// environment's variables say.
fn differences(one: &Hardware, other: &Hardware) -> Result<Vec<String>> {
    let comparable = |hardware: &Hardware| -> Result<Value> {
        let mut document = serde_json::to_value(hardware)?;
        for path in ["/nix", "/notes", "/environment/ci"] {
            forget(&mut document, path);
        }
        for role in ["store", "build_dir", "tmp"] {
            for field in ["size_bytes", "inodes"] {
                forget(&mut document, &format!("/storage/{role}/{field}"));
            }
        }
        Ok(document)
    };
    let (one, other) = (comparable(one)?, comparable(other)?);
    let sections = one.as_object().into_iter().flatten();
    Ok(sections
        .filter(|(name, section)| other.get(name.as_str()) != Some(section))
        .map(|(name, _)| name.clone())
        .collect())
}

fn forget(document: &mut Value, path: &str) {
    if let Some(value) = document.pointer_mut(path) {
        *value = json!(null);
    }
}

#[cfg(test)]
mod tests {
    use detect::hardware::{Hardware, Nix, Place};

    use super::{differences, is_name};

    #[test]
    fn names_are_folder_names() {
        assert!(is_name("epyc-7451-64cpu-nvme"));
        for bad in ["", "..", "a/b", "A", "ü", "-x", "a b"] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn only_what_a_capture_can_hold_is_compared() {
        let place = r#"{"path": "/tmp", "media": "ssd", "disks": null}"#;
        let place: Place = serde_json::from_str(place).expect("a place");
        let mut one = Hardware::default();
        one.storage.tmp = Some(place);
        let mut other = one.clone();
        other.nix = Some(Nix::default());
        if let Some(tmp) = &mut other.storage.tmp {
            tmp.size_bytes = std::num::NonZeroU64::new(1);
        }
        assert_eq!(differences(&one, &other).expect("compared"), [""; 0]);

        other.memory.swap_bytes = Some(1);
        other.storage.tmp = None;
        assert_eq!(differences(&one, &other).expect("compared"), ["memory", "storage"]);
    }
}
