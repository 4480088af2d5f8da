//! Graphs of builds that need nothing but Nix and a shell.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;

const GRAPH: &str = include_str!("synthetic/graph.nix");
const BUILD: &str = include_str!("synthetic/build.sh");

/// A graph's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Many builds at once
    Wide,
    /// One build after another
    Deep,
    /// A few small builds, and one that is parallel inside
    OneBig,
    /// Some of all
    #[default]
    Mixed,
}

/// How much work it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// Half a CPU second: a comparison takes some 15 s
    #[default]
    Small,
    /// 4 CPU seconds
    Medium,
    /// 30 CPU seconds
    Large,
}

impl Scale {
    /// Seconds after which a comparison begins no more pairs, unless told.
    pub fn time_seconds(self) -> u64 {
        match self {
            Self::Small => 14,
            Self::Medium => 300,
            Self::Large => 1800,
        }
    }
}

/// A value's name on the command line, and in the graph's expression.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Put the expression into a folder; its path.
pub fn write(folder: &Path) -> Result<String> {
    for (name, text) in [("graph.nix", GRAPH), ("build.sh", BUILD)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(folder.join("graph.nix").display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::{BUILD, Scale, Shape, name};

    #[test]
    fn a_build_needs_a_shell_alone() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("build.sh"), BUILD).expect("written");
        for cores in ["0", "1", "3"] {
            let status = Command::new("/bin/sh")
                .arg("build.sh")
                .current_dir(folder.path())
                .envs([("serial", "1"), ("parallel", "2"), ("link", "1"), ("kib", "1")])
                .env("NIX_BUILD_CORES", cores)
                .env("out", "out")
                .env("PATH", "/path-not-set")
                .status()
                .expect("a shell");
            assert!(status.success());
            let how = fs::read_to_string(folder.path().join("out")).expect("an output");
            assert!(["gcc\n", "shell\n"].contains(&how.as_str()), "{how:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_expression() {
        assert_eq!((name(&Shape::OneBig), name(&Scale::Small)), ("one-big".into(), "small".into()));
    }
}
