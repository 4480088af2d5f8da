//! The command lines of `profile` and `nix-conf-write`.

use std::path::PathBuf;

use clap::Parser;
use detect::arguments::Common;
use detect::release::Release;
use detect::stage;

use crate::Options;
use crate::conf::Form;
use crate::plan::Workload;

const PROFILE_EXAMPLES: &str = "\
Examples:
  detect | profile                      a plan for this machine
  detect | profile --explain            the same, for people
  profile --for-nix 2.8 machine.json    for another machine's Nix
  profile --workload ci --reserve-memory 2G machine.json
  profile --costs costs.json machine.json    by what builds have cost before";

const WRITE_EXAMPLES: &str = "\
Examples:
  detect | profile | nix-conf-write     what nix.conf should say
  nix-conf-write plan.json -o nix.custom.conf
  NIX_CONFIG=$(nix-conf-write plan.json --as env) nix build

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

    /// What builds have cost before, as `monitor costs` says: jobs and cores are
    /// then simulated on them instead of following from a rule
    #[arg(long, value_name = "FILE")]
    pub costs: Option<PathBuf>,

    /// Print a table for people instead: each setting, the default it replaces, and why
    #[arg(long)]
    pub explain: bool,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl ProfileCli {
    /// What `run` needs of it.
    pub fn options(&self) -> anyhow::Result<Options> {
        let costs = match &self.costs {
            Some(path) => Some(stage::read(Some(path))?),
            None => None,
        };
        Ok(Options {
            workload: self.workload,
            for_nix: self.for_nix,
            reserve_memory: self.reserve_memory,
            costs,
        })
    }
}

/// What to write.
#[derive(Debug, Parser)]
#[command(name = "nix-conf-write", version, about = "A plan as text that Nix reads")]
#[command(after_help = WRITE_EXAMPLES)]
pub struct NixConfWriteCli {
    /// The plan; stdin when it is absent or -
    #[arg(value_name = "PLAN")]
    pub input: Option<PathBuf>,

    /// The form of the text
    #[arg(long = "as", value_name = "FORM", value_enum, default_value_t)]
    pub form: Form,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

fn release(text: &str) -> Result<Release, &'static str> {
    Release::parse(text).ok_or("not a version like 2.34.8, lix-2.93.3 or determinate-2.30.2")
}

/// A size: bytes, or a number with a unit, each 1024 of the one before. `KB` and
/// its like are refused, since some read 1000 in them.
fn bytes(text: &str) -> Result<u64, &'static str> {
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
    use clap::CommandFactory;

    use super::{NixConfWriteCli, ProfileCli, bytes};

    #[test]
    fn the_command_lines_are_sound() {
        ProfileCli::command().debug_assert();
        NixConfWriteCli::command().debug_assert();
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
