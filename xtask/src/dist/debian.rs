//! The Debian package: it brings files, and starts, changes and asks nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Effort, VERSION, tree};
use crate::command;

/// Why what lintian finds is meant to be so.
const OVERRIDES: &str = "\
# Runs on every Debian, and in containers and captured trees that have no library.
nixpace: statically-linked-binary *
nixpace: embedded-library *
# Not part of Debian: there is no bug that asks for it.
nixpace: initial-upload-closes-no-bugs *
";

/// Make the package of the files below `root`, which gets what describes them.
pub(super) fn package(root: &Path, is_static: bool, epoch: &str, effort: Effort) -> Result<String> {
    // Debian keeps its own completions apart from those of administrators.
    let zsh = root.join("usr/share/zsh");
    fs::rename(zsh.join("site-functions"), zsh.join("vendor-completions")).context("zsh")?;
    let doc = root.join("usr/share/doc/nixpace");
    let changelog = doc.join("changelog.Debian");
    tree::write(&changelog, &changes(epoch)?)?;
    command::run_quietly(Command::new("gzip").args(["--no-name", "-9"]).arg(&changelog))?;
    tree::write(&root.join("usr/share/lintian/overrides/nixpace"), OVERRIDES)?;

    let sums = "find usr -type f -print0 | sort -z | xargs -0 md5sum";
    let sums = command::output(Command::new("sh").args(["-c", sums]).current_dir(root))?;
    // What folders take depends on the file system.
    let size =
        "find usr -type f -printf '%s\\n' | awk '{ n += int(($1 + 1023) / 1024) } END { print n }'";
    let size = command::output(Command::new("sh").args(["-c", size]).current_dir(root))?;
    let architecture = command::output(Command::new("dpkg").arg("--print-architecture"))?;
    let architecture = architecture.trim();
    tree::write(&root.join("DEBIAN/md5sums"), &sums)?;
    tree::write(&root.join("DEBIAN/control"), &control(architecture, size.trim(), is_static))?;

    let package = format!("nixpace_{VERSION}_{architecture}.deb");
    let mut build = Command::new("dpkg-deb");
    match effort {
        Effort::Best => build.arg("-Zxz"),
        Effort::Least => build.args(["-Zgzip", "-z1"]),
    };
    build.args(["--root-owner-group", "--build"]).arg(root).arg(&package);
    // All files are newer than that, and become as old.
    build.env("SOURCE_DATE_EPOCH", epoch);
    let beside = root.parent().unwrap_or(root);
    command::run_quietly(build.current_dir(beside))?;
    Ok(package)
}

fn control(architecture: &str, size: &str, is_static: bool) -> String {
    // Those that link to libraries are packed for tests alone.
    let needs = if is_static { "" } else { "Depends: libc6, libgcc-s1\n" };
    format!(
        "Package: nixpace
Version: {VERSION}
Architecture: {architecture}
Maintainer: {}
Installed-Size: {size}
{needs}Recommends: ca-certificates
Suggests: nix-bin
Section: admin
Priority: optional
Description: Nix settings that follow from the machine
 Nix builds are slower than the machine allows, or die of too little memory,
 for reasons nobody sees. These tools measure the machine, decide the settings
 of Nix with a reason for each, prove the binary caches, and show with numbers
 whether it got faster.
 .
 Installing changes and starts nothing: the service that records builds runs
 once nixpace-monitor.timer is enabled.
",
        maintainer()
    )
}

/// Who packs, as Debian's tools are told.
fn maintainer() -> String {
    let name = std::env::var("DEBFULLNAME").unwrap_or_else(|_| "The Nixpace authors".to_owned());
    let email = std::env::var("DEBEMAIL").unwrap_or_else(|_| "root@localhost".to_owned());
    format!("{name} <{email}>")
}

fn changes(epoch: &str) -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "--rfc-email", "--date"]).arg(format!("@{epoch}"));
    let date = command::output(date.env("LC_ALL", "C"))?;
    Ok(format!(
        "nixpace ({VERSION}) unstable; urgency=medium

  * See changelog.gz for what changed.

 -- {}  {}
",
        maintainer(),
        date.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::control;

    #[test]
    fn static_programs_need_nothing() {
        let text = control("amd64", "1000", true);
        assert!(!text.contains("Depends:") && !text.contains("\n\n"), "{text}");
        let text = control("amd64", "1000", false);
        assert!(text.contains("\nDepends: libc6, libgcc-s1\nRecommends: "), "{text}");
    }
}
