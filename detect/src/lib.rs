//! What this machine is, as far as it matters to Nix builds.
//!
//! `detect` reads /proc, /sys and a few files of /etc, of this machine or of a
//! captured tree, and prints one [`hardware::Hardware`] document. It decides
//! nothing: what follows from the facts is `profile`'s concern.
//!
//! **Invariant:** parsers take text and know no paths; every file is opened by
//! [`root::Root`]; a fact that cannot be had is `null` and, where that matters,
//! a note says why.

pub mod hardware;
pub mod number;
pub mod release;
pub mod root;
pub mod stage;

use hardware::Hardware;
use root::Root;

/// What to look at, where the defaults do not fit.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The store, instead of the one Nix is set to.
    pub store: Option<std::path::PathBuf>,
    /// The build directory, instead of the one Nix is set to.
    pub build_dir: Option<std::path::PathBuf>,
    /// Also what changes from moment to moment.
    pub live: bool,
}

/// Look at the machine.
pub fn run(_root: &Root, _options: &Options) -> Hardware {
    Hardware::default()
}
