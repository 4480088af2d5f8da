//! How a stage of the pipe reads, writes and ends.
//!
//! **Invariant:** stdout carries the whole document or nothing of use; a
//! document that cannot be trusted whole is refused, never repaired. Errors are
//! one line `tool: what: why`, and perhaps a second `hint: …`.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::hardware::{Level, Note};

/// The largest document read. Real ones are a few kilobytes; what is larger is
/// noise, and reading it all would only take time and memory.
const LARGEST_BYTES: u64 = 16 << 20;

/// Flags that every stage has.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Write to FILE, replacing it whole or not at all, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say also what is good to know
    #[arg(short, long)]
    pub verbose: bool,

    /// When to use colour (`NO_COLOR` is honoured)
    #[arg(long, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

impl Common {
    /// Let `--color` and `NO_COLOR` decide for everything printed from now on.
    pub fn apply_color(&self) {
        match self.color {
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
            ColorChoice::Auto => return,
        }
        .write_global();
    }

    /// Tell people what a stage noted, on stderr: warnings, and with `-v`
    /// everything.
    pub fn tell(&self, notes: &[Note]) {
        let least = match (self.quiet, self.verbose) {
            (true, _) => return,
            (_, true) => Level::Info,
            _ => Level::Warning,
        };
        for note in notes.iter().filter(|note| note.level >= least) {
            let level = match note.level {
                Level::Info => "note",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            say(&format!("{}: {level}: {}", tool(), note.text));
        }
    }
}

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

/// The command line, or why it is none. Help and version are printed here, and
/// end the program.
pub fn arguments<C: CommandFactory + FromArgMatches>() -> Result<C> {
    let mut command = C::command();
    let found = command.try_get_matches_from_mut(std::env::args_os());
    match found.and_then(|matches| C::from_arg_matches(&matches)) {
        Ok(cli) => Ok(cli),
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => Err(usage(&error.render().to_string(), &mut command)),
    }
}

/// An error in our own form, from clap's: a paragraph that says what is wrong,
/// perhaps one with a tip, and one with the usage, which some errors lack.
fn usage(text: &str, command: &mut clap::Command) -> anyhow::Error {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let paragraphs: Vec<String> = text.split("\n\n").map(words).collect();
    let find = |start: &str| paragraphs.iter().find(|paragraph| paragraph.starts_with(start));
    let why = paragraphs.first().map_or("", |first| first.trim_start_matches("error: "));
    let lines = [
        find("tip: ").map(|tip| tip.replacen("tip:", "hint:", 1)),
        find("Usage: ").cloned().or_else(|| Some(words(&command.render_usage().to_string()))),
    ];
    let lines = lines.into_iter().flatten().collect::<Vec<_>>().join("\n");
    anyhow::Error::new(Usage(why.to_owned())).context(Hint(lines))
}

/// Read one document from `input`; `None` and `-` mean stdin.
pub fn read<T: DeserializeOwned>(input: Option<&Path>) -> Result<T> {
    let (name, text) = match input {
        Some(path) if path != Path::new("-") => {
            let name = path.display().to_string();
            let file = File::open(path).with_context(|| name.clone())?;
            let text = read_bounded(file).with_context(|| name.clone())?;
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
        _ => anyhow::Error::new(error),
    })
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
    match &common.output {
        Some(path) => replace(path, text.as_bytes()),
        None => print(text.as_bytes()),
    }
}

/// Write text for people to stdout, coloured as `--color` says.
pub fn write_human(text: &str, common: &Common) -> Result<()> {
    let colored = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    if colored && common.output.is_none() {
        print(text.as_bytes())
    } else {
        write_text(&anstream::adapter::strip_str(text).to_string(), common)
    }
}

fn print(text: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text).and_then(|()| stdout.flush()).context("stdout")
}

/// Replace `path` with `contents`, whole or not at all: a crash at any instant
/// leaves the old file or the new one. Links and devices are refused, since
/// what a link points to is not what the user named.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    write_beside(path, contents).with_context(|| path.display().to_string())
}

fn write_beside(path: &Path, contents: &[u8]) -> Result<()> {
    let mode = match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => bail!("a symbolic link: name its target"),
        Ok(found) if !found.is_file() => bail!("not a regular file"),
        Ok(found) => Some(found.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if path.file_name().is_none() {
        bail!("names no file");
    }
    // `tempfile` opens with O_EXCL under a random name, which the process's
    // umask then narrows; it removes the file again on any early return.
    let mut temporary = tempfile::Builder::new()
        .prefix(".nixpace-")
        .suffix(".tmp")
        .permissions(new_file_mode())
        .tempfile_in(folder)?;
    temporary.write_all(contents)?;
    if let Some(mode) = mode {
        temporary.as_file().set_permissions(mode)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    // Without this the rename itself may be lost when the power fails.
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn new_file_mode() -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    Permissions::from_mode(0o666)
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
    say(&describe(&error));
    if let Some(Hint(lines)) = error.downcast_ref() {
        say(lines);
    }
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// `tool: what: why`, on one line whatever the texts hold.
fn describe(error: &anyhow::Error) -> String {
    let mut line = tool();
    let hint = error.downcast_ref().map(|Hint(lines)| lines);
    for text in error.chain().map(ToString::to_string).filter(|text| Some(text) != hint) {
        // An I/O error says "… (os error 2)": the number tells people nothing.
        let text = text.split(" (os error ").next().unwrap_or_default();
        line.push_str(": ");
        line.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    line
}

/// The name this program was started by.
fn tool() -> String {
    std::env::args_os()
        .next()
        .and_then(|path| Some(Path::new(&path).file_name()?.to_string_lossy().into_owned()))
        .unwrap_or_else(|| "nixpace".to_owned())
}

/// One line for people. When stderr is gone, nobody is left to tell.
fn say(line: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use anyhow::{Context, anyhow};

    use super::{Hint, describe, parse, replace};

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

    #[test]
    fn an_error_is_one_line_and_its_hint_another() {
        let error = anyhow!("why\nnot").context("what").context(Hint::new("try again"));
        assert!(describe(&error).ends_with(": what: why not"), "{}", describe(&error));
        let Hint(hint) = error.downcast_ref().expect("a hint");
        assert_eq!(hint, "hint: try again");
    }

    #[test]
    fn os_error_numbers_are_left_out() {
        let error = fs::read("/nonexistent").context("file").expect_err("missing");
        assert!(describe(&error).ends_with(": file: No such file or directory"));
    }

    #[test]
    fn replaces_whole_files_and_keeps_their_mode() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("plan.json");
        replace(&path, b"one").expect("new");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        replace(&path, b"two").expect("over");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::metadata(&path).expect("stat").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&folder).expect("list").count(), 1, "no temporary file stays");
    }

    #[test]
    fn refuses_links_devices_and_missing_folders() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("target");
        fs::write(&target, "old").expect("target");
        let link = folder.path().join("link");
        symlink(&target, &link).expect("link");
        assert!(replace(&link, b"new").is_err());
        assert_eq!(fs::read(&target).expect("read"), b"old");
        assert!(replace("/dev/null".as_ref(), b"new").is_err());
        assert!(replace(folder.path(), b"new").is_err());
        assert!(replace(&folder.path().join("no/such"), b"new").is_err());
    }
}
