//! What was measured of caches, and what follows from it.

use anstyle::{AnsiColor, Style};
use detect::number::Version;
use detect::release::Release;
use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use crate::connect::Steps;
use crate::rank::{Cost, Matrix};

/// A cache that takes longer than this for an answer costs every path that long.
const SLOW_SECONDS: f64 = 0.5;

/// Between two priorities, so that there is room for others.
const PRIORITY_STEP: usize = 10;

/// What was measured of caches, and in which order they are best asked.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Benchmark {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Paths that each cache was asked for.
    pub paths: usize,
    /// The caches, in the order in which they were given.
    pub caches: Vec<Measured>,
    /// What to write into `substituters`: the addresses with a priority each, in
    /// the order that takes least, and then those that could not be measured; dead
    /// caches and those not needed are left out.
    pub substituters: Vec<String>,
    /// What asking for all these paths takes by the caches' own priorities, one
    /// path after another; `null` when no path was found.
    pub now_seconds: Option<f64>,
    /// What it would take in the order above.
    pub best_seconds: Option<f64>,
    /// What a dead cache costs the machine's Nix.
    pub death: Death,
}

/// What was measured of a cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Measured {
    /// Where it is, without credentials.
    pub url: String,
    /// Whether it is worth asking.
    pub state: State,
    /// What is wrong with it.
    pub why: Option<String>,
    /// Its own priority, as Nix takes it.
    pub priority: Option<i32>,
    /// A first question, step by step.
    pub steps: Option<Steps>,
    /// Answers for paths that it has, on a connection that is open.
    pub hit: Option<Latency>,
    /// Answers for paths that it has not.
    pub miss: Option<Latency>,
    /// Narinfos in a second, with as many questions open as it takes.
    pub narinfos_per_second: Option<f64>,
    /// Of an archive, when one of 1 to 20 MB was found.
    pub bytes_per_second: Option<f64>,
    /// Paths that Nix would take from it.
    pub hits: usize,
    /// Paths that only this one of the caches has: if it dies, they are built.
    pub unique: usize,
    /// Paths that it has, but that no trusted key signed.
    pub untrusted: usize,
}

/// Whether a cache is worth asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It answers.
    Alive,
    /// Half of its answers take more than half a second.
    Slow,
    /// It does not answer as a cache does.
    #[default]
    Dead,
    /// Only Nix itself can ask it.
    Unmeasured,
}

/// How long answers take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Latency {
    /// Half of them take at most this.
    pub p50_seconds: f64,
    /// And 95 of 100 this.
    pub p95_seconds: f64,
    /// Answers that were timed.
    pub probes: usize,
}

impl Latency {
    /// Of some answers; `None` without any.
    pub fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.sort_by(f64::total_cmp);
        let last = seconds.len().checked_sub(1)?;
        Some(Self {
            p50_seconds: seconds[last / 2],
            p95_seconds: seconds[(seconds.len() * 95).div_ceil(100) - 1],
            probes: seconds.len(),
        })
    }
}

/// What one path costs when a cache that is asked for it has died, by how it died.
/// Measured with real Nix and its default settings, the good cache second.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Death {
    /// The release it was measured with, the nearest to the machine's.
    pub nix: String,
    /// Its port is closed.
    pub refused_seconds: f64,
    /// Nothing answers; `null` when Nix waits for minutes.
    pub silent_seconds: Option<f64>,
    /// It answers with 500 or 503; `null` when Nix then gives up on all caches.
    pub error_seconds: Option<f64>,
}

impl Death {
    /// By the version of Nix; the newest that was measured when it is unknown.
    pub fn of(version: Option<&str>) -> Self {
        let release = version.and_then(Release::parse);
        let has = |minor| release.is_none_or(|release| release.has_nix(2, minor));
        let (nix, refused_seconds, silent_seconds, error_seconds) = match (has(26), has(34)) {
            (_, true) => ("2.34.8", 4.6, Some(80.0), Some(26.0)),
            (true, _) => ("2.26.3", 4.9, None, None),
            _ => ("2.8.0", 4.5, None, None),
        };
        Self { nix: nix.to_owned(), refused_seconds, silent_seconds, error_seconds }
    }
}

