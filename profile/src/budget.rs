//! What builds may use of a machine: CPUs, memory, swap.
//!
//! **Invariant:** every limit counts that the document states, of the process
//! that looked as of nix-daemon, in which builds run; what cannot be known
//! stays `None`, and nothing is sized by it.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::Hardware;
use detect::number::Cpus;

use crate::costs::Measured;
use crate::plan::Workload;
use crate::sizing::{POLICY, Rule, Sizes, added_by_zram, is_backed, sizes};

/// What builds may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// What the builds are for.
    pub workload: Workload,
    /// CPU time a second.
    pub cpus: Option<Cpus>,
    /// Memory, of which the rest must live too.
    pub memory_bytes: Option<u64>,
    /// Whether that is a control group's limit rather than the machine's.
    pub is_limited: bool,
    /// Swap, zram by what it adds to memory.
    pub swap_bytes: Option<u64>,
    /// What builds leave to others.
    pub reserve: Option<Reserve>,
    /// Size of the tmpfs builds run on; `None` when they run on a disk.
    pub tmpfs_bytes: Option<u64>,
    /// What recorded builds make of it, in place of a rule.
    pub measured: Option<Measured>,
    /// What a guard that keeps builds within memory allows, in place of both.
    pub guarded: Option<Sizes>,
}

/// Memory that builds leave to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// How much.
    pub bytes: u64,
    /// To whom: `for a desktop`.
    pub whom: &'static str,
}

/// What builds may use of this machine.
pub fn budget(hardware: &Hardware, workload: Workload, reserve: Option<u64>) -> Budget {
    let memory_bytes = memory(hardware);
    let is_limited = is_limited(hardware);
    let asked = reserve.map(|bytes| Reserve { bytes, whom: "as asked for" });
    Budget {
        workload,
        cpus: cpus(hardware),
        memory_bytes,
        is_limited,
        // A control group may forbid swap whatever the machine has, and its
        // memory.swap.max is not in the document.
        swap_bytes: if is_limited { Some(0) } else { swap(hardware) },
        reserve: memory_bytes
            .map(|bytes| asked.unwrap_or_else(|| customary(hardware, workload, bytes))),
        tmpfs_bytes: tmpfs(hardware),
        measured: None,
        guarded: None,
    }
}

impl Budget {
    /// CPUs, a share of one as a whole one: a build that gets half a CPU still
    /// runs a compiler at a time.
    pub fn whole_cpus(&self) -> Option<NonZeroU32> {
        self.cpus.and_then(whole)
    }

    /// Memory that is left to builds.
    pub fn left_bytes(&self) -> Option<u64> {
        let left = self.memory_bytes?.saturating_sub(self.reserve?.bytes);
        Some(left.saturating_sub(self.tmpfs_bytes.unwrap_or(0)))
    }

    /// Memory that builds may use: what is left, or little where nothing is.
    pub fn available_bytes(&self) -> Option<u64> {
        self.left_bytes().map(|left| left.max(POLICY.least_available_bytes))
    }

    /// Whether swap takes the peaks of builds.
    pub fn is_backed(&self) -> bool {
        let swap = self.swap_bytes.unwrap_or(0);
        self.memory_bytes.is_some_and(|memory| is_backed(memory, swap))
    }

    /// Swap that builds may count on.
    pub fn backing_bytes(&self) -> u64 {
        if self.is_backed() { self.swap_bytes.unwrap_or(0) } else { 0 }
    }

    /// The rule for this budget, with what it says; or in its place, what
    /// recorded builds say.
    pub fn sizes(&self) -> Option<(Rule, Sizes)> {
        let rule = Rule::of(self.workload, self.memory_bytes?, self.swap_bytes.unwrap_or(0));
        let backing = self.backing_bytes();
        let sizes = sizes(rule, self.whole_cpus()?, self.available_bytes()?, backing);
        let measured = self.measured.as_ref().map(|measured| measured.sizes);
        Some((rule, self.guarded.or(measured).unwrap_or(sizes)))
    }
}

