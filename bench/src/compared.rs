//! The documents: what was measured, run by run, and what it shows.

use std::collections::BTreeMap;

use detect::hardware::Note;
use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::configuration;
use crate::pairs::{Side, Stopped};
use crate::statistics::{Estimate, Interval, Verdict, median};

/// Two configurations on the same derivations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// Version of this document's format.
    pub version: Version<1>,
    /// What was run.
    pub subject: Subject,
    /// What B ran, where two installables are compared; `null` where it is the same.
    #[serde(default)]
    pub other: Option<Subject>,
    /// What the other is compared with.
    pub a: Configuration,
    /// What is judged.
    pub b: Configuration,
    /// What B is against A.
    pub verdict: Verdict,
    /// B's time by A's: the median of the pairs'. `null` of fewer than two pairs.
    pub ratio: Option<f64>,
    /// Where the true ratio is, 95 times in a hundred.
    pub interval: Option<Interval>,
    /// The same of CPU time, where it is known.
    pub cpu: Option<Estimate>,
    /// Pairs measured, without the first, which warms up.
    pub pairs: u32,
    /// Pairs far from the others, by number. They count like the others.
    pub outliers: Vec<u32>,
    /// What the order of runs came from.
    pub seed: u64,
    /// Why no more pairs were run.
    pub stopped: Stopped,
    /// Every run, in its order.
    pub runs: Vec<Run>,
    /// What to know of these figures.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// One configuration by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Version of this document's format.
    pub version: Version<1>,
    /// What was run.
    pub subject: Subject,
    /// With which settings.
    pub configuration: Configuration,
    /// The median time, and where the true one is. `null` of fewer than two runs.
    pub seconds: Option<Estimate>,
    /// The seed that was given: one configuration by itself has no order to decide.
    pub seed: u64,
    /// Why no more runs were made.
    pub stopped: Stopped,
    /// Every run, in its order.
    pub runs: Vec<Run>,
    /// What to know of these figures.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// What is run again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What people call it, e.g. `synthetic mixed, small`.
    pub name: String,
    /// Which part of Nix's work.
    pub what: What,
    /// How each run is made to do all of it again.
    pub method: Method,
    /// The derivation; `null` where there is none.
    pub drv: Option<String>,
    /// The Nix, in its own words.
    pub nix: Option<String>,
    /// The time to evaluate it, which is in no run.
    pub evaluation_seconds: Option<f64>,
}

/// A part of Nix's work.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Building derivations, from the first one's start to the last one's end
    #[default]
    Build,
    /// Evaluating to a derivation
    Eval,
    /// Fetching paths from caches
    Fetch,
}

/// How a run is made to do everything again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A store of its own that holds no output yet: all derivations are built.
    FreshStore,
    /// The machine's store, by `nix-store --realise --check`: the derivation named
    /// is built, and what it needs is not.
    Check,
    /// Evaluated again, without the cache of evaluations.
    Evaluation,
    /// A store of its own, and no memory of what caches have.
    FreshDownload,
}

/// Settings that Nix ran with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// As it was asked for, e.g. `default` or `plan.json`.
    pub name: String,
    /// What it sets, and what Nix made of each.
    pub settings: BTreeMap<String, String>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Of which pair; 0 warms up, and counts for nothing.
    pub pair: u32,
    /// With which configuration.
    pub side: Side,
    /// What is compared: of a build, from the first derivation's start to the last
    /// one's end; else the wall time.
    pub seconds: f64,
    /// From the start of Nix's program to its end.
    pub wall_seconds: f64,
    /// CPU time of Nix and all it started, where no daemon builds.
    pub cpu_seconds: Option<f64>,
    /// Most memory of these at once, looked at ten times a second; `null` where it was
    /// over before anything was seen.
    pub peak_memory_bytes: Option<u64>,
    /// Derivations built.
    pub builds: Option<u32>,
    /// What else went on.
    pub disturbance: Disturbance,
}

/// What else went on during a run. Shares are `null` of what took less than a tenth of
/// a second: the kernel counts in hundredths.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Disturbance {
    /// The share of the CPUs that others took; `null` where our own is not known.
    pub foreign_cpu: Option<f64>,
    /// The share of the CPUs that the hypervisor gave to others.
    pub stolen_cpu: Option<f64>,
    /// The share of time in which something waited for a CPU (PSI). Our own builds
    /// wait too, where there are more of them than CPUs.
    pub cpu_pressure: Option<f64>,
    /// The share of time in which something waited for a disk.
    pub io_pressure: Option<f64>,
    /// Runnable processes when it began, as an average of the minute before.
    pub load_1m: Option<f64>,
    /// Builds of others by Nix that ran when it began; `null` where they cannot be
    /// seen, and of what only evaluates.
    pub other_builds: Option<u32>,
}