/// As a line says it.
impl std::fmt::Display for Death {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = |seconds: Option<f64>, otherwise: &str| {
            seconds.map_or(otherwise.to_owned(), |seconds| format!("{seconds:.0} s"))
        };
        write!(
            formatter,
            "a path costs {:.1} s when its port is closed, {} when nothing answers, and {} when it \
             answers with errors (Nix {})",
            self.refused_seconds,
            seconds(self.silent_seconds, "minutes"),
            seconds(self.error_seconds, "every substitution"),
            self.nix
        )
    }
}

impl Benchmark {
    /// Rank caches by what they were found to cost, and by who has which path: by
    /// path, whether each cache has it and how much there is to download.
    pub fn new(mut caches: Vec<Measured>, paths: &[(Vec<bool>, u64)], death: Death) -> Self {
        let costs = caches.iter().map(|cache| {
            let seconds = |latency: Option<Latency>| latency.map(|latency| latency.p50_seconds);
            let (hit, miss) = (seconds(cache.hit), seconds(cache.miss));
            Cost {
                hit_seconds: hit.or(miss).unwrap_or(0.0),
                miss_seconds: miss.or(hit).unwrap_or(0.0),
                bytes_per_second: cache.bytes_per_second,
            }
        });
        let mut costs: Vec<Cost> = costs.collect();
        // Where only some were measured, those that were not would look as if
        // downloads from them were free.
        let mut known: Vec<f64> = costs.iter().filter_map(|cost| cost.bytes_per_second).collect();
        known.sort_by(f64::total_cmp);
        if let Some(&median) = known.get(known.len() / 2) {
            for cost in &mut costs {
                cost.bytes_per_second.get_or_insert(median);
            }
        }
        let matrix = Matrix::new(costs, paths.iter().cloned());
        let is_out = |cache: &Measured| matches!(cache.state, State::Dead | State::Unmeasured);
        let mut alive: Vec<usize> =
            (0..caches.len()).filter(|&index| !is_out(&caches[index])).collect();
        // As Nix has them now; the sort keeps equals in their order, as Nix's does.
        alive.sort_by_key(|&index| caches[index].priority.unwrap_or(0));
        for (index, cache) in caches.iter_mut().enumerate() {
            cache.unique = if is_out(cache) { 0 } else { matrix.unique(index, &alive) };
            let answers = cache.miss.or(cache.hit);
            if answers.is_some_and(|latency| latency.p50_seconds > SLOW_SECONDS) {
                cache.state = State::Slow;
            }
        }
        let is_any_found = paths.iter().any(|(hits, _)| hits.contains(&true));
        // Without a path that is anywhere there is nothing to rank by.
        let order = if is_any_found { matrix.best(&matrix.needed(&alive)) } else { alive.clone() };
        // Nobody knows what those would be missed for.
        let unmeasured =
            (0..caches.len()).filter(|&index| caches[index].state == State::Unmeasured);
        let substituters =
            order.iter().copied().chain(unmeasured).enumerate().map(|(place, index)| {
                with_priority(&caches[index].url, (place + 1) * PRIORITY_STEP)
            });
        Self {
            version: Version,
            paths: paths.len(),
            substituters: substituters.collect(),
            now_seconds: is_any_found.then(|| matrix.seconds(&alive)),
            best_seconds: is_any_found.then(|| matrix.seconds(&order)),
            caches,
            death,
        }
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for cache in &self.caches {
            text += &cache.lines(self.paths);
        }
        if let (Some(now), Some(best)) = (self.now_seconds, self.best_seconds) {
            text += &format!(
                "\nasking for {} paths one by one takes {} as they stand, and {} by\n",
                self.paths,
                time(now),
                time(best)
            );
            text += &format!("  substituters = {}\n", self.substituters.join(" "));
            text += "Nix keeps a priority for 7 days, and for the address without it too.\n";
        } else {
            text += "\nnone of them has a path that Nix would take, so there is nothing to rank by: \
                     name some by --path\n";
        }
        for cache in self.caches.iter().filter(|cache| cache.state == State::Unmeasured) {
            text += &format!(
                "not measured, so last: {}: keep what parameters it has besides\n",
                cache.url
            );
        }
        for cache in self.left_out() {
            let why = match cache.state {
                State::Dead => "dead".to_owned(),
                _ if cache.hits == 0 => "it has none of the paths that Nix would take".to_owned(),
                _ => "it has nothing that the others have not, and is no faster".to_owned(),
            };
            text += &format!("left out: {}: {why}\n", cache.url);
        }
        text += &format!("if one of them dies, {}\n", self.death);
        text
    }

