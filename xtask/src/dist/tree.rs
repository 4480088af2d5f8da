//! The files to install, as they lie below a prefix such as /usr.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::notices;
use crate::{command, man};

/// Put everything below `root`, the programs from a folder.
pub(super) fn lay(root: &Path, programs: &Path) -> Result<()> {
    for tool in man::tools() {
        let name = tool.get_name();
        let to = root.join("bin").join(name);
        put(&programs.join(name), &to, 0o755)?;
        // A release is stripped by its profile.
        command::run_quietly(Command::new("strip").arg(&to))?;
    }
    let written = tempfile::tempdir().context("temporary folder")?;
    man::write_all(written.path())?;
    for page in names(&written.path().join("man"))? {
        let to = root.join("share/man/man1").join(&page);
        put(&written.path().join("man").join(&page), &to, 0o644)?;
        command::run_quietly(Command::new("gzip").args(["--no-name", "-9"]).arg(&to))?;
    }
    for file in names(&written.path().join("completions"))? {
        put(&written.path().join("completions").join(&file), &root.join(completion(&file)), 0o644)?;
    }
    if cfg!(target_os = "linux") {
        let units = Path::new("monitor/systemd");
        for unit in ["nixpace-monitor.service", "nixpace-monitor.timer"] {
            put(&units.join(unit), &root.join("lib/systemd/system").join(unit), 0o644)?;
        }
        let users = root.join("lib/sysusers.d/nixpace.conf");
        put(&units.join("nixpace.sysusers"), &users, 0o644)?;
    }
    let doc = root.join("share/doc/nixpace");
    put(Path::new("README.md"), &doc.join("README.md"), 0o644)?;
    put(Path::new("CHANGELOG.md"), &doc.join("changelog"), 0o644)?;
    write(&doc.join("copyright"), &notices::copyright(&fs::read_to_string("LICENSE")?)?)?;
    write(&doc.join("third-party"), &notices::third_party()?)?;
    for file in ["changelog", "third-party"] {
        command::run_quietly(Command::new("gzip").args(["--no-name", "-9"]).arg(doc.join(file)))?;
    }
    Ok(())
}

/// Where a shell looks for a file of completions.
fn completion(file: &str) -> String {
    match file.rsplit_once('.') {
        Some((tool, "bash")) => format!("share/bash-completion/completions/{tool}"),
        Some((_, "fish")) => format!("share/fish/vendor_completions.d/{file}"),
        Some((_, "nu")) => format!("share/nushell/vendor/autoload/{file}"),
        _ => format!("share/zsh/site-functions/{file}"),
    }
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    folder_of(to)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    allow(to, mode)
}

/// Write a file that everybody may read.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    folder_of(path)?;
    fs::write(path, text).with_context(|| path.display().to_string())?;
    allow(path, 0o644)
}

/// Make a file's folder, whatever the umask is.
pub(super) fn folder_of(path: &Path) -> Result<()> {
    let missing = path.ancestors().skip(1).take_while(|folder| !folder.exists());
    for folder in missing.collect::<Vec<_>>().into_iter().rev() {
        fs::create_dir(folder).with_context(|| folder.display().to_string())?;
        allow(folder, 0o755)?;
    }
    Ok(())
}

fn allow(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::completion;

    #[test]
    fn each_shell_finds_its_completions() {
        let places = ["detect.bash", "_detect", "detect.fish", "detect.nu"].map(completion);
        let expected = [
            "share/bash-completion/completions/detect",
            "share/zsh/site-functions/_detect",
            "share/fish/vendor_completions.d/detect.fish",
            "share/nushell/vendor/autoload/detect.nu",
        ];
        assert_eq!(places, expected);
    }
}
