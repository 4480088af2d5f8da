//! The parts of the page, each for one figure of the report.

use detect::human::size;

use super::plot::{Plot, columns, legend, mark};
use super::table::{BAR, bar, extra, folded, number, table, words};
use super::text::{escape, prose, shortened, whole};
use super::unit::{counted, duration, float, percent, share, thousands};
use super::{LastRun, Package, Report, axis, bands, date, timeline};
use crate::guard::told::Guarded;
use crate::history::attempt::Attempt;
use crate::recorded::Outcome;
use crate::status::Figure;
use crate::store::{Amount, Origin};

/// How high plots are, in pixels.
const HEIGHT: f64 = 200.0;

/// Marks that a browser draws at once.
const MOST_MARKS: usize = 2000;

/// Rows that somebody reads.
const MOST_ROWS: usize = 100;

/// A section: what is known in it, or why nothing is.
fn section<T>(
    id: &str,
    heading: &str,
    figure: &Figure<T>,
    content: impl FnOnce(&T) -> String,
) -> String {
    let mut inside = figure.found.as_ref().map(content).unwrap_or_default();
    if let Some(why) = &figure.why {
        inside += &format!("<p class=\"missing\">Not known: {}.</p>", prose(why));
    }
    inside += &format!("<p class=\"source\">Source: {}</p>", escape(&figure.source));
    format!(
        "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">{heading}</h2>\n{inside}\n</section>\n"
    )
}

/// Build times over time: how much each day, and each build.
pub(super) fn builds(report: &Report) -> String {
    section("builds", "Build times", &report.builds, |builds| {
        if builds.is_empty() {
            return "<p class=\"missing\">Nothing was built in this time.</p>".to_owned();
        }
        each_day(report, builds) + &each_build(report, builds)
    })
}

fn each_day(report: &Report, builds: &[Attempt]) -> String {
    let bands = bands::bands(report);
    let mut sums = vec![[0.0; 2]; bands.len()];
    let mut counts = vec![0_u64; bands.len()];
    for attempt in builds {
        let Some(index) = bands.index(whole(attempt.ended_unix_seconds)) else { continue };
        let failed = usize::from(!is_built(attempt));
        sums[index][failed] += attempt.wall_seconds.unwrap_or(0.0);
        counts[index] += 1;
    }
    let most = sums.iter().map(|[built, failed]| built + failed).fold(0.0, f64::max);
    let (scale, up) = axis::amounts(most, axis::Measure::Duration);
    let mut rows = Vec::new();
    let drawn = bands.columns(|index| {
        let [built, failed] = sums[index];
        let name = bands.name(index);
        let count = counted(counts[index], "build");
        if counts[index] > 0 {
            rows.push(vec![
                escape(&name),
                thousands(counts[index]),
                duration(built + failed),
                duration(failed),
            ]);
        }
        let label = format!("{name}: {}, {count}", duration(built + failed));
        (label, vec![("built", built), ("failed", failed)])
    });
    let description = format!("Time spent building, {}.", bands.each());
    let plot = Plot {
        id: "days",
        title: "Time spent building",
        description: &description,
        height: HEIGHT,
    };
    let heads = [words("When"), number("Builds"), number("Time"), number("of it in vain")];
    rows.reverse();
    rows.truncate(MOST_ROWS);
    format!(
        "<figure><figcaption>Time spent building, {}; of builds at the same time the sum</figcaption>\
         {}{}{}</figure>\n",
        bands.each(),
        legend(&[("built", "built"), ("failed", "failed or ended early")], false),
        plot.draw(&bands.ticks(), &up, &columns(&drawn, scale, HEIGHT)),
        folded(&table("Time spent building", &heads, &rows)),
    )
}

