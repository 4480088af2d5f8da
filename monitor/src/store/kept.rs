//! How much of the store something keeps, and how much a collection of garbage
//! would free.
//!
//! Roots are links, and where some of them lead not everybody may see: a result
//! in somebody's home. Nix's daemon sees them all, and says so to whoever asks.
//!
//! **Invariant:** while a root is not known, neither is what is dead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use detect::answer::Answer;
use detect::hardware::Nix;
use detect::root::Root;
use detect::store::{Graph, Keep, Weight};
use detect::{database, gcroots, nix};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;

/// What of the store is kept, and what is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// What roots of the garbage collector keep.
    pub live: Amount,
    /// What none of them does: what a collection would free, but for what running
    /// processes use.
    pub dead: Amount,
}

impl From<Weight> for Amount {
    fn from(Weight { paths, bytes }: Weight) -> Self {
        Self { paths, nar_bytes: bytes }
    }
}

/// Follow all references in a store's database from the roots of this machine.
pub fn look(database: &Path, installed: Option<&Nix>) -> Result<Kept> {
    let root = Root::live();
    let store = nix::store_dir(&root);
    let state = database.ancestors().nth(2).unwrap_or(Path::new("/"));
    let found = gcroots::roots(state, &store);
    let mut roots: BTreeSet<PathBuf> = found.links.into_keys().collect();
    if !found.unseen.is_empty() {
        let Some(all) = told(&root) else {
            let count = found.unseen.len();
            bail!("not all roots are known: {count} unseen without root or nix-daemon");
        };
        roots.extend(all);
    }
    let keep = Keep::set(installed);
    database::read(database, |connection| {
        let graph = Graph::read(connection, keep)?;
        let mut numbers = Vec::new();
        for path in &roots {
            numbers.extend(graph.find(connection, &path.to_string_lossy())?);
        }
        let (live, dead) = graph.divide(&numbers);
        Ok(Kept { live: live.into(), dead: dead.into() })
    })
}

/// What Nix says that roots are.
fn told(root: &Root) -> Option<BTreeSet<PathBuf>> {
    let program = nix::program(root)?.with_file_name("nix-store");
    parse(&Answer::ask(program, &["--gc", "--print-roots"])?.take()?)
}

/// A line for each, `LINK -> PATH`; where the last one is cut, more are missing.
fn parse(text: &str) -> Option<BTreeSet<PathBuf>> {
    let is_whole = text.is_empty() || text.ends_with('\n');
    let paths = text.lines().filter_map(|line| line.rsplit_once(" -> "));
    is_whole.then(|| paths.map(|(_, path)| path.into()).collect())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn roots_as_nix_prints_them() {
        let text = "/home/a -> b/result -> /nix/store/a-x\n{censored} -> /nix/store/b-y\nx\n";
        let roots = parse(text).expect("whole").into_iter();
        let roots: Vec<String> = roots.map(|path| path.display().to_string()).collect();
        assert_eq!(roots, ["/nix/store/a-x", "/nix/store/b-y"]);
        assert_eq!(parse("").expect("none").len(), 0);
        assert_eq!(parse("/a -> /nix/store/a-x\n/b -> /nix/st"), None);
    }
}
