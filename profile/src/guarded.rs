//! How many jobs of how many cores where `monitor guard` keeps builds within
//! memory.
//!
//! As many jobs as CPUs, each with nearly all of them: nothing but memory speaks
//! against that, and whether builds fit is seen to as each of them begins. The
//! guard and the simulation of it share the constants below.
//!
//! **Invariant:** such sizes are planned only where a guard was asked for and can
//! do its work, and never without the service being planned too.

use std::num::NonZeroU32;

use detect::hardware::{Hardware, Note};

use crate::budget::Budget;
use crate::reason;
use crate::sizing::{GIB, POLICY, Sizes, gib};

/// The share of memory that builds are expected to stay below together; above
/// it, builds that run are frozen.
pub const HIGH: f64 = 0.85;

/// The share that they stay below should some need more than expected.
pub const CRITICAL: f64 = 0.95;

/// By how much of itself an expected peak may be wrong. Builds are not all wrong
/// at once, nor the same way: what several may need more is the root of the sum
/// of the squares.
pub const ERROR: f64 = 0.25;

/// Memory for each core of a job: with less, a single build that uses all its
/// cores would not fit.
const CORE_BYTES: u64 = GIB * 3 / 2;

/// What is assumed of a build of which nothing is known, besides its threads and
/// for each of them, as the study of sizing has it.
pub(crate) const BASE_BYTES: u64 = GIB * 3 / 10;
pub(crate) const SLOT_BYTES: u64 = GIB * 4 / 10;

/// The peak of a build of which nothing is known.
pub fn assumed_bytes(threads: u64) -> u64 {
    BASE_BYTES.saturating_add(SLOT_BYTES.saturating_mul(threads.max(1)))
}

pub(crate) fn assumed_gib(threads: u32) -> f64 {
    gib(assumed_bytes(threads.into()))
}

/// The `NixOS` option of the service.
pub const SERVICE: &str = "services.nixpace.guard.enable";

/// Its name to systemd.
pub const UNIT: &str = "nixpace-guard.service";

/// What stands in place of a rule's name.
pub(crate) fn policy() -> String {
    format!("guarded-{}", POLICY.version)
}

/// Size jobs and cores for a guard, where there can be one; and what to know.
pub(crate) fn plan(hardware: &Hardware, budget: &mut Budget) -> Note {
    let no_guard = |why: &str| {
        Note::warning("guard-impossible", format!("jobs and cores as without a guard: {why}"))
    };
    if let Some(why) = impossible(hardware) {
        return no_guard(why);
    }
    let Some((cpus, available)) = budget.whole_cpus().zip(budget.available_bytes()) else {
        return no_guard(&format!("{} unknown", reason::missing(budget)));
    };
    let users = hardware.nix.as_ref().and_then(|nix| nix.build_users);
    budget.guarded = Some(sizes(cpus, available, users));
    needed()
}

/// What whoever puts such sizes in force must know.
pub(crate) fn needed() -> Note {
    Note::warning(
        "guard-needed",
        format!(
            "max-jobs and cores are safe only while {UNIT} runs: `monitor guard`, which needs no \
             set-up and learns what builds need"
        ),
    )
}

/// As many jobs as CPUs and build users, and the cores that memory carries for
/// one job.
pub fn sizes(cpus: NonZeroU32, available_bytes: u64, build_users: Option<u32>) -> Sizes {
    let cpus = cpus.get();
    let carried = u32::try_from(available_bytes / CORE_BYTES).unwrap_or(u32::MAX);
    let most = build_users.filter(|users| *users > 0).unwrap_or(u32::MAX);
    let jobs = cpus.min(most).max(POLICY.least_jobs);
    Sizes { jobs, cores: carried.clamp(1, cpus) }
}

/// Why no guard can do its work here, as far as is known.
fn impossible(hardware: &Hardware) -> Option<&'static str> {
    let system = hardware.system.as_deref();
    if system.is_some_and(|system| !system.ends_with("-linux")) {
        return Some("only Linux has one");
    }
    let nix = hardware.nix.as_ref()?;
    if nix.multi_user == Some(false) || nix.build_users == Some(0) {
        return Some("this Nix has no build users, and builds could not be told from others");
    }
    None
}

