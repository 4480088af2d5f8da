//! What happened, for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use detect::human::size;

use crate::human::{short, time};
use crate::recorded::{Build, Outcome, Recorded};

/// Longer texts are cut.
const LONGEST: usize = 120;

/// A table of all that happened.
pub(super) fn table(recorded: &Recorded) -> String {
    let mut text = String::new();
    let Recorded { builds, substitutions, waits, .. } = recorded;
    for build in builds {
        row(&mut text, word(build), build.wall_seconds, &build.name, &details(build));
    }
    let plain = Style::new();
    for path in substitutions {
        let mut details = vec![format!("from {}", path.cache)];
        details.extend(path.downloaded_bytes.map(size));
        let name = crate::stream::name(&path.path);
        row(&mut text, ("fetched", plain), path.wall_seconds, name, &details.join(", "));
    }
    for wait in waits {
        row(&mut text, ("waited", plain), wait.wall_seconds, &wait.what, "");
    }
    let count = |outcome| builds.iter().filter(|build| build.outcome == outcome).count();
    let mut parts = vec![
        (count(Outcome::Built), "built".to_owned()),
        (count(Outcome::Failed), "failed".to_owned()),
        (count(Outcome::Cancelled), "cancelled".to_owned()),
        (substitutions.len(), format!("fetched ({})", size(recorded.downloaded_bytes))),
        (waits.len(), "waited for".to_owned()),
    ];
    parts.retain(|(count, _)| *count > 0);
    for (count, what) in [
        (recorded.unknown_events, "events of an unknown kind"),
        (recorded.malformed_lines, "lines that are no events"),
    ] {
        if count > 0 {
            parts.push((usize::try_from(count).unwrap_or(usize::MAX), what.to_owned()));
        }
    }
    let parts: Vec<String> = parts.iter().map(|(count, what)| format!("{count} {what}")).collect();
    let summary = if parts.is_empty() { "nothing happened".to_owned() } else { parts.join(", ") };
    text.push_str(&format!("{summary}\n"));
    text
}

fn row(text: &mut String, (word, style): (&str, Style), wall: Option<f64>, name: &str, more: &str) {
    let wall = wall.map_or_else(|| "-".to_owned(), time);
    // Writing to a string cannot fail.
    let _ = write!(text, "{style}{word:<9}{style:#} {wall:>10}  {}", short(name, LONGEST));
    if !more.is_empty() {
        let _ = write!(text, "  {}", short(more, LONGEST));
    }
    text.push('\n');
}

fn word(build: &Build) -> (&'static str, Style) {
    let colored = |color: AnsiColor| color.on_default();
    match build.outcome {
        Outcome::Built => ("built", colored(AnsiColor::Green)),
        Outcome::Failed => ("failed", colored(AnsiColor::Red)),
        Outcome::Cancelled => ("cancelled", colored(AnsiColor::Yellow)),
    }
}

/// Why it failed and where it was; else, its longest phases.
fn details(build: &Build) -> String {
    let mut parts: Vec<String> = build.reason.iter().cloned().collect();
    parts.extend(build.machine.iter().map(|machine| format!("on {machine}")));
    if build.outcome == Outcome::Built {
        let mut phases: Vec<(&str, f64)> = build
            .phases
            .iter()
            .filter_map(|phase| Some((phase.name.as_str(), phase.wall_seconds?)))
            .collect();
        phases.sort_by(|one, other| other.1.total_cmp(&one.1));
        let longest = phases.iter().take(2).map(|(name, wall)| format!("{name} {}", time(*wall)));
        parts.extend(longest);
    }
    parts.join(", ")
}
