//! Small trees of /proc and /sys for tests.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::root::Root;

/// A captured tree that goes away with its folder.
pub(crate) struct Tree {
    _folder: tempfile::TempDir,
    /// The tree.
    pub(crate) root: Root,
}

/// Make a tree of files, each a path and its text; a text that starts with
/// `-> ` makes a link instead.
pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
    let folder = tempfile::tempdir().expect("folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        match text.strip_prefix("-> ") {
            Some(target) => symlink(Path::new(target), path).expect("link"),
            None => fs::write(path, text).expect("file"),
        }
    }
    Tree { root: Root::captured(folder.path()).expect("root"), _folder: folder }
}
