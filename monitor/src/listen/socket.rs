//! The socket: ours alone, and gone when we are.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::Mode;
use rustix::process::umask;

/// A socket that is listened to, and removed when it is dropped.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Which file it is, so that nobody else's is removed.
    inode: (u64, u64),
}

impl Socket {
    /// Make a socket. One that nobody listens to any more is replaced.
    pub(super) fn bind(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        let mode = fs::metadata(folder).with_context(|| folder.display().to_string())?.mode();
        // There, anyone could put another socket in its place.
        if mode & 0o002 != 0 {
            bail!("everyone may write to its folder: choose one such as /run/nixpace");
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => bail!("is there, and no socket"),
            Ok(_) if UnixStream::connect(path).is_ok() => bail!("another program listens to it"),
            Ok(_) => fs::remove_file(path)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        // Nobody else may connect, not even for a moment.
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let found = fs::symlink_metadata(path)?;
        Ok(Self { listener, path: path.to_owned(), inode: (found.dev(), found.ino()) })
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path).map(|found| (found.dev(), found.ino()));
        if found.is_ok_and(|inode| inode == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::Socket;

    #[test]
    fn a_socket_is_ours_alone_and_replaces_a_stale_one() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists(), "nobody listens to it, and it is there");

        let socket = Socket::bind(&path).expect("ours");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = Socket::bind(&path).err().expect("taken").to_string();
        assert_eq!(error, "another program listens to it");
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn nothing_else_is_replaced() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("s");
        fs::write(&path, "text").expect("file");
        assert!(Socket::bind(&path).is_err());
        assert_eq!(fs::read(&path).expect("still there"), b"text");

        let open = folder.path().join("open");
        fs::create_dir(&open).expect("folder");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("chmod");
        assert!(Socket::bind(&open.join("s")).is_err());
    }
}
