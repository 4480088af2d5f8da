//! Budgets of machines, whole: from facts to jobs and cores.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::{Hardware, Limits, Media, Place};
use detect::number::Cpus;
use proptest::option;
use proptest::prelude::*;

use super::{Budget, budget};
use crate::plan::Workload;
use crate::sizing::{GIB, POLICY, Rule};

/// A machine of bare metal, without swap.
fn machine(cpus: u32, gib: u64) -> Hardware {
    let mut hardware = Hardware::default();
    hardware.cpu.allowed = NonZeroU32::new(cpus);
    hardware.cpu.usable = hardware.cpu.allowed.map(Cpus::from);
    hardware.memory.total_bytes = NonZeroU64::new(gib * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware.memory.zram_bytes = Some(0);
    hardware
}

fn laptop(cpus: u32, gib: u64) -> Hardware {
    let mut hardware = machine(cpus, gib);
    hardware.environment.laptop = Some(true);
    hardware
}

fn vm(cpus: u32, gib: u64) -> Hardware {
    let mut hardware = machine(cpus, gib);
    hardware.environment.virtual_machine = Some("kvm".to_owned());
    hardware
}

fn ci(cpus: u32, gib: u64) -> Hardware {
    let mut hardware = vm(cpus, gib);
    hardware.environment.ci = Some("github-actions".to_owned());
    hardware
}

fn general(hardware: &Hardware) -> Budget {
    budget(hardware, Workload::General, None)
}

fn jobs_and_cores(hardware: &Hardware) -> (u32, u32) {
    let (_, sizes) = general(hardware).sizes().expect("a known machine");
    (sizes.jobs, sizes.cores)
}

/// The table of the study, without swap and with swap of half the memory.
#[test]
fn the_machines_of_the_study() {
    for (name, hardware, bound, backed) in [
        ("Pi 4/4", machine(4, 4), (2, 1), (2, 1)),
        ("VM 2/8", vm(2, 8), (2, 2), (2, 2)),
        ("laptop 4/8", laptop(4, 8), (2, 2), (2, 2)),
        ("CI 4/16", ci(4, 16), (2, 4), (2, 4)),
        ("laptop 8/16", laptop(8, 16), (2, 5), (4, 4)),
        ("VPS 16/16", vm(16, 16), (2, 5), (8, 5)),
        ("workstation 16/32", machine(16, 32), (4, 7), (8, 10)),
        ("workstation 16/64", machine(16, 64), (6, 10), (8, 16)),
        ("hybrid 32/64", machine(32, 64), (6, 10), (16, 20)),
        ("64/128", machine(64, 128), (8, 14), (16, 41)),
        ("arm 80/256", machine(80, 256), (12, 20), (16, 80)),
        ("128/512", machine(128, 512), (17, 28), (16, 128)),
    ] {
        assert_eq!(jobs_and_cores(&hardware), bound, "{name}");
        let mut hardware = hardware;
        let total = hardware.memory.total_bytes.map(NonZeroU64::get);
        hardware.memory.swap_bytes = total.map(|bytes| bytes / 2);
        assert_eq!(jobs_and_cores(&hardware), backed, "{name} with swap");
    }
}

#[test]
fn a_container_of_one_and_a_half_cpus_and_two_gigabytes() {
    let mut hardware = machine(8, 32);
    hardware.environment.container = Some("docker".to_owned());
    hardware.cpu.quota = Cpus::new(1.5);
    hardware.cpu.usable = Cpus::new(1.5);
    hardware.memory.limit_bytes = NonZeroU64::new(2 * GIB);
    hardware.memory.usable_bytes = NonZeroU64::new(2 * GIB);
    hardware.memory.swap_bytes = Some(32 * GIB);
    let budget = general(&hardware);
    assert_eq!(budget.whole_cpus().map(NonZeroU32::get), Some(2));
    assert_eq!(budget.swap_bytes, Some(0), "the limit may not allow swap");
    assert_eq!(jobs_and_cores(&hardware), (2, 1));
}

#[test]
fn the_daemon_s_limits_bind_builds() {
    let mut hardware = machine(16, 64);
    hardware.daemon = Some(Limits {
        quota: Cpus::new(3.2),
        memory_limit_bytes: NonZeroU64::new(8 * GIB),
        allowed: NonZeroU32::new(6),
    });
    let budget = general(&hardware);
    assert_eq!(budget.whole_cpus().map(NonZeroU32::get), Some(4));
    assert_eq!(budget.memory_bytes, Some(8 * GIB));
    assert!(budget.is_limited);
}

#[test]
fn a_limit_above_the_machine_is_none() {
    let mut hardware = machine(4, 8);
    hardware.memory.limit_bytes = NonZeroU64::new(9 * GIB);
    hardware.memory.swap_bytes = Some(4 * GIB);
    let budget = general(&hardware);
    assert!(!budget.is_limited);
    assert_eq!(budget.swap_bytes, Some(4 * GIB));
}

#[test]
fn zram_counts_for_two_thirds() {
    let mut hardware = machine(4, 8);
    hardware.memory.zram_bytes = Some(6 * GIB);
    assert_eq!(general(&hardware).swap_bytes, Some(4 * GIB));
    hardware.memory.swap_bytes = None;
    hardware.memory.zram_bytes = None;
    assert_eq!(general(&hardware).swap_bytes, None);
}

#[test]
fn the_reserve_follows_the_machine_and_its_use() {
    let whom = |hardware: &Hardware, workload| {
        let reserve = budget(hardware, workload, None).reserve;
        reserve.expect("known memory").whom
    };
    let both = |hardware: &Hardware| whom(hardware, Workload::General);
    assert_eq!(both(&ci(4, 2)), "for a CI runner");
    assert_eq!(both(&laptop(4, 4)), "for a small machine");
    assert_eq!(both(&laptop(4, 5)), "for a desktop");
    assert_eq!(both(&vm(4, 5)), "for a server");
    assert_eq!(both(&machine(4, 5)), "for a desktop");
    assert_eq!(both(&machine(64, 128)), "for a server");
    assert_eq!(whom(&vm(4, 8), Workload::Interactive), "for a desktop");
    assert_eq!(whom(&laptop(4, 8), Workload::Ci), "for a CI runner");
    assert_eq!(whom(&laptop(4, 8), Workload::Builder), "for a server");
    assert_eq!(whom(&laptop(4, 4), Workload::Big), "for a small machine");
    let asked = budget(&laptop(4, 8), Workload::General, Some(GIB));
    assert_eq!(asked.available_bytes(), Some(7 * GIB));
}

#[test]
fn a_tmpfs_for_builds_takes_its_size_from_them() {
    let mut hardware = vm(8, 50);
    hardware.storage.build_dir = Some(Place {
        path: "/nix/var/nix/builds".to_owned(),
        mount_point: None,
        filesystem: Some("tmpfs".to_owned()),
        options: Vec::new(),
        size_bytes: NonZeroU64::new(16 * GIB),
        inodes: None,
        media: Media::Memory,
        stack: Vec::new(),
        disks: None,
    });
    assert_eq!(general(&hardware).available_bytes(), Some(32 * GIB));
}

#[test]
fn the_unknown_is_not_sized() {
    let mut hardware = machine(4, 8);
    hardware.memory.usable_bytes = None;
    assert_eq!(general(&hardware).sizes(), None);
    let mut hardware = machine(4, 8);
    hardware.cpu.allowed = None;
    hardware.cpu.usable = None;
    hardware.cpu.quota = Cpus::new(64.0);
    assert_eq!(general(&hardware).sizes(), None, "a quota is not a count");
    let mut hardware = machine(4, 8);
    hardware.memory.huge_pages_bytes = Some(8 * GIB);
    assert_eq!(general(&hardware).sizes(), None, "no memory is not little memory");
}

fn cpus() -> impl Strategy<Value = Option<Cpus>> {
    let amount = prop_oneof![f64::MIN_POSITIVE..1e-3, 1e-3..512.0, 1e3..1e6];
    option::of(amount.prop_map(|cpus| Cpus::new(cpus).expect("in range")))
}

fn whole_cpus() -> impl Strategy<Value = Option<NonZeroU32>> {
    option::of(
        prop_oneof![1u32..512, any::<u32>()].prop_map(|cpus| NonZeroU32::MIN.saturating_add(cpus)),
    )
}

fn bytes() -> impl Strategy<Value = Option<u64>> {
    option::of(prop_oneof![0u64..1 << 42, any::<u64>(), Just(u64::MAX)])
}

prop_compose! {
    /// Any document that parses, as far as the budget reads it.
    fn hardware()(
        (allowed, online, quota, usable) in (whole_cpus(), whole_cpus(), cpus(), cpus()),
        (total, huge, limit, left) in (bytes(), bytes(), bytes(), bytes()),
        (swap, zram) in (bytes(), bytes()),
        daemon in option::of((cpus(), bytes(), whole_cpus())),
        (ci, vm, laptop) in (any::<bool>(), any::<bool>(), option::of(any::<bool>())),
    ) -> Hardware {
        let non_zero = |bytes: Option<u64>| bytes.and_then(NonZeroU64::new);
        let mut hardware = Hardware::default();
        hardware.cpu.allowed = allowed;
        hardware.cpu.online = online;
        hardware.cpu.quota = quota;
        hardware.cpu.usable = usable;
        hardware.memory.total_bytes = non_zero(total);
        hardware.memory.huge_pages_bytes = huge;
        hardware.memory.limit_bytes = non_zero(limit);
        hardware.memory.usable_bytes = non_zero(left);
        hardware.memory.swap_bytes = swap;
        hardware.memory.zram_bytes = zram;
        hardware.daemon = daemon.map(|(quota, memory, allowed)| Limits {
            quota,
            memory_limit_bytes: non_zero(memory),
            allowed,
        });
        hardware.environment.ci = ci.then(|| "ci".to_owned());
        hardware.environment.virtual_machine = vm.then(|| "kvm".to_owned());
        hardware.environment.laptop = laptop;
        hardware
    }
}

proptest! {
    #[test]
    fn no_document_asks_for_more_than_there_is(hardware in hardware(), reserve in bytes()) {
        let text = serde_json::to_string(&hardware).expect("JSON");
        let hardware: Hardware = serde_json::from_str(&text).expect("parses");
        let budget = budget(&hardware, Workload::General, reserve);
        let Some((rule, sizes)) = budget.sizes() else { return Ok(()) };
        let cpus = budget.whole_cpus().expect("sized by it").get();
        let available = budget.available_bytes().expect("sized by it");

        prop_assert!(sizes.jobs >= POLICY.least_jobs, "a download takes a job");
        prop_assert!(sizes.jobs <= cpus.div_ceil(2).max(POLICY.least_jobs));
        prop_assert!((1..=cpus).contains(&sizes.cores));
        for allowed in [hardware.cpu.allowed, hardware.daemon.as_ref().and_then(|d| d.allowed)] {
            prop_assert!(allowed.is_none_or(|allowed| sizes.cores <= allowed.get()));
        }
        match rule {
            Rule::SwapBacked => prop_assert!(sizes.jobs <= POLICY.most_jobs && !budget.is_limited),
            Rule::MemoryBound => {
                let used = u128::from(sizes.jobs) * u128::from(sizes.cores) * u128::from(GIB);
                prop_assert!(available < 2 * GIB || used <= u128::from(available));
            }
        }
        let usable = hardware.memory.usable_bytes.expect("sized by it").get();
        prop_assert!(available <= usable.max(POLICY.least_available_bytes));
    }

    #[test]
    fn more_memory_never_makes_less_with_swap(
        cpus in 1u32..256, mib in 1u64..1 << 22, more in 0u64..1 << 20, ours in any::<bool>(),
    ) {
        let of = |mib: u64| {
            let mut hardware = if ours { laptop(cpus, 1) } else { vm(cpus, 1) };
            hardware.memory.total_bytes = NonZeroU64::new(mib << 20);
            hardware.memory.usable_bytes = hardware.memory.total_bytes;
            hardware.memory.swap_bytes = Some(mib << 20);
            jobs_and_cores(&hardware)
        };
        let (less, greater) = (of(mib), of(mib + more));
        prop_assert!(less.0 <= greater.0 && less.1 <= greater.1, "{less:?} {greater:?}");
    }
}
