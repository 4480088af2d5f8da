//! Everything that continuous integration checks.

use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use anyhow::{Result, bail};

use crate::command::{self, cargo};
use crate::{lint, schema, tidy, workflow};
use detect::report::{reason, say};

/// A check and how to make it.
type Check = (&'static str, fn() -> Result<()>);

/// What must hold, quickest first.
const CHECKS: [Check; 8] = [
    ("fmt", || command::run(&mut cargo(["fmt", "--all", "--check"]))),
    ("clippy", || {
        let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        command::run(&mut cargo(clippy))
    }),
    ("doc", || {
        let doc = ["doc", "--workspace", "--no-deps", "--document-private-items"];
        command::run(cargo(doc).env("RUSTDOCFLAGS", "-Dwarnings"))
    }),
    ("schema", || schema::run(true)),
    ("tidy", tidy::run),
    ("workflow", || workflow::run(true, &[], None)),
    ("ci-lint", lint::own),
    // One failure must not hide another.
    ("test", || command::run(&mut cargo(["xtask", "test", "--", "--no-fail-fast"]))),
];

/// How a check ended.
struct Outcome {
    name: &'static str,
    took: Duration,
    error: Option<anyhow::Error>,
}

/// Make all checks, whatever fails, and sum up.
pub(crate) fn run() -> Result<()> {
    let outcomes = CHECKS.map(|(name, check)| {
        say(&format!("── {name}"));
        let started = Instant::now();
        let error = check().err();
        Outcome { name, took: started.elapsed(), error }
    });
    say("");
    for outcome in &outcomes {
        say(&row(outcome));
    }
    match outcomes.iter().filter(|outcome| outcome.error.is_some()).count() {
        0 => Ok(()),
        failed => bail!("ci: {failed} of {} checks failed", outcomes.len()),
    }
}

/// An outcome as a line of the table.
fn row(Outcome { name, took, error }: &Outcome) -> String {
    let seconds = took.as_secs_f64();
    let (color, verdict) = match error {
        None => (AnsiColor::Green, "pass"),
        Some(_) => (AnsiColor::Red, "FAIL"),
    };
    let style = Style::new().fg_color(Some(color.into()));
    let why = error.as_ref().map(|error| format!("  {}", reason(error))).unwrap_or_default();
    format!("{style}{verdict}{style:#}  {name:<8}{seconds:>8.1} s{why}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::anyhow;

    use super::{Outcome, row};

    #[test]
    fn a_failed_check_says_why() {
        let took = Duration::from_millis(1250);
        let line = |error| {
            let row = row(&Outcome { name: "fmt", took, error });
            anstream::adapter::strip_str(&row).to_string()
        };
        assert_eq!(line(None), "pass  fmt          1.2 s");
        assert_eq!(
            line(Some(anyhow!("why").context("what"))),
            "FAIL  fmt          1.2 s  what: why"
        );
    }
}
