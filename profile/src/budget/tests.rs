//! Budgets of machines, whole: from facts to jobs and cores.

use std::num::{NonZeroU32, NonZeroU64};

use clap::ValueEnum;
use detect::hardware::{Hardware, Limits, Media, Place};
use detect::number::Cpus;
use detect::stage;
use proptest::prelude::*;

use super::{Budget, budget};
use crate::Options;
use crate::plan::Workload;
use crate::sizing::{GIB, POLICY, Rule, Sizes, advised_zram};

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

/// The table of the study, without swap as the study has it, and with the zram
/// that is advised. There the study had half of memory as swap, a core for every
/// 3 GiB, and 2 to 16 jobs whatever memory and swap carry. Now boards and laptops
/// of four CPUs have a job more, since two builds left none for a download; 8/16
/// and 16/16 have fewer, since as many links at once ran out of memory; and
/// servers have more, since theirs carries them.
#[test]
fn the_machines_of_the_study() {
    for (name, hardware, bound, backed) in [
        ("Pi 4/4", machine(4, 4), (2, 1), (3, 1)),
        ("VM 2/8", vm(2, 8), (2, 2), (2, 2)),
        ("laptop 4/8", laptop(4, 8), (2, 2), (3, 2)),
        ("CI 4/16", ci(4, 16), (2, 4), (3, 4)),
        ("laptop 8/16", laptop(8, 16), (2, 5), (3, 5)),
        ("VPS 16/16", vm(16, 16), (2, 5), (3, 6)),
        ("workstation 16/32", machine(16, 32), (4, 7), (7, 12)),
        ("workstation 16/64", machine(16, 64), (6, 10), (9, 16)),
        ("hybrid 32/64", machine(32, 64), (6, 10), (15, 24)),
        ("64/128", machine(64, 128), (8, 14), (24, 50)),
        ("arm 80/256", machine(80, 256), (12, 20), (24, 80)),
        ("128/512", machine(128, 512), (17, 28), (24, 128)),
    ] {
        assert_eq!(jobs_and_cores(&hardware), bound, "{name}");
        let mut hardware = hardware;
        let total = hardware.memory.total_bytes.map(NonZeroU64::get);
        hardware.memory.zram_bytes = total.map(advised_zram);
        assert_eq!(jobs_and_cores(&hardware), backed, "{name} with zram");
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

/// Random numbers, the same ones each time, and far faster than strategies that
/// can be shrunk: 100,000 documents in a second.
struct Random(u64);

impl Random {
    /// `SplitMix64`.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 1 to `most`.
    fn small(&mut self, most: u32) -> u32 {
        u32::try_from(self.below(u64::from(most)) + 1).expect("at most `most`")
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Mostly something.
    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(4) > 0).then(|| some(self))
    }

    fn cpus(&mut self) -> Option<Cpus> {
        let few = f64::from(self.small(512_000)) / 1000.0;
        let cpus = self.option(|random| match random.below(8) {
            0 => f64::MIN_POSITIVE,
            1 => 1e6,
            _ => few,
        });
        cpus.and_then(Cpus::new)
    }

    fn whole_cpus(&mut self) -> Option<NonZeroU32> {
        let (few, any) = (self.small(512), self.small(u32::MAX));
        let cpus = self.option(|random| if random.below(8) == 0 { any } else { few });
        cpus.and_then(NonZeroU32::new)
    }

    fn bytes(&mut self) -> Option<u64> {
        self.option(|random| match random.below(8) {
            0 => u64::MAX,
            // Of every size alike.
            1 => random.next() >> random.below(64),
            _ => random.below(1 << 42),
        })
    }

    fn workload(&mut self) -> Workload {
        let all = Workload::value_variants();
        all[usize::try_from(self.below(all.len() as u64)).expect("few")]
    }

    /// Any document that parses, as far as the budget reads it.
    fn hardware(&mut self) -> Hardware {
        let non_zero = |bytes: Option<u64>| bytes.and_then(NonZeroU64::new);
        let mut hardware = Hardware::default();
        hardware.cpu.allowed = self.whole_cpus();
        hardware.cpu.online = self.whole_cpus();
        hardware.cpu.quota = self.cpus();
        hardware.cpu.usable = self.cpus();
        hardware.memory.total_bytes = non_zero(self.bytes());
        hardware.memory.huge_pages_bytes = self.bytes().filter(|_| self.coin());
        hardware.memory.limit_bytes = non_zero(self.bytes());
        hardware.memory.usable_bytes = non_zero(self.bytes());
        hardware.memory.swap_bytes = self.bytes();
        hardware.memory.zram_bytes = self.bytes();
        hardware.daemon = self.option(|random| Limits {
            quota: random.cpus(),
            memory_limit_bytes: non_zero(random.bytes()),
            allowed: random.whole_cpus(),
        });
        hardware.environment.ci = self.coin().then(|| "ci".to_owned());
        hardware.environment.virtual_machine = self.coin().then(|| "kvm".to_owned());
        hardware.environment.laptop = self.option(Self::coin);
        hardware
    }
}

/// Memory for each compiler that the rule reckons with.
fn compiler(rule: Rule) -> u128 {
    u128::from(match rule {
        Rule::FewBig => POLICY.big_compiler_bytes,
        _ => POLICY.compiler_bytes,
    })
}

#[test]
fn no_document_asks_for_more_than_there_is() {
    let mut random = Random(0);
    let mut count = 0;
    for number in 0..200_000 {
        let (hardware, workload) = (random.hardware(), random.workload());
        let reserve = random.bytes();
        let budget = budget(&hardware, workload, reserve);
        let Some((rule, sizes)) = budget.sizes() else { continue };
        count += 1;
        if let Some(law) = broken(&hardware, &budget, rule, sizes) {
            panic!("document {number}: not {law}: {rule:?} {sizes:?} {budget:?}");
        }
    }
    assert!(count > 100_000, "only {count} documents say enough");
}

/// The law that a plan breaks.
fn broken(hardware: &Hardware, budget: &Budget, rule: Rule, sizes: Sizes) -> Option<&'static str> {
    let cpus = budget.whole_cpus().expect("sized by it").get();
    let available = budget.available_bytes().expect("sized by it");
    let usable = hardware.memory.usable_bytes.expect("sized by it").get();
    let threads = u128::from(sizes.jobs) * u128::from(sizes.cores);
    let compiler = compiler(rule);
    let carried = u128::from(available) + u128::from(budget.backing_bytes());
    let fit = |count: u128| carried < 2 * compiler || count * compiler <= carried;
    let daemon = hardware.daemon.as_ref().and_then(|daemon| daemon.allowed);
    let allowed = [hardware.cpu.allowed, daemon];
    let by_rule = match rule {
        Rule::SwapBacked => {
            let few = sizes.jobs <= POLICY.most_jobs && !budget.is_limited;
            ("room for a compiler of each job", few && fit(sizes.jobs.into()))
        }
        Rule::MemoryBound => {
            ("room for all compilers", budget.backing_bytes() == 0 && fit(threads))
        }
        Rule::Throughput => {
            ("the CPUs divided", fit(threads) && threads <= u128::from(cpus.max(2)))
        }
        Rule::FewBig => ("the CPUs at most twice", fit(threads) && threads <= 2 * u128::from(cpus)),
    };
    let laws = [
        ("a job for downloads", sizes.jobs >= POLICY.least_jobs),
        ("a job for two CPUs and one more", sizes.jobs <= cpus.div_ceil(2).saturating_add(1)),
        ("one core to all of them", (1..=cpus).contains(&sizes.cores)),
        (
            "within allowed CPUs",
            allowed.into_iter().flatten().all(|most| sizes.cores <= most.get()),
        ),
        ("within usable memory", available <= usable.max(POLICY.least_available_bytes)),
        ("the same again", budget.sizes() == Some((rule, sizes))),
        by_rule,
    ];
    laws.into_iter().find(|(_, holds)| !holds).map(|(law, _)| law)
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    let mut random = Random(1);
    for number in 0..1000 {
        let hardware = random.hardware();
        let options = Options {
            workload: random.workload(),
            reserve_memory: random.bytes(),
            ..Options::default()
        };
        let planned = |hardware: Hardware| {
            let plan = crate::run(hardware, &options).expect("a plan");
            stage::text(&plan).expect("JSON")
        };
        let text = stage::text(&hardware).expect("JSON");
        let read: Hardware = stage::parse(text.as_bytes()).expect("parses");
        assert_eq!(planned(hardware), planned(read), "document {number}");
    }
}

proptest! {
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
