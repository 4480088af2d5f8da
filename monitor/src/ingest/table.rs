//! What happened, for people.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use detect::human::size;

use crate::recorded::{Build, Outcome, Recorded};

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
    let wall = wall.map_or_else(|| "-".to_owned(), seconds);
    // Writing to a string cannot fail.
    let _ = write!(text, "{style}{word:<9}{style:#} {wall:>9}  {name}");
    text.push_str(if more.is_empty() { "" } else { "  " });
    text.push_str(more);
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
        let longest =
            phases.iter().take(2).map(|(name, wall)| format!("{name} {}", seconds(*wall)));
        parts.extend(longest);
    }
    parts.join(", ")
}

/// A time as people say it: `0.42 s`, `3.2 s`, `1 min 5 s`, `2 h 3 min`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        return format!("{seconds:.2} s");
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    // A time that is this long was never negative, nor longer than a u64 holds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_as_people_say_them() {
        let said = [0.004, 0.42, 3.21, 59.94, 65.0, 7385.0].map(seconds);
        assert_eq!(said, ["0.00 s", "0.42 s", "3.2 s", "59.9 s", "1 min 5 s", "2 h 3 min"]);
    }
}
