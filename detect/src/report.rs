//! What is said to people, on stderr: one line `tool: what: why`, and perhaps
//! hints below it.

use std::fmt;
use std::io::Write;
use std::path::Path;

/// A mistake in how a tool was called: exit code 2 instead of 1.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// What the user can do about an error: lines of their own below it.
#[derive(Debug)]
pub struct Hint(pub String);

impl Hint {
    /// A hint on one line.
    pub fn new(hint: &str) -> Self {
        Self(format!("hint: {hint}"))
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// `what: why`, on one line whatever the texts hold, and without the hint.
pub fn reason(error: &anyhow::Error) -> String {
    let hint = error.downcast_ref().map(|Hint(lines)| lines);
    let causes = error.chain().map(ToString::to_string).filter(|text| Some(text) != hint);
    // An I/O error says "… (os error 2)": the number tells people nothing.
    let causes: Vec<String> = causes
        .map(|text| text.split(" (os error ").next().unwrap_or_default().to_owned())
        .collect();
    causes.join(": ").replace(char::is_control, " ")
}

/// The name this program was started by.
pub fn tool() -> String {
    std::env::args_os()
        .next()
        .and_then(|path| Some(Path::new(&path).file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "nixpace".to_owned())
}

/// One line for people. When stderr is gone, nobody is left to tell.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::{Context, anyhow};

    use super::{Hint, reason};

    #[test]
    fn an_error_is_one_line_and_its_hint_another() {
        let error = anyhow!("why\nnot").context("what").context(Hint::new("try again"));
        assert_eq!(reason(&error), "what: why not");
        let Hint(hint) = error.downcast_ref().expect("a hint");
        assert_eq!(hint, "hint: try again");
    }

    #[test]
    fn os_error_numbers_are_left_out() {
        let error = fs::read("/nonexistent").context("file").expect_err("missing");
        assert_eq!(reason(&error), "file: No such file or directory");
    }
}