fn each_build(report: &Report, builds: &[Attempt]) -> String {
    let known: Vec<(&Attempt, f64)> = builds
        .iter()
        .filter_map(|attempt| Some((attempt, attempt.wall_seconds?)))
        .take(MOST_MARKS)
        .collect();
    let (scale, up) = axis::decades(known.iter().map(|(_, wall)| *wall));
    let bands = bands::bands(report);
    let mut marks = String::new();
    // The last is on top, and what failed is on top of what did not.
    let (failed, built): (Vec<_>, Vec<_>) =
        known.iter().rev().partition(|(attempt, _)| attempt.outcome == Some(Outcome::Failed));
    for (attempt, wall) in built.into_iter().chain(failed) {
        let kind = attempt.outcome.map_or("unknown", timeline::class);
        let moment = whole(attempt.ended_unix_seconds);
        let name = shortened(&attempt.name, 80);
        let when = format!("{}, {}", date::Date::of(moment).short(), date::time(moment));
        let label = format!("{name}: {}, {kind}, {when}", duration(wall));
        marks += &mark(kind, bands.at(moment), scale.at(wall), HEIGHT, &label);
    }
    let unknown = builds.iter().filter(|attempt| attempt.wall_seconds.is_none()).count();
    let timed = builds.len() - unknown;
    let mut caption = "Each build: when it ended, and how long it took".to_owned();
    if timed > known.len() {
        caption += &format!("; the last {} of {}", thousands_of(known.len()), thousands_of(timed));
    }
    if unknown > 0 {
        caption += &format!("; how long {} took is not known", counted(unknown as u64, "build"));
    }
    let height = HEIGHT;
    let description = "Builds by when they ended, and how long they took, logarithmically.";
    let plot = Plot { id: "each", title: "Each build", description, height };
    let kinds = [("built", "built"), ("failed", "failed"), ("cancelled", "cancelled")];
    let mut kinds = kinds.to_vec();
    if builds.iter().any(|attempt| attempt.outcome.is_none()) {
        kinds.push(("unknown", "outcome not known"));
    }
    let heads = [words("Build"), number("Took"), extra("Ended"), words("Outcome")];
    let rows = known.iter().take(MOST_ROWS).map(|(attempt, wall)| {
        vec![
            escape(&shortened(&attempt.name, 80)),
            duration(*wall),
            date::stamp(whole(attempt.ended_unix_seconds)).replace('T', " "),
            attempt.outcome.map_or("not known", timeline::class).to_owned(),
        ]
    });
    format!(
        "<figure><figcaption>{caption}</figcaption>{}{}{}</figure>\n",
        legend(&kinds, true),
        plot.draw(&bands.ticks(), &up, &marks),
        folded(&table("The last builds", &heads, &rows.collect::<Vec<_>>())),
    )
}

fn is_built(attempt: &Attempt) -> bool {
    !matches!(attempt.outcome, Some(Outcome::Failed | Outcome::Cancelled))
}

fn thousands_of(count: usize) -> String {
    thousands(count as u64)
}

/// What came from which cache, and what they answered.
pub(super) fn caches(report: &Report) -> String {
    let came = section("arrivals", "Built or fetched", &report.arrivals, |arrivals| {
        let hits = bands::hits(arrivals);
        if hits.paths() == 0 {
            return "<p class=\"missing\">Nothing came to the store in this time.</p>".to_owned();
        }
        let row = |class: &str, name: &str, amount: Amount| {
            vec![
                escape(&shortened(name, 120)),
                escape(&percent(amount.paths, hits.paths()).unwrap_or_default()),
                bar(class, share(amount.paths, hits.paths()).unwrap_or(0.0)),
                thousands(amount.paths),
                size(amount.nar_bytes),
            ]
        };
        let mut rows = vec![row("built", "built here", hits.built)];
        for (cache, amount) in hits.caches.iter().take(MOST_ROWS) {
            rows.push(row("substituted", cache, *amount));
        }
        let heads = [words("From"), number("Share"), BAR, number("Paths"), extra("Unpacked")];
        each_day_came(report, arrivals)
            + &table("What came to the store, by where from", &heads, &rows)
    });
    let answers = section("caches", "Hit rate of each cache", &report.caches, |caches| {
        if caches.is_empty() {
            return "<p class=\"missing\">No cache was asked lately.</p>".to_owned();
        }
        let rows = caches.iter().take(MOST_ROWS).map(|(url, cache)| {
            let asked = cache.hits.saturating_add(cache.misses);
            vec![
                escape(&shortened(url, 120)),
                escape(percent(cache.hits, asked).as_deref().unwrap_or("–")),
                bar("substituted", share(cache.hits, asked).unwrap_or(0.0)),
                thousands(asked),
                thousands(cache.misses),
            ]
        });
        let heads = [words("Cache"), number("Had"), BAR, extra("Asked for"), number("Lacked")];
        let rows: Vec<_> = rows.collect();
        "<p>Nix remembers what a cache had for 30 days, and what it lacked for an hour: rates are \
         at most these.</p>"
            .to_owned()
            + &table("What caches had of what they were asked for", &heads, &rows)
    });
    format!("{came}{answers}")
}

