//! Plans beside Nix's default and the original design, on machines of all sizes.

use profile::plan::Workload;
use profile::simulate::{Outcome, Settings, search, simulate};

use super::machine::{Case, Kind, case, study};
use super::show;
use super::study::{ORDERS, original, planned};
use super::workload::{Load, loads};

/// No difference: what the model itself is off by beside real builds is more.
const NOISE: f64 = 1.02;

/// Machines from a board to a server: as the study has them, and as `bench
/// simulate` takes `CPUS/GIB`, with each CPU a core and the reserve of a desktop.
fn machines() -> Vec<Case> {
    let names = ["VM 2/8", "laptop 4/8", "laptop 8/16", "workstation 16/32", "64/128", "128/512"];
    let names = [&names[..], &["CI 4/16", "Pi 4/4"]].concat();
    let mut machines: Vec<Case> =
        study().into_iter().filter(|case| names.contains(&case.name)).collect();
    for (name, cpus, gib) in [
        ("2/8, all cores", 2, 8),
        ("4/8, all cores", 4, 8),
        ("8/16, all cores", 8, 16),
        ("16/32, all cores", 16, 32),
        ("64/128, all cores", 64, 128),
        ("128/512, all cores", 128, 512),
        ("4/16, all cores", 4, 16),
        ("4/4, all cores", 4, 4),
    ] {
        machines.push(case(name, [cpus, 0, 0], gib, 0, Kind::Plain));
    }
    machines
}

/// All graphs with some settings.
struct Column(Vec<Outcome>);

impl Column {
    fn of(case: &Case, loads: &[Load], settings: Settings) -> Self {
        let machine = case.machine();
        Self(loads.iter().map(|load| simulate(&load.graph, &machine, settings)).collect())
    }

    fn ran_out(&self) -> usize {
        self.0.iter().filter(|outcome| outcome.out_of_memory).count()
    }

    /// Those of them that some settings would have built.
    fn needlessly(&self, case: &Case, loads: &[Load]) -> Vec<String> {
        let ran_out = self.0.iter().zip(loads).filter(|(outcome, _)| outcome.out_of_memory);
        let fits = |load: &&Load| search::oracle(&load.graph, &case.machine()).is_some();
        ran_out.map(|(_, load)| load).filter(fits).map(|load| load.name.clone()).collect()
    }

    /// Our time by that of another, in the geometric mean over what both build.
    #[expect(clippy::cast_precision_loss, reason = "dozens")]
    fn by(&self, other: &Self) -> f64 {
        let both = self.0.iter().zip(&other.0);
        let logs: Vec<f64> =
            both.filter_map(|(own, other)| Some((own.seconds? / other.seconds?).ln())).collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    }
}

/// Plans hold on every machine what they promise: no slower than what is there,
/// and no build that ends for lack of memory.
#[test]
fn plans_are_no_slower_than_what_they_replace() {
    let Some(loads) = loads(ORDERS) else { return };
    let mut table = format!(
        "\ntime of the plan with zram by that of others; of {} graphs, those out of memory\n\n\
         | machine | plan, zram | OOM | ÷ Nix's default | OOM | ÷ original | OOM \
         | ÷ default, zram | OOM | ÷ original, zram | OOM | plan, no zram ÷ original | OOM |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        loads.len()
    );
    let mut broken = Vec::new();
    for bare in machines() {
        let zram = bare.with_zram();
        let ours = planned(&zram, Workload::General);
        let plan = Column::of(&zram, &loads, ours);
        table +=
            &format!("| {} | {} × {} | {} |", bare.name, ours.jobs, ours.cores, plan.ran_out());
        let default = Settings::new(1, bare.cpus());
        let mut ratios = Vec::new();
        for (case, settings) in
            [(&bare, default), (&bare, original(&bare)), (&zram, default), (&zram, original(&bare))]
        {
            let other = Column::of(case, &loads, settings);
            ratios.push(plan.by(&other));
            table += &format!(" {:.2} | {} |", plan.by(&other), other.ran_out());
        }
        let without = Column::of(&bare, &loads, planned(&bare, Workload::General));
        let other = Column::of(&bare, &loads, original(&bare));
        table += &format!(" {:.2} | {} |\n", without.by(&other), without.ran_out());
        let needlessly = plan.needlessly(&zram, &loads);
        if !needlessly.is_empty() || ratios[0] > NOISE || ratios[1] > NOISE {
            broken.push(format!("{}: {needlessly:?}, {ratios:.2?}", bare.name));
        }
    }
    show(&table);
    assert!(broken.is_empty(), "slower, or out of memory: {broken:?}");
}
