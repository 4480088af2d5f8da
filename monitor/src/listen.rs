//! `monitor listen`: every build of this machine, by the socket of `json-log-path`.
//!
//! Since Nix 2.30 each connection to the daemon also writes its events there. Nix
//! does not wait for a listener that is not there, but for one that does not read it
//! waits for ever. Hence one thread of each connection only reads, and never waits
//! for anything of ours: what cannot be taken at once waits in a queue, and when that
//! is full, progress is dropped first.
//!
//! **Invariant:** whatever stands still behind the queue, a reader does not.

mod hear;
mod queue;
mod socket;

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use detect::report::{say, tool};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use crate::history::{History, Place};
use hear::Hearer;
use socket::Socket;

/// How long to wait at the end for what is heard to be remembered.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where to listen.
#[derive(Args, Debug)]
pub struct Command {
    /// The socket, in a folder that not everyone may write to; made when it is not
    /// there, and removed at the end
    #[arg(value_name = "SOCKET")]
    pub socket: PathBuf,

    #[expect(missing_docs, reason = "clap would print it")]
    #[command(flatten)]
    pub place: Place,

    /// Remember nothing
    #[arg(long, conflicts_with = "file")]
    pub no_history: bool,

    /// Print JSON, a line for each connection that has ended, instead of what happens
    #[arg(long)]
    pub json: bool,
}

/// A connection that is heard.
struct Heard {
    stream: Arc<UnixStream>,
    thread: JoinHandle<()>,
}

impl Command {
    /// Listen until a signal ends it.
    pub fn run(self) -> Result<()> {
        let (end, ender) = UnixStream::pair()?;
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            pipe::register(signal, ender.try_clone()?)?;
        }
        // Before anybody is heard: that it cannot be written must not be found out
        // after a long build.
        let history = (!self.no_history).then(|| self.place.find()).transpose()?;
        if let Some(file) = &history {
            History::open(file)?;
        }
        let socket =
            Socket::bind(&self.socket).with_context(|| self.socket.display().to_string())?;
        let hearer = Hearer { history, json: self.json, socket: self.socket };
        let mut heard: Vec<Heard> = Vec::new();
        while wait(socket.listener(), &end)? {
            match socket.listener().accept() {
                Ok((stream, _)) => heard.extend(hear(&hearer, stream)),
                // E.g. too many open files: those that end make room.
                Err(error) => {
                    say(&format!("{}: warning: {error}", tool()));
                    thread::sleep(Duration::from_millis(100));
                }
            }
            heard.retain(|heard| !heard.thread.is_finished());
        }
        drop(socket);
        for heard in &heard {
            let _ = heard.stream.shutdown(std::net::Shutdown::Both);
        }
        let waits = Instant::now();
        while !heard.iter().all(|heard| heard.thread.is_finished()) && waits.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Hear a connection; that it cannot be is said.
fn hear(hearer: &Hearer, stream: UnixStream) -> Option<Heard> {
    let start = || -> io::Result<Heard> {
        let stream = Arc::new(stream);
        let reads = Arc::clone(&stream);
        let hearer = hearer.clone();
        let thread = thread::Builder::new().spawn(move || hearer.hear(reads))?;
        Ok(Heard { stream, thread })
    };
    start().map_err(|error| say(&format!("{}: warning: a connection: {error}", tool()))).ok()
}

/// Wait for a connection; false when a signal has ended it.
fn wait(listener: &UnixListener, end: &UnixStream) -> Result<bool> {
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) if !fds[1].revents().is_empty() => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
