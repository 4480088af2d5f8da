//! What is shown of a build while it runs: a line that changes on a terminal, and a
//! line for each thing that happens.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::time::Duration;

use detect::human::size;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::estimate::{Estimates, left};
use crate::human::time;
use crate::recorded::{Build, Outcome, Recorded};
use crate::stream::{Change, name, plain};

/// Lines of a builder's output that are shown when it fails, as many as Nix shows.
const TAIL_LINES: usize = 25;

/// No line that is kept to be shown is longer.
const LONGEST_LINE: usize = 1024;

/// How many builders' last lines are kept.
const MOST_TAILS: usize = 1024;

/// What people see.
pub(super) struct Screen {
    bar: ProgressBar,
    /// Every line of every builder is shown.
    logs: bool,
    quiet: bool,
    /// What is being built: name, phase, and when it began.
    building: Vec<Building>,
    built: usize,
    /// Paths on their way.
    fetching: usize,
    fetched: usize,
    tails: HashMap<String, VecDeque<String>>,
    estimates: Estimates,
}

struct Building {
    drv: String,
    name: String,
    phase: Option<String>,
    began: f64,
    /// How long it will take.
    expected: Option<f64>,
}

impl Screen {
    pub(super) fn new(logs: bool, quiet: bool, estimates: Estimates) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            // Nothing where stderr is no terminal.
            ProgressDrawTarget::stderr_with_hz(10)
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            logs,
            quiet,
            building: Vec::new(),
            built: 0,
            fetching: 0,
            fetched: 0,
            tails: HashMap::new(),
            estimates,
        }
    }

    /// A line above the one that changes. That nobody can read it must not harm the
    /// build.
    fn print(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(anstream::stderr().lock(), "{text}");
        });
    }

    /// Show what changed.
    pub(super) fn show(&mut self, change: &Change, at: f64) {
        match change {
            Change::Began(build) => self.began(build, at),
            Change::Phase(build) => {
                let building = self.building.iter_mut().find(|building| building.drv == build.drv);
                if let Some(building) = building {
                    building.phase = build.phases.last().map(|phase| phase.name.clone());
                }
            }
            Change::Ended(build) => self.ended(build),
            Change::LogLine { build, text } => self.log_line(build, text),
            Change::Fetching { path, cache } => {
                self.fetching += 1;
                if self.bar.is_hidden() && !self.quiet {
                    self.print(&format!("fetching {} from {cache}", name(path)));
                }
            }
            Change::Fetched(_) => {
                self.fetching = self.fetching.saturating_sub(1);
                self.fetched += 1;
            }
            Change::Waiting(what) => {
                if !self.quiet {
                    self.print(&format!("waiting for {what}"));
                }
            }
            Change::Message { level, text, failed } => self.message(*level, text, *failed),
            Change::Text(text) => self.print(&String::from_utf8_lossy(text)),
            Change::Nothing => {}
        }
    }

    fn began(&mut self, build: &Build, at: f64) {
        // What was before was built here.
        let expected = match build.machine {
            None => self.estimates.of(Some(&build.drv), &build.name),
            Some(_) => None,
        };
        if self.bar.is_hidden() && !self.quiet {
            let left = expected.map(|expected| format!(": {}", left(expected, 0.0)));
            self.print(&format!("building {}{}", build.name, left.unwrap_or_default()));
        }
        self.building.push(Building {
            drv: build.drv.clone(),
            name: build.name.clone(),
            phase: None,
            began: at,
            expected,
        });
    }

    fn ended(&mut self, build: &Build) {
        self.building.retain(|building| building.drv != build.drv);
        if build.outcome == Outcome::Built {
            self.built += 1;
            self.tails.remove(&build.drv);
            if !self.quiet {
                let wall = build
                    .wall_seconds
                    .map_or_else(String::new, |wall| format!(" in {}", time(wall)));
                self.print(&format!("built {}{wall}", build.name));
            }
        }
    }

    fn log_line(&mut self, build: &Build, text: &str) {
        let text: String = text.chars().take(LONGEST_LINE).collect();
        if self.logs {
            self.print(&format!("{}> {text}", build.name));
        }
        if self.tails.len() < MOST_TAILS || self.tails.contains_key(&build.drv) {
            let tail = self.tails.entry(build.drv.clone()).or_default();
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(text);
        }
    }

    /// A message as Nix has it, and what the builder wrote last if Nix does not say.
    fn message(&mut self, level: u64, text: &str, failed: Option<&str>) {
        if self.quiet && level > 0 {
            return;
        }
        self.print(text);
        let tail = failed.and_then(|drv| self.tails.remove(drv));
        if let Some(tail) = tail.filter(|_| !self.logs && !plain(text).contains("log lines:")) {
            let lines: Vec<String> = tail.iter().map(|line| format!("       > {line}")).collect();
            self.print(&format!("       Last {} log lines:\n{}", tail.len(), lines.join("\n")));
        }
    }

    /// Say what is going on at a time.
    pub(super) fn tick(&mut self, at: f64, downloaded_bytes: u64) {
        if self.bar.is_hidden() {
            return;
        }
        let mut parts = Vec::new();
        if self.built > 0 {
            parts.push(format!("{} built", self.built));
        }
        if self.fetched + self.fetching > 0 {
            let paths = self.fetched + self.fetching;
            parts.push(format!("{}/{paths} fetched ({})", self.fetched, size(downloaded_bytes)));
        }
        parts.extend(self.building.iter().map(|building| {
            let phase =
                building.phase.as_deref().map_or_else(String::new, |name| format!(" {name}"));
            let running = (at - building.began).max(0.0);
            let left = building.expected.map(|expected| format!(" ({})", left(expected, running)));
            format!("{}{phase} {}{}", building.name, time(running), left.unwrap_or_default())
        }));
        self.bar.set_message(parts.join(", "));
    }

    /// What has happened, when all has.
    pub(super) fn finish(self, recorded: &Recorded, wall: f64) {
        self.bar.finish_and_clear();
        let count =
            |outcome| recorded.builds.iter().filter(|build| build.outcome == outcome).count();
        let mut parts: Vec<String> = [
            (count(Outcome::Built), "built"),
            (count(Outcome::Failed), "failed"),
            (count(Outcome::Cancelled), "cancelled"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if !recorded.substitutions.is_empty() {
            let bytes = size(recorded.downloaded_bytes);
            parts.push(format!("{} fetched ({bytes})", recorded.substitutions.len()));
        }
        if !parts.is_empty() && !self.quiet {
            self.print(&format!("{} in {}", parts.join(", "), time(wall)));
        }
    }
}
