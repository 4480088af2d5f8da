//! One connection: read, made sense of, remembered.

use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use detect::arguments::Common;
use detect::report::{reason, say, tool};

use super::queue::{Dropped, Queue};
use crate::event::{Line, each};
use crate::history::History;
use crate::history::run::Run;
use crate::human::time;
use crate::ingest::warn_of_left_out;
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

/// What reads a connection. However it ends, even before it begins, the connection
/// does too: Nix goes on without us, and waits for nobody who does not read.
struct Reads {
    connection: Arc<UnixStream>,
    queue: Arc<Queue>,
}

impl Reads {
    fn all(self, began: Instant) {
        let buffered = BufReader::with_capacity(64 << 10, &*self.connection);
        let _ = each(buffered, |line| {
            self.queue.push(line, began.elapsed().as_secs_f64());
            Ok(())
        });
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.queue.close();
        let _ = self.connection.shutdown(Shutdown::Both);
    }
}

impl Hearer {
    /// Hear a connection to its end.
    pub(super) fn hear(self, connection: Arc<UnixStream>) {
        // The worker of the daemon that writes; by it, two that begin at once differ.
        let worker = peer(&connection);
        let (began, started) = (Instant::now(), now());
        let queue = Arc::new(Queue::default());
        let reads = Reads { connection, queue: Arc::clone(&queue) };
        if let Err(error) = thread::Builder::new().spawn(move || reads.all(began)) {
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
        warn_of_left_out(&stream, &Common::default());
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
        command.extend(worker.map(|worker| worker.to_string()));
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

/// The process at the other end, where the system says so.
#[cfg(target_os = "linux")]
fn peer(connection: &UnixStream) -> Option<i32> {
    let peer = rustix::net::sockopt::socket_peercred(connection).ok()?;
    Some(peer.pid.as_raw_nonzero().get())
}

#[cfg(not(target_os = "linux"))]
fn peer(_: &UnixStream) -> Option<i32> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;
    use std::time::Instant;

    use super::{Queue, Reads};

    #[test]
    fn a_connection_ends_with_who_reads_it() {
        let (mut nix, ours) = UnixStream::pair().expect("a connection");
        let connection = Arc::new(ours);
        let queue = Arc::new(Queue::default());
        let reads = Reads { connection: Arc::clone(&connection), queue: Arc::clone(&queue) };
        nix.write_all(b"line\n").expect("written");
        nix.shutdown(std::net::Shutdown::Write).expect("ended");
        reads.all(Instant::now());
        assert_eq!(queue.pop().map(|(line, _)| line), Some(Some(b"line".to_vec())));
        assert_eq!(queue.pop(), None, "there will be none");
        // Though it is still known elsewhere, as while a connection is heard.
        assert_eq!(nix.read(&mut [0]).expect("an end"), 0);
        drop(connection);

        // One for whom there is no thread.
        let (mut nix, ours) = UnixStream::pair().expect("a connection");
        let connection = Arc::new(ours);
        drop(Reads { connection: Arc::clone(&connection), queue });
        assert_eq!(nix.read(&mut [0]).expect("an end"), 0);
        assert!(nix.write_all(b"line\n").is_err(), "nobody is waited for");
    }
}
