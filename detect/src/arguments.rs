//! The command line: what every tool's has, and what is wrong with it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches};

use crate::hardware::{Level, Note};
use crate::human::plain;
use crate::report::{Hint, Usage, say, tool};

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
    /// The file that output goes to; `-` is stdout, as everywhere.
    pub fn file(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != Path::new("-"))
    }

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
            say(&format!("{}: {level}: {}", tool(), plain(&note.text)));
        }
    }
}

/// The command line, or why it is none. Help and version are printed here, and
/// end the program.
pub fn parse<C: CommandFactory + FromArgMatches>() -> Result<C> {
    let mut command = with_examples(C::command());
    let found = command.try_get_matches_from_mut(std::env::args_os());
    match found.and_then(|matches| C::from_arg_matches(&matches)) {
        Ok(cli) => Ok(cli),
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => Err(usage(&error.render().to_string(), &mut command)),
    }
}

/// A tool whose commands show, of the tool's examples, those that are of them.
pub fn with_examples(tool: clap::Command) -> clap::Command {
    let all = tool.get_after_help().map(ToString::to_string).unwrap_or_default();
    let start = format!("  {} ", tool.get_name());
    tool.mut_subcommands(|command| {
        let is_of_it = |line: &&str| {
            let word = line.strip_prefix(&start).and_then(|rest| rest.split_whitespace().next());
            word == Some(command.get_name())
        };
        let own: Vec<&str> = all.lines().filter(is_of_it).collect();
        if own.is_empty() || command.get_after_help().is_some() {
            return command;
        }
        command.after_help(format!("Examples:\n{}", own.join("\n")))
    })
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
