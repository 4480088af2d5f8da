//! What a stream of events says happened.
//!
//! There is no event for a build's success or failure: its end is only an end. The
//! rule, which holds for all versions of Nix that we have streams of: when a build
//! ends and the count of what is built has risen since the build before it ended, it
//! was built, and so is the next when the count has risen twice, if it was under way;
//! else, when a message anywhere in the stream says so, it failed; else it was
//! cancelled, e.g. since another had failed.
//!
//! **Invariant:** no stream, however hostile, takes more memory than [`ROOM_BYTES`]
//! for what is kept of it. What is beyond that is only counted ([`Stream::left_out`]).

mod activity;
mod failure;
mod name;

use std::collections::BTreeMap;

use detect::number::Version;

use crate::event::{self, Answer, Kind, Line, Progress, Said, Start};
use crate::recorded::{Build, Outcome, Phase, Recorded, Wait};
use activity::{Activity, Hit, Transfer};

pub use failure::plain;
pub use name::name;

/// How much is kept of one stream. An entry takes some hundred bytes, so this is
/// enough for more derivations than nixpkgs has.
pub const ROOM_BYTES: usize = 128 << 20;

/// No path, phase or message that is kept is longer.
const LONGEST_TEXT: usize = 4096;

/// More events than others' text ever holds on one line.
const MOST_INSIDE: usize = 64;

/// What an entry takes besides its texts.
const ENTRY_BYTES: usize = 512;

/// A stream that is being read.
#[derive(Debug)]
pub struct Stream {
    builds: Vec<Begun>,
    hits: Vec<Hit>,
    /// Which hits have ended and are not confirmed, as they ended.
    arrived: Vec<usize>,
    waits: Vec<Wait>,
    open: BTreeMap<u64, Activity>,
    /// Copies of Nix 2.8 that have not got a download yet.
    copies: Vec<u64>,
    /// Reasons by what failed: a derivation, or an output.
    failures: BTreeMap<String, String>,
    built: u64,
    /// How much was built when the last build ended.
    built_before: u64,
    /// Builds that were built and have not ended: in Nix 2.8 two that are done at
    /// once are counted before either ends.
    unclaimed: u64,
    downloaded_bytes: u64,
    unknown_events: u64,
    malformed_lines: u64,
    room: usize,
    left_out: u64,
}

#[derive(Debug)]
struct Begun {
    build: Build,
    ended: bool,
    /// How much was built when it began.
    built_before: u64,
    /// When the phase began that is the last one.
    phase_at: Option<f64>,
}