fn each_day_came(report: &Report, arrivals: &[super::Arrival]) -> String {
    let bands = bands::bands(report);
    let mut sums = vec![[0_u64; 2]; bands.len()];
    for arrival in arrivals {
        let kind = match arrival.origin {
            Origin::Substituted => 0,
            Origin::Built => 1,
            _ => continue,
        };
        if let Some(index) = bands.index(arrival.day_unix_seconds) {
            sums[index][kind] = sums[index][kind].saturating_add(arrival.paths);
        }
    }
    let most = sums.iter().map(|[fetched, built]| fetched.saturating_add(*built)).max();
    let (scale, up) = axis::amounts(float(most.unwrap_or(0)), axis::Measure::Count);
    let drawn = bands.columns(|index| {
        let [fetched, built] = sums[index];
        let label = format!(
            "{}: {} from caches, {} built",
            bands.name(index),
            thousands(fetched),
            thousands(built)
        );
        (label, vec![("substituted", float(fetched)), ("built", float(built))])
    });
    let description = format!("Paths from caches and paths built, {}.", bands.each());
    let plot = Plot { id: "came", title: "Paths", description: &description, height: HEIGHT };
    format!(
        "<figure><figcaption>Paths that came to the store, {}</figcaption>{}{}</figure>\n",
        bands.each(),
        legend(&[("substituted", "from caches"), ("built", "built here")], false),
        plot.draw(&bands.ticks(), &up, &columns(&drawn, scale, HEIGHT)),
    )
}

/// What the store holds, by where it is from.
pub(super) fn store(report: &Report) -> String {
    section("store", "The store by origin", &report.store, |origins| {
        let all = bands::all(origins);
        let most = origins.values().map(|amount| amount.nar_bytes).max().unwrap_or(0);
        let rows = origins.iter().map(|(origin, amount)| {
            vec![
                bands::name(*origin).to_owned(),
                size(amount.nar_bytes),
                bar(bands::look(*origin), share(amount.nar_bytes, most).unwrap_or(0.0)),
                escape(&percent(amount.nar_bytes, all.nar_bytes).unwrap_or_default()),
                thousands(amount.paths),
            ]
        });
        let heads = [words("Origin"), number("Size"), BAR, extra("Share"), number("Paths")];
        let garbage = match &report.kept {
            Figure { found: Some(kept), .. } => format!(
                "Nothing keeps {} of it, in {}: nix-store --gc would free that.",
                size(kept.dead.nar_bytes),
                counted(kept.dead.paths, "path"),
            ),
            Figure { why, .. } => {
                let why = why.as_deref().unwrap_or("unknown");
                format!("How much of it is garbage is not known: {}.", prose(why))
            }
        };
        format!(
            "<p>{} in {}, before identical files are linked. {garbage}</p>{}",
            size(all.nar_bytes),
            counted(all.paths, "path"),
            table("What the store holds", &heads, &rows.collect::<Vec<_>>())
        )
    })
}

