//! What is fuzzed: each takes any bytes, and panics where a law does not hold.

use super::Bytes;

pub mod cache;
pub mod derivation;
pub mod events;
pub mod foreign;
pub mod hardware;
pub mod narinfo;
pub mod plan;
pub mod proc;
pub mod processes;
pub mod tree;

/// A target.
pub struct Target {
    /// Its name, and that of its seeds' folder.
    pub name: &'static str,
    /// Holds the laws for an input.
    pub run: fn(&[u8]),
    /// Changes an input: its bytes, how many are used and may be, and a seed.
    pub mutate: fn(&mut [u8], usize, usize, u32, Bytes) -> usize,
}

/// All of them.
pub const TARGETS: [Target; 10] = [
    Target { name: "cache", run: cache::run, mutate: plainly },
    Target { name: "derivation", run: derivation::run, mutate: plainly },
    Target { name: "events", run: events::run, mutate: plainly },
    Target { name: "foreign", run: foreign::run, mutate: foreign::mutate },
    Target { name: "hardware", run: hardware::run, mutate: hardware::mutate },
    Target { name: "narinfo", run: narinfo::run, mutate: plainly },
    Target { name: "plan", run: plan::run, mutate: plan::mutate },
    Target { name: "proc", run: proc::run, mutate: plainly },
    Target { name: "processes", run: processes::run, mutate: plainly },
    Target { name: "tree", run: tree::run, mutate: tree::mutate },
];

/// Inputs that nobody knows the form of.
fn plainly(data: &mut [u8], size: usize, most: usize, _seed: u32, bytes: Bytes) -> usize {
    bytes(data, size, most)
}
