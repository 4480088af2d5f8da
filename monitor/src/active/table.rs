//! Running builds for people.

use detect::human::size;

use super::{Active, Build};
use crate::estimate::left;
use crate::human::{self, short, time};

/// Names are seldom longer.
const LONGEST_NAME: usize = 60;

/// A command is known by its beginning.
const LONGEST_CLIENT: usize = 80;

/// What is said of each build.
pub const TITLES: [&str; 7] = ["Build", "Time", "Expected", "CPU", "Memory", "By", "For"];

/// One line for each build under a line of titles.
pub fn table(active: &Active) -> String {
    if active.builds.is_empty() {
        return format!("{}\n", nothing(active));
    }
    let titles = TITLES.map(str::to_owned);
    let rows: Vec<[String; 7]> =
        std::iter::once(titles).chain(active.builds.iter().map(row)).collect();
    human::table(&rows, [false; 7])
}

/// What is said where there is no build to show.
pub fn nothing(active: &Active) -> &'static str {
    match active.unseen() {
        None => "nothing is being built",
        Some(_) => "it cannot be seen what is being built",
    }
}

/// The cells of a build.
pub fn row(build: &Build) -> [String; 7] {
    let unknown = || "?".to_owned();
    let client = build.client.as_ref().map(|client| {
        let user = client.user.as_deref().unwrap_or("?");
        match &client.command {
            Some(command) => short(&format!("{user}: {command}"), LONGEST_CLIENT),
            None => short(user, LONGEST_CLIENT),
        }
    });
    [
        short(&build.name, LONGEST_NAME),
        build.running_seconds.map_or_else(unknown, time),
        expected(build).unwrap_or_else(unknown),
        build.cpu_seconds.map_or_else(unknown, time),
        build.memory_bytes.map_or_else(unknown, size),
        build.user.map_or_else(
            || "-".to_owned(),
            |user| super::look::user_name(user).unwrap_or_else(|| user.to_string()),
        ),
        client.unwrap_or_else(unknown),
    ]
}

/// How long it still takes.
pub fn expected(build: &Build) -> Option<String> {
    Some(left(build.expected_seconds?, build.running_seconds?))
}

#[cfg(test)]
mod tests {
    use detect::hardware::Note;
    use detect::number::Version;

    use super::table;
    use crate::active::Active;
    use crate::active::look::UNSEEN;

    #[test]
    fn an_idle_machine_says_so() {
        let idle = Active { version: Version, builds: Vec::new(), notes: Vec::new() };
        assert_eq!(table(&idle), "nothing is being built\n");
        let notes = vec![Note::warning(UNSEEN, "/proc/locks cannot be read")];
        let blind = Active { notes, ..idle };
        assert_eq!(table(&blind), "it cannot be seen what is being built\n");
    }
}