/// Beyond these shares of the CPUs, a run is called disturbed.
const FOREIGN: f64 = 0.15;
const STOLEN: f64 = 0.05;

impl Disturbance {
    /// Whether that is enough to be said. It is said, and the run counts.
    pub fn is_notable(&self) -> bool {
        self.foreign_cpu.is_some_and(|share| share > FOREIGN)
            || self.stolen_cpu.is_some_and(|share| share > STOLEN)
            || self.other_builds.is_some_and(|builds| builds > 0)
    }
}

/// The times of one configuration, under a name: what exports and plots show.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What people call it.
    pub name: String,
    /// The settings, as text.
    pub settings: String,
    /// What is compared, of every run but those that warm up.
    pub seconds: Vec<f64>,
    /// CPU time of these runs, where it is known of each.
    pub cpu_seconds: Option<Vec<f64>>,
    /// Memory likewise.
    pub peak_memory_bytes: Option<Vec<u64>>,
}

impl Compared {
    /// What people call what was run.
    pub fn name(&self) -> String {
        match &self.other {
            None => self.subject.name.clone(),
            Some(other) => format!("{} and {}", self.subject.name, other.name),
        }
    }

    /// The times of A and of B.
    pub fn series(&self) -> [Series; 2] {
        [(&self.a, Side::A), (&self.b, Side::B)]
            .map(|(configuration, side)| series(&self.runs, side, configuration))
    }

    /// The ratio of each pair that is whole, B's time by A's.
    pub fn ratios(&self) -> Vec<f64> {
        ratios(&self.runs, |run| Some(run.seconds))
    }

    /// One line of it, for people.
    pub fn sentence(&self) -> String {
        let [a, b] = [&self.a.name, &self.b.name];
        let (Some(ratio), Some(interval)) = (self.ratio, self.interval) else {
            return format!("{b} against {a}: too few pairs to say anything");
        };
        let (low, high) = (change(interval.low), change(interval.high));
        let found = match self.verdict {
            Verdict::NoDifferenceShown if interval.low > 1.0 || interval.high < 1.0 => {
                format!(
                    "too few pairs to claim anything ({low} to {high}): raise --pairs or --time"
                )
            }
            Verdict::NoDifferenceShown => format!("no difference shown (could be {low} to {high})"),
            verdict => format!("{} ({} time, {low} to {high})", verdict.text(), change(ratio)),
        };
        format!("{b} against {a}: {found}, {} pairs", self.pairs)
    }
}

impl Measured {
    /// Its times.
    pub fn series(&self) -> Series {
        series(&self.runs, Side::A, &self.configuration)
    }
}

/// A ratio as people say it: `-5.0 %`.
pub fn change(ratio: f64) -> String {
    format!("{:+.1} %", (ratio - 1.0) * 100.0)
}

/// The ratios of the pairs in which both have some figure, in whatever order the runs
/// are.
pub fn ratios(runs: &[Run], figure: impl Fn(&Run) -> Option<f64>) -> Vec<f64> {
    let mut pairs: BTreeMap<u32, [Option<f64>; 2]> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.pair > 0) {
        let found = &mut pairs.entry(run.pair).or_default()[usize::from(run.side == Side::B)];
        *found = found.or_else(|| figure(run).filter(|figure| *figure > 0.0));
    }
    pairs.values().filter_map(|[a, b]| Some((*b)? / (*a)?)).collect()
}

fn series(runs: &[Run], side: Side, configuration: &Configuration) -> Series {
    let own = || runs.iter().filter(move |run| run.side == side && run.pair > 0);
    let settings =
        configuration.settings.iter().map(|(name, value)| configuration::shown(name, value));
    Series {
        name: configuration.name.clone(),
        settings: settings.collect::<Vec<_>>().join(", "),
        seconds: own().map(|run| run.seconds).collect(),
        cpu_seconds: own().map(|run| run.cpu_seconds).collect(),
        peak_memory_bytes: own().map(|run| run.peak_memory_bytes).collect(),
    }
}

impl Series {
    /// Its median.
    pub fn median(&self) -> Option<f64> {
        median(&self.seconds)
    }

