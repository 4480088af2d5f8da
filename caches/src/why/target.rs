//! What is asked about: store paths, links to them, and derivations.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail};
use detect::hardware::Nix;

use super::Cause;
use super::machine::is_on;
use crate::derivation::{Derivation, LARGEST_BYTES};
use crate::path::StorePath;

/// One path to explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What was asked about.
    pub asked: String,
    /// The output of it, when that is a derivation.
    pub output: Option<String>,
    /// The path, if it is known.
    pub path: Option<StorePath>,
    /// What keeps it from being fetched, whatever caches have.
    pub obstacles: Vec<Cause>,
}

/// What an argument means: a path of the store or in it, a link to one, or
/// `DRV`, `DRV^OUTPUT` for what a derivation makes.
pub fn targets(argument: &str, store_dir: &str, nix: Option<&Nix>) -> Result<Vec<Target>> {
    let (path, wanted) = match argument.split_once(['^', '!']) {
        Some((path, wanted)) if is_derivation(path) => (path, wanted),
        _ => (argument, "*"),
    };
    let path = StorePath::containing(Path::new(path), store_dir).map_err(Error::msg)?;
    if !is_derivation(path.name()) {
        let asked = format!("{store_dir}/{path}");
        return Ok(vec![Target { asked, output: None, path: Some(path), obstacles: Vec::new() }]);
    }
    let file = Path::new(store_dir).join(path.to_string());
    let name = || file.display().to_string();
    let derivation = Derivation::parse(&read(&file).with_context(name)?, store_dir)
        .map_err(|why| anyhow!(why))
        .with_context(name)?;
    let is_wanted = |output: &str| wanted == "*" || wanted.split(',').any(|name| name == output);
    let found: Vec<Target> = derivation
        .outputs
        .iter()
        .filter(|output| is_wanted(&output.name))
        .map(|output| Target {
            asked: name(),
            output: Some(output.name.clone()),
            path: output.path.clone(),
            obstacles: obstacles(&derivation, output.path.is_some(), nix),
        })
        .collect();
    if found.is_empty() {
        bail!("{}: no output {wanted}", name());
    }
    Ok(found)
}

/// Nix goes by the name, in lower case.
fn is_derivation(name: &str) -> bool {
    name.strip_suffix(".drv").is_some()
}

fn obstacles(derivation: &Derivation, is_known: bool, nix: Option<&Nix>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if !derivation.allows_substitutes() && is_on(nix, "always-allow-substitutes") != Some(true) {
        let local = if derivation.prefers_local_build() {
            ", on this machine: it takes less time than to ask"
        } else {
            ""
        };
        let fix = "set always-allow-substitutes = true (Nix 2.19 and later), if fetching is better";
        causes.push(Cause {
            why: format!("the derivation says allowSubstitutes = false: Nix builds it{local}"),
            fix: Some(fix.to_owned()),
        });
    }
    if !is_known {
        let why = "its path follows from its contents: no cache can be asked for it by a path";
        causes.push(Cause { why: why.to_owned(), fix: None });
    }
    causes
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}