/// What a line changed, for who shows it.
#[derive(Debug, PartialEq)]
pub enum Change<'a> {
    /// A build began.
    Began(&'a Build),
    /// A build's next phase began, the last of its phases.
    Phase(&'a Build),
    /// A build ended; unless it was built, only later messages say how.
    Ended(&'a Build),
    /// A builder wrote a line.
    LogLine {
        /// Which one.
        build: &'a Build,
        /// The line.
        text: &'a str,
    },
    /// A path is coming from a cache.
    Fetching {
        /// The path.
        path: &'a str,
        /// The cache.
        cache: &'a str,
    },
    /// A path is no longer coming; whether it came, only later events say.
    Fetched(&'a str),
    /// Something is waited for.
    Waiting(&'a str),
    /// A message for people.
    Message {
        /// 0 is an error.
        level: u64,
        /// Its text.
        text: &'a str,
        /// Which derivation it says has failed.
        failed: Option<&'a str>,
    },
    /// Text of others.
    Text(&'a [u8]),
    /// More bytes have come, or nothing of interest happened.
    Nothing,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            builds: Vec::new(),
            hits: Vec::new(),
            arrived: Vec::new(),
            waits: Vec::new(),
            open: BTreeMap::new(),
            copies: Vec::new(),
            failures: BTreeMap::new(),
            built: 0,
            built_before: 0,
            unclaimed: 0,
            downloaded_bytes: 0,
            unknown_events: 0,
            malformed_lines: 0,
            room: ROOM_BYTES,
            left_out: 0,
        }
    }
}

impl Stream {
    /// Bytes that have come over the network so far.
    pub fn downloaded_bytes(&self) -> u64 {
        self.downloaded_bytes
    }

    /// How many events there was no room for.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Take a line that came at a time, in seconds after the stream began. `show` is
    /// told of everything that it changed.
    pub fn line(&mut self, line: Line, at: Option<f64>, show: &mut impl FnMut(Change)) {
        let Line::Whole(mut line) = line else {
            self.malformed_lines += 1;
            return;
        };
        for _ in 0..MOST_INSIDE {
            let said = event::read(line);
            // Only what is no event can have one inside.
            let broken = matches!(said, Said::Malformed | Said::Text(_));
            let Some(inside) = broken.then(|| event::inside(line)).flatten() else {
                return self.take(&said, at, show);
            };
            match said {
                Said::Text(_) => show(Change::Text(&line[..inside])),
                _ => self.malformed_lines += 1,
            }
            line = &line[inside..];
        }
        // Each is looked at to the end of the line.
        self.malformed_lines += 1;
    }

    fn take(&mut self, said: &Said, at: Option<f64>, show: &mut impl FnMut(Change)) {
        match said {
            Said::Progress(progress) => self.progress(*progress),
            Said::Start(start) => show(self.start(start, at)),
            Said::Stop { id } => show(self.stop(*id, at)),
            Said::Result(Answer::LogLine { id, text }) => {
                if let Some(Activity::Build { index, .. }) = self.open.get(id) {
                    show(Change::LogLine { build: &self.builds[*index].build, text });
                }
            }
            Said::Result(Answer::Phase { id, name }) => show(self.phase(*id, name, at)),
            Said::Result(Answer::Other) => {}
            Said::Message { level, text } => {
                let failed = if *level == 0 { self.failure(text) } else { None };
                show(Change::Message { level: *level, text, failed: failed.as_deref() });
            }
            Said::Unknown => self.unknown_events += 1,
            Said::Malformed => self.malformed_lines += 1,
            Said::Text(text) => show(Change::Text(text)),
        }
    }

    /// Whether there is room for an entry of these texts, which it then takes.
    fn fits(&mut self, texts: &[&str]) -> bool {
        let bytes = ENTRY_BYTES + texts.iter().map(|text| text.len()).sum::<usize>();
        let fits = bytes <= self.room && texts.iter().all(|text| text.len() <= LONGEST_TEXT);
        if fits {
            self.room -= bytes;
        } else {
            self.left_out += 1;
        }
        fits
    }

    fn start(&mut self, start: &Start, at: Option<f64>) -> Change<'_> {
        // An id that is used again names something new: in Nix 2.8, those of each
        // connection begin with the same.
        match start.kind {
            Kind::Build => return self.start_build(start, at),
            Kind::Substitute => return self.start_hit(start, at),
            Kind::BuildWaiting => return self.start_wait(start, at),
            Kind::CopyPath => self.start_copy(start),
            Kind::FileTransfer => self.start_transfer(start),
            Kind::Builds => self.remember(start.id, Activity::Builds { done: 0 }),
            Kind::CopyPaths => self.remember(start.id, Activity::Paths { done: 0 }),
            Kind::Other => {
                self.open.remove(&start.id);
            }
        }
        Change::Nothing
    }

    fn remember(&mut self, id: u64, activity: Activity) {
        if self.fits(&[]) {
            self.open.insert(id, activity);
        }
    }

    fn start_build(&mut self, start: &Start, at: Option<f64>) -> Change<'_> {
        let Some(drv) = start.fields.first() else { return Change::Nothing };
        let machine = start.fields.get(1).map(AsRef::as_ref).filter(|name| !name.is_empty());
        // The path is kept, and the name in it.
        if !self.fits(&[drv, drv, machine.unwrap_or_default()]) {
            return Change::Nothing;
        }
        let index = self.builds.len();
        self.builds.push(Begun {
            build: Build {
                drv: drv.to_string(),
                name: name(drv).to_owned(),
                // Until anything else is known.
                outcome: Outcome::Cancelled,
                reason: None,
                machine: machine.map(str::to_owned),
                started_seconds: at,
                wall_seconds: None,
                phases: Vec::new(),
                usage: None,
            },
            ended: false,
            built_before: self.built,
            phase_at: None,
        });
        self.open.insert(start.id, Activity::Build { index, at });
        Change::Began(&self.builds[index].build)
    }

    fn start_wait(&mut self, start: &Start, at: Option<f64>) -> Change<'_> {
        let (what, drv) = name::waited(&plain(&start.text));
        if !self.fits(&[&what, drv.as_deref().unwrap_or_default()]) {
            return Change::Nothing;
        }
        let index = self.waits.len();
        self.waits.push(Wait { drv, what, wall_seconds: None });
        self.open.insert(start.id, Activity::Wait { index, at });
        Change::Waiting(&self.waits[index].what)
    }

    fn stop(&mut self, id: u64, at: Option<f64>) -> Change<'_> {
        let Some(activity) = self.open.remove(&id) else { return Change::Nothing };
        self.room += ENTRY_BYTES * usize::from(activity.is_only_open());
        match activity {
            Activity::Build { index, at: from } => {
                let begun = &mut self.builds[index];
                begun.ended = true;
                begun.build.wall_seconds = between(from, at);
                if let Some(phase) = begun.build.phases.last_mut() {
                    phase.wall_seconds = between(begun.phase_at, at);
                }
                let risen = self.built.saturating_sub(self.built_before);
                let claims = risen > 0 || self.unclaimed > 0 && begun.built_before < self.built;
                if claims {
                    begun.build.outcome = Outcome::Built;
                }
                self.unclaimed = (self.unclaimed + risen).saturating_sub(u64::from(claims));
                self.built_before = self.built;
                Change::Ended(&begun.build)
            }
            Activity::Hit { index, at: from } => {
                let hit = &mut self.hits[index];
                hit.ended = true;
                self.arrived.push(index);
                hit.substitution.wall_seconds = between(from, at);
                Change::Fetched(&hit.substitution.path)
            }
            Activity::Wait { index, at: from } => {
                self.waits[index].wall_seconds = between(from, at);
                Change::Nothing
            }
            Activity::Copy { .. } => {
                self.copies.retain(|copy| *copy != id);
                Change::Nothing
            }
            Activity::Builds { .. } | Activity::Paths { .. } | Activity::Transfer(_) => {
                Change::Nothing
            }
        }
    }

    fn phase(&mut self, id: u64, name: &str, at: Option<f64>) -> Change<'_> {
        let Some(Activity::Build { index, .. }) = self.open.get(&id) else {
            return Change::Nothing;
        };
        let index = *index;
        if !self.fits(&[name]) {
            return Change::Nothing;
        }
        let begun = &mut self.builds[index];
        if let Some(phase) = begun.build.phases.last_mut() {
            phase.wall_seconds = between(begun.phase_at, at);
        }
        begun.phase_at = at;
        begun.build.phases.push(Phase { name: name.to_owned(), wall_seconds: None });
        Change::Phase(&begun.build)
    }

    fn progress(&mut self, Progress { id, done, expected }: Progress) {
        match self.open.get_mut(&id) {
            Some(Activity::Builds { done: before }) => {
                self.built += done.saturating_sub(*before);
                *before = done;
            }
            Some(Activity::Paths { done: before }) => {
                let come = done.saturating_sub(*before);
                *before = done;
                self.confirm(come);
            }
            Some(Activity::Copy { hit: Some(hit), .. }) if expected > 0 => {
                self.hits[*hit].substitution.nar_bytes = Some(expected);
            }
            Some(Activity::Transfer(Transfer { hit, done: before })) => {
                let (was, is) = (*before, done);
                let hit = hit.and_then(|hit| self.hits[hit].substitution.downloaded_bytes.as_mut());
                for bytes in hit.into_iter().chain([&mut self.downloaded_bytes]) {
                    *bytes = bytes.saturating_sub(was).saturating_add(is);
                }
                *before = done;
            }
            _ => {}
        }
    }

    /// Keep what a message says of a failure.
    fn failure(&mut self, text: &str) -> Option<String> {
        let failure::Failure { what, reason } = failure::Failure::read(text)?;
        if self.fits(&[&what, &reason]) {
            self.failures.entry(what.clone()).or_insert(reason);
        }
        name::is_drv(&what).then_some(what)
    }

    /// What happened, when no more will be said.
    pub fn finish(self) -> Recorded {
        let Self { builds, hits, waits, failures, .. } = self;
        let reasons = failure::Reasons::new(&failures);
        let judge = |Begun { mut build, ended, .. }: Begun| {
            if !(ended && build.outcome == Outcome::Built)
                && let Some(reason) = reasons.of(&build)
            {
                build.outcome = Outcome::Failed;
                build.reason = Some(reason.to_owned());
            }
            build
        };
        Recorded {
            version: Version,
            builds: builds.into_iter().map(judge).collect(),
            substitutions: activity::came(hits),
            waits,
            downloaded_bytes: self.downloaded_bytes,
            unknown_events: self.unknown_events,
            malformed_lines: self.malformed_lines,
        }
    }
}

/// The time between two moments, to the microsecond.
fn between(from: Option<f64>, to: Option<f64>) -> Option<f64> {
    let seconds = to? - from?;
    // Times that go backwards are no times.
    (seconds >= 0.0).then_some((seconds * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests;
