//! Programs that run inside a root tree, and look as if installed here.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::generated::ensure_contents;

/// What all wrappers share.
const ENTER: &str = include_str!("enter.sh");

/// Write the script that enters a tree.
pub(super) fn write_enter(folder: &Path) -> Result<()> {
    write(&folder.join("enter"), ENTER)
}

/// Write a wrapper for each of the tree's Nix programs.
pub(super) fn write_all(bin: &Path, enter: &Path, root: &Path, workspace: &Path) -> Result<()> {
    make_room(root, workspace)?;
    for program in programs(root)? {
        write(&bin.join(&program), &text(enter, root, workspace, &program))?;
    }
    Ok(())
}

/// Make the folder of the tree where the workspace will be seen.
pub(super) fn make_room(root: &Path, workspace: &Path) -> Result<()> {
    let folder = seen_at(root, workspace);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())
}

fn seen_at(root: &Path, workspace: &Path) -> PathBuf {
    root.join(workspace.strip_prefix("/").unwrap_or(workspace))
}

/// The programs of Nix in a tree.
fn programs(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("usr/bin");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name == "nix" || name.starts_with("nix-"))
        .collect())
}

fn text(enter: &Path, root: &Path, workspace: &Path, program: &str) -> String {
    let [enter, root, workspace] = [enter, root, workspace].map(quoted);
    format!("#!/bin/sh\nexec {enter} {root} {workspace} {program} \"$@\"\n")
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

fn write(path: &Path, text: &str) -> Result<()> {
    ensure_contents(path, text, false)?;
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{seen_at, text};

    #[test]
    fn paths_stay_one_word() {
        let [enter, root, workspace] = ["/a b/enter", "/a b/it's/root", "/a b"].map(Path::new);
        assert_eq!(
            text(enter, root, workspace, "nix-build"),
            "#!/bin/sh\nexec '/a b/enter' '/a b/it'\\''s/root' '/a b' nix-build \"$@\"\n"
        );
    }

    #[test]
    fn the_workspace_is_seen_by_its_own_path() {
        let [root, workspace] = ["/w/target/nix/2.8/root", "/w"].map(Path::new);
        assert_eq!(seen_at(root, workspace), Path::new("/w/target/nix/2.8/root/w"));
    }
}
