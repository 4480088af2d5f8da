//! One connection: read, made sense of, remembered.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use detect::report::{reason, say, tool};
use rustix::net::sockopt::socket_peercred;

use super::queue::{Dropped, Queue};
use crate::event::{Line, each};
use crate::history::History;
use crate::history::run::Run;
use crate::human::time;
use crate::recorded::{Build, Outcome, Recorded};
use crate::snapshot::now;
use crate::stream::{Change, Stream};

/// What to do with what is heard.
#[derive(Clone, Debug)]
pub(super) struct Hearer {
    pub(super) history: Option<PathBuf>,
    pub(super) json: bool,
    pub(super) socket: PathBuf,
}

impl Hearer {
    /// Hear a connection to its end.
    pub(super) fn hear(self, connection: UnixStream) {
        // The worker of the daemon that writes; by it, two that begin at once differ.
        let worker = socket_peercred(&connection).map(|peer| peer.pid.as_raw_nonzero().get());
        let (began, started) = (Instant::now(), now());
        let queue = Arc::new(Queue::default());
        let filled = Arc::clone(&queue);
        let reader = thread::Builder::new().spawn(move || {
            let buffered = BufReader::with_capacity(64 << 10, connection);
            let _ = each(buffered, |line| {
                filled.push(line, began.elapsed().as_secs_f64());
                Ok(())
            });
            filled.close();
        });
        if let Err(error) = reader {
            // The connection is closed, and Nix goes on without us.
            return say(&format!("{}: warning: a connection: {error}", tool()));
        }
        let mut stream = Stream::default();
        let mut dropped = Dropped::default();
        while let Some((line, at)) = queue.pop() {
            let line = line.as_deref().map_or(Line::TooLong, Line::Whole);
            stream.line(line, Some(at), &mut |change| self.show(&change));
            let more = queue.dropped();
            if dropped == Dropped::default() && more != dropped {
                say(&format!("{}: warning: too slow: some progress is dropped", tool()));
            }
            dropped.progress += more.progress;
            dropped.others += more.others;
        }
        if dropped.others > 0 {
            let events = dropped.others;
            say(&format!("{}: warning: too slow: {events} events were dropped", tool()));
        }
        let recorded = stream.finish();
        let Recorded { builds, substitutions, waits, .. } = &recorded;
        if builds.is_empty() && substitutions.is_empty() && waits.is_empty() {
            return;
        }
        if self.json
            && let Ok(line) = serde_json::to_string(&recorded)
        {
            print(&line);
        }
        let mut command = vec!["json-log-path".to_owned(), self.socket.display().to_string()];
        command.extend(worker.ok().map(|worker| worker.to_string()));
        let run = Run {
            started,
            ended: now(),
            command,
            exit_code: None,
            nix_version: None,
            jobs: None,
            cores: None,
            recorded,
            digest: None,
        };
        let kept = self.history.as_deref().map(|file| History::open(file)?.record(&run));
        if let Some(Err(error)) = kept {
            say(&format!("{}: warning: not remembered: {}", tool(), reason(&error)));
        }
    }

    fn show(&self, change: &Change) {
        if self.json {
            return;
        }
        match change {
            Change::Began(Build { name, .. }) => print(&format!("building {name}")),
            Change::Ended(Build { name, outcome, wall_seconds, .. }) => {
                let wall = wall_seconds.map_or_else(|| "unknown time".to_owned(), time);
                let how = match outcome {
                    Outcome::Built => "built",
                    Outcome::Failed | Outcome::Cancelled => "not built",
                };
                print(&format!("{how} {name} in {wall}"));
            }
            Change::Fetched(path) => print(&format!("fetched {}", crate::stream::name(path))),
            Change::Waiting(what) => print(&format!("waiting for {what}")),
            Change::Message { failed: Some(_), text, .. } => print(text),
            _ => {}
        }
    }
}

/// A line on stdout; that nobody reads it any more is no reason to end.
fn print(line: &str) {
    let _ = writeln!(anstream::stdout().lock(), "{line}");
}
