//! A cache of our own on loopback: answers what it is told to, and counts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// An answer: its status, headers and body.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Page {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, headers: String::new(), body: body.into() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: String::new(), body: Vec::new() }
    }
}

/// What was asked of a cache.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    open: AtomicUsize,
    /// Most questions that were open at once.
    pub(crate) most_open: AtomicUsize,
    /// All questions.
    pub(crate) requests: AtomicUsize,
}

/// A cache that is served until the test ends.
pub(crate) struct Cache {
    pub(crate) url: String,
    pub(crate) counts: Arc<Counts>,
}

/// Answer by a function of the path that is asked for, after a time.
pub(crate) fn serve(
    later: Duration,
    answer: impl Fn(&str) -> Page + Send + Sync + 'static,
) -> Cache {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let counts = Arc::new(Counts::default());
    let (answer, shared) = (Arc::new(answer), Arc::clone(&counts));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, counts) = (Arc::clone(&answer), Arc::clone(&shared));
            // A client that goes away ends its thread.
            thread::spawn(move || talk(&stream, later, answer.as_ref(), &counts));
        }
    });
    Cache { url: format!("http://127.0.0.1:{port}"), counts }
}

/// Answer with these files, and 404 for all others.
pub(crate) fn serve_files(later: Duration, files: HashMap<String, Vec<u8>>) -> Cache {
    serve(later, move |path| match files.get(path.trim_start_matches('/')) {
        Some(body) => Page::ok(body.clone()),
        None => Page::status(404),
    })
}

/// Answer like the first function until the second says what else to answer.
pub(crate) fn serve_strictly(
    files: HashMap<String, Vec<u8>>,
    mut refuse: impl FnMut(&str) -> Option<Page> + Send + 'static,
) -> Cache {
    let refuse = Mutex::new(move |path: &str| refuse(path));
    serve(Duration::ZERO, move |path| {
        let refused = refuse.lock().expect("no panic")(path);
        refused.unwrap_or_else(|| match files.get(path.trim_start_matches('/')) {
            Some(body) => Page::ok(body.clone()),
            None => Page::status(404),
        })
    })
}

fn talk(
    stream: &TcpStream,
    later: Duration,
    answer: &(impl Fn(&str) -> Page + ?Sized),
    counts: &Counts,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut question = String::new();
        reader.read_line(&mut question).ok()?;
        let path = question.split(' ').nth(1)?.to_owned();
        let mut header = String::new();
        while header.trim_end() != "" || header.is_empty() {
            header.clear();
            if reader.read_line(&mut header).ok()? == 0 {
                return None;
            }
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        let open = counts.open.fetch_add(1, Ordering::Relaxed) + 1;
        counts.most_open.fetch_max(open, Ordering::Relaxed);
        thread::sleep(later);
        let Page { status, headers, body } = answer(&path);
        counts.open.fetch_sub(1, Ordering::Relaxed);
        let length = body.len();
        let mut text = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{headers}\r\n")
            .into_bytes();
        text.extend(body);
        (&mut &*stream).write_all(&text).ok()?;
    }
}
