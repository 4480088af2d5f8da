//! What Nix will think of a build directory, by every folder on the way to it.
//!
//! From 2.30 on, with build users, Nix refuses to build below a folder to which
//! everybody may write, or which is a link: somebody could put another in its
//! place (`checkNotWorldWritable` in derivation-builder.cc). It asks for neither
//! owner nor sticky bit, so neither do we.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use detect::hardware::Note;

/// Everybody may write.
const WORLD_WRITABLE: u32 = 0o002;

/// Everybody may pass, as builds without a sandbox must.
const WORLD_PASSABLE: u32 = 0o001;

/// Look at a directory and all above it, in a tree that starts at `base`. What
/// does not exist yet Nix 2.30 and later make themselves, as they judge it
/// (`refuses`).
pub(crate) fn look(base: &Path, path: &Path, refuses: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    for folder in path.ancestors() {
        let name = folder.display();
        let at = base.join(folder.strip_prefix("/").unwrap_or(folder));
        let found = match fs::symlink_metadata(&at) {
            Ok(found) => found,
            // What is below a file is not there either.
            Err(error)
                if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) =>
            {
                if folder == path && !refuses {
                    let text = format!("{name} is not there, and this Nix does not make it");
                    notes.push(error_note("build-dir-missing", text));
                }
                continue;
            }
            Err(error) => {
                let why = error.to_string();
                let why = why.split(" (os error ").next().unwrap_or_default();
                notes.push(Note::info("build-dir-unseen", format!("{name}: {why}")));
                continue;
            }
        };
        let mode = found.permissions().mode();
        if found.is_symlink() {
            if refuses {
                let text = format!("{name} is a link: Nix refuses to build there");
                notes.push(error_note("build-dir-refused", text));
            }
        } else if !found.is_dir() {
            notes.push(error_note("build-dir-refused", format!("{name} is no directory")));
        } else if mode & WORLD_WRITABLE != 0 && refuses {
            let text = format!("everybody may write to {name}: Nix refuses to build there");
            notes.push(error_note("build-dir-refused", text));
        } else if mode & WORLD_PASSABLE == 0 {
            let text = format!("build users may not pass {name}: builds without sandbox fail");
            notes.push(Note::warning("build-dir-closed", text));
        } else if found.uid() != 0 && refuses {
            let text = format!("{name} is not root's: its owner can put another in its place");
            notes.push(Note::warning("build-dir-owner", text));
        }
    }
    notes
}

/// A remark on what will fail.
pub(crate) fn error_note(id: &str, text: impl Into<String>) -> Note {
    Note { level: detect::hardware::Level::Error, ..Note::info(id, text) }
}
