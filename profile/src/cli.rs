//! The command lines of `profile` and `nix-conf-write`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Parser;
use detect::arguments::Common;
use detect::release::Release;
use detect::report::Usage;
use detect::stage;

use crate::Options;
use crate::form::Form;
use crate::install::{self, Action};
use crate::overlay::package;
use crate::plan::Workload;

const PROFILE_EXAMPLES: &str = "\
Examples:
  detect | profile                      a plan for this machine
  detect | profile --explain            the same, for people
  detect | profile --explain --all      … with what it leaves alone, and why
  profile --for-nix 2.8 machine.json    for another machine's Nix
  profile --workload ci --reserve-memory 2G machine.json
  profile --optimize ffmpeg,zstd machine.json
  profile --costs costs.json machine.json    by what builds have cost before
  detect | profile --guarded            bold, for machines where monitor guard runs";

const WRITE_EXAMPLES: &str = "\
Examples:
  detect | profile | nix-conf-write     what nix.conf should say
  nix-conf-write plan.json -o nix.custom.conf
  NIX_CONFIG=$(nix-conf-write plan.json --as env) nix build
  nix-conf-write plan.json --diff       what --apply would change in /etc/nix
  sudo nix-conf-write plan.json --apply
  nix-conf-write plan.json --check || echo drifted
  sudo nix-conf-write --rollback
  nix-conf-write plan.json --as nixos -o nixpace.nix
  nix-conf-write --as machines big=big.json nix@small=small.json
  nix-fast-build $(nix-conf-write plan.json --as flags)

--apply writes nixpace.conf beside nix.conf, and a line at the end of nix.conf
(with Determinate Nix, of nix.custom.conf) that includes it, once the Nix that is
here has read both without a warning. NixOS and nix-darwin write nix.conf
themselves: import a module there.

In a job of GitHub Actions, for all later steps (a NIX_CONFIG that the job
already has is replaced):
  detect | profile --workload ci | nix-conf-write --as github >> \"$GITHUB_ENV\"
or, to \"$GITHUB_OUTPUT\" in a step with `id: nixpace`, for install-nix-action:
  extra_nix_config: ${{ steps.nixpace.outputs.NIX_CONFIG }}

A plan that would give rights, drop a check or name a cache without proof is
refused whole.";

/// What to plan for.
#[derive(Debug, Parser)]
#[command(name = "profile", version, about = env!("CARGO_PKG_DESCRIPTION"))]
#[command(after_help = PROFILE_EXAMPLES)]
pub struct ProfileCli {
    /// The Hardware document; stdin when it is absent or -
    #[arg(value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// What the machine is for
    #[arg(long, value_enum, default_value_t)]
    pub workload: Workload,

    /// The Nix to plan for, instead of the one installed: 2.34.8, lix-2.93.3,
    /// determinate-2.30.2; without its last number, the first of its series
    #[arg(long, value_name = "VERSION", value_parser = release)]
    pub for_nix: Option<Release>,

    /// Memory that builds leave to others: bytes, or a number with K, M, G or T
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub reserve_memory: Option<u64>,

    /// Build these packages of nixpkgs for this machine's CPU, by an overlay that
    /// NixOS and nix-darwin take from the plan; no binary cache then has them, nor
    /// anything that depends on them
    #[arg(long, value_name = "PKG", value_delimiter = ',', num_args = 1, value_parser = package)]
    pub optimize: Vec<String>,
    /// What builds have cost before, as `monitor costs` says: jobs and cores are
    /// then simulated on them instead of following from a rule
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,

    /// Plan for `monitor guard`, which lets builds begin as their memory fits: as many
    /// jobs as CPUs, with nearly all cores, and the service itself
    #[arg(long)]
    pub guarded: bool,

    /// Print a table for people instead: each setting, the default it replaces, and why
    #[arg(long)]
    pub explain: bool,

    /// Then also print what the plan leaves alone, with its default and why
    #[arg(long, requires = "explain")]
    pub all: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl ProfileCli {
    /// What `run` needs of it.
    pub fn options(&self) -> Result<Options> {
        let wrong = |why: String| Usage(format!("--optimize: {why}"));
        let optimize = match self.optimize.as_slice() {
            [] => None,
            names => Some(names.to_vec().try_into().map_err(wrong)?),
        };
        let is_stdin = |path: &Path| path == Path::new("-");
        let costs = match &self.costs {
            Some(path) if is_stdin(path) && self.input.as_deref().is_none_or(is_stdin) => {
                let why = "--costs: stdin cannot be both documents: name a FILE for one of them";
                bail!(Usage(why.to_owned()));
            }
            Some(path) => Some(stage::read(Some(path))?),
            None => None,
        };
        Ok(Options {
            workload: self.workload,
            for_nix: self.for_nix,
            reserve_memory: self.reserve_memory,
            optimize,
            costs,
            guarded: self.guarded,
        })
    }
}

/// What to write.
#[derive(Debug, Parser)]
#[command(name = "nix-conf-write", version, about = "A plan as text that Nix reads")]
#[command(after_help = WRITE_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct NixConfWriteCli {
    /// The plan; stdin when it is absent or -. For machines, HOST=PLAN for each
    /// host, as `[user@]host`, `ssh://…` or `ssh-ng://…`
    #[arg(value_name = "PLAN")]
    pub inputs: Vec<PathBuf>,

