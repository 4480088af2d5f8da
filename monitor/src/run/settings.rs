//! What Nix is set to while it runs, as far as costs depend on it.

use std::ffi::OsString;

use detect::nix::{Asked, ask, nix};
use detect::root::Root;

/// Nix while it answers; it does, long before a build ends.
pub(super) struct Settings {
    root: Root,
    asked: Asked,
}

/// What it said, or the command does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) version: Option<String>,
    pub(super) jobs: Option<u32>,
    pub(super) cores: Option<u32>,
}

impl Settings {
    /// Start to ask.
    pub(super) fn ask() -> Self {
        let root = Root::live();
        let asked = ask(&root);
        Self { root, asked }
    }

    /// Take the answers. What the command itself says comes first.
    pub(super) fn hear(self, command: &[OsString]) -> Heard {
        let (found, _) = nix(&self.root, self.asked, &mut Vec::new());
        let words: Vec<&str> = command.iter().filter_map(|word| word.to_str()).collect();
        let setting = |name: &str| {
            let value = found.as_ref()?.settings.get(name)?;
            value.as_u64().and_then(|value| u32::try_from(value).ok())
        };
        Heard {
            jobs: number(&words, "max-jobs", &["--max-jobs", "-j"]).or_else(|| setting("max-jobs")),
            cores: number(&words, "cores", &["--cores"]).or_else(|| setting("cores")),
            version: found.and_then(|found| found.version),
        }
    }
}

/// The number that a command line gives a setting: `-j 4`, `-j4`, `--option max-jobs 4`.
fn number(words: &[&str], setting: &str, flags: &[&str]) -> Option<u32> {
    let at = |at: usize| words.get(at)?.parse().ok();
    let given = words.iter().enumerate().filter_map(|(position, word)| {
        if flags.contains(word) {
            return at(position + 1);
        }
        if *word == "--option" && words.get(position + 1) == Some(&setting) {
            return at(position + 2);
        }
        flags.iter().find_map(|flag| word.strip_prefix(flag)?.parse().ok())
    });
    given.last()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn the_command_s_own_numbers_are_found() {
        let jobs = |command: &str| {
            let words: Vec<&str> = command.split(' ').collect();
            number(&words, "max-jobs", &["--max-jobs", "-j"])
        };
        assert_eq!(jobs("nix build -j 4"), Some(4));
        assert_eq!(jobs("nix build -j4 --option max-jobs 7"), Some(7));
        assert_eq!(jobs("nix build --max-jobs auto"), None);
        assert_eq!(jobs("nix build --option cores 7"), None);
    }
}
