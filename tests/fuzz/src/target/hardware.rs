//! A Hardware document, and the plan that follows from it, for each workload.

use super::super::{Bytes, json, laws};
use detect::hardware::Hardware;
use detect::release::Release;
use detect::stage;
use profile::Options;
use profile::plan::Workload;

const WORKLOADS: [Workload; 5] =
    [Workload::General, Workload::Interactive, Workload::Ci, Workload::Builder, Workload::Big];

const RELEASES: [Option<&str>; 8] = [
    None,
    Some("2.3.16"),
    Some("2.8"),
    Some("2.26.3"),
    Some("2.34"),
    Some("lix-2.93.3"),
    Some("determinate-2.33.0"),
    Some("0.0"),
];

const RESERVES: [Option<u64>; 4] = [None, Some(0), Some(1 << 33), Some(u64::MAX)];

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Ok(hardware) = stage::parse::<Hardware>(data) else { return };
    laws::round_trips(&hardware);
    // What is asked for differs from document to document, but not from run to run.
    let sum = data.iter().fold(0, |sum: usize, &byte| sum.wrapping_mul(31) + usize::from(byte));
    let for_nix = RELEASES[sum % RELEASES.len()].and_then(Release::parse);
    let reserve_memory = RESERVES[sum / 8 % RESERVES.len()];
    for workload in WORKLOADS {
        let options = Options { workload, for_nix, reserve_memory, ..Options::default() };
        let plan = laws::plans(hardware.clone(), &options);
        if workload == WORKLOADS[sum % 5] {
            laws::round_trips(&plan);
        }
    }
}

/// Change an input as what it is.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, bytes: Bytes) -> usize {
    json::mutate(data, size, most, seed, &WORDS, bytes)
}

/// Texts that some branch looks for.
const WORDS: [&str; 32] = [
    "x86_64-linux",
    "aarch64-darwin",
    "tmpfs",
    "ramfs",
    "ext4",
    "btrfs",
    "overlay",
    "memory",
    "network",
    "hdd",
    "nvme",
    "kvm",
    "docker",
    "github-actions",
    "nix",
    "lix",
    "determinate",
    "2.8.0",
    "2.34.8",
    "2.93.0",
    "lix-2.93.0",
    "2.36.0pre1",
    "65535.65535.65535",
    "build-dir",
    "max-jobs",
    "auto",
    "/",
    "/tmp",
    "warning",
    "nixos",
    "x86-64-v3",
    "",
];