    fn left_out(&self) -> impl Iterator<Item = &Measured> {
        let is_named = |cache: &&Measured| {
            let prefix = with_priority(&cache.url, 0);
            let prefix = prefix.trim_end_matches('0');
            !self.substituters.iter().any(|url| url.starts_with(prefix))
        };
        self.caches.iter().filter(is_named)
    }
}

impl Measured {
    fn lines(&self, paths: usize) -> String {
        let (name, color) = match self.state {
            State::Alive => ("alive", AnsiColor::Green),
            State::Slow => ("slow", AnsiColor::Yellow),
            State::Dead => ("dead", AnsiColor::Red),
            State::Unmeasured => ("not measured", AnsiColor::Yellow),
        };
        let style = Style::new().fg_color(Some(color.into()));
        let mut text = format!("{}  {style}{name}{style:#}\n", self.url);
        if let Some(why) = &self.why {
            text += &format!("  {why}\n");
        }
        if let Some(Steps { dns_seconds, connect_seconds, tls_seconds, first_byte_seconds }) =
            self.steps
        {
            let mut parts = Vec::new();
            parts.extend(dns_seconds.map(|seconds| format!("DNS {}", time(seconds))));
            parts.push(format!("connection {}", time(connect_seconds)));
            parts.extend(tls_seconds.map(|seconds| format!("TLS {}", time(seconds))));
            parts.push(format!("first byte {}", time(first_byte_seconds)));
            text += &format!("  {}\n", parts.join(", "));
        }
        let mut parts = Vec::new();
        for (name, latency) in [("hit", self.hit), ("miss", self.miss)] {
            parts.extend(latency.map(|Latency { p50_seconds, p95_seconds, .. }| {
                format!("{name} {} (95 %: {})", time(p50_seconds), time(p95_seconds))
            }));
        }
        parts.extend(self.narinfos_per_second.map(|rate| format!("{rate:.0} narinfos/s")));
        parts.extend(self.bytes_per_second.map(|rate| format!("{:.1} MB/s", rate / 1e6)));
        if !parts.is_empty() {
            text += &format!("  {}\n", parts.join(", "));
        }
        if matches!(self.state, State::Alive | State::Slow) {
            text += &format!("  {} of {paths} paths, {} only here\n", self.hits, self.unique);
            if self.untrusted > 0 {
                text += &format!("  {} more that no trusted key signed\n", self.untrusted);
            }
        }
        text
    }
}

/// An address with this priority instead of its own.
fn with_priority(url: &str, priority: usize) -> String {
    let Ok(mut found) = Url::parse(url) else { return url.to_owned() };
    let others: Vec<(String, String)> = found
        .query_pairs()
        .filter(|(name, _)| name != "priority")
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    found
        .query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("priority", &priority.to_string());
    found.into()
}

fn time(seconds: f64) -> String {
    match seconds {
        ..0.01 => format!("{:.2} ms", seconds * 1e3),
        ..1.0 => format!("{:.0} ms", seconds * 1e3),
        _ => format!("{seconds:.1} s"),
    }
}

#[cfg(test)]
mod tests;
