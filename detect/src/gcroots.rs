//! What Nix takes for roots of its garbage collector: links, and where they lead.
//!
//! As `findRoots` of gc.cc has it: a link in the store's own folders of roots and
//! profiles leads into the store, or to another link that does. Those that lead
//! nowhere keep nothing; Nix removes them when it collects. What running
//! processes use it keeps besides, which is not looked for here.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// Folders of roots below the state directory.
const FOLDERS: [&str; 2] = ["gcroots", "profiles"];

/// More entries than anyone has.
const MOST_ENTRIES: usize = 1_000_000;

/// Deeper than anyone nests them.
const DEEPEST: usize = 64;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The links that keep each store path. They are what to remove.
    pub links: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// Links to what is not there, and where they lead.
    pub dangling: BTreeMap<PathBuf, PathBuf>,
    /// What could not be looked at.
    pub unseen: Vec<PathBuf>,
}

/// Look for roots in a store's state directory.
pub fn roots(state: &Path, store: &Path) -> Roots {
    let mut roots = Roots::default();
    let mut todo: Vec<(PathBuf, usize)> =
        FOLDERS.iter().map(|folder| (state.join(folder), 0)).collect();
    let mut entries = 0;
    while let Some((path, depth)) = todo.pop() {
        entries += 1;
        if entries > MOST_ENTRIES || depth > DEEPEST {
            roots.unseen.push(path);
            continue;
        }
        let Some(found) = seen(fs::symlink_metadata(&path), &path, &mut roots) else { continue };
        if found.is_dir() {
            let Some(entries) = seen(fs::read_dir(&path), &path, &mut roots) else { continue };
            // One more than there is room for, so that some are seen to be left out.
            let most = MOST_ENTRIES.saturating_sub(todo.len()) + 1;
            todo.extend(entries.flatten().take(most).map(|entry| (entry.path(), depth + 1)));
        } else if found.is_symlink() {
            follow(&path, store, &mut roots);
        } else if found.is_file()
            && let Some(name) = path.file_name()
        {
            // A plain file keeps the path that it is named after, if there is one.
            let kept = store.join(name);
            if kept.symlink_metadata().is_ok() {
                roots.links.entry(kept).or_default().push(path);
            }
        }
    }
    for links in roots.links.values_mut() {
        links.sort_unstable();
        links.dedup();
    }
    roots.unseen.sort_unstable();
    roots
}

/// Where a link leads, or the link that it leads to.
fn follow(link: &Path, store: &Path, roots: &mut Roots) {
    let Some(target) = seen(fs::read_link(link), link, roots) else { return };
    let target = absolute(link, &target);
    let mut root = |link: &Path, path: PathBuf| match path.symlink_metadata() {
        Ok(_) => roots.links.entry(path).or_default().push(link.to_owned()),
        Err(_) => drop(roots.dangling.insert(link.to_owned(), path)),
    };
    if let Some(path) = store_path(&target, store) {
        root(link, path);
        return;
    }
    match fs::read_link(&target) {
        Ok(second) => {
            if let Some(path) = store_path(&absolute(&target, &second), store) {
                root(&target, path);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            roots.dangling.insert(link.to_owned(), target);
        }
        // What is no link keeps nothing, and is no fault.
        Err(error) if error.kind() == ErrorKind::InvalidInput => {}
        Err(_) => roots.unseen.push(target),
    }
}

/// The path in the store that a path is in.
fn store_path(path: &Path, store: &Path) -> Option<PathBuf> {
    let name = path.strip_prefix(store).ok()?.components().next()?;
    matches!(name, Component::Normal(_)).then(|| store.join(name))
}

/// Where a link's text leads, without following any other.
fn absolute(link: &Path, target: &Path) -> PathBuf {
    let mut path = link.parent().unwrap_or(Path::new("/")).to_owned();
    for part in target.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::RootDir => path = PathBuf::from("/"),
            _ => {}
        }
    }
    path
}

/// What was found; what was not there is nothing, and what was refused unseen.
fn seen<T>(found: std::io::Result<T>, path: &Path, roots: &mut Roots) -> Option<T> {
    if let Err(error) = &found
        && error.kind() != ErrorKind::NotFound
    {
        roots.unseen.push(path.to_owned());
    }
    found.ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::roots;

    #[test]
    fn links_lead_to_the_store_directly_or_by_one_more() {
        let folder = tempfile::tempdir().expect("folder");
        let base = folder.path();
        let (state, store) = (base.join("state"), base.join("store"));
        for made in ["state/gcroots/auto", "state/profiles/per-user/a", "store/x/bin", "store/y"] {
            fs::create_dir_all(base.join(made)).expect("made");
        }
        let link = |target: &str, at: &str| symlink(target, base.join(at)).expect("a link");
        let store_x = store.join("x").display().to_string();
        // A user's result, a profile of one generation, and a path below a path.
        link(&store_x, "result");
        link(&base.join("result").display().to_string(), "state/gcroots/auto/1");
        link("p-1-link", "state/profiles/per-user/a/p");
        link("../../../../store/y", "state/profiles/per-user/a/p-1-link");
        link(&format!("{store_x}/bin"), "state/gcroots/deep");
        // What is gone, what is no link, and what is neither.
        link("/nonexistent/result", "state/gcroots/auto/2");
        link(&store.join("gone").display().to_string(), "state/gcroots/gone");
        link(&base.display().to_string(), "state/gcroots/auto/3");
        fs::write(state.join("gcroots/y"), "").expect("a file");
        fs::write(state.join("gcroots/no"), "").expect("a file");

        let found = roots(&state, &store);
        let links = |path: &str| found.links.get(&store.join(path)).cloned().unwrap_or_default();
        assert_eq!(links("x"), [base.join("result"), state.join("gcroots/deep")]);
        let profile = state.join("profiles/per-user/a/p-1-link");
        assert_eq!(links("y"), [state.join("gcroots/y"), profile]);
        assert_eq!(found.links.len(), 2);
        let dangling: Vec<_> = found.dangling.keys().cloned().collect();
        assert_eq!(dangling, [state.join("gcroots/auto/2"), state.join("gcroots/gone")]);
        assert!(found.unseen.is_empty(), "{found:?}");
        assert_eq!(roots(&base.join("none"), &store), super::Roots::default());
    }
}
