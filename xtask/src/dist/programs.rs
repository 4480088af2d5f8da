//! The programs as released: one file each, which needs no library of the system.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{self, cargo};
use detect::report::say;

/// Programs, ready to be packed.
pub(super) struct Built {
    /// Where they are.
    pub(super) folder: PathBuf,
    /// Whether they run without any library of the system.
    pub(super) is_static: bool,
}

/// Build them.
pub(super) fn release() -> Result<Built> {
    let host = command::host()?;
    let is_static = cfg!(target_os = "linux");
    let target = target(&host);
    say(&format!("xtask: building for {target}, which takes minutes"));
    let workspace = env::current_dir().context("current folder")?;
    let mut flags = Vec::new();
    if is_static {
        flags.push("-Ctarget-feature=+crt-static".to_owned());
    }
    // Else messages of panics would say where the builder's home is.
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    for (path, name) in
        cargo_home.iter().map(|home| (home, "/cargo")).chain([(&workspace, "/nixpace")])
    {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    let mut build = cargo(["build", "--release", "--locked", "--workspace", "--bins"]);
    build.args(["--exclude", "xtask", "--exclude", "tests", "--target", &target]);
    command::run(build.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")))?;
    let base =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    Ok(Built { folder: base.join(target).join("release"), is_static })
}

/// The target that is static through and through where it is installed, with the C
/// compiler that `SQLite` needs. Else glibc itself goes into the programs: it looks
/// up names by `files` and `dns` then, and by nothing else that nsswitch.conf names.
fn target(host: &str) -> String {
    let musl = host.replace("-gnu", "-musl");
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", &musl]);
    let has_library = command::output(&mut rustc)
        .is_ok_and(|folder| Path::new(folder.trim()).join("self-contained").is_dir());
    let has_compiler = command::succeeds(Command::new("musl-gcc").arg("--version"));
    if has_library && has_compiler { musl } else { host.to_owned() }
}
