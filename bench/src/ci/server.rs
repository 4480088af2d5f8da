//! Files over HTTP, to read and to write: a binary cache, or a place for archives.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What went over it.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Bodies sent.
    pub sent_bytes: AtomicU64,
    /// Bodies received.
    pub received_bytes: AtomicU64,
    /// Questions.
    pub requests: AtomicU64,
}

/// A server, which ends with this process.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its port.
    pub port: u16,
    /// What went over it.
    pub traffic: Arc<Traffic>,
}

/// Serve a folder on loopback. Before each answer it waits so long.
pub fn serve(folder: &Path, pause: Duration) -> io::Result<Server> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let server = Server { port: listener.local_addr()?.port(), traffic: Arc::default() };
    let (folder, traffic) = (folder.to_owned(), Arc::clone(&server.traffic));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, traffic) = (folder.clone(), Arc::clone(&traffic));
            // A client that goes away ends its thread.
            thread::spawn(move || talk(&stream, &folder, pause, &traffic));
        }
    });
    Ok(server)
}

/// A question's first line and what of its headers matters.
#[derive(Debug, Default)]
struct Question {
    method: String,
    path: String,
    length: Option<u64>,
    is_chunked: bool,
    expects: bool,
}

fn talk(stream: &TcpStream, folder: &Path, pause: Duration, traffic: &Traffic) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(question) = read(&mut reader)? {
        traffic.requests.fetch_add(1, Ordering::Relaxed);
        thread::sleep(pause);
        let path = inside(folder, &question.path);
        if question.method == "PUT" {
            if question.expects {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let size = receive(&mut reader, &question, path.as_deref())?;
            traffic.received_bytes.fetch_add(size, Ordering::Relaxed);
            writer.write_all(b"HTTP/1.1 201 x\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        }
        let body = path.and_then(|path| fs::read(path).ok());
        let status = if body.is_some() { 200 } else { 404 };
        let body = body.unwrap_or_default();
        let mut answer =
            format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        if question.method == "GET" {
            traffic.sent_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
            answer.extend(body);
        }
        writer.write_all(&answer)?;
    }
    Ok(())
}

/// The next question; `None` when the client is done.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Question>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next(), words.next());
    let mut question = Question {
        method: method.unwrap_or_default(),
        path: path.unwrap_or_default(),
        ..Question::default()
    };
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 {
            return Ok(None);
        }
        let header = header.trim().to_ascii_lowercase();
        match header.split_once(':') {
            None if header.is_empty() => return Ok(Some(question)),
            Some(("content-length", value)) => question.length = value.trim().parse().ok(),
            Some(("transfer-encoding", value)) => question.is_chunked = value.contains("chunked"),
            Some(("expect", _)) => question.expects = true,
            _ => (),
        }
    }
}

/// Where a path leads; nowhere outside of the folder.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = path.split('?').next().unwrap_or_default().trim_start_matches('/');
    let is_plain = !path.is_empty() && path.split('/').all(|part| !["", ".", ".."].contains(&part));
    is_plain.then(|| folder.join(path))
}

/// Take a body, and keep it where there is a place for it.
fn receive(reader: &mut impl BufRead, question: &Question, path: Option<&Path>) -> io::Result<u64> {
    let mut to: Box<dyn Write> = match path {
        Some(path) => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            Box::new(File::create(path)?)
        }
        None => Box::new(io::sink()),
    };
    if !question.is_chunked {
        return io::copy(&mut reader.take(question.length.unwrap_or(0)), &mut to);
    }
    let mut size = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = line.trim().split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(length, 16).map_err(io::Error::other)?;
        size += io::copy(&mut reader.take(length), &mut to)?;
        reader.read_line(&mut line)?;
        if length == 0 {
            return Ok(size);
        }
    }
}

/// Have what is at a URL's path in a file.
pub fn get(port: u16, path: &str, to: &Path) -> io::Result<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "GET /{path} HTTP/1.1\r\n\r\n")?;
    let mut reader = BufReader::new(stream);
    let length = answer(&mut reader)?;
    io::copy(&mut reader.take(length), &mut File::create(to)?)
}

/// Put a file at a URL's path.
pub fn put(port: u16, path: &str, from: &Path) -> io::Result<u64> {
    let mut file = File::open(from)?;
    let length = file.metadata()?.len();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(stream, "PUT /{path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n")?;
    io::copy(&mut file, &mut stream)?;
    answer(&mut BufReader::new(stream))?;
    Ok(length)
}

/// The length of an answer's body.
fn answer(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 2") {
        return Err(io::Error::other(line.trim().to_owned()));
    }
    let mut length = 0;
    while line.trim() != "" {
        line.clear();
        reader.read_line(&mut line)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::{get, inside, put, serve};

    #[test]
    fn files_come_and_go() {
        let folder = tempfile::tempdir().expect("folder");
        let kept = folder.path().join("kept");
        let server = serve(&kept, Duration::ZERO).expect("a server");
        let file = folder.path().join("file");
        fs::write(&file, "x".repeat(100_000)).expect("written");
        assert_eq!(put(server.port, "deep/in/it", &file).expect("put"), 100_000);
        fs::remove_file(&file).expect("removed");
        assert_eq!(get(server.port, "deep/in/it", &file).expect("got"), 100_000);
        assert!(get(server.port, "other", &file).is_err());
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("a connection");
        let chunks =
            "PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        stream.write_all(chunks.as_bytes()).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("done");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        assert_eq!(fs::read_to_string(kept.join("c")).expect("kept"), "abcde");
        assert_eq!(server.traffic.sent_bytes.load(Ordering::Relaxed), 100_000);
        assert_eq!(server.traffic.received_bytes.load(Ordering::Relaxed), 100_005);
    }

    #[test]
    fn nothing_outside_is_served() {
        let folder = std::path::Path::new("/f");
        for bad in ["/", "/../x", "/a/../../x", "/a/.."] {
            assert_eq!(inside(folder, bad), None, "{bad}");
        }
        assert_eq!(inside(folder, "/nar/x.nar?a=b"), Some("/f/nar/x.nar".into()));
    }
}
