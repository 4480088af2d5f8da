//! Where builds may run, and where what they leave may be deleted.

use std::path::Path;

use anyhow::{Result, bail};

/// A directory at the top, where it is on the root's file system for certain:
/// `/var`, `/srv` and their like may be mounted apart. Only root can make one
/// there, and nobody else can write above it, which Nix 2.30 insists on.
pub const ON_ROOT: &str = "/nix-builds";

/// The directories that `storage` plans, which are for builds and nothing else: the
/// one at the top, and those that Nix and Lix have of their own. Only in these does a
/// plan have tmpfiles.d delete what is old; `plan.nix` lets builds run in no others.
pub const BUILD_DIRS: [&str; 3] = [ON_ROOT, "/nix/var/nix/builds", "/nix/var/nix/b"];

/// Folders that hold what is not ours, where root would make builds run. Those
/// of macOS are among them, whose file system may take either case for the other.
const FOREIGN: [&str; 18] = [
    "Applications",
    "Library",
    "System",
    "Users",
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib64",
    "private",
    "proc",
    "root",
    "run",
    "sbin",
    "sys",
    "usr",
];

/// Folders that many programs keep what they have in. A folder inside may be for
/// builds alone; they themselves are not.
const SHARED: [&str; 7] =
    ["/var/cache", "/var/db", "/var/lib", "/var/log", "/var/mail", "/var/run", "/var/spool"];

/// An error where builds must not run.
pub(super) fn check(path: &str) -> Result<()> {
    if BUILD_DIRS.contains(&path) {
        return Ok(());
    }
    let mut parts = path.strip_prefix('/').unwrap_or_default().split('/');
    let top = parts.next().unwrap_or_default();
    let is_plain = path.split('/').skip(1).all(|part| !["", ".", ".."].contains(&part));
    // /nix is Nix's own, and /var/run leads to /run.
    let mut foreign = FOREIGN.iter().chain([&"nix"]);
    let is_foreign = foreign.any(|folder| folder.eq_ignore_ascii_case(top))
        || SHARED.contains(&path)
        || Path::new(path).starts_with("/var/run");
    if !is_plain || parts.next().is_none() || is_foreign {
        bail!("refused: {path:?} is no directory of its own for builds");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BUILD_DIRS, check};

    #[test]
    fn builds_have_a_directory_of_their_own() {
        let others = ["/var/builds", "/mnt/fast/nix", "/tmp/b", "/var/lib/builds", "/srv/x"];
        for path in BUILD_DIRS.into_iter().chain(others) {
            assert!(check(path).is_ok(), "{path}");
        }
        for path in [
            "/",
            "/var",
            "/tmp",
            "/builds",
            "/nix-builds/",
            "/etc/nix",
            "/home/alice",
            "/root/x",
            "/usr/lib",
            "/nix/store",
            "/nix/store/x",
            "/var/../etc",
            "/var//builds",
            "/var/builds/",
            "/./builds",
            "//etc/x",
            "/var/lib",
            "/var/log",
            "/var/run",
            "/var/run/x",
            "/run/x",
            "/nix/var",
            "/nix/var/nix",
            "/nix/var/nix/db",
            "/nix/var/nix/builds/x",
            "/Users/alice",
            "/users/alice",
            "/private/tmp/x",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
    }
}
