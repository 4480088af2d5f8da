//! The tree that facts are read from: this machine, or one captured elsewhere.
//!
//! Every file is opened here and nowhere else, so that `--root` works for every
//! fact, and a captured tree can be made of just the files that were asked for.
//!
//! **Invariant:** reading is bounded and never blocks; a captured tree's links
//! never lead out of it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{OFlags, StatVfs};

/// Larger than any file of /proc or /sys that we read: /proc/cpuinfo of 4,096
/// CPUs has 6 MB.
const LARGEST_BYTES: u64 = 16 << 20;

/// The largest attribute in /sys.
const PAGE: usize = 4096;

/// `PATH_MAX` of the kernel.
pub const LONGEST_PATH: usize = 4096;

/// More names than any path of /proc or /sys has.
const MOST_NAMES: usize = 256;

/// More links than any real path goes through, as in the kernel.
const MOST_LINKS: u32 = 40;

/// Where facts are read from.
pub struct Root {
    base: PathBuf,
    live: bool,
    asked: RefCell<Option<BTreeSet<PathBuf>>>,
    /// Where folders of a captured tree lead: most files share theirs.
    folders: RefCell<HashMap<PathBuf, PathBuf>>,
    files: RefCell<HashMap<PathBuf, Option<Rc<str>>>>,
    lists: RefCell<HashMap<PathBuf, Vec<String>>>,
}

impl Root {
    /// This machine.
    pub fn live() -> Self {
        Self::at(PathBuf::from("/"), true)
    }

    /// A captured tree.
    pub fn captured(base: &Path) -> io::Result<Self> {
        let base = base.canonicalize()?;
        if !base.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Self::at(base, false))
    }

    fn at(base: PathBuf, live: bool) -> Self {
        Self {
            base,
            live,
            asked: RefCell::new(None),
            folders: RefCell::new(HashMap::new()),
            files: RefCell::new(HashMap::new()),
            lists: RefCell::new(HashMap::new()),
        }
    }

    /// Whether this is the machine we run on.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Remember from now on which paths are read.
    #[must_use]
    pub fn recording(self) -> Self {
        self.asked.replace(Some(BTreeSet::new()));
        self
    }

    /// The paths read since [`Root::recording`], without a leading slash.
    pub fn asked(&self) -> BTreeSet<PathBuf> {
        self.asked.borrow().clone().unwrap_or_default()
    }

    /// A file's text; what is not UTF-8 is replaced. Read once and then known,
    /// so that all who ask are told the same.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Rc<str>> {
        let path = path.as_ref();
        if let Some(known) = self.files.borrow().get(path) {
            return known.clone();
        }
        let text = self.open(path).ok();
        self.files.borrow_mut().insert(path.to_owned(), text.clone());
        text
    }

    fn open(&self, path: &Path) -> io::Result<Rc<str>> {
        // A captured tree may hold a pipe, which must not block us.
        let open = |path: &Path, flags: OFlags| {
            let flags = (flags | OFlags::NONBLOCK).bits().cast_signed();
            OpenOptions::new().read(true).custom_flags(flags).open(path)
        };
        let mut file = match (self.live, path.parent(), path.file_name()) {
            (false, Some(folder), Some(name)) => {
                self.remember(path);
                // Few files are links; those that are, are refused here.
                open(&self.folder(folder)?.join(name), OFlags::NOFOLLOW)
                    .or_else(|_| open(&self.find(path)?, OFlags::empty()))?
            }
            _ => open(&self.locate(path)?, OFlags::empty())?,
        };
        if !self.live && !file.metadata()?.is_file() {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut bytes = vec![0; PAGE];
        let length = file.read(&mut bytes)?;
        bytes.truncate(length);
        // The kernel gives an attribute in /sys whole, and at most a page; of
        // all else, the end is where nothing more comes.
        if !(self.live
            && length < PAGE
            && path.strip_prefix("/").unwrap_or(path).starts_with("sys"))
        {
            file.take(LARGEST_BYTES).read_to_end(&mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into())
    }

    /// A file's text without the space and NULs around it, if it can be read
    /// and holds anything.
    pub fn word(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.read(path)?;
        let word = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// A file's number.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<u64> {
        self.word(path)?.parse().ok()
    }

    /// A directory's entries, sorted and without hidden ones; empty when it
    /// cannot be read. /proc and /sys hide none: `.keep` is what makes git keep
    /// an empty folder of a captured tree.
    pub fn list(&self, path: impl AsRef<Path>) -> Vec<String> {
        let path = path.as_ref();
        if let Some(known) = self.lists.borrow().get(path) {
            return known.clone();
        }
        let entries = self.locate(path).and_then(fs::read_dir).into_iter().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        self.lists.borrow_mut().insert(path.to_owned(), names.clone());
        names
    }

    /// Whether there is something at `path`.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.locate(path.as_ref()).is_ok_and(|found| found.exists())
    }

    /// What is at `path`: a link is not followed, and those on the way to it do
    /// not lead out of the tree.
    pub fn lstat(&self, path: &Path) -> io::Result<fs::Metadata> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return fs::symlink_metadata(&self.base);
        };
        fs::symlink_metadata(self.locate(parent)?.join(name))
    }

    /// Where the link at `path` points, if it is one.
    pub fn link(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let path = path.as_ref();
        let parent = self.locate(path.parent()?).ok()?;
        self.remember(path);
        fs::read_link(parent.join(path.file_name()?)).ok()
    }

    /// Where the link at `path` leads, without looking whether there are links
    /// on the way: in /sys there are none.
    pub fn device(&self, path: &Path) -> Option<PathBuf> {
        let target = self.link(path)?;
        let mut at = path.parent()?.to_owned();
        for part in target.components() {
            match part {
                Component::ParentDir => drop(at.pop()),
                Component::Normal(name) => at.push(name),
                _ => at = PathBuf::from("/"),
            }
        }
        Some(at)
    }

    /// The absolute path that `path` leads to inside the tree once every link
    /// is followed; what does not exist is kept as it stands, and so is what no
    /// kernel would take.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        if path.as_os_str().len() > LONGEST_PATH {
            return path.to_owned();
        }
        let found = walk(&self.base, &self.base, path);
        match found {
            Ok(found) => Path::new("/").join(found.strip_prefix(&self.base).unwrap_or(&found)),
            Err(_) => path.to_owned(),
        }
    }

    /// Size and free space of the file system at `path`; none for a captured
    /// tree, which has no file systems of its own.
    pub fn statvfs(&self, path: &Path) -> Option<StatVfs> {
        if !self.live {
            return None;
        }
        rustix::fs::statvfs(path).ok()
    }

    /// Where a path of the tree is on this machine.
    fn locate(&self, path: &Path) -> io::Result<PathBuf> {
        self.remember(path);
        if self.live { Ok(Path::new("/").join(path)) } else { self.find(path) }
    }

    fn find(&self, path: &Path) -> io::Result<PathBuf> {
        // As long as the kernel takes; and each name costs some stack here.
        if path.as_os_str().len() > LONGEST_PATH || path.components().count() > MOST_NAMES {
            return Err(ErrorKind::InvalidFilename.into());
        }
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => walk(&self.base, &self.folder(parent)?, Path::new(name)),
            _ => walk(&self.base, &self.base, path),
        }
    }

    /// Where a folder of a captured tree is, found once and then known.
    fn folder(&self, path: &Path) -> io::Result<PathBuf> {
        if path.components().count() > MOST_NAMES {
            return Err(ErrorKind::InvalidFilename.into());
        }
        if let Some(known) = self.folders.borrow().get(path) {
            return Ok(known.clone());
        }
        let found = self.find(path)?;
        self.folders.borrow_mut().insert(path.to_owned(), found.clone());
        Ok(found)
    }

    fn remember(&self, path: &Path) {
        if let Some(asked) = self.asked.borrow_mut().as_mut() {
            asked.insert(path.strip_prefix("/").unwrap_or(path).to_owned());
        }
    }
}

