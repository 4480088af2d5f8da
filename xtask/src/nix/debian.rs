//! A Debian system in a folder, with Nix in it.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use detect::report::Hint;

use crate::packages;

/// As many builds at once as real installations use in tests.
const BUILD_USERS: u32 = 8;

/// Fill `root` with a suite's packages; what is printed goes to the log.
pub(super) fn install(suite: &str, root: &Path, mirror: &str, log: File) -> Result<()> {
    // With mounts of its own, which end with it even when it is killed: else a
    // later run would find this machine's devices in what it has to remove.
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "mmdebstrap"])
        .args(["--variant=essential", "--include=nix-bin,ca-certificates", "--components=main"])
        // A mirror's copy of sid may be days old, and a machine's clock wrong;
        // signatures are checked all the same.
        .arg(r#"--aptopt=Acquire::Check-Valid-Until "false""#)
        .arg(r#"--aptopt=APT::Install-Recommends "false""#)
        .arg("--dpkgopt=path-exclude=/usr/share/doc/*")
        .arg("--dpkgopt=path-exclude=/usr/share/man/*")
        .arg(suite)
        .arg(root)
        .arg(mirror)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let status = command.status().context("unshare")?;
    if !status.success() {
        bail!("mmdebstrap: {status}");
    }
    Ok(())
}

/// Add the users that a daemon builds as, which Debian leaves to another package.
pub(super) fn add_build_users(root: &Path) -> Result<()> {
    let [group, users] = ["group", "passwd"].map(|name| root.join("etc").join(name));
    let groups = fs::read_to_string(&group).with_context(|| group.display().to_string())?;
    if groups.lines().any(|line| line.starts_with("nixbld:")) {
        return Ok(());
    }
    let (group_line, user_lines) = build_users();
    for (path, text) in [(group, group_line), (users, user_lines)] {
        File::options()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Lines for /etc/group and /etc/passwd, numbered as Nix's own installer does.
fn build_users() -> (String, String) {
    let names: Vec<String> = (1..=BUILD_USERS).map(|n| format!("nixbld{n}")).collect();
    let users = (30001..).zip(&names).map(|(uid, name)| {
        format!("{name}:x:{uid}:30000:Nix build user:/var/empty:/usr/sbin/nologin\n")
    });
    (format!("nixbld:x:30000:{}\n", names.join(",")), users.collect())
}

/// Have mmdebstrap, which fills a folder with a Debian system. Without the
/// keyring, other distributions could not check Debian.
pub(super) fn ensure_mmdebstrap() -> Result<()> {
    // Another user's tree would belong to users that only its namespace has: neither could
    // we add to it, nor remove it.
    if !packages::is_root() {
        let hint = Hint::new("as root: cargo xtask nix");
        return Err(anyhow!("only root can build Debian trees").context(hint));
    }
    packages::ensure(&[("mmdebstrap", &["mmdebstrap", "debian-archive-keyring"])])
}

#[cfg(test)]
mod tests {
    use super::build_users;

    #[test]
    fn every_build_user_is_in_the_group() {
        let (group, users) = build_users();
        assert!(group.starts_with("nixbld:x:30000:nixbld1,nixbld2,") && group.ends_with("8\n"));
        assert_eq!(users.lines().count(), 8);
        assert!(users.starts_with("nixbld1:x:30001:30000:"), "{users}");
    }
}
