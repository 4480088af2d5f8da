//! Manual pages and completions, from the command lines themselves.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_complete_nushell::Nushell;
use profile::cli::{NixConfWriteCli, ProfileCli};
use storage::cli::Cli as StorageCli;

use detect::arguments;
use detect::report::say;

/// Shells that Nix users have, besides Nushell; clap knows two more.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Write them below `out`, or below target/nixpace.
pub(crate) fn run(out: Option<&Path>) -> Result<()> {
    let out = out.unwrap_or(Path::new("target/nixpace"));
    write_all(out)?;
    say(&format!("{}: a manual page for each tool", out.join("man").display()));
    let shells = "bash, zsh, fish and Nushell";
    say(&format!("{}: completions for {shells}", out.join("completions").display()));
    Ok(())
}

/// The same, without a word.
pub(crate) fn write_all(out: &Path) -> Result<()> {
    let [man, completions] = ["man", "completions"].map(|name| out.join(name));
    for folder in [&man, &completions] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    for tool in tools() {
        write(tool, &man, &completions)?;
    }
    Ok(())
}

/// Every tool's command line.
pub(crate) fn tools() -> [Command; 7] {
    [
        bench::cli::Cli::command(),
        caches::cli::Cli::command(),
        detect::cli::Cli::command(),
        monitor::cli::Cli::command(),
        ProfileCli::command(),
        NixConfWriteCli::command(),
        StorageCli::command(),
    ]
    .map(arguments::with_examples)
}

fn write(mut tool: Command, man: &Path, completions: &Path) -> Result<()> {
    let name = tool.get_name().to_owned();
    // `caches help verify` needs no page beside that of `caches verify`.
    let pages = tool.clone().disable_help_subcommand(true);
    let at = || completions.display().to_string();
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut tool, &name, completions).with_context(at)?;
    }
    clap_complete::generate_to(Nushell, &mut tool, &name, completions).with_context(at)?;
    clap_mangen::generate_to(pages, man).with_context(|| man.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{tools, write};

    #[test]
    fn every_command_has_examples() {
        for tool in tools() {
            let commands = tool.get_subcommands().filter(|command| command.get_name() != "help");
            for command in commands.chain([&tool]) {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                let name = (tool.get_name(), command.get_name());
                assert!(help.starts_with("Examples:\n  "), "{name:?}: {help}");
            }
        }
    }

    #[test]
    fn every_tool_has_a_page_and_four_completions() {
        let folder = tempfile::tempdir().expect("folder");
        for tool in tools() {
            tool.clone().debug_assert();
            write(tool, folder.path(), folder.path()).expect("written");
        }
        let page = fs::read_to_string(folder.path().join("detect.1")).expect("page");
        assert!(page.contains(".TH detect 1") && page.contains("detect | profile"), "{page}");
        for file in ["detect.bash", "_detect", "detect.fish", "detect.nu", "nix-conf-write.1"] {
            assert!(folder.path().join(file).exists(), "{file}");
        }
        let files = fs::read_dir(folder.path()).expect("list").count();
        let commands: usize = tools().iter().map(|tool| tool.get_subcommands().count()).sum();
        assert_eq!(files, 5 * tools().len() + commands);
    }
}
