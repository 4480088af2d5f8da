//! The Hardware document: facts about one machine, as JSON.
//!
//! **Invariant:** an unknown fact is `null`, never a guess; the same machine
//! gives the same bytes (no clock, host name, serial number or MAC address),
//! except for [`Live`], which is there only when asked for.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::flat;
use crate::number::{Cpus, Version};

/// What a machine is, as far as it matters to Nix builds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hardware {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Nix's name for the platform, e.g. `x86_64-linux`.
    pub system: Option<String>,
    /// Processors.
    pub cpu: Cpu,
    /// Main memory and swap.
    pub memory: Memory,
    /// Limits of the control group that nix-daemon, and so every build, runs
    /// in; `null` when no daemon was found.
    pub daemon: Option<Limits>,
    /// The file systems that matter.
    pub storage: Storage,
    /// The link that the default route uses.
    pub network: Network,
    /// What the machine runs in.
    pub environment: Environment,
    /// The Nix installed; `null` when none was found.
    pub nix: Option<Nix>,
    /// What changes from moment to moment; only with `--live`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// What could not be seen, and what deserves attention.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// Processors. A CPU here is what Linux calls one: a hardware thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Who made it, e.g. `AuthenticAMD`.
    pub vendor: Option<String>,
    /// The name it gives itself.
    pub model: Option<String>,
    /// Level of the x86-64 psABI that every online CPU reaches, e.g. `x86-64-v3`.
    pub isa_level: Option<String>,
    /// CPUs in the machine, running or not.
    pub present: Option<NonZeroU32>,
    /// CPUs that run.
    pub online: Option<NonZeroU32>,
    /// CPUs that this process may use: online, in its affinity mask and cpuset.
    pub allowed: Option<NonZeroU32>,
    /// CPU time that control groups allow, in CPUs (1.5: three CPU seconds in
    /// two seconds); `null` when unlimited.
    pub quota: Option<Cpus>,
    /// What a build can use: the smaller of `allowed` and `quota`.
    pub usable: Option<Cpus>,
    /// Physical cores among the allowed CPUs.
    pub cores: Option<NonZeroU32>,
    /// Packages among the allowed CPUs.
    pub sockets: Option<NonZeroU32>,
    /// NUMA nodes, those with memory alone included.
    pub numa_nodes: Option<NonZeroU32>,
    /// Kinds of core, fastest first; one entry when all are alike.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Caches, by level and type.
    #[serde(default)]
    pub caches: Vec<Cache>,
}

/// Cores that are alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Online CPUs of this kind.
    pub cpus: NonZeroU32,
    /// Physical cores of this kind.
    pub cores: Option<NonZeroU32>,
    /// What one of these CPUs does, in CPUs of the fastest kind.
    pub relative_speed: Option<Cpus>,
}

/// All caches of one level and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// 1 for the cache next to the core.
    pub level: u32,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: CacheKind,
    /// Separate caches, each counted once however many CPUs share it.
    pub instances: NonZeroU32,
    /// Size of all instances together.
    pub total_bytes: u64,
}

/// What a cache holds.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum CacheKind {
    /// Data only.
    Data,
    /// Instructions only.
    Instruction,
    /// Both.
    Unified,
}

/// Main memory and swap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// `MemTotal` of /proc/meminfo, or `hw.memsize` of macOS.
    pub total_bytes: Option<NonZeroU64>,
    /// Reserved as explicit huge pages: no build can use it.
    pub huge_pages_bytes: Option<u64>,
    /// The lowest control-group limit on this process; `null` when unlimited.
    pub limit_bytes: Option<NonZeroU64>,
    /// The smaller of the limit and total less huge pages.
    pub usable_bytes: Option<NonZeroU64>,
    /// Swap on disk or file.
    pub swap_bytes: Option<u64>,
    /// Swap in compressed memory (zram), by its uncompressed size.
    pub zram_bytes: Option<u64>,
}

/// Limits of a control group, the lowest of its own and its ancestors'.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// CPU time, in CPUs; `null` when unlimited.
    pub quota: Option<Cpus>,
    /// Memory; `null` when unlimited.
    pub memory_limit_bytes: Option<NonZeroU64>,
    /// Online CPUs in its cpuset.
    pub allowed: Option<NonZeroU32>,
}

/// The file systems that matter to Nix, by role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Holds the store.
    pub store: Option<Place>,
    /// Holds builds while they run.
    pub build_dir: Option<Place>,
    /// Holds temporary files.
    pub tmp: Option<Place>,
}

/// A directory and what it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The directory, which need not exist yet.
    pub path: String,
    /// Where its file system is mounted.
    pub mount_point: Option<String>,
    /// Its type, e.g. `ext4`.
    pub filesystem: Option<String>,
    /// Mount options, sorted.
    #[serde(default)]
    pub options: Vec<String>,
    /// Size of the file system.
    pub size_bytes: Option<NonZeroU64>,
    /// Inodes of the file system; `null` where it makes them as needed.
    pub inodes: Option<NonZeroU64>,
    /// The slowest kind of medium below it.
    pub media: Media,
    /// Layers from the file system down, e.g. `["ext4", "lvm", "luks"]`.
    #[serde(default)]
    pub stack: Vec<String>,
    /// Whole disks at the bottom; empty when there is none (tmpfs, NFS),
    /// `null` when it could not be seen.
    pub disks: Option<Vec<Disk>>,
}

