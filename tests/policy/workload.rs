//! The graphs of builds of the study, each in several orders.

use std::fs;
use std::num::NonZeroU32;

use profile::costs::{Cost, Costs};
use profile::simulate::graph::{Derivation, Graph};
use profile::sizing::GIB;

use crate::tools::shared;

/// Graphs that the rules were not made with.
const HELD_OUT: [&str; 7] = [
    "blfs_gnome",
    "blfs_kde",
    "blfs_server",
    "cargo_real",
    "debian_haskell",
    "debian_libpng",
    "oe_world",
];

/// A graph in some order.
pub(crate) struct Load {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) is_held_out: bool,
    /// The derivations in that order, to be recorded as costs.
    seed: u64,
}

/// Every graph in so many orders: Nix starts what is ready in the order of
/// hashes, which is any. `None` without the shared data, said so.
pub(crate) fn loads(orders: u64) -> Option<Vec<Load>> {
    let folder = shared("workloads")?;
    let files = fs::read_dir(folder).expect("workloads");
    let mut paths: Vec<_> = files.map(|file| file.expect("file").path()).collect();
    paths.sort();
    let mut loads = Vec::new();
    for path in paths {
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let graph = Graph::parse(&fs::read(&path).expect("graph")).expect(&name);
        for seed in 0..orders {
            loads.push(Load {
                graph: reordered(&graph, seed),
                is_held_out: HELD_OUT.contains(&name.as_str()),
                name: name.clone(),
                seed,
            });
        }
    }
    assert_eq!(loads.len() as u64, 18 * orders);
    Some(loads)
}

/// Random numbers, the same ones each time (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed * 77 + 12_345)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below `end`")
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).expect("32 bits")) / f64::from(u32::MAX)
    }

    /// A factor with an error of 30 %.
    fn error(&mut self) -> f64 {
        // Twelve of them are all but normal, with a deviation of one.
        let normal = (0..12).map(|_| self.share()).sum::<f64>() - 6.0;
        (0.3 * normal).exp()
    }
}

fn reordered(graph: &Graph, seed: u64) -> Graph {
    let old = graph.derivations();
    let mut random = Random::new(seed);
    let mut places: Vec<usize> = (0..old.len()).collect();
    for end in (1..old.len()).rev() {
        places.swap(end, random.below(end + 1));
    }
    let mut order: Vec<(usize, Derivation)> =
        places.iter().copied().zip(old.iter().cloned()).collect();
    for (_, derivation) in &mut order {
        for need in &mut derivation.needs {
            *need = u32::try_from(places[*need as usize]).expect("few derivations");
        }
    }
    order.sort_by_key(|(place, _)| *place);
    Graph::new(order.into_iter().map(|(_, derivation)| derivation).collect()).expect("a graph")
}

impl Load {
    /// What a monitor would have recorded of builds one at a time with all
    /// cores, off by 30 %, a package in five not built before.
    pub(crate) fn costs(&self, cpus: u32) -> Costs {
        let mut random = Random::new(self.seed + 99);
        let name = |at: usize| format!("{at:05}-{}", self.graph.derivations()[at].name);
        let packages = self.graph.derivations().iter().enumerate().map(|(at, derivation)| {
            let needs = derivation.needs.iter().map(|need| name(*need as usize)).collect();
            let known = random.share() >= 0.2;
            let cost = recorded(derivation, cpus, random.error(), random.error());
            let unknown = Cost {
                builds: NonZeroU32::MIN,
                wall_seconds: 60.0,
                cpu_seconds: None,
                parallelism: None,
                peak_memory_bytes: None,
                base_memory_bytes: None,
                slot_memory_bytes: None,
                width: None,
                build_bytes: None,
                build_files: None,
                needs: Vec::new(),
            };
            (name(at), Cost { needs, ..if known { cost } else { unknown } })
        });
        Costs { version: detect::number::Version, packages: packages.collect() }
    }
}

fn recorded(derivation: &Derivation, cpus: u32, time: f64, memory: f64) -> Cost {
    let (mut wall, mut cpu, mut width) = (0.0, 0.0, 1.0f64);
    let (mut slot, mut base) = (0.0f64, 0.0f64);
    for phase in &derivation.phases {
        let threads = phase.width.min(f64::from(cpus));
        let tail = phase.tail_seconds.min(phase.work_seconds);
        wall += ((phase.work_seconds - tail) / threads + tail) * time;
        cpu += phase.work_seconds * phase.cpu_share * time;
        width = width.max(threads);
        base = base.max(phase.base_gib);
        if threads > 1.0 {
            slot = slot.max(phase.slot_gib);
        }
    }
    let peak = derivation.peak_gib(cpus);
    Cost {
        builds: NonZeroU32::MIN,
        wall_seconds: wall,
        cpu_seconds: Some(cpu),
        parallelism: Some(cpu / wall.max(1e-9)),
        peak_memory_bytes: Some(bytes(peak * memory)),
        base_memory_bytes: Some(bytes(base * memory)),
        slot_memory_bytes: Some(bytes(slot * memory)),
        width: Some(width),
        build_bytes: None,
        build_files: None,
        needs: Vec::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "GiB of a build"
)]
fn bytes(gib: f64) -> u64 {
    (gib * GIB as f64) as u64
}
