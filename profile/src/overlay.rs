//! Packages that are built for this machine's CPU, each by name.
//!
//! A package built for a level of x86-64 has another hash than the one in a
//! binary cache, and so has all that depends on it: nothing is optimised that
//! was not asked for by name. A whole platform (`hostPlatform.gcc.arch`) or a
//! changed `stdenv` would build the world anew, and are not offered.
//!
//! The packages do not require the system feature `gccarch-…`, as those of such
//! a platform do: `NixOS` would have to be switched to a nix.conf that has the
//! feature before it could build the configuration that sets it. Any builder
//! compiles them; only the tests that some run need a CPU of the level.
//!
//! **Invariant:** the text written depends on nothing but checked names and a
//! level; the overlay itself is one committed file, `optimize.nix`, that the
//! Nix modules import and [`render`] copies.

use detect::hardware::{Hardware, Note};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The overlay, as a function of the level and the names.
const OVERLAY: &str = include_str!("../optimize.nix");

/// More packages than this are no exceptions any more.
const MOST_PACKAGES: usize = 100;

/// Longer than any name in nixpkgs.
const LONGEST_NAME: usize = 128;

/// Packages to build for the machine's CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Optimize {
    /// The level of x86-64 to build them for.
    pub arch: Arch,
    /// Their attribute names in nixpkgs.
    pub packages: Packages,
    /// What it costs, for people, on one line.
    pub why: String,
}

/// A level of the x86-64 psABI above the baseline, as GCC 11 and Clang 12 name
/// it in `-march`. There is none for other architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Arch {
    /// SSE 4.2.
    #[serde(rename = "x86-64-v2")]
    V2,
    /// AVX 2.
    #[serde(rename = "x86-64-v3")]
    V3,
    /// AVX-512.
    #[serde(rename = "x86-64-v4")]
    V4,
}

impl Arch {
    /// The level that a machine reaches, if it is above the baseline.
    fn of(hardware: &Hardware) -> Option<Self> {
        match hardware.cpu.isa_level.as_deref()? {
            "x86-64-v2" => Some(Self::V2),
            "x86-64-v3" => Some(Self::V3),
            "x86-64-v4" => Some(Self::V4),
            _ => None,
        }
    }

    /// As compilers name it.
    fn name(self) -> &'static str {
        match self {
            Self::V2 => "x86-64-v2",
            Self::V3 => "x86-64-v3",
            Self::V4 => "x86-64-v4",
        }
    }
}

/// Names of packages: sorted, each once, at least one, and no more than a
/// person would name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
#[schemars(with = "Vec<String>")]
pub struct Packages(Vec<String>);

impl TryFrom<Vec<String>> for Packages {
    type Error = String;

    fn try_from(mut names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("no package".to_owned());
        }
        for name in &names {
            // The name may be long, or hold anything.
            package(name).map_err(|why| format!("{:?}: {why}", name.get(..40).unwrap_or(name)))?;
        }
        names.sort_unstable();
        names.dedup();
        match names.len() {
            ..=MOST_PACKAGES => Ok(Self(names)),
            many => Err(format!("{many} packages: at most {MOST_PACKAGES}")),
        }
    }
}

impl From<Packages> for Vec<String> {
    fn from(packages: Packages) -> Self {
        packages.0
    }
}

/// The name of a package at the top of nixpkgs, as a command line has it.
pub fn package(name: &str) -> Result<String, &'static str> {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_'-".contains(c);
    if name.contains('.') {
        // Each set has its own way to change what is in it: a changed numpy has
        // to reach every Python package that needs it.
        return Err("in a set; only packages at the top of nixpkgs can be optimised");
    }
    if name.len() > LONGEST_NAME || !name.starts_with(is_start) || !name.chars().all(is_part) {
        return Err("no attribute name of nixpkgs");
    }
    if name.to_ascii_lowercase().contains("stdenv") {
        return Err("every package depends on it, so every package would be built anew");
    }
    Ok(name.to_owned())
}

/// What to optimise on a machine, or a warning that it cannot be; with what it
/// costs.
pub(crate) fn decide(
    hardware: &Hardware,
    packages: Packages,
    notes: &mut Vec<Note>,
) -> Option<Optimize> {
    let names = packages.0.join(", ");
    let Some(arch) = Arch::of(hardware) else {
        let why = match hardware.cpu.isa_level.as_deref() {
            Some(level) => format!("{level} is what packages are built for anyway"),
            None => {
                "only levels of x86-64 can be built for, and none is known of this CPU".to_owned()
            }
        };
        notes.push(Note::warning("optimize-not-planned", format!("not optimised: {names}: {why}")));
        return None;
    };
    let why = format!(
        "built here for {}: no binary cache has them, nor anything that depends on them, and they \
         do not run on a CPU of a lower level",
        arch.name()
    );
    notes.push(Note::warning("optimize-price", format!("{names}: {why}")));
    Some(Optimize { arch, packages, why })
}

/// The overlay as a Nix expression that stands for itself, to be an element of
/// `nixpkgs.overlays`: in parentheses, formatted for a line that starts with
/// `indent` spaces, which are not written, nor is a newline at its end.
pub fn render(optimize: &Optimize, indent: usize) -> String {
    let mut lines = vec!["(".to_owned(), "  (".to_owned()];
    lines.extend(OVERLAY.lines().map(|line| format!("    {line}")));
    lines.extend(["  )", "  {"].map(str::to_owned));
    lines.push(format!("    arch = \"{}\";", optimize.arch.name()));
    lines.push("    packages = [".to_owned());
    lines.extend(optimize.packages.0.iter().map(|name| format!("      \"{name}\"")));
    lines.extend(["    ];", "  }", ")"].map(str::to_owned));
    let margin = " ".repeat(indent);
    let lines = lines.iter().map(|line| format!("{margin}{line}").trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n").trim_start().to_owned()
}

#[cfg(test)]
mod tests;
