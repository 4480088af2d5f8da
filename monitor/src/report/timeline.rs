//! The timeline of a run: a lane for each build slot that was used, and lanes of
//! their own for what came from caches.

use super::LastRun;
use super::axis::{Measure, Scale, Tick, amounts};
use super::lanes::lanes;
use super::plot::{Plot, share};
use super::text::{escape, shortened};
use super::unit::{counted, duration, float};
use crate::recorded::{Outcome, Phase};

/// How high a lane is, in pixels.
const LANE: usize = 24;

/// Lanes that fit on a page, of either kind.
const MOST_LANES: usize = 48;

/// Spans of either kind that a browser draws at once.
const MOST_SPANS: usize = 3000;

/// Something that took time.
pub(super) struct Span<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// How it looks.
    pub(super) class: &'static str,
    /// When it began, after the run did.
    pub(super) from: f64,
    /// How long it took.
    pub(super) seconds: f64,
    /// Its parts in order.
    phases: &'a [Phase],
}

/// What a run's time went into.
pub(super) struct Timeline<'a> {
    /// Builds.
    pub(super) builds: Vec<Span<'a>>,
    /// What came from caches.
    pub(super) substitutions: Vec<Span<'a>>,
    /// How long it all took.
    seconds: f64,
}

/// What a run's builds and substitutions were, as far as their times are known.
pub(super) fn timeline(run: &LastRun) -> Timeline<'_> {
    let builds = run.recorded.builds.iter().filter_map(|build| {
        Some(Span {
            name: &build.name,
            class: class(build.outcome),
            from: build.started_seconds?,
            seconds: build.wall_seconds?,
            phases: &build.phases,
        })
    });
    let substitutions = run.recorded.substitutions.iter().filter_map(|found| {
        Some(Span {
            name: name(&found.path),
            class: "substituted",
            from: found.started_seconds?,
            seconds: found.wall_seconds?,
            phases: &[],
        })
    });
    let builds: Vec<_> = builds.take(MOST_SPANS).collect();
    let substitutions: Vec<_> = substitutions.take(MOST_SPANS).collect();
    let ends = builds.iter().chain(&substitutions).map(|span| span.from + span.seconds);
    let seconds = ends.fold(run.wall_seconds, f64::max);
    Timeline { builds, substitutions, seconds }
}

/// How a build looks that ended so.
pub(super) fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Built => "built",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

/// The name in a path of the store: without its hash.
fn name(path: &str) -> &str {
    let base = path.rsplit('/').next().unwrap_or(path);
    base.split_once('-').map_or(base, |(_, name)| name)
}

impl Timeline<'_> {
    /// How many lanes builds had, and substitutions.
    fn heights(&self) -> [usize; 2] {
        [&self.builds, &self.substitutions].map(|spans| {
            let used = lanes(&times(spans)).into_iter().max().map_or(0, |last| last + 1);
            used.min(MOST_LANES)
        })
    }

    /// It in a sentence.
    pub(super) fn sentence(&self) -> String {
        let [slots, streams] = self.heights();
        let count = |spans: &[Span<'_>], noun| counted(spans.len() as u64, noun);
        let mut parts = Vec::new();
        if slots > 0 {
            parts.push(format!("{}, up to {slots} at once", count(&self.builds, "build")));
        }
        if streams > 0 {
            let paths = count(&self.substitutions, "path");
            parts.push(format!("{paths} from caches, up to {streams} at once"));
        }
        parts.push(format!("{} in all", duration(self.seconds)));
        parts.join("; ") + "."
    }

    /// It as SVG.
    pub(super) fn draw(&self) -> String {
        let [slots, streams] = self.heights();
        // To the end and no further: these ticks are of an axis that ends roundly.
        let (axis, steps) = amounts(self.seconds, Measure::Duration);
        let longer = axis.at(self.seconds);
        let ticks = steps.into_iter().map(|tick| Tick { at: tick.at / longer, ..tick });
        let ticks: Vec<Tick> = ticks.filter(|tick| tick.at <= 1.0).collect();

        let gap = usize::from(slots > 0 && streams > 0) * LANE;
        let height = float(((slots + streams) * LANE + gap + LANE) as u64);
        let scale = Scale::between(0.0, self.seconds);
        let mut svg = String::new();
        for Tick { at, .. } in &ticks {
            let x = share(*at);
            svg +=
                &format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{height}\"/>\n");
        }
        if slots > 0 {
            svg += &group("Builds", &self.builds, scale, 0);
        }
        if streams > 0 {
            svg += &group("From caches", &self.substitutions, scale, slots * LANE + gap);
        }
        let description = self.sentence();
        let plot =
            Plot { id: "timeline", title: "The last run", description: &description, height };
        plot.draw(&ticks, &[], &svg)
    }
}

fn times(spans: &[Span<'_>]) -> Vec<(f64, f64)> {
    spans.iter().map(|span| (span.from, span.from + span.seconds)).collect()
}

/// Lanes with a heading.
fn group(heading: &str, spans: &[Span<'_>], scale: Scale, top: usize) -> String {
    let mut svg = format!("<text class=\"lane\" x=\"0\" y=\"{}\">{heading}</text>\n", top + 15);
    let lanes = lanes(&times(spans));
    for (span, lane) in spans.iter().zip(lanes) {
        if lane < MOST_LANES {
            svg += &draw(span, scale, top + LANE + lane * LANE);
        }
    }
    svg
}

fn draw(span: &Span<'_>, scale: Scale, y: usize) -> String {
    let Span { name, class, from, seconds, phases } = span;
    let (x, end) = (scale.at(*from), scale.at(from + seconds));
    let height = LANE - 4;
    let shown = escape(&shortened(name, 80));
    let mut label = format!("{shown}: {}, from {}", duration(*seconds), duration(*from));
    if *class == "failed" || *class == "cancelled" {
        label += &format!(", {class}");
    }
    // The line is what is left of a span that is too short to be seen.
    let mut svg = format!(
        "<g class=\"span {class}\"><title>{label}</title>\
         <rect x=\"{0}\" y=\"{y}\" width=\"2\" height=\"{height}\"/>\
         <svg x=\"{0}\" y=\"{y}\" width=\"{1}\" height=\"{height}\">\
         <rect width=\"100%\" height=\"100%\" rx=\"2\"/>",
        share(x),
        share(end - x),
    );
    // The last ends when the build does; before the first, inputs may be fetched.
    let known = phases.iter().map_while(|phase| phase.wall_seconds).sum::<f64>();
    let mut begins = (seconds - known).max(0.0);
    for (index, phase) in phases.iter().take(32).enumerate() {
        // What follows is nowhere once one is not known.
        let Some(wall) = phase.wall_seconds.filter(|_| *seconds > 0.0) else { break };
        if index % 2 == 1 {
            svg += &format!(
                "<rect class=\"phase\" x=\"{}\" width=\"{}\" height=\"100%\"/>",
                share(begins / seconds),
                share(wall / seconds),
            );
        }
        begins += wall;
    }
    svg + &format!("<text x=\"6\" y=\"14\">{shown}</text></svg></g>\n")
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn paths_are_called_by_their_names() {
        assert_eq!(name("/nix/store/00000000000000000000000000000000-hello-2.12"), "hello-2.12");
        assert_eq!(name("odd"), "odd");
        assert_eq!(name(""), "");
    }
}
