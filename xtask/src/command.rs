//! Other programs, run in the foreground.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use detect::report::say;

/// The cargo that runs us, so that the toolchain stays the same.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    // What cargo tells us about our own package is wrong for those it builds
    // next, and build scripts that watch these would run again every time.
    for (name, _) in env::vars_os() {
        let about_us = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if about_us {
            command.env_remove(name);
        }
    }
    command
}

/// The folder of our own programs: where this one is.
pub(crate) fn ours() -> Result<PathBuf> {
    let own = env::current_exe().context("own path")?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}

/// Build our own programs as this one was built, which is all that `cargo xtask` builds.
/// Who runs this program without it has chosen those beside it.
pub(crate) fn build_ours() -> Result<()> {
    if env::var_os("CARGO_PKG_NAME").is_none_or(|name| name != "xtask") {
        return Ok(());
    }
    let mut build = cargo(["build", "--quiet", "--workspace", "--bins"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    run(&mut build)
}

/// Run a command; what it prints goes where our own output goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = line(command);
    let status = command.status().with_context(|| line.clone())?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// Run a command whose output matters only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let line = line(command);
    let output = command.output().with_context(|| line.clone())?;
    if !output.status.success() {
        say(&String::from_utf8_lossy(&output.stdout));
        say(&String::from_utf8_lossy(&output.stderr));
        bail!("{line}: {}", output.status);
    }
    Ok(())
}

/// What a command prints, which must succeed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = line(command);
    let output = command.output().with_context(|| line.clone())?;
    if !output.status.success() {
        say(&String::from_utf8_lossy(&output.stderr));
        bail!("{line}: {}", output.status);
    }
    String::from_utf8(output.stdout).context(line)
}

/// This machine, as rustc calls it.
pub(crate) fn host() -> Result<String> {
    let text = output(Command::new("rustc").arg("-vV"))?;
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!("rustc -vV: names no host"),
    }
}

/// Whether a command can be started and succeeds; it prints nothing.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// A command as one would type it, as far as people need to know which it was.
fn line(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let mut line = program.rsplit('/').next().unwrap_or(&program).to_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}
