//! How a stage of the pipe reads, writes and ends.
//!
//! **Invariant:** stdout carries the whole document or nothing of use; a
//! document that cannot be trusted whole is refused, never repaired. Errors are
//! one line `tool: what: why`, and perhaps a second `hint: …`.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arguments::Common;
use crate::file;
use crate::report::{Hint, Usage, reason, say, tool};

/// The largest document read. Real ones are a few kilobytes; what is larger is
/// noise, and reading it all would only take time and memory.
const LARGEST_BYTES: u64 = 16 << 20;

/// Read one document from `input`; `None` and `-` mean stdin.
pub fn read<T: DeserializeOwned>(input: Option<&Path>) -> Result<T> {
    let (name, text) = match input {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let text = read_file(path).with_context(|| name.clone())?;
            (name, text)
        }
        _ => {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                bail!(Usage("stdin: a terminal: pipe a document in, or name a FILE".to_owned()));
            }
            ("stdin".to_owned(), read_bounded(stdin.lock()).context("stdin")?)
        }
    };
    parse(&text).context(name)
}

/// The text of a file that somebody named, if it is no larger than documents are.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    read_bounded(File::open(path)?)
}

/// Read a document from its text.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    if text.iter().all(u8::is_ascii_whitespace) {
        bail!("empty (did the previous stage fail?)");
    }
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => {
            anyhow::Error::new(error).context("ends in the middle (was the previous stage killed?)")
        }
        serde_json::error::Category::Syntax => anyhow::Error::new(error).context("not JSON"),
        _ => {
            let error = anyhow::Error::new(error);
            match taken_for_another(text, &tool()) {
                Some(hint) => error.context(Hint::new(hint)),
                None => error,
            }
        }
    })
}

/// What to do where a tool got the document that another one reads.
fn taken_for_another(text: &[u8], tool: &str) -> Option<&'static str> {
    let document: serde_json::Value = serde_json::from_slice(text).ok()?;
    let has = |field| document.get(field).is_some();
    match tool {
        "profile" if has("hardware") && has("settings") => {
            Some("it is a plan already: profile reads what detect prints")
        }
        "storage" | "caches" | "nix-conf-write" if has("cpu") && has("memory") => {
            Some("it is what detect prints: pass it through profile first")
        }
        _ => None,
    }
}

fn read_bounded(source: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    source.take(LARGEST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST_BYTES {
        bail!("larger than {} MiB: not a document", LARGEST_BYTES >> 20);
    }
    Ok(text)
}

/// Write a document, to stdout or in place of the file `-o` names.
pub fn write<T: Serialize>(document: &T, common: &Common) -> Result<()> {
    write_text(&text(document)?, common)
}

/// A document's text: pretty, with a newline at its end.
pub fn text<T: Serialize>(document: &T) -> Result<String> {
    let mut text = serde_json::to_string_pretty(document)?;
    text.push('\n');
    Ok(text)
}

/// Write finished text, to stdout or in place of the file `-o` names.
pub fn write_text(text: &str, common: &Common) -> Result<()> {
    match common.file() {
        Some(path) => file::replace(path, text.as_bytes()),
        None => print(text.as_bytes()),
    }
}

/// Write text for people to stdout, coloured as `--color` says.
pub fn write_human(text: &str, common: &Common) -> Result<()> {
    let colored = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    if colored && common.file().is_none() {
        print(text.as_bytes())
    } else {
        write_text(&anstream::adapter::strip_str(text).to_string(), common)
    }
}

fn print(text: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("stdout")
}

/// Turn a stage's result into its exit code, and say what went wrong: 0 fine,
/// 1 failure, 2 wrong usage. A reader that has seen enough and closed the pipe
/// is no failure.
pub fn exit(result: Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
    };
    if error.chain().any(closed) {
        return ExitCode::SUCCESS;
    }
    say(&format!("{}: {}", tool(), reason(&error)));
    if let Some(Hint(lines)) = error.downcast_ref() {
        say(lines);
    }
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn error_of(text: &str) -> String {
        let error = parse::<Vec<u32>>(text.as_bytes()).expect_err(text);
        format!("{error:#}")
    }

    #[test]
    fn says_what_is_wrong_with_a_document() {
        assert_eq!(error_of(""), "empty (did the previous stage fail?)");
        assert_eq!(error_of(" \n"), "empty (did the previous stage fail?)");
        assert!(error_of("[1,").starts_with("ends in the middle"), "{}", error_of("[1,"));
        assert!(error_of("nix").starts_with("not JSON"), "{}", error_of("nix"));
        assert!(error_of("[true]").contains("line 1 column 5"), "{}", error_of("[true]"));
        assert!(error_of("[1] [2]").starts_with("not JSON"), "trailing text");
    }
}