    /// Its mean and standard deviation; of one run, none.
    pub fn mean(&self) -> Option<(f64, Option<f64>)> {
        let count = f64::from(u32::try_from(self.seconds.len()).ok()?);
        if count < 1.0 {
            return None;
        }
        let mean = self.seconds.iter().sum::<f64>() / count;
        let squares = self.seconds.iter().map(|time| (time - mean).powi(2)).sum::<f64>();
        Some((mean, (count > 1.0).then(|| (squares / (count - 1.0)).sqrt())))
    }

    /// Its shortest and its longest run.
    pub fn range(&self) -> Option<(f64, f64)> {
        let least = self.seconds.iter().copied().reduce(f64::min)?;
        Some((least, self.seconds.iter().copied().reduce(f64::max)?))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Compared, Configuration, Disturbance, Method, Run, Subject, What};
    use crate::pairs::{Side, Stopped};
    use crate::statistics::{Interval, Verdict};

    /// Two configurations, with these times of A and of B.
    pub(crate) fn compared(a: &[f64], b: &[f64]) -> Compared {
        let run = |pair, side, seconds| Run {
            pair,
            side,
            seconds,
            wall_seconds: seconds + 0.1,
            cpu_seconds: Some(seconds * 2.0),
            peak_memory_bytes: Some(50 << 20),
            builds: Some(8),
            disturbance: Disturbance::default(),
        };
        let mut runs = vec![run(0, Side::A, 9.0), run(0, Side::B, 9.0)];
        for ((a, b), pair) in a.iter().zip(b).zip(1..) {
            runs.extend([run(pair, Side::A, *a), run(pair, Side::B, *b)]);
        }
        let configuration = |name: &str, jobs: u32| Configuration {
            name: name.to_owned(),
            settings: [("max-jobs".to_owned(), jobs.to_string())].into(),
        };
        Compared {
            version: detect::number::Version,
            subject: Subject {
                name: "synthetic mixed, small".to_owned(),
                what: What::Build,
                method: Method::FreshStore,
                drv: None,
                nix: Some("nix (Nix) 2.34.8".to_owned()),
                evaluation_seconds: Some(0.05),
            },
            other: None,
            a: configuration("default", 1),
            b: configuration("plan.json", 2),
            verdict: Verdict::Faster,
            ratio: Some(0.8),
            interval: Some(Interval { low: 0.75, high: 0.85 }),
            cpu: None,
            pairs: u32::try_from(a.len()).expect("few"),
            outliers: Vec::new(),
            seed: 1,
            stopped: Stopped::Precise,
            runs,
            notes: Vec::new(),
        }
    }

    #[test]
    fn ratios_are_of_whole_pairs_that_count() {
        let mut compared = compared(&[2.0, 4.0, 5.0], &[1.0, 3.0, 5.0]);
        assert_eq!(compared.ratios(), [0.5, 0.75, 1.0]);
        let mut sorted = compared.clone();
        sorted.runs.sort_by_key(|run| run.side == Side::B);
        assert_eq!(sorted.ratios(), [0.5, 0.75, 1.0], "whatever their order");
        compared.runs.pop();
        assert_eq!(compared.ratios(), [0.5, 0.75], "interrupted in the third");
        let [a, b] = compared.series();
        assert_eq!((a.seconds.len(), b.seconds), (3, vec![1.0, 3.0]), "without the first pair");
        assert_eq!(a.range(), Some((2.0, 5.0)));
    }

    #[test]
    fn a_sentence_says_no_more_than_was_shown() {
        let mut compared = compared(&[2.0], &[1.0]);
        assert_eq!(
            compared.sentence(),
            "plan.json against default: faster (-20.0 % time, -25.0 % to -15.0 %), 1 pairs"
        );
        compared.verdict = Verdict::NoDifferenceShown;
        compared.interval = Some(Interval { low: 0.975, high: 1.16 });
        let sentence = compared.sentence();
        assert!(
            sentence.contains("no difference shown (could be -2.5 % to +16.0 %)"),
            "{sentence}"
        );
        compared.ratio = None;
        assert!(compared.sentence().contains("too few pairs"));
    }

    #[test]
    fn disturbances_are_said_from_some_size_on() {
        let of = |foreign_cpu| Disturbance { foreign_cpu, ..Disturbance::default() }.is_notable();
        assert!(of(Some(0.2)) && !of(Some(0.1)) && !of(None));
    }
}
