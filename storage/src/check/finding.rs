//! One thing that was found: how bad, what, and what to do next.

use detect::hardware::Level;
use detect::human::plain;
use schemars::JsonSchema;
use serde::Serialize;

/// As wide as the narrowest terminal that people use.
const WIDTH: usize = 80;

/// Where the texts of findings start: after their levels.
const INDENT: usize = 9;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// Stable, in kebab-case.
    pub id: String,
    /// What will fail (`error`), may fail or is slow (`warning`), or is good to
    /// know (`info`).
    pub level: Level,
    /// One sentence.
    pub text: String,
    /// What to do next.
    pub next: String,
}

impl Finding {
    /// What will fail.
    pub(crate) fn error(id: &str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self { id: id.to_owned(), level: Level::Error, text: text.into(), next: next.into() }
    }

    /// What may fail, or is slow.
    pub(crate) fn warning(id: &str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(id, text, next) }
    }

    /// What is good to know.
    pub(crate) fn info(id: &str, text: impl Into<String>, next: impl Into<String>) -> Self {
        Self { level: Level::Info, ..Self::error(id, text, next) }
    }

    /// For people: lines that fit a terminal, what to do below what is wrong.
    pub(crate) fn human(&self) -> String {
        let level = match self.level {
            Level::Info => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        let text = wrapped(&format!("{level:<INDENT$}{}", self.text), INDENT);
        text + &wrapped(&format!("{:INDENT$}→ {}", "", self.next), INDENT + 2)
    }
}

/// Text in lines of no more than the terminal's width, unless a word is longer;
/// all but the first indented. It may hold names that others chose, which must
/// do nothing to the terminal.
pub(crate) fn wrapped(text: &str, indent: usize) -> String {
    let text = plain(text);
    let mut lines = String::new();
    // What stands before the first word stays.
    let start = text.len() - text.trim_start().len();
    let mut column = start;
    lines.push_str(&text[..start]);
    // Columns of a level are kept as they are: words are split at single spaces.
    for (index, word) in text[start..].split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            lines.push('\n');
            lines.push_str(&" ".repeat(indent));
            column = indent;
        } else if index > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += length;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::{Finding, wrapped};

    #[test]
    fn lines_fit_a_terminal() {
        let text = "everybody may write to a folder above it ".repeat(5);
        let lines = Finding::error("x", text.trim(), text.trim()).human();
        assert!(lines.lines().count() > 4, "{lines}");
        assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
        assert!(lines.starts_with("error    everybody"), "{lines}");
        assert!(lines.contains("\n         → everybody"), "{lines}");
        assert_eq!(wrapped("  /a\u{1b}[2J\nb", 3), "  /a [2J b\n", "a name does nothing");
        assert_eq!(wrapped(&"x".repeat(100), 3), "x".repeat(100) + "\n", "a path stays whole");
    }
}
