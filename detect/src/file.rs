//! Files that are replaced whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Replace `path` with `contents`, whole or not at all: a crash at any instant
/// leaves the old file or the new one. Links and devices are refused, since
/// what a link points to is not what the user named.
pub fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    write_beside(path, contents, None).with_context(|| path.display().to_string())
}

/// The same, for a file that everyone must be able to read: whatever the umask
/// is and the file's mode was.
pub fn publish(path: &Path, contents: &[u8]) -> Result<()> {
    write_beside(path, contents, Some(0o644)).with_context(|| path.display().to_string())
}

/// How the names of files start that a run cut short may leave, and how they
/// end.
pub const TEMPORARY: (&str, &str) = (".nixpace-", ".tmp");

fn write_beside(path: &Path, contents: &[u8], mode: Option<u32>) -> Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => bail!("a symbolic link: name its target"),
        Ok(found) if !found.is_file() => bail!("not a regular file"),
        Ok(found) => Some(found),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if path.file_name().is_none() {
        bail!("names no file");
    }
    // `tempfile` opens with O_EXCL under a random name; it removes the file again
    // on any early return. What replaces a file is nobody else's to read before it
    // has that file's owner and mode: it may hold credentials. A new one has the
    // mode that the process's umask leaves.
    let narrow = if found.is_some() || mode.is_some() { 0o600 } else { 0o666 };
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY.0)
        .suffix(TEMPORARY.1)
        .permissions(Permissions::from_mode(narrow))
        .tempfile_in(folder)?;
    temporary.write_all(contents)?;
    if let Some(found) = &found {
        // Only root may give files away; others' become their own, as ever.
        let _ = fchown(temporary.as_file(), Some(found.uid()), Some(found.gid()));
    }
    let mode = mode.map(Permissions::from_mode);
    if let Some(mode) = mode.or_else(|| found.map(|found| found.permissions())) {
        temporary.as_file().set_permissions(mode)?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    sync(folder)?;
    Ok(())
}

/// Without this a rename may be lost when the power fails. What is done by then stays
/// done where a folder cannot be synced: some file systems know no such thing, and some
/// folders one may write to and not open.
pub fn sync(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Err(error) => match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::PermissionDenied | ErrorKind::Unsupported => {
                Ok(())
            }
            _ => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{publish, replace};

    #[test]
    fn replaces_whole_files_and_keeps_their_mode() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("plan.json");
        replace(&path, b"one").expect("new");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
        replace(&path, b"two").expect("over");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        assert_eq!(fs::metadata(&path).expect("stat").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(&folder).expect("list").count(), 1, "no temporary file stays");
    }

    #[test]
    fn publishes_for_everyone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("nixpace.conf");
        fs::write(&path, "old").expect("file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        publish(&path, b"new").expect("over");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        assert_eq!(fs::metadata(&path).expect("stat").permissions().mode() & 0o777, 0o644);
    }

    #[test]
    fn refuses_links_devices_and_missing_folders() {
        let folder = tempfile::tempdir().expect("folder");
        let target = folder.path().join("target");
        fs::write(&target, "old").expect("target");
        let link = folder.path().join("link");
        symlink(&target, &link).expect("link");
        assert!(replace(&link, b"new").is_err());
        assert_eq!(fs::read(&target).expect("read"), b"old");
        assert!(replace("/dev/null".as_ref(), b"new").is_err());
        assert!(replace(folder.path(), b"new").is_err());
        assert!(replace(&folder.path().join("no/such"), b"new").is_err());
    }
}
