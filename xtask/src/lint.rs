//! Faults of workflows that build with Nix.
//!
//! What is looked for is in one table (`rules`), each with why and what to do. What
//! general tools find, such as misspelt keys, is left to them.

mod actions;
mod jobs;
mod rules;
mod scripts;
mod steps;
#[cfg(test)]
mod tests;
mod workflow;
mod yaml;

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use detect::arguments::Common;
use detect::human;
use detect::number::Version;
use detect::stage;
use schemars::JsonSchema;
use serde::Serialize;

use rules::RULES;
use workflow::Workflow;

/// Longer than anyone's workflow.
const MOST_BYTES: u64 = 1 << 20;

/// What is wrong with some workflows.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Linted {
    /// Version of this document's format.
    version: Version<1>,
    /// By file, then by line.
    findings: Vec<Finding>,
}

/// A fault.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// The file, as it was named.
    file: String,
    /// The line, from 1.
    line: usize,
    /// The rule.
    rule: &'static str,
    /// What is there.
    what: String,
    /// What it leads to.
    why: &'static str,
    /// What to do.
    fix: &'static str,
}

/// How findings are said.
#[derive(Clone, Copy, Debug)]
enum Form {
    Text,
    Json,
    /// Lines that GitHub shows beside the code.
    Annotations,
}

/// Look at workflows, and say what is wrong with them.
pub(crate) fn run(files: &[PathBuf], json: bool) -> Result<()> {
    let is_github = env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let form = match (json, is_github) {
        (true, _) => Form::Json,
        (false, true) => Form::Annotations,
        (false, false) => Form::Text,
    };
    let root = env::current_dir()?;
    let mut findings = Vec::new();
    for path in files {
        // GitHub knows files by their paths in the repository, where we are.
        let inside = path.strip_prefix(&root).ok();
        let name = || inside.unwrap_or(path).display().to_string();
        findings.extend(check(&name(), &read(path).with_context(name)?).with_context(name)?);
    }
    let linted = Linted { version: Version, findings };
    stage::write_text(&linted.text(form)?, &Common::default())?;
    match linted.findings.len() {
        0 => Ok(()),
        findings => bail!("ci-lint: findings: {findings}"),
    }
}

/// Look at our own.
pub(crate) fn own() -> Result<()> {
    let folder = Path::new(".github/workflows");
    let entries = folder.read_dir().with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.push("action.yml".into());
    files.sort();
    run(&files, false)
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    ensure!(text.len() as u64 <= MOST_BYTES, "longer than 1 MiB");
    Ok(text)
}

/// What is wrong with a file.
fn check(file: &str, text: &str) -> Result<Vec<Finding>> {
    let workflow = Workflow::parse(text)?;
    let mut findings: Vec<Finding> = RULES
        .iter()
        .flat_map(|rule| (rule.check)(&workflow).into_iter().map(move |found| (rule, found)))
        .map(|(rule, (line, what))| {
            let file = file.to_owned();
            Finding { file, line, rule: rule.name, what, why: rule.why, fix: rule.fix }
        })
        .collect();
    // Stable, so that a line's findings stay in the table's order.
    findings.sort_by_key(|finding| finding.line);
    Ok(findings)
}

impl Linted {
    fn text(&self, form: Form) -> Result<String> {
        Ok(match form {
            Form::Json => stage::text(self)?,
            Form::Text => self.findings.iter().map(Finding::text).collect(),
            Form::Annotations => self.findings.iter().map(Finding::annotation).collect(),
        })
    }
}

impl Finding {
    fn text(&self) -> String {
        let Self { file, line, rule, what, why, fix } = self;
        let [file, what] = [file, what].map(|text| human::plain(text));
        format!("{file}:{line}: {rule}: {what}\n    {why}\n    {fix}\n")
    }

    /// A command that GitHub's runner reads.
    fn annotation(&self) -> String {
        let Self { file, line, rule, what, why, fix } = self;
        let message = escape(&format!("{what}: {why}. {fix}"));
        let file = escape(file).replace(':', "%3A").replace(',', "%2C");
        format!("::error file={file},line={line},title=ci-lint {rule}::{message}\n")
    }
}

/// As the runner takes it: a line that ends would begin another command.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
