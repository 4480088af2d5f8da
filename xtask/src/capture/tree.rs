//! A tree that grows by the files copied into it.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use detect::root::names;

use super::public;

/// As many links as the kernel follows.
const MOST_LINKS: u32 = 40;

/// A copy of a part of another tree.
pub(super) struct Tree<'a> {
    from: &'a Path,
    into: &'a Path,
    files: usize,
}

impl<'a> Tree<'a> {
    /// A copy, empty so far.
    pub(super) fn new(from: &'a Path, into: &'a Path) -> Self {
        Self { from, into, files: 0 }
    }

    /// The number of files so far.
    pub(super) fn files(&self) -> usize {
        self.files
    }

    /// Copy what is at `path` and the links that lead there. Of a folder, copy
    /// the names of the folders and links in it, since those may have been
    /// listed, while files are asked for by name.
    pub(super) fn copy(&mut self, path: &Path) -> Result<()> {
        let Some(at) = self.copy_links(path)? else {
            return Ok(());
        };
        let source = self.from.join(&at);
        if source.is_dir() {
            return self.copy_names(&at);
        }
        self.copy_file(&at).with_context(|| source.display().to_string())
    }

    /// Copy the folders and links on the way to `path`, and return where it is
    /// once all are followed; `None` if there is nothing.
    pub(super) fn copy_links(&self, path: &Path) -> Result<Option<PathBuf>> {
        let mut todo = names(path);
        let mut at = PathBuf::new();
        let mut links = 0;
        while let Some(name) = todo.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            let Some(target) = self.link(&next) else {
                let Ok(found) = fs::metadata(self.from.join(&next)) else {
                    return Ok(None);
                };
                if found.is_dir() {
                    self.make_folder(&next)?;
                }
                at = next;
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                bail!("{}: too many links", path.display());
            }
            self.make_link(&next, &target)?;
            if target.is_absolute() {
                at = PathBuf::new();
            }
            todo.extend(names(&target));
        }
        Ok(Some(at))
    }

    /// Where the link at `path` points.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        // This one leads to our process's number, which says nothing.
        if path == Path::new("proc/self") {
            return None;
        }
        fs::read_link(self.from.join(path)).ok()
    }

    /// Put a file into every empty folder, since git keeps none of those.
    pub(super) fn keep_folders(&self) -> Result<()> {
        let mut todo = vec![self.into.to_owned()];
        while let Some(folder) = todo.pop() {
            let entries: Vec<_> = fs::read_dir(&folder)?.flatten().collect();
            if entries.is_empty() {
                fs::write(folder.join(".keep"), "")?;
            }
            // Not through links.
            let is_folder =
                |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
            todo.extend(entries.iter().filter(|entry| is_folder(entry)).map(fs::DirEntry::path));
        }
        Ok(())
    }

    fn copy_names(&self, folder: &Path) -> Result<()> {
        let entries = fs::read_dir(self.from.join(folder)).into_iter().flatten().flatten();
        for entry in entries {
            let path = folder.join(entry.file_name());
            match self.link(&path) {
                Some(target) => self.make_link(&path, &target)?,
                None if entry.path().is_dir() => self.make_folder(&path)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Copy a file's contents if they may be; else only that there is one.
    fn copy_file(&mut self, path: &Path) -> Result<()> {
        let source = self.from.join(path);
        let mut bytes = Vec::new();
        // Only regular files: reading a device or a pipe may block, or worse.
        if public::is_open(path) && source.is_file() {
            let read = File::open(&source)
                .and_then(|file| file.take(public::LARGEST_BYTES + 1).read_to_end(&mut bytes));
            // The kernel refuses to tell some facts; a file that cannot be read
            // is best told by one that is not there.
            if read.is_err() {
                return Ok(());
            }
            if bytes.len() as u64 > public::LARGEST_BYTES {
                bail!("larger than {} MiB", public::LARGEST_BYTES >> 20);
            }
        }
        let target = self.into.join(path);
        if !target.exists() {
            self.files += 1;
        }
        fs::write(target, public::part(path, &bytes))?;
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> Result<()> {
        let target = self.into.join(path);
        fs::create_dir_all(&target).with_context(|| target.display().to_string())
    }

    fn make_link(&self, path: &Path, target: &Path) -> Result<()> {
        let link = self.into.join(path);
        match symlink(target, &link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(error).with_context(|| link.display().to_string())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Tree;

    #[test]
    fn links_stay_links_and_lead_to_the_same_file() {
        let folder = tempfile::tempdir().expect("folder");
        let [from, into] = ["from", "into"].map(|name| folder.path().join(name));
        fs::create_dir_all(from.join("sys/devices/pci/sda/queue")).expect("folders");
        fs::create_dir_all(from.join("sys/block")).expect("folders");
        fs::create_dir(&into).expect("folder");
        fs::write(from.join("sys/devices/pci/sda/queue/rotational"), "0\n").expect("file");
        fs::write(from.join("sys/devices/pci/sda/serial"), "S3CR3T\n").expect("file");
        symlink("../devices/pci/sda", from.join("sys/block/sda")).expect("link");
        symlink("/sys/block/sda", from.join("sys/disk")).expect("absolute link");
        symlink("round", from.join("sys/round")).expect("loop");

        let mut tree = Tree::new(&from, &into);
        tree.copy(Path::new("sys/disk/queue/rotational")).expect("file");
        tree.copy(Path::new("sys/block/sda/queue/rotational")).expect("the same file");
        tree.copy(Path::new("sys/block")).expect("list");
        tree.copy(Path::new("sys/none/at/all")).expect("nothing");
        assert!(tree.copy(Path::new("sys/round")).is_err());
        assert_eq!(tree.files(), 1);
        fs::create_dir(into.join("empty")).expect("folder");
        tree.keep_folders().expect("kept");
        assert!(into.join("empty/.keep").exists());
        assert_eq!(
            fs::read_link(into.join("sys/disk")).expect("link"),
            Path::new("/sys/block/sda")
        );
        let text = fs::read_to_string(into.join("sys/block/sda/queue/rotational"));
        assert_eq!(text.expect("through the link"), "0\n");
        assert!(!into.join("sys/devices/pci/sda/serial").exists(), "nobody asked");
    }

    #[test]
    fn of_other_folders_only_names_are_copied() {
        let folder = tempfile::tempdir().expect("folder");
        let [from, into] = ["from", "into"].map(|name| folder.path().join(name));
        fs::create_dir_all(from.join("dev")).expect("folder");
        fs::create_dir(&into).expect("folder");
        fs::write(from.join("dev/kvm"), "contents").expect("file");
        let mut tree = Tree::new(&from, &into);
        tree.copy(Path::new("dev/kvm")).expect("copy");
        assert_eq!(fs::read(into.join("dev/kvm")).expect("read"), b"");
    }
}