/// The least CPU time any limit leaves. A quota alone says nothing: it may be
/// more than there is.
fn cpus(hardware: &Hardware) -> Option<Cpus> {
    let cpu = &hardware.cpu;
    let own = cpu.allowed.or(cpu.online).map(Cpus::from).or(cpu.usable)?;
    let daemon = hardware.daemon.as_ref();
    let limits = [
        cpu.online.map(Cpus::from),
        cpu.quota,
        cpu.usable,
        daemon.and_then(|daemon| daemon.quota),
        daemon.and_then(|daemon| daemon.allowed.map(Cpus::from)),
    ];
    Some(limits.into_iter().flatten().fold(own, Cpus::min))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and a million, by construction"
)]
fn whole(cpus: Cpus) -> Option<NonZeroU32> {
    NonZeroU32::new(cpus.get().ceil() as u32)
}

fn memory(hardware: &Hardware) -> Option<u64> {
    let usable = hardware.memory.usable_bytes?.get();
    let limits = [machine_memory(hardware), limit(hardware)];
    let least = limits.into_iter().flatten().fold(usable, u64::min);
    // A document by which nothing is left contradicts itself.
    (least > 0).then_some(least)
}

/// What the machine has, less what no build can use.
fn machine_memory(hardware: &Hardware) -> Option<u64> {
    let huge = hardware.memory.huge_pages_bytes.unwrap_or(0);
    let total = hardware.memory.total_bytes?.get();
    Some(total.saturating_sub(huge))
}

/// The lowest limit of a control group.
fn limit(hardware: &Hardware) -> Option<u64> {
    let daemon = hardware.daemon.as_ref();
    let limits = [hardware.memory.limit_bytes, daemon.and_then(|daemon| daemon.memory_limit_bytes)];
    limits.into_iter().flatten().map(NonZeroU64::get).min()
}

fn is_limited(hardware: &Hardware) -> bool {
    match (limit(hardware), machine_memory(hardware)) {
        (Some(limit), Some(machine)) => limit < machine,
        (limit, _) => limit.is_some(),
    }
}

/// zram counts for what it adds.
fn swap(hardware: &Hardware) -> Option<u64> {
    let memory = &hardware.memory;
    if memory.swap_bytes.is_none() && memory.zram_bytes.is_none() {
        return None;
    }
    let zram = added_by_zram(memory.zram_bytes.unwrap_or(0));
    Some(memory.swap_bytes.unwrap_or(0).saturating_add(zram))
}

/// What the rest of a machine like this needs.
fn customary(hardware: &Hardware, workload: Workload, memory_bytes: u64) -> Reserve {
    let reserve = |bytes, whom| Reserve { bytes, whom };
    let desktop = reserve(POLICY.desktop_bytes, "for a desktop");
    let server = reserve(POLICY.server_bytes + memory_bytes / POLICY.server_share, "for a server");
    let ci = reserve(POLICY.ci_bytes, "for a CI runner");
    let board = reserve(POLICY.board_bytes, "for a small machine");

    let environment = &hardware.environment;
    let is_board = memory_bytes <= POLICY.board_most_bytes;
    match workload {
        Workload::Interactive => desktop,
        Workload::Ci => ci,
        Workload::General if environment.ci.is_some() => ci,
        _ if is_board => board,
        Workload::Builder | Workload::Big => server,
        Workload::General if environment.laptop == Some(true) => desktop,
        Workload::General
            if environment.virtual_machine.is_some() || environment.container.is_some() =>
        {
            server
        }
        // Nothing tells a desktop from a server: spare what either needs.
        Workload::General if server.bytes > desktop.bytes => server,
        Workload::General => desktop,
    }
}

fn tmpfs(hardware: &Hardware) -> Option<u64> {
    let place = hardware.storage.build_dir.as_ref()?;
    match place.filesystem.as_deref() {
        Some("tmpfs" | "ramfs") => place.size_bytes.map(NonZeroU64::get),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
