//! Real versions of Nix, side by side.
//!
//! Debian's suites hold Nix of different years. Each becomes a root tree under
//! `target/nix/<version>/root`, with programs in `target/nix/<version>/bin`
//! that run in there, so that the machine itself needs no Nix and no test
//! touches a store that somebody uses.

mod build;
mod debian;
mod mirror;
mod wrapper;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use detect::report::say;

/// A suite of Debian, and the Nix it had when this was written.
struct Suite {
    name: &'static str,
    version: &'static str,
}

/// What tests run against, oldest first. Only sid moves on.
const SUITES: [Suite; 3] = [
    Suite { name: "bookworm", version: "2.8" },
    Suite { name: "trixie", version: "2.26" },
    Suite { name: "sid", version: "2.34" },
];

/// The file beside a tree that names its suite.
const SUITE_FILE: &str = "suite";

/// A Nix to test with.
pub(crate) struct Tree {
    /// Major and minor, e.g. `2.26`.
    pub(crate) version: String,
    /// Programs that run in there, to be found by PATH.
    pub(crate) bin: PathBuf,
}

/// Make all trees, and say where they are.
pub(crate) fn run() -> Result<()> {
    for tree in ensure()? {
        say(&format!("Nix {:<5} {}", tree.version, tree.bin.display()));
    }
    Ok(())
}

/// Where the trees are, whatever folder cargo builds in.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(env::current_dir().context("current folder")?.join("target/nix"))
}

/// All trees, building those that are missing; quick when none is.
pub(crate) fn ensure() -> Result<Vec<Tree>> {
    let workspace = env::current_dir().context("current folder")?;
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    wrapper::write_enter(&folder)?;
    build::sweep(&folder);

    let missing: Vec<&'static str> = SUITES
        .iter()
        .map(|suite| suite.name)
        .filter(|suite| find(&folder, suite).is_none())
        .collect();
    if !missing.is_empty() {
        build::all(&folder, &workspace, &missing)?;
    }
    SUITES.iter().map(|suite| tree(&folder, &workspace, suite)).collect()
}

/// The tree of a suite, which exists by now.
fn tree(folder: &Path, workspace: &Path, suite: &Suite) -> Result<Tree> {
    let version = find(folder, suite.name).ok_or_else(|| anyhow!("{}: vanished", suite.name))?;
    if version != suite.version {
        say(&format!(
            "xtask: warning: Debian {} now has Nix {version}, not {}: bring SUITES in {} up to date",
            suite.name,
            suite.version,
            file!(),
        ));
    }
    let root = folder.join(&version).join("root");
    let bin = folder.join(&version).join("bin");
    wrapper::write_all(&bin, &folder.join("enter"), &root, workspace)?;
    Ok(Tree { version, bin })
}

/// The version whose tree was made of a suite.
fn find(folder: &Path, suite: &str) -> Option<String> {
    fs::read_dir(folder).ok()?.find_map(|entry| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        // A tree that is still being built has a name that starts with a dot.
        let found = fs::read_to_string(entry.path().join(SUITE_FILE)).ok()?;
        (!name.starts_with('.') && found.trim() == suite).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::find;

    #[test]
    fn finds_finished_trees_by_their_suite() {
        let folder = tempfile::tempdir().expect("folder");
        for (tree, suite) in [(".sid-building-1", "sid"), ("2.26", "trixie")] {
            fs::create_dir(folder.path().join(tree)).expect("tree");
            fs::write(folder.path().join(tree).join("suite"), format!("{suite}\n")).expect("suite");
        }
        fs::create_dir(folder.path().join("2.8")).expect("not ours");
        assert_eq!(find(folder.path(), "trixie").as_deref(), Some("2.26"));
        assert_eq!(find(folder.path(), "sid"), None, "it is not finished");
        assert_eq!(find(folder.path(), "bookworm"), None);
    }
}
