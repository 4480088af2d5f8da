//! Asks this Mac. Nothing is decided here: see the modules beside this one.
//!
//! `sysctl` and `diskutil` are started, since macOS tells these facts in no
//! file, and its library in ways that take unsafe code.

use std::ffi::c_char;
use std::num::NonZeroU64;
use std::path::Path;

use super::diskutil::{self, Mounted};
use super::sysctl::Sysctl;
use crate::answer::Answer;
use crate::hardware::{Hardware, Network, Place, Storage};
use crate::number::Version;
use crate::root::Root;
use crate::{Options, environment, live, nix};

/// What to ask for by name, which takes less time than `-a` and shows what that
/// hides (`hw.machine`, `hw.model`). `sysctl` may end at a name that it does not
/// know, so those that only some Macs have come last.
const NAMES: [&str; 8] = [
    "hw",
    "machdep.cpu",
    "hw.machine",
    "hw.model",
    "vm.loadavg",
    "vm.swapusage",
    "kern.hv_vmm_present",
    "sysctl.proc_translated",
];

/// Look at this Mac. Never fails: what cannot be seen is `null`.
pub fn run(root: &Root, options: &Options) -> Hardware {
    let asked = nix::ask(root);
    let text = ask("/usr/sbin/sysctl", &NAMES).unwrap_or_default();
    let sysctl = Sysctl::parse(&text);
    let mut notes = Vec::from_iter(super::rosetta(&sysctl));
    let cpu = super::cpu(&sysctl, &mut notes);
    let memory = super::memory(&sysctl, &mut notes);
    let variable = |name: &str| std::env::var(name).ok();
    let around = environment::environment(root, &variable);
    let environment = super::environment(&sysctl, around);

    let (nix, release) = nix::nix(root, asked, &mut notes);
    let store = options.store.clone().unwrap_or_else(|| nix::store_dir(root));
    let build_dir =
        options.build_dir.clone().unwrap_or_else(|| nix::build_dir(root, nix.as_ref(), release));
    let mut seen = Vec::new();
    let [store, build_dir, tmp] =
        [&*store, &*build_dir, Path::new("/tmp")].map(|path| Some(place(path, &mut seen)));
    let storage = Storage { store, build_dir, tmp };
    Hardware {
        version: Version,
        system: super::system(&sysctl),
        live: options.live.then(|| super::live(&sysctl, live::live(root, &storage))),
        cpu,
        memory,
        daemon: None,
        storage,
        network: Network::default(),
        environment,
        nix,
        notes,
    }
}

/// What `path` stands on. What two of them stand on is asked for once.
fn place(path: &Path, seen: &mut Vec<(Mounted, String)>) -> Place {
    let name = path.display().to_string();
    let Some(mounted) = mounted(path) else { return diskutil::place(&name, None, "") };
    if let Some((known, text)) = seen.iter().find(|(known, _)| *known == mounted) {
        return diskutil::place(&name, Some(known), text);
    }
    let text = match diskutil::diskless(&mounted.filesystem) {
        Some(_) => None,
        // It takes mount points and devices, not every path.
        None => ask("/usr/sbin/diskutil", &["info", "-plist", &mounted.mount_point]),
    };
    let text = text.unwrap_or_default();
    let place = diskutil::place(&name, Some(&mounted), &text);
    seen.push((mounted, text));
    place
}

/// The file system that `path` is on, or its nearest ancestor that is there.
/// By the kernel and not by the longest prefix: firmlinks such as /private lead
/// from one volume to another.
fn mounted(path: &Path) -> Option<Mounted> {
    let found = path.ancestors().find_map(|path| rustix::fs::statfs(path).ok())?;
    Some(Mounted {
        mount_point: word(&found.f_mntonname)?,
        filesystem: word(&found.f_fstypename)?,
        size_bytes: NonZeroU64::new(found.f_blocks.saturating_mul(found.f_bsize.into())),
    })
}

/// A text of the kernel, which a NUL ends.
fn word(text: &[c_char]) -> Option<String> {
    let bytes = text.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0);
    String::from_utf8(bytes.collect()).ok().filter(|text| !text.is_empty())
}

/// What a program prints, if it does in time. Its exit code says little: that
/// of `sysctl` is bad when one name of many is unknown.
fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let text = Answer::ask(program, arguments)?.hear()?.text;
    Some(text)
}
