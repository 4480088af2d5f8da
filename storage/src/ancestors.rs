//! What Nix will think of a build directory, by every folder on the way to it.
//!
//! From 2.30 on, with build users, Nix refuses to build below a folder to which
//! everybody may write, or which is a link: somebody could put another in its
//! place (`checkNotWorldWritable` in derivation-builder.cc). It asks for neither
//! owner nor sticky bit, so neither do we. It makes what is missing; earlier
//! releases do not, and follow links.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use detect::root::Root;

use crate::check::finding::Finding;

/// Everybody may write.
const WORLD_WRITABLE: u32 = 0o002;

/// Everybody may pass.
const WORLD_PASSABLE: u32 = 0o001;

/// How a Nix treats its build directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// It makes what is missing, as from 2.30 on.
    pub(crate) makes: bool,
    /// It refuses links and what everybody may write to: from 2.30 on, with
    /// build users.
    pub(crate) refuses: bool,
    /// Builds run as users of their own, and see the directory by its own path:
    /// there is no sandbox.
    pub(crate) exposed: bool,
}

/// What to do where a directory will not do.
const ELSEWHERE: &str = "set build-dir to a directory that only root may write to, in others like \
                         it, as /nix/var/nix/builds is";

/// Look at a directory and all above it.
pub(crate) fn look(root: &Root, path: &Path, manners: Manners) -> Vec<Finding> {
    let resolved;
    let path = if manners.refuses {
        path
    } else {
        // Links are followed, so what they lead to counts.
        resolved = root.resolve(path);
        &resolved
    };
    path.ancestors().filter_map(|folder| judge(root, path, folder, manners)).collect()
}

fn judge(root: &Root, path: &Path, folder: &Path, manners: Manners) -> Option<Finding> {
    let name = folder.display();
    let found = match root.lstat(folder) {
        Ok(found) => found,
        // What is below a file is not there either.
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            // A captured tree lacks most of what was there.
            let missing = folder == path && !manners.makes && root.is_live();
            return missing.then(|| {
                let text = format!("{name} is not there, and this Nix does not make it");
                Finding::error("build-dir-missing", text, format!("make it: mkdir -m 0755 {name}"))
            });
        }
        Err(error) => {
            let why = error.to_string();
            let why = why.split(" (os error ").next().unwrap_or_default();
            let text = format!("{name} cannot be looked at: {why}");
            return Some(Finding::info("build-dir-unseen", text, "run this check as root"));
        }
    };
    let mode = found.permissions().mode();
    if found.is_symlink() {
        // Otherwise this is a loop of links.
        let text = format!("{name} is a link: Nix refuses to build there");
        return Some(Finding::error("build-dir-refused", text, ELSEWHERE));
    }
    if !found.is_dir() {
        let text = format!("{name} is no directory");
        return Some(Finding::error("build-dir-no-directory", text, ELSEWHERE));
    }
    if manners.refuses && mode & WORLD_WRITABLE != 0 {
        let text = format!("everybody may write to {name}: Nix refuses to build there");
        return Some(Finding::error("build-dir-refused", text, ELSEWHERE));
    }
    if manners.exposed && mode & WORLD_PASSABLE == 0 {
        let text = format!("build users may not pass {name}, and there is no sandbox");
        return Some(Finding::error("build-dir-closed", text, format!("chmod o+x {name}")));
    }
    // Nix takes it; but whoever owns it can put another in its place.
    (manners.refuses && found.uid() != 0).then(|| {
        let text = format!("{name} is not root's: its owner can put another in its place");
        Finding::warning("build-dir-owner", text, format!("chown root {name}"))
    })
}
