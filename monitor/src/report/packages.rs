//! What building costs, package by package.

use std::collections::BTreeMap;

use super::Package;
use super::unit::float;
use crate::history::attempt::Attempt;
use crate::recorded::Outcome;

/// How many packages a list has.
const MOST: usize = 15;

/// What each package has cost whenever it was built; what failed says little of
/// that.
pub fn packages(attempts: &[Attempt]) -> Vec<Package> {
    let mut by_name: BTreeMap<&str, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Built)) {
        by_name.entry(&attempt.pname).or_default().push(attempt);
    }
    by_name.into_iter().map(|(name, attempts)| package(name, &attempts)).collect()
}

/// Those that take longest, by their median.
pub fn slowest(packages: &[Package]) -> Vec<Package> {
    first(packages, |package| package.median_wall_seconds)
}

/// Those that take most memory.
pub fn hungriest(packages: &[Package]) -> Vec<Package> {
    first(packages, |package| package.peak_memory_bytes.map(float))
}

fn first(packages: &[Package], rank: impl Fn(&Package) -> Option<f64>) -> Vec<Package> {
    let mut ranked: Vec<_> =
        packages.iter().filter_map(|package| Some((rank(package)?, package))).collect();
    // Stable: those alike stay in the order of their names.
    ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    ranked.into_iter().take(MOST).map(|(_, package)| package.clone()).collect()
}

fn package(name: &str, attempts: &[&Attempt]) -> Package {
    let walls = attempts.iter().filter_map(|attempt| attempt.wall_seconds);
    let mut walls: Vec<f64> = walls.filter(|wall| wall.is_finite()).collect();
    walls.sort_by(f64::total_cmp);
    let both = attempts.iter().filter_map(|attempt| attempt.cpu_seconds.zip(attempt.wall_seconds));
    let (cpu, wall) = both.fold((0.0, 0.0), |sum, both| (sum.0 + both.0, sum.1 + both.1));
    Package {
        pname: name.to_owned(),
        builds: attempts.len() as u64,
        median_wall_seconds: median(&walls),
        total_wall_seconds: walls.iter().sum(),
        parallelism: (wall > 0.0).then_some(cpu / wall),
        peak_memory_bytes: attempts.iter().filter_map(|attempt| attempt.peak_memory_bytes).max(),
    }
}

/// The middle of sorted values.
pub fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    match sorted.len() % 2 {
        1 => Some(upper),
        _ => Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper)),
    }
}

#[cfg(test)]
mod tests {
    use super::{hungriest, median, packages, slowest};
    use crate::history::attempt::{Attempt, Witness};
    use crate::recorded::Outcome;

    fn attempt(pname: &str, outcome: Outcome, wall: Option<f64>) -> Attempt {
        Attempt {
            drv: format!("/nix/store/{}-{pname}-1.drv", "0".repeat(32)),
            name: format!("{pname}-1"),
            pname: pname.to_owned(),
            outcome: Some(outcome),
            reason: None,
            machine: None,
            started_unix_seconds: None,
            ended_unix_seconds: 1.0,
            wall_seconds: wall,
            cpu_seconds: wall.map(|wall| wall * 2.0),
            peak_memory_bytes: (pname == "b").then_some(1 << 30),
            usage_source: None,
            cores: None,
            source: Witness::Events,
        }
    }

    #[test]
    fn only_what_was_built_counts() {
        let found = packages(&[
            attempt("a", Outcome::Built, Some(3.0)),
            attempt("a", Outcome::Built, Some(1.0)),
            attempt("a", Outcome::Built, None),
            attempt("a", Outcome::Failed, Some(90.0)),
            attempt("b", Outcome::Built, Some(1.5)),
            attempt("c", Outcome::Cancelled, Some(9.0)),
        ]);
        let names = |list: Vec<super::Package>| {
            list.into_iter().map(|package| package.pname).collect::<Vec<_>>()
        };
        assert_eq!(found[0].builds, 3);
        assert_eq!(found[0].median_wall_seconds, Some(2.0));
        assert_eq!(found[0].parallelism, Some(2.0));
        assert_eq!(names(slowest(&found)), ["a", "b"]);
        assert_eq!(names(hungriest(&found)), ["b"]);
    }

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0]), Some(1.0));
        assert_eq!(median(&[1.0, 2.0, 9.0, 10.0]), Some(5.5));
    }
}
