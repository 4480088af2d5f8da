//! A page with the figures and a plot, in one file that asks nobody for anything.

use crate::compared::{Compared, Series};
use crate::export::Document;

/// The plot's size, in its own units.
const WIDTH: f64 = 720.0;
const ROW: f64 = 90.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 30.0;
const AXIS: f64 = 40.0;

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --a: #0969da; --b: #bc4c00; \
--line: #d0d7de }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0d1117; --a: #58a6ff; \
--b: #f0883e; --line: #30363d } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); \
max-width: 48rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse } td, th { padding: .2rem .8rem; text-align: right; \
border-bottom: 1px solid var(--line) } td:first-child, th:first-child { text-align: left }
svg { width: 100%; height: auto } text { fill: var(--ink); font-size: 13px } \
.axis { stroke: var(--line) } .a { fill: var(--a); stroke: var(--a) } \
.b { fill: var(--b); stroke: var(--b) } circle { fill-opacity: .55; stroke: none }";

/// The page of a comparison or of a measurement.
pub fn page(document: &Document) -> String {
    let (title, sentence) = match document {
        Document::Compared(compared) => (compared.name(), compared.sentence()),
        Document::Measured(measured) => (measured.subject.name.clone(), String::new()),
    };
    let all = document.series();
    let rows: Vec<String> = all.iter().map(row).collect();
    let about = match document {
        Document::Compared(compared) => about(compared),
        Document::Measured(_) => String::new(),
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>\n{STYLE}\n</style>\n</head>\n<body>\n<h1>{title}</h1>\n\
         <p><strong>{sentence}</strong></p>\n{plot}\n<table>\n\
         <tr><th>Configuration</th><th>Runs</th><th>Median</th><th>Mean</th></tr>\n{rows}</table>\n\
         {about}</body>\n</html>\n",
        title = escaped(&title),
        sentence = escaped(&sentence),
        plot = plot(&all),
        rows = rows.concat(),
    )
}

fn about(compared: &Compared) -> String {
    let nix = compared.subject.nix.as_deref().unwrap_or("Nix of unknown version");
    format!(
        "<p>{}. Each dot is a run, the line the median. The order of runs is from seed {}; \
         the first pair, which warms up, is left out.</p>\n",
        escaped(nix),
        compared.seed
    )
}

fn row(series: &Series) -> String {
    let number = |number: Option<f64>| number.map_or("?".to_owned(), |s| format!("{s:.3} s"));
    format!(
        "<tr><td title=\"{}\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
        escaped(&series.settings),
        escaped(&series.name),
        series.seconds.len(),
        number(series.median()),
        number(series.mean().map(|(mean, _)| mean)),
    )
}

/// A row of dots for each series, on one axis that begins at 0, so that nothing
/// looks larger than it is.
fn plot(all: &[Series]) -> String {
    let most = all.iter().filter_map(Series::range).map(|(_, most)| most);
    let Some(most) = most.reduce(f64::max).filter(|most| *most > 0.0) else {
        return String::new();
    };
    let step = step(most);
    let end = (most / step).ceil() * step;
    let x = |seconds: f64| LEFT + seconds / end * (WIDTH - LEFT - RIGHT);
    let rows: f64 = all.iter().map(|_| ROW).sum();
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Times of every run\">\n",
        rows + AXIS
    );
    let mut tick = 0.0;
    while tick <= end + step / 2.0 {
        svg += &format!(
            "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{rows}\"/>\
             <text x=\"{0:.1}\" y=\"{1}\" text-anchor=\"middle\">{tick:.3$}{2}</text>\n",
            x(tick),
            rows + 24.0,
            if tick > 0.0 { " s" } else { "" },
            if step < 1.0 { 2 } else { 0 },
        );
        tick += step;
    }
    let mut top = 0.0;
    for (series, class) in all.iter().zip(["a", "b"].into_iter().cycle()) {
        let middle = top + ROW / 2.0;
        let name: String = series.name.chars().take(20).collect();
        svg += &format!("<text x=\"0\" y=\"{}\">{}</text>\n", middle + 4.0, escaped(&name));
        for (seconds, place) in
            series.seconds.iter().zip([-18.0, 6.0, -6.0, 18.0, 0.0].iter().cycle())
        {
            let (x, y) = (x(*seconds), middle + place);
            svg += &format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"4\">\
                 <title>{seconds:.3} s</title></circle>\n"
            );
        }
        if let Some(median) = series.median() {
            svg += &format!(
                "<line class=\"{class}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1}\" y2=\"{2}\" \
                 stroke-width=\"2\"/>\n",
                x(median),
                middle - 30.0,
                middle + 30.0
            );
        }
        top += ROW;
    }
    svg + "</svg>"
}

/// 1, 2 or 5 times a power of ten, such that a plot has some five of them.
fn step(most: f64) -> f64 {
    let power = 10f64.powf((most / 5.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| most / step <= 6.0)
        .unwrap_or(most)
}

/// Text that is only text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{page, step};
    use crate::compared::tests::compared;
    use crate::export::Document;

    #[test]
    fn a_page_holds_every_run_and_no_script() {
        let mut compared = compared(&[2.0, 2.2, 2.1], &[1.0, 1.2, 1.1]);
        compared.b.name = "<script>alert(1)</script>".to_owned();
        let page = page(&Document::Compared(&compared));
        assert_eq!(page.matches("<circle").count(), 6);
        assert!(page.contains("prefers-color-scheme: dark"));
        for no in ["<script", "http:", "https:", "url(", "<link", "<img"] {
            assert!(!page.contains(no), "{no}");
        }
        assert!(
            !super::page(&Document::Compared(&super::super::compared::tests::compared(&[], &[])))
                .contains("<svg")
        );
    }

    #[test]
    fn steps_are_round() {
        for (most, expected) in [(5.0, 1.0), (11.0, 2.0), (0.7, 0.2), (1.3, 0.5), (100.0, 20.0)] {
            assert!((step(most) - expected).abs() < 1e-9, "{most}: {}", step(most));
        }
    }
}
