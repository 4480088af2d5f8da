//! `monitor trace`: a stream of events as a timeline.
//!
//! The format is the "JSON Object Format" of Chrome's Trace Event Format, which
//! Perfetto reads too: complete events (`X`) with times in microseconds. Those of
//! one lane must nest; hence a lane holds one build at a time, and in it its phases.

mod lanes;

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use detect::arguments::Common;
use detect::report::Hint;
use detect::stage;
use serde::Serialize;
use serde_json::{Value, json};

use crate::ingest::Timing;
use crate::recorded::{Build, Recorded, Substitution};
use crate::stream::name;
use lanes::{Span, lanes};

/// What to draw.
#[derive(Args, Debug)]
pub struct Command {
    /// The events; stdin when it is -
    #[arg(value_name = "FILE")]
    pub input: PathBuf,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub timing: Timing,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub common: Common,
}

impl Command {
    /// Read, and draw.
    pub fn run(self) -> Result<()> {
        let recorded = self.timing.read(&self.input, None, &self.common)?.recorded;
        let began = recorded.builds.iter().map(|build| build.started_seconds);
        let mut began = began.chain(recorded.substitutions.iter().map(|path| path.started_seconds));
        if began.any(|at| at.is_none()) {
            let hint = Hint::new(
                "events carry no time: pipe them in as they come (nix build --log-format internal-json \
                 2>&1 | monitor trace -), or say by --times FILE when each line came",
            );
            return Err(anyhow!("{}: no times", self.input.display()).context(hint));
        }
        stage::write(&trace(&recorded), &self.common)
    }
}

/// A timeline.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    trace_events: Vec<Event>,
    display_time_unit: &'static str,
}

/// Something on a timeline: `X` has a duration, `M` names a lane or a group of lanes.
#[derive(Debug, Serialize)]
struct Event {
    name: String,
    ph: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u64>,
    pid: usize,
    tid: usize,
    args: Value,
}

impl Event {
    fn names(what: &str, name: &str, pid: usize, tid: usize) -> Self {
        let args = json!({ "name": name });
        Self { name: what.to_owned(), ph: "M", cat: None, ts: None, dur: None, pid, tid, args }
    }

    fn lasting(
        name: &str,
        cat: &'static str,
        span: Span,
        lane: (usize, usize),
        args: Value,
    ) -> Self {
        let (ts, dur) = (Some(span.from), Some(span.to - span.from));
        let (pid, tid) = lane;
        Self { name: name.to_owned(), ph: "X", cat: Some(cat), ts, dur, pid, tid, args }
    }
}

/// The group of lanes of builds, and that of downloads.
const BUILDS: usize = 1;
const DOWNLOADS: usize = 2;

/// The timeline of what happened. What has not ended, lasts until the last thing did.
pub fn trace(recorded: &Recorded) -> Trace {
    let Recorded { builds, substitutions, .. } = recorded;
    let bounds = |build: &Build| (build.started_seconds, build.wall_seconds);
    let hit_bounds = |hit: &Substitution| (hit.started_seconds, hit.wall_seconds);
    let all = builds.iter().map(bounds).chain(substitutions.iter().map(hit_bounds));
    let end = all.filter_map(|(from, wall)| Some(from? + wall.unwrap_or(0.0))).fold(0.0, f64::max);
    let span = |(from, wall): (Option<f64>, Option<f64>)| {
        let from = from.unwrap_or(end);
        Span::new(from, wall.map_or(end, |wall| from + wall))
    };

    let mut events = Vec::new();
    let spans: Vec<Span> = builds.iter().map(|build| span(bounds(build))).collect();
    let placed = lanes(&spans);
    head(&mut events, BUILDS, "builds", "slot", &placed);
    for ((build, span), lane) in builds.iter().zip(spans).zip(placed) {
        draw_build(&mut events, build, span, (BUILDS, lane));
    }
    let spans: Vec<Span> = substitutions.iter().map(|hit| span(hit_bounds(hit))).collect();
    let placed = lanes(&spans);
    head(&mut events, DOWNLOADS, "downloads", "download", &placed);
    for ((hit, span), lane) in substitutions.iter().zip(spans).zip(placed) {
        let Substitution { path, cache, downloaded_bytes, nar_bytes, .. } = hit;
        let args = json!({ "path": path, "cache": cache, "downloaded_bytes": downloaded_bytes,
            "nar_bytes": nar_bytes });
        let lane = (DOWNLOADS, lane);
        events.push(Event::lasting(name(path), "download", span, lane, args));
    }
    Trace { trace_events: events, display_time_unit: "ms" }
}

/// Name a group of lanes, and each of them.
fn head(events: &mut Vec<Event>, pid: usize, group: &str, lane: &str, placed: &[usize]) {
    let Some(last) = placed.iter().max() else { return };
    events.push(Event::names("process_name", group, pid, 0));
    let lanes = 1..=*last;
    events.extend(lanes.map(|tid| Event::names("thread_name", &format!("{lane} {tid}"), pid, tid)));
}

/// A build, and in it its phases, of which the last ends when it does.
fn draw_build(events: &mut Vec<Event>, build: &Build, span: Span, lane: (usize, usize)) {
    let Build { drv, outcome, reason, machine, .. } = build;
    let args = json!({ "drv": drv, "outcome": outcome, "reason": reason, "machine": machine });
    events.push(Event::lasting(&build.name, "build", span, lane, args));
    let mut to = span.to;
    let mut phases = Vec::new();
    for phase in build.phases.iter().rev() {
        // Without its length, nobody knows where those before it were.
        let Some(wall) = phase.wall_seconds else { break };
        let from = to.saturating_sub(Span::new(0.0, wall).to).max(span.from);
        let part = Span { from, to };
        phases.push(Event::lasting(&phase.name, "phase", part, lane, json!({})));
        to = from;
    }
    events.extend(phases.into_iter().rev());
}

#[cfg(test)]
mod tests;
