//! The folder of nix.conf: whose it is, and its files.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail};
use detect::file::{self, TEMPORARY};
use detect::hardware::ConfOwner;
use detect::nix;
use detect::report::{Hint, say, tool};
use detect::root::Root;
use rustix::fs::{Access, OFlags, access};
use rustix::process::geteuid;

/// Larger than any nix.conf.
const LARGEST_BYTES: u64 = 1 << 20;

/// The file that Nix reads first.
pub(super) const MAIN: &str = "nix.conf";

/// The folder of a nix.conf that an administrator writes.
pub(super) struct Folder {
    path: PathBuf,
    /// The file for our line: nix.conf, or the one that Determinate Nix leaves
    /// to the administrator.
    pub(super) host: &'static str,
}

impl Folder {
    /// Look at a folder; an error if what is in nix.conf is written by something
    /// else, which would undo our changes or fail over them.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = path::absolute(path)?;
        let name = path.display().to_string();
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&path).unwrap_or_default();
                let hint = format!("--conf-dir {}, if that is meant", target.display());
                return Err(anyhow!("{name}: a symbolic link").context(Hint::new(&hint)));
            }
            Ok(found) if !found.is_dir() => bail!("{name}: not a folder"),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::new(error).context(name));
            }
            _ => {}
        }
        let conf = path.join(MAIN);
        let (who, hint) = match owner(&path) {
            ConfOwner::Plain => ("", ""),
            ConfOwner::Determinate => return Ok(Self { path, host: "nix.custom.conf" }),
            ConfOwner::Nixos => (
                "NixOS",
                "nix-conf-write --as nixos prints a module: import it in configuration.nix",
            ),
            ConfOwner::Darwin => (
                "nix-darwin",
                "nix-conf-write --as darwin prints a module: import it in darwin-configuration.nix",
            ),
            ConfOwner::SystemManager => (
                "system-manager",
                "nix-conf-write --as nixos prints nix.settings: import it in its configuration",
            ),
        };
        if !who.is_empty() {
            let why = anyhow!("{}: {who} writes it", conf.display());
            return Err(why.context(Hint::new(hint)));
        }
        if let Ok(target) = fs::read_link(&conf) {
            let why = anyhow!("{}: a symbolic link to {}", conf.display(), target.display());
            let hint = "what made the link writes the file; put the plan's settings in there";
            return Err(why.context(Hint::new(hint)));
        }
        Ok(Self { path, host: MAIN })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Keep other writers out for as long as the answer lives, and clear away
    /// what one of them may have left when it was killed.
    pub(super) fn lock(&self) -> Result<File> {
        let name = || self.path.display().to_string();
        trusted(&self.path)?;
        match fs::create_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => {
                // Everyone's Nix reads what is in there.
                let everyone = Permissions::from_mode(0o755);
                let made = made.and_then(|()| fs::set_permissions(&self.path, everyone));
                made.map_err(|error| with_hint(error.into())).with_context(name)?;
            }
        }
        // Nix need not prove what cannot be written.
        let writable = access(&self.path, Access::WRITE_OK).map_err(std::io::Error::from);
        writable.map_err(|error| with_hint(error.into())).with_context(name)?;
        let folder = File::open(&self.path).with_context(name)?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => {
                say(&format!("{}: {}: waiting for another writer", tool(), name()));
                folder.lock().with_context(name)?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(name),
            Ok(()) => {}
        }
        for entry in fs::read_dir(&self.path).with_context(name)? {
            let entry = entry.with_context(name)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1) {
                // Nobody reads it: that it stays is no reason to stop.
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(folder)
    }

    /// A file's text, if it is there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.file(name);
        read(&path).map_err(with_hint).with_context(|| path.display().to_string())
    }

    /// Replace a file that is the user's, whole and with its mode and owner.
    pub(super) fn replace(&self, name: &str, text: &[u8]) -> Result<()> {
        let path = self.file(name);
        // A new file is for everyone, as nix.conf must be.
        let write = if path.exists() { file::replace } else { file::publish };
        write(&path, text).map_err(with_hint)
    }

    /// Replace a file of ours.
    pub(super) fn publish(&self, name: &str, text: &[u8]) -> Result<()> {
        file::publish(&self.file(name), text).map_err(with_hint)
    }

    /// Put a file of ours in another's place.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<()> {
        let path = self.file(to);
        let renamed = fs::rename(self.file(from), &path).and_then(|()| self.sync());
        renamed.map_err(|error| with_hint(error.into())).with_context(|| path.display().to_string())
    }

    /// Remove a file of ours, if it is there.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let path = self.file(name);
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| self.sync()),
        };
        removed.map_err(|error| with_hint(error.into())).with_context(|| path.display().to_string())
    }

    fn sync(&self) -> std::io::Result<()> {
        file::sync(&self.path)
    }
}

/// Who writes nix.conf, by the marks that `detect` knows, on this machine or in
/// a tree that is laid out like one. Any other folder is an administrator's.
fn owner(folder: &Path) -> ConfOwner {
    let tree = folder.ends_with("etc/nix").then(|| folder.ancestors().nth(2)).flatten();
    let root = tree.and_then(|tree| Root::captured(tree).ok());
    root.map_or(ConfOwner::Plain, |root| nix::conf_owner(&root))
}

/// As root, write only where nobody else can put a link or another file while
/// we do: each folder on the way belongs to root or us, and is for its owner
/// alone to write to. One with the sticky bit, as /tmp, may be on the way.
fn trusted(folder: &Path) -> Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    for place in folder.ancestors().chain(real.ancestors()) {
        let Ok(found) = fs::symlink_metadata(place) else { continue };
        if found.uid() != 0 {
            let name = place.display();
            let why = anyhow!("{name}: not root's, so its owner could change what is written");
            return Err(why.context(Hint::new(&format!("sudo chown root {name}"))));
        }
        let sticky = found.mode() & 0o1000 != 0 && place != folder && place != real;
        if found.is_dir() && found.mode() & 0o022 != 0 && !sticky {
            let name = place.display();
            let why = anyhow!("{name}: others than root may write to it");
            return Err(why.context(Hint::new(&format!("sudo chmod go-w {name}"))));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    // A pipe must not block us.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(_) if path.is_symlink() => bail!("a symbolic link"),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        bail!("not a regular file");
    }
    let mut text = Vec::new();
    file.take(LARGEST_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST_BYTES {
        bail!("larger than {} MiB: not a configuration", LARGEST_BYTES >> 20);
    }
    Ok(Some(text))
}

/// What can be done about missing rights.
fn with_hint(error: Error) -> Error {
    let denied = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    if error.chain().any(denied) && !geteuid().is_root() {
        return error.context(Hint::new("run it as root: sudo nix-conf-write …"));
    }
    error
}
