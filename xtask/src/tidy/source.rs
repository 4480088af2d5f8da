//! How files of text must look.

use std::path::Path;

/// More than fits in a reader's head at once.
const MOST_LINES: usize = 400;

/// A program reads its arguments and calls its library; that takes no more.
const MOST_PROGRAM_LINES: usize = 30;

/// Files that may be longer, and why.
const TABLES: &[(&str, &str)] = &[];

/// What is wrong with a file, each as `path: what`.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut find = |what: String| findings.push(format!("{path}: {what}"));
    // Files with a NUL are no text.
    if text.contains('\0') {
        return findings;
    }
    for (number, _) in
        (1..).zip(text.split('\n')).filter(|(_, line)| line.ends_with([' ', '\t', '\r']))
    {
        find(format!("space at the end of line {number}"));
    }
    if !text.is_empty() && !text.ends_with('\n') {
        find("no newline at its end".to_owned());
    }
    if Path::new(path).extension() != Some("rs".as_ref()) {
        return findings;
    }
    let lines = text.lines().count();
    if is_crate_root(path) && !text.starts_with("//! ") {
        find("does not start by saying what it is (//!)".to_owned());
    }
    if is_program(path) && lines > MOST_PROGRAM_LINES {
        find(format!("{lines} lines: a program has at most {MOST_PROGRAM_LINES}"));
    }
    if lines > MOST_LINES && !TABLES.iter().any(|(table, _)| *table == path) {
        find(format!("{lines} lines: split it (at most {MOST_LINES}), or name it as a table"));
    }
    findings
}

fn is_crate_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
}

/// Whether it is a tool's program; ours for developers has many tasks.
fn is_program(path: &str) -> bool {
    is_crate_root(path) && !path.ends_with("/lib.rs") && !path.starts_with("xtask/")
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn text_ends_cleanly() {
        assert_eq!(check("a.md", "one\ntwo\n"), [""; 0]);
        assert_eq!(check("a.md", ""), [""; 0]);
        assert_eq!(
            check("a.md", "one \ntwo"),
            ["a.md: space at the end of line 1", "a.md: no newline at its end"]
        );
        assert_eq!(check("a.md", "\tone\n\t\n"), ["a.md: space at the end of line 2"]);
        assert_eq!(check("a.md", "one\r\n").len(), 1, "a line ends with a newline only");
        assert_eq!(check("a.bin", "\0 "), [""; 0]);
    }

    #[test]
    fn crates_say_what_they_are() {
        let finding = "detect/src/lib.rs: does not start by saying what it is (//!)";
        assert_eq!(check("detect/src/lib.rs", "fn f() {}\n"), [finding]);
        assert_eq!(check("detect/src/lib.rs", "//! Facts.\n"), [""; 0]);
        assert_eq!(check("detect/src/cpu.rs", "fn f() {}\n"), [""; 0]);
    }

    #[test]
    fn programs_are_short_and_files_not_long() {
        let text = format!("//! It.\n{}", "\n".repeat(30));
        assert_eq!(check("profile/src/bin/tool.rs", &text).len(), 1);
        assert_eq!(check("profile/src/main.rs", &text).len(), 1);
        assert_eq!(check("xtask/src/main.rs", &text).len(), 0);
        assert_eq!(check("profile/src/lib.rs", &text).len(), 0);
        assert_eq!(check("profile/src/tool.rs", &"\n".repeat(400)).len(), 0);
        assert_eq!(check("profile/src/tool.rs", &"\n".repeat(401)).len(), 1);
        assert_eq!(check("profile/tool.md", &"\n".repeat(401)).len(), 0);
    }
}
