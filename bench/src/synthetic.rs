//! Graphs of builds that need nothing but Nix and a shell.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use profile::simulate::graph::{Derivation, Graph, Phase};
use serde::Deserialize;

use crate::sweep::Took;

const GRAPH: &str = include_str!("synthetic/graph.nix");
const BUILD: &str = include_str!("synthetic/build.sh");

/// A graph's shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Many builds at once
    Wide,
    /// One build after another
    Deep,
    /// A few small builds, and one that is parallel inside
    OneBig,
    /// Some of all
    #[default]
    Mixed,
}

/// How much work it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// Half a CPU second: a comparison takes some 15 s
    #[default]
    Small,
    /// 4 CPU seconds
    Medium,
    /// 30 CPU seconds
    Large,
}

impl Scale {
    /// Seconds after which a comparison begins no more pairs, unless told.
    pub fn time_seconds(self) -> u64 {
        match self {
            Self::Small => 14,
            Self::Medium => 300,
            Self::Large => 1800,
        }
    }
}

/// A value's name on the command line, and in the graph's expression.
pub fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Put the expression into a folder; its path.
pub fn write(folder: &Path) -> Result<String> {
    for (name, text) in [("graph.nix", GRAPH), ("build.sh", BUILD)] {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(folder.join("graph.nix").display().to_string())
}

const KIB_OF_GIB: f64 = 1_048_576.0;

/// A build, as the expression describes it: units of work, and memory of a thread.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    needs: Vec<String>,
    serial: f64,
    parallel: f64,
    link: f64,
    kib: f64,
}

/// The graph that the expression describes in JSON, of units that take so long one by
/// one. `one_by_one` is what all of it takes with one job and one core: what is not the
/// units' is Nix's own, the same for each build, and what is no CPU time is waiting, in
/// which another build may have the CPU.
pub fn graph(described: &str, unit_seconds: f64, one_by_one: Took) -> Result<Graph> {
    let Took { seconds: one_by_one_seconds, cpu_seconds } = one_by_one;
    let mut builds: Vec<Described> = serde_json::from_str(described).context("the graph")?;
    // The order in which Nix takes those that are ready.
    builds.sort_by(|one, other| one.name.cmp(&other.name));
    let units: f64 = builds.iter().map(|build| build.serial + build.parallel + build.link).sum();
    let count = f64::from(u32::try_from(builds.len())?.max(1));
    // Builds that find no compiler, where one is here, have quicker units.
    let unit_seconds = unit_seconds.min(one_by_one_seconds / units.max(1.0));
    let own = ((one_by_one_seconds - units * unit_seconds) / count).max(0.0);
    let waits = (one_by_one_seconds - cpu_seconds.unwrap_or(one_by_one_seconds)) / count;
    let cpu_share = if own > 0.0 { (1.0 - waits / own).clamp(0.01, 1.0) } else { 1.0 };
    let number = |name: &String| builds.binary_search_by(|build| build.name.cmp(name)).ok();
    let derivation = |build: &Described| {
        let needs = build.needs.iter().filter_map(number);
        let needs = needs.filter_map(|number| u32::try_from(number).ok()).collect();
        let phase = |seconds: f64, width: f64, gib: f64| {
            Phase::from([seconds, width, gib, 0.0, unit_seconds.min(seconds), 1.0])
        };
        let phases = vec![
            Phase::from([own, 1.0, 0.0, 0.0, 0.0, cpu_share]),
            phase(build.serial * unit_seconds, 1.0, 0.0),
            phase(build.parallel * unit_seconds, build.parallel.max(1.0), build.kib / KIB_OF_GIB),
            phase(build.link * unit_seconds, 1.0, 0.0),
        ];
        Derivation { name: build.name.clone(), needs, phases }
    };
    Graph::new(builds.iter().map(derivation).collect())
}

