//! Rules that the compiler cannot check.
//!
//! Each finding is one line `path: what`. The checks themselves take text and
//! know no files.

mod deny;
mod manifest;
mod readme;
mod source;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::crates;
use deny::Deny;
use detect::report::say;
use manifest::Manifest;

/// The folder of files that other machines wrote, which must stay as they are.
const VERBATIM: &str = "tests/fixtures/";

/// Check the whole workspace.
pub(crate) fn run() -> Result<()> {
    let files = files()?;
    let mut findings = Vec::new();
    let mut tools = Vec::new();
    for member in manifest::members(&read("Cargo.toml")?)? {
        let path = format!("{member}/Cargo.toml");
        let manifest = Manifest::parse(&read(&path)?).context(path.clone())?;
        findings.extend(manifest.check(&member).into_iter().map(|what| format!("{path}: {what}")));
        let sources = files.iter().filter(|file| is_source_of(file, &member));
        let sources: Vec<String> = sources.map(|file| read(file)).collect::<Result<_>>()?;
        let unused = manifest.unused(&sources);
        findings.extend(unused.map(|name| format!("{path}: {name}: nothing uses it")));
        tools.extend(readme::tools(&member, manifest.description(), &files));
    }
    findings.extend(Deny::parse(&read("deny.toml")?)?.check(&crates::linked()?));
    match read("README.md") {
        Ok(text) => findings.extend(readme::check(&text, &tools)),
        Err(_) => findings.push("README.md: missing".to_owned()),
    }
    for path in files.iter().filter(|path| !path.starts_with(VERBATIM)) {
        // Links lead to files that are checked where they are.
        if !fs::symlink_metadata(path).is_ok_and(|found| found.is_file()) {
            continue;
        }
        let bytes = fs::read(path).with_context(|| path.clone())?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        findings.extend(source::check(path, &text));
    }

    for finding in &findings {
        say(finding);
    }
    match findings.len() {
        0 => Ok(()),
        findings => bail!("tidy: findings: {findings}"),
    }
}

fn is_source_of(file: &str, member: &str) -> bool {
    let file = Path::new(file);
    file.starts_with(member) && file.extension().is_some_and(|extension| extension == "rs")
}

/// All files that are, or could be, committed; sorted.
fn files() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let output = git.output().context("git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut files: Vec<String> = String::from_utf8(output.stdout)
        .context("git ls-files")?
        .split_terminator('\0')
        // A file may be gone and git not know it yet.
        .filter(|path| Path::new(path).symlink_metadata().is_ok())
        .map(str::to_owned)
        .collect();
    files.sort_unstable();
    Ok(files)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.to_owned())
}
