//! `monitor builds`: what was built, when, in what time, and how it ended.

use anyhow::Result;
use clap::Args;
use detect::arguments::Common;
use detect::human::size;
use detect::number::Version;
use detect::stage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::Place;
use crate::history::attempt::{Attempt, Filter, attempts};
use crate::human::{WIDTH, age, short, table, time};
use crate::recorded::Outcome;
use crate::snapshot::{now, past};

/// Which builds
#[derive(Args, Debug)]
pub struct Command {
    /// Those that ended within this time: 90s, 30m, 12h, 7d or 4w
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub since: Option<f64>,

    /// Those with this in their name
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,

    /// Those that took longest first
    #[arg(long)]
    pub slowest: bool,

    /// Those that failed only
    #[arg(long)]
    pub failed: bool,

    /// So many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 30)]
    pub most: u32,

    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

/// Builds, and where they are known from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Builds {
    /// Version of this document's format.
    pub version: Version<1>,
    /// The history, or, where none is kept yet, the logs of builds.
    pub source: String,
    /// The builds, the last or, where that was asked for, the slowest first.
    pub builds: Vec<Attempt>,
}

impl Command {
    /// Print them.
    pub fn run(self) -> Result<()> {
        self.common.apply_color();
        let now = now();
        let filter = Filter {
            since: self.since.map_or(0.0, |since| now - since),
            name: self.name,
            failed: self.failed,
            slowest: self.slowest,
            most: self.most,
        };
        let past = past(&self.place)?;
        let builds = past.ask(|connection| attempts(connection, &filter))?;
        let builds = Builds { version: Version, source: past.source(), builds };
        if self.json {
            return stage::write(&builds, &self.common);
        }
        stage::write_human(&builds.table(now), &self.common)
    }
}

/// A number and its unit, as seconds.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let bad = || "a whole number and s, m, h, d or w, such as 7d".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let unit = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        "w" => 7.0 * 86400.0,
        _ => return Err(bad()),
    };
    Ok(f64::from(number.parse::<u32>().map_err(|_| bad())?) * unit)
}

impl Builds {
    /// A line for each, and one more for why it failed.
    pub fn table(&self, now: f64) -> String {
        if self.builds.is_empty() {
            return format!("no builds, or none like that, in {}\n", self.source);
        }
        let titles = ["Ended", "Build", "Outcome", "Time", "CPU", "Memory"].map(str::to_owned);
        let rows = self.builds.iter().map(|build| row(build, now));
        let rows: Vec<[String; 6]> = std::iter::once(titles).chain(rows).collect();
        let lines = table(&rows, [false, false, false, true, true, true]);
        let mut text = String::new();
        let reasons = self.builds.iter().map(|build| match build.outcome {
            Some(Outcome::Failed) => build.reason.as_deref(),
            _ => None,
        });
        // The titles have no reason.
        for (line, reason) in lines.lines().zip(std::iter::once(None).chain(reasons)) {
            text.push_str(line);
            text.push('\n');
            if let Some(reason) = reason {
                text.push_str(&format!("    {}\n", short(reason, WIDTH - 4)));
            }
        }
        text
    }
}

/// The cells of a build: what is not known is a dash.
pub(crate) fn row(build: &Attempt, now: f64) -> [String; 6] {
    let dash = || "-".to_owned();
    let outcome = match build.outcome {
        Some(Outcome::Built) => "built",
        Some(Outcome::Failed) => "failed",
        Some(Outcome::Cancelled) => "cancelled",
        None => "?",
    };
    [
        age(now - build.ended_unix_seconds),
        short(&build.name, 22),
        outcome.to_owned(),
        build.wall_seconds.map_or_else(dash, time),
        build.cpu_seconds.map_or_else(dash, time),
        build.peak_memory_bytes.map_or_else(dash, size),
    ]
}

#[cfg(test)]
mod tests {
    use detect::number::Version;

    use super::{Builds, seconds};
    use crate::history::attempt::{Attempt, Witness};
    use crate::recorded::Outcome;

    #[test]
    fn spans_of_time() {
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("4w"), Ok(2_419_200.0));
        for bad in ["", "d", "7", "-7d", "7y", "1.5h", "7é", "4294967296d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_table_fits_a_terminal() {
        let build = |name: &str, outcome| Attempt {
            drv: String::new(),
            name: name.to_owned(),
            pname: String::new(),
            outcome,
            reason: Some("builder failed with exit code 3\x1b".to_owned()),
            machine: None,
            started_unix_seconds: None,
            ended_unix_seconds: 100.0,
            wall_seconds: Some(86399.0),
            cpu_seconds: Some(86399.0),
            peak_memory_bytes: Some(1023 << 20),
            usage_source: None,
            cores: None,
            source: Witness::Events,
        };
        let mut builds = Builds {
            version: Version,
            source: "/history".to_owned(),
            builds: vec![
                build("a-very-long-name-of-a-package-1.0", Some(Outcome::Cancelled)),
                build("b-1", Some(Outcome::Failed)),
                build("c-1", None),
            ],
        };
        let text = builds.table(86400.0 * 365.0);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
        assert_eq!(text.lines().nth(3), Some("    builder failed with exit code 3�"));
        builds.builds.clear();
        assert_eq!(builds.table(0.0), "no builds, or none like that, in /history\n");
    }
}
