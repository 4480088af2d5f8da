//! The status for people: 80 columns, and about a screen.

use detect::human::size;

use super::{Figure, Settings, Status, drift};
use crate::active::Build;
use crate::active::table::expected;
use crate::builds;
use crate::history::attempt::Attempt;
use crate::human::{WIDTH, percent, short, table, time};
use crate::store::{Amount, Kept, Origin, Store, Window};

/// Where the facts begin, after their names.
const INDENT: usize = 10;

/// Settings that people ask for first.
const SHOWN: [&str; 6] =
    ["max-jobs", "cores", "sandbox", "build-dir", "auto-optimise-store", "substituters"];

/// Running builds that are shown, at most.
const MOST_ACTIVE: usize = 8;

/// Signers and caches that are shown, at most.
const MOST_CACHES: usize = 5;

/// All of it.
pub(super) fn screen(status: &Status, now: f64) -> String {
    let mut lines = Lines::default();
    nix(&mut lines, &status.nix);
    match &status.store.found {
        Some(found) => {
            store(&mut lines, found);
            kept(&mut lines, &status.kept);
            hits(&mut lines, found);
        }
        None => lines.missing("Store", &status.store),
    }
    caches(&mut lines, status);
    active(&mut lines, &status.active);
    recent(&mut lines, &status.recent, now);
    // Who has no guard need not be told.
    if let Some(found) = &status.guard.found {
        lines.wrapped("Guard", &found.line());
    }
    lines.0
}

/// Lines with a name before the first of each part.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, what: &str) {
        let line = format!("{name:INDENT$} {what}");
        // What is known of others' names may be as long as they like.
        self.0.push_str(short(&line, WIDTH).trim_end());
        self.0.push('\n');
    }

    fn missing<T>(&mut self, name: &str, figure: &Figure<T>) {
        let why = figure.why.as_deref().unwrap_or("unknown");
        // The reason of an error mostly names the file already.
        let is_named = why.contains(&figure.source);
        let text = if is_named { why.to_owned() } else { format!("{}: {why}", figure.source) };
        self.wrapped(name, &text);
    }

    /// Words on as many lines as they take.
    fn wrapped(&mut self, name: &str, text: &str) {
        let mut line = String::new();
        let mut name = name;
        for word in text.split_whitespace() {
            let length = line.chars().count() + word.chars().count();
            if !line.is_empty() && INDENT + length + 2 > WIDTH {
                self.add(name, &line);
                (line, name) = (String::new(), "");
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            self.add(name, &line);
        }
    }
}

fn nix(lines: &mut Lines, figure: &Figure<Settings>) {
    let Some(found) = &figure.found else { return lines.missing("Nix", figure) };
    let shown = SHOWN.iter().filter_map(|name| {
        let value = drift::text(found.settings.get(*name)?);
        (!value.is_empty()).then(|| format!("{name} = {value}"))
    });
    let version = found.version.as_deref().unwrap_or("unknown version").to_owned();
    let facts: Vec<String> = std::iter::once(version).chain(shown).collect();
    lines.wrapped("Nix", &facts.join(", "));
    match found.drift.as_deref() {
        None => {}
        Some([]) => lines.add("", "as planned"),
        Some(drift) => {
            for drift in drift {
                let actual = drift.actual.as_deref().unwrap_or("not known");
                let text = format!("! {} is {actual}, planned {}", drift.setting, drift.planned);
                lines.wrapped("", &text);
            }
        }
    }
    if let Some(why) = &figure.why {
        lines.wrapped("", why);
    }
}

fn store(lines: &mut Lines, store: &Store) {
    let Store { registered_paths, total, origins, .. } = store;
    let Amount { paths, nar_bytes } = total;
    let text =
        format!("{paths} paths, {} unpacked; {registered_paths} ever registered", size(*nar_bytes));
    lines.add("Store", &text);
    let of = |origin: &Origin| Some((*origin, *origins.get(origin)?));
    let origins = Origin::ALL.iter().filter_map(of).map(|(origin, amount)| {
        format!("{} {} ({})", amount.paths, name(origin), size(amount.nar_bytes))
    });
    lines.wrapped("", &origins.collect::<Vec<_>>().join(", "));
}

