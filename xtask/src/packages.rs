//! Programs that come from the system's packages.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use detect::report::{Hint, say};

use crate::command;

/// Have programs, each with the Debian packages that bring it: install what is
/// missing where we may.
pub(crate) fn ensure(programs: &[(&str, &[&str])]) -> Result<()> {
    let missing = || programs.iter().filter(|(program, _)| !is_there(program));
    let mut packages: Vec<&str> =
        missing().flat_map(|(_, packages)| packages.iter().copied()).collect();
    // One may bring several of the programs.
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    if is_root() {
        say(&format!("xtask: installing {}", packages.join(", ")));
        let _quiet = NoServices::begin();
        let install = ["install", "-y", "--no-install-recommends"];
        let mut install = apt_get(&[&install[..], &packages].concat());
        // The lists of packages may be missing or too old.
        if !command::succeeds(&mut install) {
            command::succeeds(&mut apt_get(&["update"]));
            command::run_quietly(&mut install)?;
        }
    }
    if missing().next().is_none() {
        return Ok(());
    }
    let packages = packages.join(" ");
    let hint = Hint::new(&format!("as root: apt-get install {packages}"));
    Err(anyhow!("not installed: {packages}").context(hint))
}

/// Whether this system's lists have such a package.
pub(crate) fn is_known(package: &str) -> bool {
    command::succeeds(Command::new("apt-cache").args(["show", package]))
}

/// Have one file of a Debian package in a folder, and install nothing.
pub(crate) fn extract(package: &str, member: &str, folder: &Path) -> Result<()> {
    let name = Path::new(member).file_name().unwrap_or_default();
    if is_there(&name.to_string_lossy()) || folder.join(name).is_file() {
        return Ok(());
    }
    let at = || folder.display().to_string();
    say(&format!("xtask: downloading {package}"));
    fs::create_dir_all(folder).with_context(at)?;
    let script = "apt-get download \"$1\" || { apt-get update; apt-get download \"$1\"; }
        dpkg-deb --fsys-tarfile \"$1\"_*.deb | tar --extract --to-stdout \"./$2\" > \"$3.new\"
        chmod +x \"$3.new\"
        rm \"$1\"_*.deb
        mv \"$3.new\" \"$3\"";
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script, "bash", package, member]).arg(name);
    command::run_quietly(bash.current_dir(folder)).with_context(at)
}

/// What says so.
const POLICY: &[u8] = b"#!/bin/sh\n# cargo xtask: no services while it installs\nexit 101\n";

/// While it lives, packages start no service: what tests run beside ours must not
/// listen on the machine for good (Debian's `invoke-rc.d`, "policy-rc.d").
struct NoServices(Option<PathBuf>);

impl NoServices {
    fn begin() -> Self {
        let path = PathBuf::from("/usr/sbin/policy-rc.d");
        // An administrator's own stays, whatever it says; ours may be left of a run that
        // was interrupted.
        let is_left = fs::read(&path).is_ok_and(|found| found == POLICY);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path);
        let made = made.and_then(|mut file| file.write_all(POLICY));
        Self((is_left || made.is_ok()).then_some(path))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether we may install, and mount. Files of /proc/self belong to who runs us.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where those for root are, which others may not have on their PATH.
    let more = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(more).any(|folder| folder.join(program).is_file())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

#[cfg(test)]
mod tests {
    use super::{ensure, is_there};

    #[test]
    fn what_is_there_is_not_installed_again() {
        assert!(is_there("sh") && !is_there("no-such-program"));
        ensure(&[("sh", &["no-such-package"])]).expect("it is there");
    }
}
