//! Running builds for people.

use detect::human::size;

use super::{Active, Build};

/// One line for each build under a line of titles.
pub fn table(active: &Active) -> String {
    if active.builds.is_empty() {
        return "nothing is being built\n".to_owned();
    }
    let titles = ["Build", "Time", "CPU", "Memory", "By", "For"].map(str::to_owned);
    let rows: Vec<[String; 6]> =
        std::iter::once(titles).chain(active.builds.iter().map(row)).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    };
    rows.iter().map(line).collect()
}

/// The cells of a build.
pub fn row(build: &Build) -> [String; 6] {
    let unknown = || "?".to_owned();
    let client = build.client.as_ref().map(|client| {
        let user = client.user.as_deref().unwrap_or("?");
        match &client.command {
            Some(command) => format!("{user}: {}", command.chars().take(60).collect::<String>()),
            None => user.to_owned(),
        }
    });
    [
        build.name.clone(),
        build.running_seconds.map_or_else(unknown, time),
        build.cpu_seconds.map_or_else(unknown, time),
        build.memory_bytes.map_or_else(unknown, size),
        build.user.map_or_else(
            || "-".to_owned(),
            |user| super::look::user_name(user).unwrap_or_else(|| user.to_string()),
        ),
        client.unwrap_or_else(unknown),
    ]
}

/// A time as people say it: seconds with a tenth, then minutes, then hours.
pub fn time(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least a minute, and what is above the range becomes its end"
    )]
    let whole = seconds as u64;
    match whole / 60 {
        minutes @ 0..60 => format!("{minutes} min {:02} s", whole % 60),
        minutes => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use detect::number::Version;

    use super::{table, time};
    use crate::active::Active;

    #[test]
    fn times_are_short() {
        assert_eq!(time(0.04), "0.0 s");
        assert_eq!(time(59.9), "59.9 s");
        assert_eq!(time(61.0), "1 min 01 s");
        assert_eq!(time(7322.0), "2 h 02 min");
        assert_eq!(time(f64::NAN), "0 min 00 s");
    }

    #[test]
    fn an_idle_machine_says_so() {
        let idle = Active { version: Version, builds: Vec::new(), notes: Vec::new() };
        assert_eq!(table(&idle), "nothing is being built\n");
    }
}