/// Follow `path` from the folder `from`, taking `base` for `/`: links are
/// followed by hand, since the system would lead absolute ones, and `..`, out
/// of the tree.
fn walk(base: &Path, from: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut todo: Vec<OsString> = names(path);
    let mut at = from.to_owned();
    let mut links = 0;
    while let Some(name) = todo.pop() {
        if name == ".." {
            if at != base {
                at.pop();
            }
            continue;
        }
        let next = at.join(&name);
        match fs::read_link(&next) {
            Ok(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(ErrorKind::InvalidInput.into());
                }
                if target.is_absolute() {
                    base.clone_into(&mut at);
                }
                todo.extend(names(&target));
            }
            Err(_) => at = next,
        }
    }
    Ok(at)
}

/// A path's components, last first: what is left to walk.
pub fn names(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::Root;

    #[test]
    fn links_stay_inside_a_captured_tree() {
        let outside = tempfile::tempdir().expect("folder");
        fs::write(outside.path().join("secret"), "secret").expect("file");
        let tree = outside.path().join("tree");
        fs::create_dir_all(tree.join("etc/static")).expect("folders");
        fs::write(tree.join("etc/static/conf"), "ours\n\0").expect("file");
        symlink("/etc/static/conf", tree.join("etc/conf")).expect("absolute link");
        symlink("../../../../secret", tree.join("etc/climbs")).expect("climbing link");
        symlink("loop", tree.join("etc/loop")).expect("loop");

        let root = Root::captured(&tree).expect("root").recording();
        assert_eq!(root.word("etc/conf").as_deref(), Some("ours"));
        assert!(root.read("etc/climbs").is_none());
        assert!(root.read("../secret").is_none());
        assert!(root.read("etc/loop").is_none());
        assert!(root.read("etc").is_none(), "a folder is no file");
        assert!(root.lstat(Path::new("/etc/climbs")).expect("a link").is_symlink());
        assert!(root.lstat(Path::new("/etc/climbs/x")).is_err());
        assert!(root.lstat(Path::new("/")).expect("the tree").is_dir());
        assert_eq!(root.resolve(Path::new("/etc/conf")), Path::new("/etc/static/conf"));
        let long = format!("/etc/conf{}", "/x".repeat(2048));
        assert_eq!(root.resolve(long.as_ref()), Path::new(&long), "no kernel takes it");
        assert_eq!(root.list("etc"), ["climbs", "conf", "loop", "static"]);
        assert!(root.asked().contains(Path::new("etc/conf")));
    }

    // macOS makes pipes by another call.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_in_a_captured_tree_does_not_block() {
        let tree = tempfile::tempdir().expect("folder");
        let pipe = tree.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("pipe");
        assert!(Root::captured(tree.path()).expect("root").read("pipe").is_none());
    }
}
