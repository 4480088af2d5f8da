//! All tests, with what they need.

use std::env;
use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::command::{self, cargo};
use crate::{linters, nix, packages};
use detect::report::{Hint, reason, say};

/// Where tests find real Nix versions; unset where there are none.
const NIX: &str = "NIXPACE_NIX";

/// Programs that tests run beside ours, and the packages that bring them.
// An SSH server that brings no service: a test must not open a port for good.
// The browser is 290 MB, more than all others together: that a page is shown as
// it should be, only a browser can say, and this is the smallest there is.
const TOOLS: [(&str, &[&str]); 23] = [
    // A library, as seen from where programs are.
    ("../lib/python3/dist-packages/prometheus_client/__init__.py", &["python3-prometheus-client"]),
    ("chromium-headless-shell", &["chromium-headless-shell"]),
    ("dpkg-deb", &["dpkg"]),
    ("dropbear", &["dropbear-bin"]),
    ("faketime", &["faketime"]),
    ("losetup", &["mount"]),
    ("lsblk", &["util-linux"]),
    ("npm", &["npm"]),
    ("pip3", &["python3-pip", "python3-venv"]),
    ("mkfs.btrfs", &["btrfs-progs"]),
    ("mkfs.ext4", &["e2fsprogs"]),
    ("mkfs.xfs", &["xfsprogs"]),
    ("ssh", &["openssh-client"]),
    ("patch", &["patch"]),
    ("ps", &["procps"]),
    ("nginx", &["nginx-light"]),
    ("openssl", &["openssl"]),
    ("strace", &["strace"]),
    ("strip", &["binutils"]),
    ("systemd-analyze", &["systemd"]),
    ("systemd-tmpfiles", &["systemd"]),
    ("xz", &["xz-utils"]),
    ("zstd", &["zstd"]),
];

/// What to do about an error, where that is known.
fn say_hint(error: &anyhow::Error) {
    if let Some(Hint(lines)) = error.downcast_ref() {
        say(lines);
    }
}

/// Install what the tests need, and run them.
pub(crate) fn run(arguments: &[OsString]) -> Result<()> {
    let prometheus = nix::folder()?.with_file_name("prometheus");
    let tools = packages::ensure(&TOOLS).and_then(|()| {
        // Of a server's package, where it has none of its own, this one program: the
        // server would be started.
        let package = if packages::is_known("promtool") { "promtool" } else { "prometheus" };
        packages::extract(package, "usr/bin/promtool", &prometheus)?;
        linters::ensure()
    });
    if let Err(error) = tools {
        // There, a test that skips itself would look like one that passed.
        if env::var_os("CI").is_some() {
            return Err(error);
        }
        say(&format!("SKIPPED: some tests, because {}", reason(&error)));
        say_hint(&error);
    }
    let nix = match nix::ensure() {
        Ok(_) => Some(nix::folder()?),
        Err(error) if env::var_os("CI").is_some() => return Err(error),
        Err(error) => {
            say("SKIPPED: every test against real Nix, because there is none:");
            say(&format!("SKIPPED: {}", reason(&error)));
            say_hint(&error);
            None
        }
    };
    let with_nix = |mut command: Command| {
        match &nix {
            Some(folder) => command.env(NIX, folder),
            None => command.env_remove(NIX),
        };
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::split_paths(&path).chain([prometheus.clone()]);
        if let Ok(path) = env::join_paths(path) {
            command.env("PATH", path);
        }
        command::run(&mut command)
    };

    // End-to-end tests run the binaries, which cargo builds for no test of
    // another package.
    with_nix(cargo(["build", "--workspace", "--bins"]))?;
    // Nextest runs no examples of the documentation.
    command::run_quietly(&mut cargo(["test", "--quiet", "--doc", "--workspace"]))?;
    let runner: &[&str] = if command::succeeds(&mut cargo(["nextest", "--version"])) {
        &["nextest", "run", "--workspace"]
    } else {
        &["test", "--workspace"]
    };
    let mut tests = cargo(runner);
    tests.args(arguments);
    with_nix(tests)
}