    /// The form of the text
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t)]
    pub form: Form,

    /// Print what --apply would change, as `diff -u` does
    #[arg(long, group = "action")]
    pub diff: bool,

    /// Fail unless the plan is in place and Nix reads it as planned
    #[arg(long, group = "action", conflicts_with = "output")]
    pub check: bool,

    /// Put the plan in place beside nix.conf, once Nix has proven to take it
    #[arg(long, group = "action", conflicts_with = "output")]
    pub apply: bool,

    /// Put in place what was there before the last --apply; needs no plan
    #[arg(long, group = "action", conflicts_with_all = ["inputs", "output"])]
    pub rollback: bool,

    /// The folder of nix.conf, instead of `$NIX_CONF_DIR` or /etc/nix
    #[arg(long, value_name = "DIR", requires = "action")]
    pub conf_dir: Option<PathBuf>,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl NixConfWriteCli {
    /// The one plan that all forms but machines are made from.
    pub fn input(&self) -> Result<Option<&Path>> {
        match self.inputs.as_slice() {
            [] => Ok(None),
            [input] => Ok(Some(input)),
            [_, surplus, ..] => {
                bail!(Usage(format!("{}: only --as machines takes more", surplus.display())))
            }
        }
    }

    /// What to do besides printing text; an error with a form that Nix does not
    /// read from files of its own.
    pub fn action(&self) -> Result<Option<Action>> {
        let flags = [
            (self.diff, Action::Diff),
            (self.check, Action::Check),
            (self.apply, Action::Apply),
            (self.rollback, Action::Rollback),
        ];
        let action = flags.into_iter().find_map(|(given, action)| given.then_some(action));
        if action.is_some() && self.form != Form::NixConf {
            bail!(Usage("--as: only nix-conf is put in place".to_owned()));
        }
        Ok(action)
    }

    /// The folder of nix.conf.
    pub fn conf_dir(&self) -> PathBuf {
        self.conf_dir.clone().unwrap_or_else(install::default_folder)
    }
}

fn release(text: &str) -> std::result::Result<Release, &'static str> {
    // Determinate Nix has numbers of its own, which do not say what it knows.
    Release::parse(text).filter(|release| release.version.0 == 2).ok_or(
        "not a version like 2.34.8, lix-2.93.3 or determinate-2.30.2 (of Determinate Nix, the Nix \
         that it is built from, which `nix --version` names last)",
    )
}

/// A size: bytes, or a number with a unit, each 1024 of the one before. `KB` and
/// its like are refused, since some read 1000 in them.
fn bytes(text: &str) -> std::result::Result<u64, &'static str> {
    const WRONG: &str = "not a size like 4294967296, 4G or 4GiB";
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| WRONG)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return Err(WRONG),
    };
    number.checked_mul(factor).ok_or("more than any machine has")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use detect::report::Usage;

    use super::{NixConfWriteCli, ProfileCli, bytes, release};

    #[test]
    fn the_command_lines_are_sound() {
        ProfileCli::command().debug_assert();
        NixConfWriteCli::command().debug_assert();
    }

    #[test]
    fn all_goes_with_explain() {
        let parse = |arguments: &[&str]| {
            ProfileCli::try_parse_from([&["profile"], arguments].concat()).is_ok()
        };
        assert!(parse(&["--explain", "--all"]) && parse(&["--explain"]));
        assert!(!parse(&["--all"]), "a document has no table");
    }

    #[test]
    fn stdin_is_one_document() {
        let refused = |arguments: &[&str]| {
            let cli = ProfileCli::try_parse_from([&["profile"], arguments].concat());
            let error = cli.expect("flags").options().expect_err("two documents");
            assert!(error.is::<Usage>() && error.to_string().contains("a FILE"), "{error}");
        };
        refused(&["--costs", "-"]);
        refused(&["--costs", "-", "-"]);
    }

    #[test]
    fn a_release_is_of_what_knows_settings() {
        for good in ["2.34", "2.34.8", "lix-2.93.3", "2.93", "determinate-2.30.2"] {
            assert!(release(good).is_ok(), "{good}");
        }
        for bad in ["", "3.22.2", "determinate-3.0.0", "1.11", "2", "two"] {
            assert!(release(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("1024"), bytes("1K"));
        assert_eq!(bytes("4g"), Ok(4 << 30));
        assert_eq!(bytes("4GiB"), Ok(4 << 30));
        assert_eq!(bytes("2T"), Ok(2 << 40));
        for bad in ["", "G", "4GB", "-1", "1.5G", "4 G", "99999999999T", "0x10"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