/// How long a unit of work takes by itself here: the quickest of three times so many,
/// without what a build takes that has none.
pub fn unit_seconds(folder: &Path) -> Result<f64> {
    const UNITS: u32 = 20;
    let quickest = |units: u32| -> Result<f64> {
        let mut best = f64::INFINITY;
        for _ in 0..3 {
            let began = Instant::now();
            let status = Command::new("/bin/sh")
                .arg(folder.join("build.sh"))
                .current_dir(folder.join("tmp"))
                .envs([("parallel", "0"), ("link", "0"), ("kib", "0"), ("out", "unit")])
                .env("serial", units.to_string())
                .stdin(Stdio::null())
                .status()
                .context("/bin/sh")?;
            ensure!(status.success(), "a unit of work: {status}");
            best = best.min(began.elapsed().as_secs_f64());
        }
        Ok(best)
    };
    Ok(((quickest(UNITS)? - quickest(0)?) / f64::from(UNITS)).max(1e-6))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use profile::simulate::machine::{LOSS, Machine};
    use profile::simulate::{Settings, simulate};

    use super::{BUILD, Scale, Shape, graph, name, unit_seconds, write};
    use crate::sweep::Took;

    #[test]
    fn a_build_needs_a_shell_alone() {
        let folder = tempfile::tempdir().expect("folder");
        fs::write(folder.path().join("build.sh"), BUILD).expect("written");
        for cores in ["0", "1", "3"] {
            let status = Command::new("/bin/sh")
                .arg("build.sh")
                .current_dir(folder.path())
                .envs([("serial", "1"), ("parallel", "2"), ("link", "1"), ("kib", "1")])
                .env("NIX_BUILD_CORES", cores)
                .env("out", "out")
                .env("PATH", "/path-not-set")
                .status()
                .expect("a shell");
            assert!(status.success());
            let how = fs::read_to_string(folder.path().join("out")).expect("an output");
            assert!(["gcc\n", "shell\n"].contains(&how.as_str()), "{how:?}");
        }
    }

    #[test]
    fn a_described_graph_is_simulated() {
        let described = r#"[
            {"name": "top", "needs": ["a"], "serial": 2, "parallel": 0, "link": 0, "kib": 0},
            {"name": "a", "needs": [], "serial": 0, "parallel": 8, "link": 2, "kib": 4}]"#;
        let took = |cpu| Took { seconds: 1.4, cpu_seconds: cpu };
        let graph = graph(described, 0.1, took(None)).expect("a graph");
        let two =
            Machine { fast: 2, slow: 0, siblings: 0, memory_gib: 8.0, swap_gib: 0.0, loss: LOSS };
        let seconds = |jobs, cores| simulate(&graph, &two, Settings::new(jobs, cores)).seconds;
        let near =
            |found: Option<f64>, seconds: f64| (found.expect("built") - seconds).abs() < 1e-9;
        assert!(near(seconds(1, 1), 1.4), "{:?}", seconds(1, 1));
        // Seven units by two threads, and the last by one.
        assert!(near(seconds(1, 2), 1.4 - 0.35), "{:?}", seconds(1, 2));
    }

    #[test]
    fn what_waits_leaves_the_cpu_to_others() {
        let build = |name: &str| {
            format!(
                r#"{{"name": "{name}", "needs": [], "serial": 4, "parallel": 0, "link": 0,
                "kib": 0}}"#
            )
        };
        let described = format!("[{}, {}]", build("a"), build("b"));
        // Each computes for 0.4 s and waits for 0.1 s.
        let took = Took { seconds: 1.0, cpu_seconds: Some(0.8) };
        let graph = graph(&described, 0.1, took).expect("a graph");
        let one =
            Machine { fast: 1, slow: 0, siblings: 0, memory_gib: 8.0, swap_gib: 0.0, loss: LOSS };
        let seconds = |jobs| simulate(&graph, &one, Settings::new(jobs, 1)).seconds;
        let (alone, both) = (seconds(1).expect("built"), seconds(2).expect("built"));
        assert!((alone - 1.0).abs() < 1e-6, "{alone}");
        assert!((0.8..0.99).contains(&both), "{both}");
    }

    #[test]
    fn a_unit_takes_a_while() {
        let folder = tempfile::tempdir().expect("folder");
        fs::create_dir(folder.path().join("tmp")).expect("folder");
        write(folder.path()).expect("written");
        let seconds = unit_seconds(folder.path()).expect("measured");
        assert!(seconds > 0.0 && seconds < 10.0, "{seconds}");
    }

    #[test]
    fn names_are_those_of_the_expression() {
        assert_eq!((name(&Shape::OneBig), name(&Scale::Small)), ("one-big".into(), "small".into()));
    }
}