/// What data lie on, slowest first, so that the slowest member of a stack is
/// the least. `unknown` stands where only a slower member could matter more.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Media {
    /// Another machine.
    Network,
    /// Spinning disk.
    Hdd,
    /// Not known, e.g. a virtual disk.
    #[default]
    Unknown,
    /// Flash behind SATA, SAS, USB or a memory-card bus.
    Ssd,
    /// Flash behind `NVMe`.
    Nvme,
    /// Main memory.
    Memory,
}

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// The kernel's name, e.g. `nvme0n1`.
    pub name: String,
    /// How it is attached: `nvme`, `sata`, `usb`, `virtio`, `mmc`, …
    pub transport: Option<String>,
    /// Whether it spins; `null` where the kernel cannot know (virtual disks).
    pub rotational: Option<bool>,
    /// The kernel's view of its cache: `write back` or `write through`.
    pub write_cache: Option<String>,
}

/// The link that the default route uses. A ceiling, not a bandwidth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Negotiated speed in megabits a second.
    pub link_speed_mbps: Option<NonZeroU32>,
    /// Whether it is a radio link.
    pub wireless: Option<bool>,
    /// Whether it is a virtual device (bridge, tunnel, veth) or a virtual card.
    #[serde(rename = "virtual")]
    pub is_virtual: Option<bool>,
}

/// What the machine runs in; each `null` when none or unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Hypervisor, e.g. `kvm`, `vmware`, `wsl`.
    pub virtual_machine: Option<String>,
    /// Container engine, e.g. `docker`, `lxc`, `systemd-nspawn`.
    pub container: Option<String>,
    /// Continuous-integration system, e.g. `github-actions`.
    pub ci: Option<String>,
    /// Whether it is a portable computer.
    pub laptop: Option<bool>,
    /// Whether /dev/kvm is there.
    pub kvm: Option<bool>,
}

/// The installed Nix.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nix {
    /// Its version as it prints it, e.g. `2.34.8`.
    pub version: Option<String>,
    /// Which Nix it is.
    pub implementation: Option<Implementation>,
    /// Whether builds go through nix-daemon.
    pub multi_user: Option<bool>,
    /// Members of the build users' group: the only limit on builds that holds
    /// for all clients together.
    pub build_users: Option<u32>,
    /// Whether this user may set every setting through the daemon.
    pub trusted: Option<bool>,
    /// Who writes /etc/nix/nix.conf.
    pub conf_owner: Option<ConfOwner>,
    /// The store directory.
    pub store_dir: Option<String>,
    /// Effective values of the settings we plan or judge, as Nix prints them.
    #[serde(default, deserialize_with = "flat::settings")]
    pub settings: BTreeMap<String, Value>,
}

/// Which Nix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// The Nix of the `NixOS` Foundation.
    Nix,
    /// Lix, forked from Nix 2.18.
    Lix,
    /// Determinate Nix, which follows Nix.
    Determinate,
}

/// Who writes nix.conf, and so who else must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfOwner {
    /// The administrator; there may be no file yet.
    Plain,
    /// A `NixOS` configuration.
    Nixos,
    /// A nix-darwin configuration.
    Darwin,
    /// Determinate's installer or daemon.
    Determinate,
    /// A system-manager configuration.
    SystemManager,
}

/// What changes from moment to moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Live {
    /// `MemAvailable` of /proc/meminfo.
    pub memory_available_bytes: Option<u64>,
    /// `SwapFree` of /proc/meminfo.
    pub swap_free_bytes: Option<u64>,
    /// Runnable and blocked tasks, averaged over a minute.
    pub load_1m: Option<f64>,
    /// Share of the last minute in which some task waited, per resource.
    pub pressure: Pressure,
    /// Bytes free to unprivileged users, per storage role.
    pub free_bytes: PerRole,
    /// Inodes free, per storage role.
    pub free_inodes: PerRole,
}

/// Pressure stall information: percent of the last 60 s in which at least one
/// task waited for the resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pressure {
    /// Waiting to run.
    pub cpu: Option<f64>,
    /// Waiting for memory.
    pub memory: Option<f64>,
    /// Waiting for a disk.
    pub io: Option<f64>,
}

/// One figure per storage role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerRole {
    /// For the store.
    pub store: Option<u64>,
    /// For running builds.
    pub build_dir: Option<u64>,
    /// For temporary files.
    pub tmp: Option<u64>,
}

/// A remark for people, with an id that scripts can look for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Stable, in kebab-case.
    pub id: String,
    /// How much it matters.
    pub level: Level,
    /// One sentence.
    pub text: String,
}

/// How much a note matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something is worse than it could be, or could not be seen.
    Warning,
    /// Something will fail.
    Error,
}

impl Note {
    /// A remark that is good to know.
    pub fn info(id: &str, text: impl Into<String>) -> Self {
        Self { id: id.to_owned(), level: Level::Info, text: text.into() }
    }

    /// A remark on what is worse than it could be.
    pub fn warning(id: &str, text: impl Into<String>) -> Self {
        Self { id: id.to_owned(), level: Level::Warning, text: text.into() }
    }
}
