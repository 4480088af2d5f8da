//! The whole chain on this machine: every document, and a report for people.
//!
//! **Invariant:** it changes nothing but the files below `target/nixpace`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use detect::hardware::{Level, Note};
use detect::human;
use detect::root::Root;
use detect::{arguments::Common, file, stage};
use profile::explain;
use profile::form::{self, Form};
use profile::plan::{Plan, Source, Target};

/// Where the documents go.
const FOLDER: &str = "target/nixpace";

/// What to do with the documents.
const NEXT: &str = "\
Nothing on this system has changed. To try the settings on one build:
  NIX_CONFIG=\"$(cat target/nixpace/nix-config.env)\" nix build …
To keep them, build the tools, look, and then apply; --rollback undoes it (NixOS
and nix-darwin: import nixos.nix or darwin.nix instead):
  cargo build --release --bins
  target/release/nix-conf-write target/nixpace/plan.json --diff
  sudo target/release/nix-conf-write target/nixpace/plan.json --apply
";

/// Run every stage, write what they say, and sum it up on stdout.
pub(crate) fn run() -> Result<()> {
    let hardware = detect::run(&Root::live(), &detect::Options::default());
    let plan = storage::run(profile::run(hardware, &profile::Options::default())?)?;
    let plan = caches::run(plan)?;

    let report = report(&plan, explain::width())?;
    let documents = [
        ("hardware.json", stage::text(&plan.hardware)?),
        ("plan.json", stage::text(&plan)?),
        ("nix.conf", form::render(&plan, Form::NixConf)?),
        ("nix-config.env", form::render(&plan, Form::Env)?),
        ("nixos.nix", form::render(&plan, Form::Nixos)?),
        ("darwin.nix", form::render(&plan, Form::Darwin)?),
        ("github.env", form::render(&plan, Form::Github)?),
        ("nix-daemon.conf", form::render(&plan, Form::Systemd)?),
        ("report.txt", anstream::adapter::strip_str(&report).to_string()),
    ];
    fs::create_dir_all(FOLDER).context(FOLDER)?;
    for (name, text) in &documents {
        file::replace(&Path::new(FOLDER).join(name), text.as_bytes())?;
    }
    let names = documents.map(|(name, _)| name).join(", ");
    let written = format!("\nWritten to {FOLDER}: {names}\n{NEXT}");
    stage::write_human(&(report + &written), &Common::default())
}

/// The machine, what follows from it and why, for people.
fn report(plan: &Plan, width: usize) -> Result<String> {
    let profile = &plan.profile;
    let tier = serde_json::to_value(profile.tier)?;
    let head = format!(
        "{}\nTier {}, for {}\n",
        human::line(&plan.hardware),
        tier.as_str().unwrap_or_default(),
        nix(&profile.target),
    );
    let seen = &plan.hardware.notes;
    // The plan repeats some of them.
    let more = plan.notes.iter().filter(|note| !seen.contains(note));
    let notes: Vec<String> = seen.iter().chain(more).map(note).collect();
    let notes = match notes.as_slice() {
        [] => String::new(),
        notes => format!("\n{}\n", notes.join("\n")),
    };
    Ok(head + &explain::changes(plan, width) + &notes)
}

/// The Nix that the plan is for, and why for that one.
fn nix(target: &Target) -> String {
    let name = match target.release() {
        Some(release) => release.to_string(),
        None => target.version.clone(),
    };
    let source = match target.source {
        Source::Detected => "which is installed here",
        Source::Requested => "as asked",
        Source::Assumed => "which is assumed, since no Nix was found here",
    };
    format!("{name}, {source}")
}

fn note(note: &Note) -> String {
    let level = match note.level {
        Level::Info => "note",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    format!("{level}: {}", note.text)
}

#[cfg(test)]
mod tests {
    use detect::hardware::{Hardware, Note};

    use super::report;

    #[test]
    fn a_machine_without_nix_has_a_report_that_says_so() {
        let hardware = Hardware {
            notes: vec![Note::warning("test", "something is odd")],
            ..Hardware::default()
        };
        let plan = profile::run(hardware, &profile::Options::default()).expect("a plan");
        let text = report(&plan, 80).expect("a report");
        assert!(text.starts_with("unknown CPU: "), "{text}");
        assert!(text.contains("\nTier conservative, for Nix 2."), "{text}");
        assert!(text.contains("assumed, since no Nix was found here\n"), "{text}");
        assert!(text.contains("\nwarning: something is odd\n"), "{text}");
    }
}