fn kept(lines: &mut Lines, figure: &Figure<Kept>) {
    let Some(Kept { live, dead }) = &figure.found else { return lines.missing("", figure) };
    let part =
        |what: &str, part: &Amount| format!("{} {what} ({})", part.paths, size(part.nar_bytes));
    lines.wrapped("", &[part("in use", live), part("garbage", dead)].join(", "));
}

fn hits(lines: &mut Lines, store: &Store) {
    let Store { signed_by, rates, .. } = store;
    let rates = rates.iter().filter_map(|rate| {
        let (share, bytes) = (percent(rate.hit_rate?), percent(rate.hit_rate_by_bytes?));
        let window = window(rate.window);
        Some(format!("{window:10} {share:>7} of paths and {bytes:>7} of bytes from caches"))
    });
    let rates: Vec<String> = rates.collect();
    if rates.is_empty() {
        lines.add("Hits", "nothing was built, nor came from a cache");
    }
    let mut name = "Hits";
    for rate in rates {
        lines.add(name, &rate);
        name = "";
    }
    let mut signers: Vec<_> = signed_by.iter().collect();
    signers.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.paths));
    for (signer, amount) in signers.into_iter().take(MOST_CACHES) {
        let Amount { paths, nar_bytes } = amount;
        lines.add("", &format!("{paths} paths ({}) signed by {signer}", size(*nar_bytes)));
    }
}

fn name(origin: Origin) -> &'static str {
    match origin {
        Origin::Source => "added",
        Origin::Drv => "derivations",
        other => other.name(),
    }
}

fn window(window: Window) -> &'static str {
    match window {
        Window::Day => "in 24 h",
        Window::Week => "in 7 days",
        Window::Month => "in 30 days",
        Window::All => "in all",
    }
}

fn caches(lines: &mut Lines, status: &Status) {
    let mut name = "Caches";
    for figure in &status.caches {
        let Some(found) = &figure.found else { continue };
        for (url, cache) in found.iter().take(MOST_CACHES) {
            let rate = cache.hit_rate.map_or_else(String::new, |rate| {
                format!(" ({}; misses are kept for an hour)", percent(rate))
            });
            let text =
                format!("{url}: {} of {} asked{rate}", cache.hits, cache.hits + cache.misses);
            lines.wrapped(name, &text);
            name = "";
        }
    }
    // Not a single one.
    if name == "Caches" {
        for figure in &status.caches {
            lines.missing(name, figure);
            name = "";
        }
    }
}

fn active(lines: &mut Lines, figure: &Figure<Vec<Build>>) {
    let Some(builds) = &figure.found else { return lines.missing("Active", figure) };
    if builds.is_empty() {
        lines.add("Active", "nothing is being built");
    }
    let row = |build: &Build| {
        let unknown = || "?".to_owned();
        let client = build.client.as_ref().and_then(|client| client.user.clone());
        [
            short(&build.name, 22),
            build.running_seconds.map_or_else(unknown, time),
            expected(build).unwrap_or_default(),
            build.cpu_seconds.map_or_else(unknown, |cpu| format!("{} CPU", time(cpu))),
            build.memory_bytes.map_or_else(unknown, size),
            client.unwrap_or_else(unknown),
        ]
    };
    let rows: Vec<[String; 6]> = builds.iter().take(MOST_ACTIVE).map(row).collect();
    let mut name = "Active";
    for line in table(&rows, [false, true, true, true, true, false]).lines() {
        lines.add(name, line);
        name = "";
    }
    if builds.len() > MOST_ACTIVE {
        lines.add("", &format!("and {} more: monitor active", builds.len() - MOST_ACTIVE));
    }
    if let Some(why) = &figure.why {
        lines.wrapped("", why);
    }
}

fn recent(lines: &mut Lines, figure: &Figure<Vec<Attempt>>, now: f64) {
    let Some(found) = &figure.found else { return lines.missing("Builds", figure) };
    if found.is_empty() {
        return lines.add("Builds", &format!("none in {}", figure.source));
    }
    let row = |build: &Attempt| {
        let [ended, name, outcome, wall, cpu, _] = builds::row(build, now);
        [ended, name, outcome, wall, cpu]
    };
    let rows: Vec<[String; 5]> = found.iter().map(row).collect();
    let mut name = "Builds";
    for line in table(&rows, [false, false, false, true, true]).lines() {
        lines.add(name, line);
        name = "";
    }
}