/// The packages that take longest, and those that take most memory.
pub(super) fn packages(report: &Report) -> String {
    let rows =
        |packages: &[Package], rank: fn(&Package) -> Option<f64>, shown: fn(&Package) -> String| {
            let most = packages.iter().filter_map(rank).fold(0.0, f64::max);
            let row = |package: &Package| {
                let busy = package
                    .parallelism
                    .filter(|cpus| cpus.is_finite())
                    .map(|cpus| format!("{cpus:.1}"));
                vec![
                    escape(&shortened(&package.pname, 60)),
                    shown(package),
                    bar("built", rank(package).unwrap_or(0.0) / most),
                    busy.unwrap_or_else(|| "–".to_owned()),
                    thousands(package.builds),
                ]
            };
            packages.iter().map(row).collect::<Vec<_>>()
        };
    let heads = |what| [words("Package"), number(what), BAR, extra("CPUs busy"), number("Builds")];
    let slowest = section("slowest", "Slowest", &report.slowest, |packages| {
        let time =
            |package: &Package| package.median_wall_seconds.map_or_else(String::new, duration);
        let rows = rows(packages, |package| package.median_wall_seconds, time);
        table("Packages that take longest to build", &heads("Median"), &rows)
    });
    let hungriest = section("hungriest", "Most memory", &report.hungriest, |packages| {
        let memory = |package: &Package| package.peak_memory_bytes.map_or_else(String::new, size);
        let rows = rows(packages, |package| package.peak_memory_bytes.map(float), memory);
        table("Packages that take most memory to build", &heads("Peak"), &rows)
    });
    slowest + &hungriest
}

/// What the guard has done, where there was one.
pub(super) fn guard(report: &Report) -> String {
    if report.guard.found.is_none() {
        return String::new();
    }
    section("guard", "Memory guard", &report.guard, |guarded: &Guarded| {
        format!("<p>Since the machine started: {}.</p>", escape(&guarded.line()))
    })
}

/// What happened when in the last run.
pub(super) fn last_run(report: &Report) -> String {
    section("last-run", "The last run", &report.last_run, |run: &LastRun| {
        let timeline = timeline::timeline(run);
        let began = whole(run.started_unix_seconds);
        let command = shortened(&run.command.join(" "), 300);
        let ended = match run.exit_code {
            Some(0) => ", and succeeded".to_owned(),
            Some(code) => format!(", and exited with {code}"),
            None => String::new(),
        };
        let head = format!(
            "<p><code class=\"command\">{}</code> began {}, {} UTC{ended}.</p>",
            escape(&command),
            date::Date::of(began).long(),
            date::time(began)
        );
        let mut spans: Vec<_> = timeline.builds.iter().chain(&timeline.substitutions).collect();
        if spans.is_empty() {
            return head
                + "<p class=\"missing\">Nothing was built or fetched in it whose times are known.</p>";
        }
        spans.sort_by(|one, other| one.from.total_cmp(&other.from));
        let rows = spans.iter().take(MOST_ROWS).map(|span| {
            vec![
                escape(&shortened(span.name, 80)),
                duration(span.from),
                duration(span.seconds),
                if span.class == "substituted" { "from a cache" } else { span.class }.to_owned(),
            ]
        });
        let heads = [words("What"), number("Began after"), number("Took"), words("How")];
        let looks = [
            ("built", "built"),
            ("failed", "failed"),
            ("cancelled", "cancelled"),
            ("substituted", "from a cache"),
        ];
        let used = looks.iter().filter(|(class, _)| spans.iter().any(|span| span.class == *class));
        format!(
            "{head}<figure><figcaption>{}</figcaption>{}{}{}</figure>",
            escape(&timeline.sentence()),
            legend(&used.copied().collect::<Vec<_>>(), false),
            timeline.draw(),
            folded(&table("What happened when", &heads, &rows.collect::<Vec<_>>())),
        )
    })
}
