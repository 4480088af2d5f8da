//! The machines of the study, as documents and as the simulator has them.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::Hardware;
use detect::number::Cpus;
use profile::budget::{Budget, budget};
use profile::plan::Workload;
use profile::simulate::machine::{LOSS, Machine};
use profile::sizing::{GIB, advised_zram};

/// What a machine is, as far as the reserve depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Laptop,
    Virtual,
    Ci,
}

/// A machine to plan for and to simulate.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) hardware: Hardware,
    /// Fast cores, slow cores, second threads.
    cores: [u32; 3],
}

/// The sixteen machines of the study. What it does not say of their second
/// threads is assumed: all x86 machines but the smallest have them.
pub(crate) fn study() -> Vec<Case> {
    use Kind::{Ci, Laptop, Plain, Virtual};
    vec![
        case("Pi 4/4", [4, 0, 0], 4, 0, Plain),
        case("VM 2/8", [2, 0, 0], 8, 0, Virtual),
        case("laptop 4/8", [2, 0, 2], 8, 0, Laptop),
        case("laptop 4/8, swap", [2, 0, 2], 8, 8, Laptop),
        case("laptop 8/16", [4, 0, 4], 16, 0, Laptop),
        case("laptop 8/16, swap", [4, 0, 4], 16, 8, Laptop),
        case("CI 4/16", [2, 0, 2], 16, 0, Ci),
        case("hybrid 16/16", [4, 8, 4], 16, 0, Laptop),
        case("hybrid 32/64", [8, 16, 8], 64, 0, Plain),
        case("VPS 16/16", [8, 0, 8], 16, 0, Virtual),
        case("workstation 16/32", [8, 0, 8], 32, 0, Plain),
        case("workstation 16/64", [8, 0, 8], 64, 0, Plain),
        case("64/128", [32, 0, 32], 128, 0, Plain),
        case("64/128, swap", [32, 0, 32], 128, 64, Plain),
        case("arm 80/256", [80, 0, 0], 256, 0, Plain),
        case("128/512", [64, 0, 64], 512, 0, Plain),
    ]
}

/// A machine with so many cores, GiB of memory and GiB of swap.
pub(crate) fn case(name: &'static str, cores: [u32; 3], gib: u64, swap: u64, kind: Kind) -> Case {
    let mut hardware = Hardware::default();
    let cpus: u32 = cores.iter().sum();
    hardware.cpu.allowed = NonZeroU32::new(cpus);
    hardware.cpu.usable = hardware.cpu.allowed.map(Cpus::from);
    hardware.cpu.cores = NonZeroU32::new(cores[0] + cores[1]);
    if cores[1] > 0 {
        hardware.cpu.kinds = [cores[0] + cores[2], cores[1]]
            .into_iter()
            .zip([cores[0], cores[1]])
            .map(|(cpus, cores)| detect::hardware::Kind {
                cpus: NonZeroU32::new(cpus).expect("CPUs"),
                cores: NonZeroU32::new(cores),
                relative_speed: None,
            })
            .collect();
    }
    hardware.memory.total_bytes = NonZeroU64::new(gib * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(swap * GIB);
    hardware.environment.laptop = (kind == Kind::Laptop).then_some(true);
    hardware.environment.virtual_machine =
        matches!(kind, Kind::Virtual | Kind::Ci).then(|| "kvm".to_owned());
    hardware.environment.ci = (kind == Kind::Ci).then(|| "ci".to_owned());
    Case { name, hardware, cores }
}

impl Case {
    /// The same with the zram that plans advise where there is little swap.
    pub(crate) fn with_zram(&self) -> Self {
        let mut case = self.clone();
        if !self.budget(Workload::General).is_backed() {
            case.hardware.memory.zram_bytes = Some(advised_zram(self.memory_bytes()));
        }
        case
    }

    /// What builds may use.
    pub(crate) fn budget(&self, workload: Workload) -> Budget {
        budget(&self.hardware, workload, None)
    }

    /// As the simulator has it.
    pub(crate) fn machine(&self) -> Machine {
        let budget = self.budget(Workload::General);
        let [fast, slow, siblings] = self.cores;
        Machine {
            fast,
            slow,
            siblings,
            memory_gib: gib(budget.available_bytes().expect("memory")),
            swap_gib: gib(budget.swap_bytes.expect("swap")),
            loss: LOSS,
        }
    }

    pub(crate) fn cpus(&self) -> u32 {
        self.cores.iter().sum()
    }

    pub(crate) fn memory_bytes(&self) -> u64 {
        self.hardware.memory.total_bytes.expect("memory").get()
    }
}

#[expect(clippy::cast_precision_loss, reason = "memory of real machines")]
pub(crate) fn gib(bytes: u64) -> f64 {
    bytes as f64 / GIB as f64
}
