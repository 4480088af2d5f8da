//! What users install: an archive and a Debian package of the same files, and
//! their checksums. The same commit gives the same bytes.

mod debian;
mod notices;
mod programs;
mod tree;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use detect::{file, human};

use crate::command;
use detect::report::say;

/// The version of all crates, which is that of this one.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How hard to compress: what is packed only to test the packing is packed fast.
#[derive(Clone, Copy, PartialEq)]
enum Effort {
    Best,
    Least,
}

/// Pack the programs in `bin`, or else a release, into `out` or target/nixpace/dist.
pub(crate) fn run(bin: Option<&Path>, out: Option<&Path>) -> Result<()> {
    let out = out.unwrap_or(Path::new("target/nixpace/dist"));
    let (programs, effort) = match bin {
        Some(bin) => (programs::Built { folder: bin.to_owned(), is_static: false }, Effort::Least),
        None => (programs::release()?, Effort::Best),
    };
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let work = tempfile::tempdir_in(out).context("temporary folder")?;
    let epoch = epoch();

    let name = format!("nixpace-{VERSION}-{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let root = work.path().join(&name);
    tree::lay(&root, &programs.folder)?;
    let mut files = vec![archive(work.path(), &name, &epoch, effort)?];
    if cfg!(target_os = "linux") && command::succeeds(Command::new("dpkg-deb").arg("--version")) {
        let package = work.path().join("package");
        let prefix = package.join("usr");
        tree::folder_of(&prefix)?;
        fs::rename(&root, &prefix).with_context(|| prefix.display().to_string())?;
        files.push(debian::package(&package, programs.is_static, &epoch, effort)?);
    } else {
        say("xtask: no Debian package, since dpkg-deb is not installed");
    }

    let mut sums = Command::new("sha256sum");
    let sums = command::output(sums.args(&files).current_dir(work.path()))?;
    for file in &files {
        let made = out.join(file);
        fs::rename(work.path().join(file), &made).with_context(|| made.display().to_string())?;
        say(&format!("{}: {}", made.display(), human::size(fs::metadata(&made)?.len())));
    }
    file::publish(&out.join("SHA256SUMS"), sums.as_bytes())
}

/// Pack a folder: sorted, owned by root, and as old as the commit.
fn archive(folder: &Path, name: &str, epoch: &str, effort: Effort) -> Result<String> {
    let archive = format!("{name}.tar.gz");
    let level = if effort == Effort::Best { "-9" } else { "-1" };
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"])
        .arg(format!("--mtime=@{epoch}"))
        // Neither name nor time in its head.
        .arg(format!("--use-compress-program=gzip --no-name {level}"))
        .args(["--create", "--file", &archive, name]);
    command::run_quietly(tar.current_dir(folder))?;
    Ok(archive)
}

/// When the sources last changed, in seconds since 1970.
fn epoch() -> String {
    if let Ok(epoch) = std::env::var("SOURCE_DATE_EPOCH") {
        return epoch;
    }
    let mut git = Command::new("git");
    // An archive of the sources has no history, and 1980 is as good as any time.
    command::output(git.args(["log", "-1", "--format=%ct"]))
        .map_or_else(|_| "315532800".to_owned(), |epoch| epoch.trim().to_owned())
}