/// Why so many jobs, and so many cores.
pub(crate) fn reasons(left: &str, cpus: u32, sizes: Sizes) -> (String, String) {
    let jobs = if sizes.jobs < cpus {
        format!("one for each build user, of whom there are fewer than the {cpus} CPUs")
    } else {
        "one for each CPU".to_owned()
    };
    let jobs = format!("{jobs}: {UNIT} lets builds begin as their memory fits");
    let core_gib = gib(CORE_BYTES);
    let cores = format!("{left}: a core for every {core_gib} GiB, so that one build fits");
    (jobs, cores)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use detect::hardware::{Hardware, Nix};

    use super::{SERVICE, sizes};
    use crate::form::{Form, render};
    use crate::plan::{Plan, Value};
    use crate::sizing::{GIB, Sizes};
    use crate::{Options, run};

    fn machine(system: &str, build_users: Option<u32>) -> Hardware {
        let mut hardware = Hardware { system: Some(system.to_owned()), ..Hardware::default() };
        hardware.cpu.allowed = NonZeroU32::new(16);
        hardware.memory.total_bytes = (16 * GIB).try_into().ok();
        hardware.memory.usable_bytes = hardware.memory.total_bytes;
        hardware.memory.swap_bytes = Some(0);
        let nix = Nix { version: Some("2.34.8".to_owned()), build_users, ..Nix::default() };
        hardware.nix = Some(nix);
        hardware
    }

    fn planned(hardware: Hardware, guarded: bool) -> (Plan, [u64; 2]) {
        let options = Options { guarded, ..Options::default() };
        let plan = run(hardware, &options).expect("a plan");
        let number = |name: &str| match plan.settings[name].value {
            Value::Integer(number) => number,
            _ => panic!("{name} is a number"),
        };
        let sizes = [number("max-jobs"), number("cores")];
        (plan, sizes)
    }

    #[test]
    fn jobs_are_the_cpus_and_cores_what_memory_carries() {
        let of = |cpus: u32, gib: u64, users| {
            let Sizes { jobs, cores } = sizes(cpus.try_into().expect("CPUs"), gib * GIB, users);
            (jobs, cores)
        };
        assert_eq!(of(16, 12, None), (16, 8));
        assert_eq!(of(16, 64, Some(32)), (16, 16));
        assert_eq!(of(64, 256, Some(32)), (32, 64));
        assert_eq!(of(1, 1, Some(0)), (2, 1));
    }

    #[test]
    fn an_unknown_machine_gets_no_guard() {
        let options = Options { guarded: true, ..Options::default() };
        let plan = run(Hardware::default(), &options).expect("a plan");
        assert!(!plan.nixos.contains_key(SERVICE));
        let said = plan.notes.iter().find(|note| note.id == "guard-impossible");
        let text = &said.expect("a note").text;
        assert!(
            text.ends_with("the number of CPUs and the amount of memory are unknown"),
            "{text}"
        );
        assert!(plan.notes.iter().all(|note| note.id != "guard-needed"));
    }

    #[test]
    fn nothing_bold_without_a_guard() {
        for system in ["x86_64-linux", "aarch64-darwin"] {
            for users in [None, Some(0), Some(8), Some(32)] {
                let (without, careful) = planned(machine(system, users), false);
                assert!(!without.nixos.contains_key(SERVICE), "not asked for");
                let (plan, sizes) = planned(machine(system, users), true);
                let has_service = plan.nixos.contains_key(SERVICE);
                let can = system == "x86_64-linux" && users != Some(0);
                assert_eq!(has_service, can, "{system} {users:?}");
                assert_eq!(sizes == careful, !can, "{system} {users:?}: {sizes:?}");
                let note = if can { "guard-needed" } else { "guard-impossible" };
                assert!(plan.notes.iter().any(|found| found.id == note), "{:?}", plan.notes);
                let policy = plan.profile.rule.policy.clone().expect("a policy");
                assert_eq!(policy.starts_with("guarded-"), can, "{policy}");
                let [nixos, systemd] =
                    [Form::Nixos, Form::Systemd].map(|form| render(&plan, form).expect("a form"));
                let enabled = "services.nixpace.guard.enable = lib.mkDefault true;";
                assert_eq!(nixos.contains(enabled), can, "{nixos}");
                assert_eq!(systemd.contains("--now nixpace-guard.service"), can, "{systemd}");
                if can {
                    assert!(plan.nixos.contains_key("zramSwap.enable"), "zram is advised still");
                }
            }
        }
    }
}
