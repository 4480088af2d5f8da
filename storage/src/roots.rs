//! What each root of the garbage collector keeps, and what removing it frees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::database::read;
use detect::gcroots;
use detect::human::{plain, size};
use detect::nix;
use detect::number::Version;
use detect::report::Hint;
use detect::root::Root as Machine;
use detect::store::{Graph, Keep, Weighed, Weight};
use schemars::JsonSchema;
use serde::Serialize;

/// What the roots of a store keep. Written only, so it has no reader.
///
/// Sizes are logical ones (`narSize`): a store with hard links takes less on
/// disk, and frees less.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Roots {
    /// Version of this document's format.
    pub version: Version<1>,
    /// All that any root keeps. What running processes use besides is not in it.
    pub live: Amount,
    /// What no root keeps.
    pub dead: Amount,
    /// Whether outputs keep the derivations they were built from, as Nix is set.
    pub keep_derivations: bool,
    /// Whether derivations keep their outputs, as Nix is set.
    pub keep_outputs: bool,
    /// By what removing them frees, most first.
    pub roots: Vec<Kept>,
    /// Links to what is not there, which keep nothing.
    pub dangling: BTreeMap<String, String>,
    /// What could not be looked at.
    pub unseen: Vec<String>,
}

/// A number of store paths, and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Amount {
    /// How many.
    pub paths: u64,
    /// Their size together.
    pub bytes: u64,
}

impl From<Weight> for Amount {
    fn from(Weight { paths, bytes }: Weight) -> Self {
        Self { paths, bytes }
    }
}

/// A store path that is a root, and what it keeps.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Kept {
    /// The store path.
    pub path: String,
    /// The links that make it a root: all of them must go before it does.
    pub links: Vec<String>,
    /// It and all that it needs; `null` when that is too much to follow.
    pub closure: Option<Amount>,
    /// What nothing else keeps: what a garbage collection frees once the links
    /// are gone.
    pub only: Amount,
}

impl Roots {
    /// For people: the heaviest roots, a line for each and for each link below.
    pub fn human(&self, most: usize) -> String {
        let mut text = format!("{:>10} {:>10}  Root\n", "Frees", "Closure");
        for root in self.roots.iter().take(most) {
            let closure = root.closure.map_or_else(|| "unknown".to_owned(), |all| size(all.bytes));
            text.push_str(&format!(
                "{:>10} {closure:>10}  {}\n",
                size(root.only.bytes),
                plain(&root.path)
            ));
            for link in &root.links {
                // Every user makes links, and names them as they like.
                text.push_str(&format!("{:24}← {}\n", "", plain(link)));
            }
        }
        let rest = self.roots.len().saturating_sub(most);
        if rest > 0 {
            text.push_str(&format!("{:23} and {rest} more (-n {})\n", "", self.roots.len()));
        }
        let amount = |what: &str, Amount { paths, bytes }: Amount| {
            format!("{:>10} {what}, {paths} store paths\n", size(bytes))
        };
        text.push('\n');
        text.push_str(&amount("kept by roots", self.live));
        text.push_str(&amount("kept by none: nix-store --gc", self.dead));
        for (link, target) in self.dangling.iter().take(most) {
            text.push_str(&format!("{} leads nowhere: {}\n", plain(link), plain(target)));
        }
        for path in self.unseen.iter().take(most) {
            text.push_str(&format!("{} cannot be looked at\n", plain(path)));
        }
        text
    }
}

/// Weigh the roots of this machine's store.
pub fn roots() -> Result<Roots> {
    let machine = Machine::live();
    let asked = nix::ask(&machine);
    let state = state_dir();
    let store = nix::store_dir(&machine);
    let found = gcroots::roots(&state, &store);
    let keep = Keep::set(nix::nix(&machine, asked, &mut Vec::new()).0.as_ref());
    weigh(&database(&state)?, found, keep)
}

/// The database of a store with this state directory.
pub(crate) fn database(state: &Path) -> Result<PathBuf> {
    let path = state.join("db/db.sqlite");
    let there = std::fs::symlink_metadata(&path).context(path.display().to_string());
    let hint = || Hint::new("where Nix keeps its state elsewhere, NIX_STATE_DIR says so");
    there.map_err(|error| error.context("no Nix store").context(hint()))?;
    Ok(path)
}

/// Where Nix keeps its state.
pub(crate) fn state_dir() -> PathBuf {
    let set = std::env::var_os("NIX_STATE_DIR");
    set.map_or_else(|| PathBuf::from("/nix/var/nix"), PathBuf::from)
}

/// Weigh what was found by what the database says.
fn weigh(path: &Path, found: gcroots::Roots, keep: Keep) -> Result<Roots> {
    let gcroots::Roots { links, dangling, unseen } = found;
    let text = |path: &Path| path.display().to_string();
    let (weighed, valid) = read(path, |connection| {
        let graph = Graph::read(connection, keep)?;
        let mut valid = Vec::new();
        for path in links.keys() {
            if let Some(number) = graph.find(connection, &text(path))? {
                valid.push((number, path.clone()));
            }
        }
        let numbers: Vec<u32> = valid.iter().map(|(number, _)| *number).collect();
        Ok((graph.weigh(&numbers), valid))
    })?;
    let Weighed { roots, live, dead } = weighed;
    let mut roots: Vec<Kept> = roots
        .into_iter()
        .zip(valid)
        .map(|(rooted, (_, path))| Kept {
            path: text(&path),
            links: links[&path].iter().map(|link| text(link)).collect(),
            closure: rooted.closure.map(Amount::from),
            only: rooted.only.into(),
        })
        .collect();
    let weight = |kept: &Kept| (kept.only.bytes, kept.closure.map(|all| all.bytes));
    roots.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.path.cmp(&b.path)));
    let pair = |(link, target): (&PathBuf, &PathBuf)| (text(link), text(target));
    Ok(Roots {
        version: Version,
        live: live.into(),
        dead: dead.into(),
        keep_derivations: keep.derivations,
        keep_outputs: keep.outputs,
        roots,
        dangling: dangling.iter().map(pair).collect(),
        unseen: unseen.iter().map(|path| text(path)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{Amount, Kept, Roots};

    #[test]
    fn the_heaviest_are_shown_and_the_others_counted() {
        let kept = |number: u64| Kept {
            path: format!("/nix/store/{number}"),
            links: vec![format!("/home/{number}")],
            closure: Some(Amount { paths: 2, bytes: number << 20 }),
            only: Amount { paths: 1, bytes: number << 10 },
        };
        let roots = Roots {
            version: detect::number::Version,
            live: Amount { paths: 3, bytes: 3 << 30 },
            dead: Amount::default(),
            keep_derivations: true,
            keep_outputs: false,
            roots: vec![kept(3), kept(2), kept(1)],
            dangling: [("/a".to_owned(), "/b\u{1b}c".to_owned())].into(),
            unseen: Vec::new(),
        };
        let text = roots.human(2);
        assert!(text.contains("\n     3 KiB      3 MiB  /nix/store/3\n"), "{text}");
        assert!(text.contains("← /home/2\n") && !text.contains("/home/1"), "{text}");
        assert!(text.contains("and 1 more (-n 3)\n"), "{text}");
        assert!(text.contains("     3 GiB kept by roots, 3 store paths\n"), "{text}");
        assert!(text.ends_with("/a leads nowhere: /b c\n"), "{text}");
    }
}
