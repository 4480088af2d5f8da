//! The decisions of this stage, with their reasons in numbers.

use std::collections::BTreeMap;

use detect::hardware::{Hardware, Note};
use detect::human::size;
use detect::release::Release;

use crate::budget::Budget;
use crate::catalogue::{self, Preset};
use crate::plan::{Setting, Value, Workload};
use crate::reason::{left, missing, reasons};
use crate::sizing::{POLICY, Sizes};

/// Seconds to wait for a cache to answer, as Nix 2.32 does.
const CONNECT_TIMEOUT: u64 = 15;

/// Lines of a failed build's log to show, as Nix 2.20 does.
const LOG_LINES: u64 = 25;

/// How readily the kernel kills a build instead of something else when memory
/// runs out, from -1000 to 1000.
const OOM_SCORE: u64 = 250;

/// zram in percent of memory; at three to one it gives half of memory as swap.
const ZRAM_PERCENT: u64 = 75;

type Settings = BTreeMap<String, Setting>;

/// What goes into nix.conf of this release.
pub(crate) fn settings(budget: &Budget, release: Release) -> Settings {
    let mut settings = Settings::new();
    if let Some((rule, sizes)) = budget.sizes() {
        let reasons = reasons(budget, rule, sizes);
        let planned =
            [("max-jobs", sizes.jobs, reasons.jobs), ("cores", sizes.cores, reasons.cores)];
        for (name, value, why) in planned {
            // Also where it is the default: the other one relies on it.
            if default(name, release).is_some() {
                let setting = Setting::new(Value::Integer(value.into()), why);
                settings.insert(name.to_owned(), setting);
            }
        }
    }
    let timeout = default("connect-timeout", release);
    if let Some(Preset::Number(seconds)) = timeout
        && seconds != CONNECT_TIMEOUT
    {
        let why = match seconds {
            0 => format!(
                "without it, a cache that does not answer holds everything up for minutes; \
                 {CONNECT_TIMEOUT} s, the default since Nix 2.32, still lets a second name \
                 server answer"
            ),
            _ => format!(
                "{seconds} s give up before a second name server can answer \
                 (NixOS/nix 13985); {CONNECT_TIMEOUT} s are the default since Nix 2.32"
            ),
        };
        let setting = Setting::new(Value::Integer(CONNECT_TIMEOUT), why);
        settings.insert("connect-timeout".to_owned(), setting);
    }
    if default("log-lines", release) == Some(Preset::Number(10)) {
        let why = format!(
            "10 lines of a failed build's log often end before its cause; {LOG_LINES} are the \
             default since Nix 2.20"
        );
        let setting = Setting::new(Value::Integer(LOG_LINES), why);
        settings.insert("log-lines".to_owned(), setting);
    }
    settings
}

fn default(name: &str, release: Release) -> Option<Preset> {
    catalogue::find(name)?.default(release)
}

/// What `NixOS` is told; nothing where it cannot run.
pub(crate) fn nixos(hardware: &Hardware, workload: Workload, budget: &Budget) -> Settings {
    let mut options = Settings::new();
    if !may_be_linux(hardware) {
        return options;
    }
    let mut set = |path: &str, value: Value, why: &str| {
        options.insert(path.to_owned(), Setting::new(value, why));
    };
    let text = |text: &str| Value::Text(text.to_owned());

    let environment = &hardware.environment;
    let is_desktop = match workload {
        Workload::Interactive => true,
        Workload::General => environment.laptop == Some(true) && environment.ci.is_none(),
        Workload::Ci | Workload::Builder | Workload::Big => false,
    };
    if is_desktop {
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
    set(
        "nix.daemonIOSchedClass",
        text("idle"),
        "builds write a lot: whoever waits for a disk comes first",
    );
    set(
        "systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust",
        Value::Integer(OOM_SCORE),
        "when memory runs out, a build is the one to end, not a session or a service",
    );
    if let Some(advice) = zram(hardware, budget) {
        let percent = format!(
            "at the usual three to one, {ZRAM_PERCENT} % of memory as zram adds half of it"
        );
        set("zramSwap.enable", Value::Bool(true), &advice);
        set("zramSwap.memoryPercent", Value::Integer(ZRAM_PERCENT), &percent);
    }
    options
}

fn may_be_linux(hardware: &Hardware) -> bool {
    let system = hardware.system.as_deref();
    system.is_none_or(|system| system.ends_with("-linux"))
}

/// Why this machine should have zram, if it should: a container has the swap of
/// its host, and a control group's limit may hold for swap too.
fn zram(hardware: &Hardware, budget: &Budget) -> Option<String> {
    let (memory, swap) = (budget.memory_bytes?, budget.swap_bytes?);
    let foreign = hardware.environment.container.is_some() || budget.is_limited;
    if foreign || !may_be_linux(hardware) || budget.is_backed() {
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
        swap_bytes: Some(budget.swap_bytes?.saturating_add(memory / 2)),
        ..budget.clone()
    };
    more.sizes().map(|(_, sizes)| sizes)
}

/// What deserves attention.
pub(crate) fn notes(hardware: &Hardware, budget: &Budget) -> Vec<Note> {
    let mut notes = Vec::new();
    if budget.sizes().is_none() {
        let what = missing(budget);
        let text = format!("max-jobs and cores are not planned: {what} unknown");
        notes.push(Note::warning("jobs-not-planned", text));
    }
    if budget.available_bytes().is_some_and(|left| left < 2 * POLICY.compiler_bytes) {
        let text = format!(
            "{}, less than two compilers may need: expect builds to end for want of memory, or \
             build elsewhere",
            left(budget)
        );
        notes.push(Note::warning("little-memory", text));
    }
    notes.extend(tighter(hardware));
    if let Some(advice) = zram(hardware, budget) {
        let text = format!("{advice}: see zramSwap among the NixOS options");
        notes.push(Note::info("zram-advised", text));
    }
    notes
}

/// A remark when detect ran under limits that nix-daemon, and so builds, do not
/// have: the plan is then smaller than it need be.
fn tighter(hardware: &Hardware) -> Option<Note> {
    let daemon = hardware.daemon.as_ref()?;
    let Hardware { cpu, memory, .. } = hardware;
    let allowed = match (cpu.allowed, daemon.allowed) {
        (Some(ours), Some(theirs)) => ours < theirs,
        _ => false,
    };
    let is_tighter = allowed
        || is_less(cpu.quota, daemon.quota)
        || is_less(memory.limit_bytes, daemon.memory_limit_bytes);
    is_tighter.then(|| {
        Note::info(
            "caller-limited",
            "detect ran under a tighter limit than nix-daemon, and the plan keeps to it: run \
             detect outside of it to plan for all that builds may use",
        )
    })
}

/// Whether one limit is below another; none is above all.
fn is_less<T: PartialOrd>(ours: Option<T>, theirs: Option<T>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours < theirs,
        (ours, _) => ours.is_some(),
    }
}
