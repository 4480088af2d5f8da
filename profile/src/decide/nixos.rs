//! What `NixOS` is told beyond nix.conf; nothing where it cannot run.
//!
//! **Invariant:** every option exists, with a type that takes the value, in
//! `NixOS` from 22.05 on, but for the one that Nixpace's own module brings.

use detect::human::size;

use super::{Case, Settings};
use crate::budget::Budget;
use crate::guarded;
use crate::plan::{Setting, Value};
use crate::sizing::{POLICY, Sizes, added_by_zram, advised_zram, is_backed};

/// How readily the kernel kills a build instead of something else when memory
/// runs out, from -1000 to 1000 (srvos has the same).
const OOM_SCORE: u64 = 250;

/// The least memory of a machine on which builds are held to a share: decimal,
/// as a machine sold with 16 GiB reports less.
const MEMORY_HIGH_LEAST: u64 = 16_000_000_000;

/// A store that builds for others can fill within a week.
const SMALL_STORE: u64 = 128_000_000_000;

/// What `NixOS` is told.
pub(crate) fn nixos(case: &Case) -> Settings {
    let mut options = Settings::new();
    if case.runs("linux") == Some(false) {
        return options;
    }
    let mut set = |path: &str, value: Value, why: &str| {
        options.insert(path.to_owned(), Setting::new(value, why));
    };
    let text = |text: &str| Value::Text(text.to_owned());

    if case.is_desktop() {
        set(
            "nix.daemonCPUSchedPolicy",
            text("idle"),
            "somebody works at this machine: builds take the CPU time that is left over",
        );
    } else {
        set(
            "nix.daemonCPUSchedPolicy",
            text("batch"),
            "builds compute for long: they yield to what must answer at once",
        );
    }
    if !case.only_builds() {
        set(
            "nix.daemonIOSchedClass",
            text("idle"),
            "builds write a lot: whoever waits for a disk comes first",
        );
    }
    set(
        "systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust",
        Value::Integer(OOM_SCORE),
        "when memory runs out, a build is the one to end, not a session or a service",
    );
    if case.budget.guarded.is_some() {
        set(
            guarded::SERVICE,
            Value::Bool(true),
            "what max-jobs and cores rely on; Nixpace's flake has the option, in nixosModules.guard \
             and in the default one",
        );
    }
    if let Some((bytes, why)) = memory_high(case) {
        let path = "systemd.services.nix-daemon.serviceConfig.MemoryHigh";
        set(path, Value::Integer(bytes), &why);
    }
    if let Some(advice) = zram(case) {
        let percent = POLICY.zram_percent;
        let why = format!(
            "zram takes memory only for what it holds: at the usual three to one, {percent} % of \
             memory swapped out take half of it, and leave as much as memory for the peaks"
        );
        set("zramSwap.enable", Value::Bool(true), &advice);
        set("zramSwap.memoryPercent", Value::Integer(percent), &why);
    }
    if case.keeps_its_store() {
        let (dates, why) = collection(case);
        set(
            "nix.gc.automatic",
            Value::Bool(true),
            "a store only grows: this deletes what nothing refers to, and no generation of any \
             profile, so every rollback stays",
        );
        set("nix.gc.dates", text(dates), &why);
        set(
            "nix.gc.randomizedDelaySec",
            text("45min"),
            "machines that share a disk or a host do not all start at once",
        );
        set(
            "nix.optimise.automatic",
            Value::Bool(true),
            "equal files are stored once, and by a timer: auto-optimise-store would hash every \
             new file while a build waits",
        );
        // A list: older releases take nothing else.
        set(
            "nix.optimise.dates",
            Value::List(vec!["weekly".to_owned()]),
            "the default is every day, for what a week brings",
        );
    }
    options
}

/// When to collect garbage. The original design had the fastest machines do it
/// daily; what fills a store is who builds there, and how small it is.
fn collection(case: &Case) -> (&'static str, String) {
    match case.store_bytes() {
        Some(bytes) if case.only_builds() && bytes < SMALL_STORE => (
            "daily",
            format!("{} fill within a week on a machine that does nothing but build", size(bytes)),
        ),
        _ => (
            "weekly",
            "every day, the default, deletes what would be fetched again the next day".to_owned(),
        ),
    }
}

/// Memory at which all builds together are slowed down and swapped out, with
/// the reason: max-jobs counts for each client alone, so only the daemon's
/// control group bounds several of them. **Only with swap on disk:** builds that
/// cannot be swapped out would stand still at the limit instead of ending, and
/// zram would take from the very memory that the limit leaves to others.
fn memory_high(case: &Case) -> Option<(u64, String)> {
    let budget = case.budget;
    let (memory, reserve) = (budget.memory_bytes?, budget.reserve?);
    let foreign = case.hardware.environment.container.is_some() || budget.is_limited;
    let swap = &case.hardware.memory;
    let backed = is_backed(memory, swap.swap_bytes?) && swap.zram_bytes.unwrap_or(0) == 0;
    // What a build writes to a tmpfs counts as its memory.
    let high = memory.saturating_sub(reserve.bytes);
    let helps = !case.is_desktop() && !case.is_ci() && memory >= MEMORY_HIGH_LEAST;
    let why = format!(
        "max-jobs holds for each client alone: beyond {}, all builds together are slowed down \
         and swapped out, which leaves {} {}",
        size(high),
        size(reserve.bytes),
        reserve.whom
    );
    // With half of memory reserved, somebody has other plans than we know of.
    (helps && !foreign && backed && high >= memory / 2).then_some((high, why))
}

/// Why this machine should have zram, if it should: a container has the swap of
/// its host, and a control group's limit may hold for swap too.
pub(super) fn zram(case: &Case) -> Option<String> {
    let budget = case.budget;
    let (memory, swap) = (budget.memory_bytes?, budget.swap_bytes?);
    let foreign = case.hardware.environment.container.is_some() || budget.is_limited;
    let is_linux = case.runs("linux") != Some(false);
    if foreign || !is_linux || budget.is_backed() {
        return None;
    }
    let memory = size(memory);
    let lack = if swap == 0 {
        format!("{memory} of memory have no swap behind them")
    } else {
        format!("{memory} of memory have only {} of swap behind them", size(swap))
    };
    Some(match (budget.sizes(), with_zram(budget)) {
        (Some((_, now)), Some(then)) if now != then => format!(
            "{lack}: with zram for the peaks, jobs × cores may be {} × {} instead of {} × {}",
            then.jobs, then.cores, now.jobs, now.cores
        ),
        _ => lack,
    })
}

/// Jobs and cores once zram is there.
fn with_zram(budget: &Budget) -> Option<Sizes> {
    let memory = budget.memory_bytes?;
    let more = Budget {
        swap_bytes: Some(budget.swap_bytes?.saturating_add(added_by_zram(advised_zram(memory)))),
        ..budget.clone()
    };
    more.sizes().map(|(_, sizes)| sizes)
}

#[cfg(test)]
mod tests;
