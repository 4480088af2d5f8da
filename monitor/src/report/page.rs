//! The report as one page of HTML: it asks nobody for anything, and runs nothing.

use super::date::Date;
use super::packages::median;
use super::plot::MARKS;
use super::text::{escape, prose};
use super::unit::{counted, duration, percent, thousands};
use super::{Report, bands, sections};
use crate::recorded::Outcome;
use crate::status::Figure;
use detect::human::size;

/// How it looks.
const STYLE: &str = include_str!("style.css");

/// What a browser may do with it: nothing but show it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// What is on its tab: three bars.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
    %3Cpath fill='%230072b2' d='M1 2h9v3H1zM4 7h11v3H4zM1 12h6v3H1z'/%3E%3C/svg%3E";

/// The page.
pub fn render(report: &Report) -> String {
    let [since, until] = [report.since_unix_seconds, report.until_unix_seconds]
        .map(|moment| Date::of(moment).long());
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Nix builds until {until}</title>\n\
         <link rel=\"icon\" href=\"{ICON}\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n{MARKS}<main>\n\
         <header><h1>What Nix built</h1><p>{since} to {until}. Times are in UTC.</p></header>\n"
    );
    html += &tiles(report);
    html += &sections::builds(report);
    html += "<div class=\"pair\">";
    html += &sections::caches(report);
    html += "</div>";
    html += &sections::store(report);
    html += "<div class=\"pair\">";
    html += &sections::packages(report);
    html += "</div>";
    html += &sections::guard(report);
    html += &sections::last_run(report);
    html + "</main>\n</body>\n</html>\n"
}

/// The figures that are asked for first.
fn tiles(report: &Report) -> String {
    format!(
        "<dl class=\"tiles\">{}{}{}{}</dl>\n",
        tile("Builds", &report.builds, |builds| {
            let count = |outcome| {
                builds.iter().filter(|build| build.outcome == Some(outcome)).count() as u64
            };
            let (failed, cancelled) = (count(Outcome::Failed), count(Outcome::Cancelled));
            let rest = match (failed, cancelled) {
                (0, 0) => "none is known to have failed".to_owned(),
                (failed, 0) => format!("{} failed", thousands(failed)),
                _ => format!("{} failed, {} cancelled", thousands(failed), thousands(cancelled)),
            };
            Some((thousands(builds.len() as u64), rest))
        }),
        tile("Time spent building", &report.builds, |builds| {
            let walls = builds.iter().filter_map(|build| build.wall_seconds);
            let mut walls: Vec<f64> = walls.filter(|wall| wall.is_finite()).collect();
            walls.sort_by(f64::total_cmp);
            let (median, longest) = (median(&walls)?, walls.last().copied()?);
            let rest = format!("median {}, longest {}", duration(median), duration(longest));
            Some((duration(walls.iter().sum()), rest))
        }),
        tile("From caches", &report.arrivals, |arrivals| {
            let hits = bands::hits(arrivals);
            let fetched = hits.fetched();
            let rate = percent(fetched.paths, hits.paths())?;
            let bytes = fetched.nar_bytes.saturating_add(hits.built.nar_bytes);
            let rest = percent(fetched.nar_bytes, bytes);
            let rest = rest.map(|rest| format!(", {rest} of bytes")).unwrap_or_default();
            Some((rate, format!("of {}{rest}", counted(hits.paths(), "path"))))
        }),
        tile("Store", &report.store, |origins| {
            let all = bands::all(origins);
            let dead = report.kept.found.map(|kept| size(kept.dead.nar_bytes));
            let garbage = dead.map(|dead| format!(", {dead} garbage")).unwrap_or_default();
            Some((size(all.nar_bytes), format!("{}{garbage}", counted(all.paths, "path"))))
        }),
    )
}

/// A figure and what it is of.
fn tile<T>(
    name: &str,
    figure: &Figure<T>,
    shown: impl FnOnce(&T) -> Option<(String, String)>,
) -> String {
    let found = match &figure.found {
        Some(found) => shown(found).ok_or("nothing in this time"),
        None => Err("not known, see below"),
    };
    let (figure, rest) = match &found {
        Ok((figure, rest)) => (escape(figure), prose(rest)),
        Err(why) => ("–".to_owned(), (*why).to_owned()),
    };
    format!("<div><dt>{name}</dt><dd><strong>{figure}</strong> <span>{rest}</span></dd></div>\n")
}

#[cfg(test)]
mod tests;
