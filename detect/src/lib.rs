//! What this machine is, as far as it matters to Nix builds.
//!
//! `detect` reads /proc, /sys and a few files of /etc, of this machine or of a
//! captured tree, and prints one [`hardware::Hardware`] document. On macOS,
//! which has neither folder, it asks `sysctl` and `diskutil` instead. It decides
//! nothing: what follows from the facts is `profile`'s concern.
//!
//! **Invariant:** parsers take text and know no paths; every file is opened by
//! [`root::Root`]; a fact that cannot be had is `null` and, where that matters,
//! a note says why.

pub mod answer;
pub mod arguments;
pub mod caches;
pub mod cgroup;
pub mod cli;
pub mod conf;
pub mod cpu;
pub mod cpuinfo;
pub mod cpuset;
pub mod darwin;
#[cfg(feature = "database")]
pub mod database;
pub mod disk;
pub mod environment;
pub mod facter;
pub mod file;
#[cfg(test)]
mod fixture;
mod flat;
pub mod gcroots;
pub mod hardware;
pub mod human;
pub mod kinds;
pub mod live;
pub mod memory;
pub mod mount;
pub mod network;
pub mod nix;
pub mod number;
pub mod release;
pub mod report;
pub mod root;
pub mod stage;
pub mod storage;
#[cfg(feature = "database")]
pub mod store;
pub mod topology;

use std::path::PathBuf;

use hardware::{Hardware, Note, Place};
use number::Version;
use root::Root;

/// What to look at, where the defaults do not fit.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store, instead of the one Nix is set to.
    pub store: Option<PathBuf>,
    /// The build directory, instead of the one Nix is set to.
    pub build_dir: Option<PathBuf>,
    /// Also what changes from moment to moment.
    pub live: bool,
}

/// Look at the machine. Never fails: what cannot be seen is `null`.
pub fn run(root: &Root, options: &Options) -> Hardware {
    #[cfg(target_os = "macos")]
    if root.is_live() {
        return darwin::collect::run(root, options);
    }
    let asked = nix::ask(root);
    let mut notes = Vec::new();
    let mounts = mount::mounts(root);
    let allowance = cgroup::allowance(root, &mounts, "proc/self");
    if allowance.hidden {
        let text = "no control group can be looked at: there may be limits";
        notes.push(Note::info("limits-unknown", text));
    }
    let daemon = cgroup::of_daemon(root, &mounts);
    let cpu = cpu::cpu(root, &allowance, &mut notes);
    let memory = memory::memory(root, &allowance, &mut notes);
    let variable = |name: &str| std::env::var(name).ok().filter(|_| root.is_live());
    let environment = environment::environment(root, &variable);
    let network = network::network(root);

    let (nix, release) = nix::nix(root, asked, &mut notes);
    let store = options.store.clone().unwrap_or_else(|| nix::store_dir(root));
    let build_dir =
        options.build_dir.clone().unwrap_or_else(|| nix::build_dir(root, nix.as_ref(), release));
    let storage = storage::storage(root, &mounts, &store, &build_dir);
    let places = [&storage.store, &storage.build_dir, &storage.tmp];
    let is_unseen = |place: &&Place| place.mount_point.is_some() && place.disks.is_none();
    if let Some(place) = places.into_iter().flatten().find(is_unseen) {
        let text = format!("what disks {} is on cannot be seen", place.path);
        notes.push(Note::info("disks-unknown", text));
    }
    if mounts.is_empty() {
        notes.push(Note::warning("mounts-unknown", "no mount table: nothing is known of storage"));
    }
    Hardware {
        version: Version,
        system: system(root, cpu.isa_level.is_some()),
        daemon: daemon.map(|allowance| cpu::limits(root, &allowance)),
        live: options.live.then(|| live::live(root, &storage)),
        cpu,
        memory,
        storage,
        network,
        environment,
        nix,
        notes,
    }
}

/// Nix's name for the platform: ours when we run on it, else what the tree lets
/// us know for certain.
fn system(root: &Root, is_x86_64: bool) -> Option<String> {
    if root.is_live() {
        let os = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
        return Some(format!("{}-{os}", processor(std::env::consts::ARCH)));
    }
    is_x86_64.then(|| "x86_64-linux".to_owned())
}

/// Nix's name for a processor, where Rust has another.
fn processor(name: &str) -> &str {
    match name {
        "x86" => "i686",
        same => same,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn processors_have_the_names_that_nix_gives_them() {
        assert_eq!(
            ["x86", "x86_64", "aarch64"].map(super::processor),
            ["i686", "x86_64", "aarch64"]
        );
    }
}
