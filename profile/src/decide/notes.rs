//! What deserves attention about the decisions.

use detect::hardware::{Hardware, Note};

use super::{Case, nixos};
use crate::reason::{left, missing};
use crate::sizing::POLICY;

/// What deserves attention.
pub(crate) fn notes(case: &Case) -> Vec<Note> {
    let budget = case.budget;
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
    notes.extend(tighter(case.hardware));
    if let Some(advice) = nixos::zram(case) {
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
