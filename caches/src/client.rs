//! Asking caches, with a bound on everything they can cost.
//!
//! Bodies are bounded in size, the whole of a check in time; redirects are
//! followed ten times, and only where they may lead (`redirect.rs`).

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, LOCATION, RETRY_AFTER};
use reqwest::{Certificate, ClientBuilder, Response, StatusCode, redirect};
use rustix::fs::{Mode, OFlags};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::address::{Address, Place};
use crate::authorities::authorities;
use crate::netrc::Netrc;
use crate::redirect::follow;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Time for a connection: far above any real one, and still below the deadline.
const CONNECT: Duration = Duration::from_secs(5);

/// Time between two pieces of an answer.
const PIECE: Duration = Duration::from_secs(5);

/// Bytes read of a file at once.
const BLOCK: usize = 64 << 10;

/// Asks caches.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    logins: Arc<Netrc>,
    deadline: Instant,
}

/// What a cache answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What there is.
    pub body: Vec<u8>,
    /// From asking to the first byte of an answer.
    pub first_byte: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The cache says that it has no such file.
    Missing(u16),
    /// It wants to know who asks.
    Private(u16),
    /// It wants to be asked less often; seconds until then, if it says so.
    Busy(u16, Option<u64>),
    /// Another status.
    Status(u16),
    /// No connection: refused, no such host, or a certificate nobody trusts.
    Unreachable(String),
    /// Nothing came within so many seconds.
    Silent(u64),
    /// An answer began, and then no more came, or too slowly.
    Stalled(usize),
    /// The answer broke off or is no HTTP.
    Broken(String),
    /// More than such a file can have.
    TooLarge(usize),
    /// A redirect that is not followed, and why.
    Redirect(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(status) => write!(formatter, "not there (status {status})"),
            Self::Private(status) => {
                write!(formatter, "private: it wants a login, see --netrc (status {status})")
            }
            Self::Busy(status, None) => write!(formatter, "asked too often (status {status})"),
            Self::Busy(status, Some(seconds)) => {
                write!(formatter, "asked too often (status {status}, again in {seconds} s)")
            }
            Self::Status(status) => write!(formatter, "out of order (status {status})"),
            Self::Unreachable(why) => write!(formatter, "cannot be reached: {why}"),
            Self::Silent(seconds) => write!(formatter, "no answer within {seconds} s"),
            Self::Stalled(bytes) => {
                write!(formatter, "stalled: the answer stops or drips after {bytes} bytes")
            }
            Self::Broken(why) => write!(formatter, "the answer is broken: {why}"),
            Self::TooLarge(bytes) => write!(formatter, "endless: more than {bytes} bytes"),
            Self::Redirect(why) => write!(formatter, "a redirect that is not followed: {why}"),
        }
    }
}

impl Client {
    /// A client whose answers have all come before so long from now.
    pub fn new(within: Duration) -> Result<Self> {
        // Fails only when there is one already, which is then as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("nixpace/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .pool_max_idle_per_host(32)
            .referer(false);
        let http = trusting(http)?.build().context("no HTTP client")?;
        Ok(Self { http, logins: Arc::default(), deadline: Instant::now() + within })
    }

    /// The same client, with logins for the hosts they are for.
    #[must_use]
    pub fn with_logins(self, logins: Netrc) -> Self {
        Self { logins: Arc::new(logins), ..self }
    }

    /// The same client, whose answers have all come before then.
    #[must_use]
    pub fn until(&self, deadline: Instant) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// When all answers must have come.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// A file of a cache, of at most so many bytes.
    pub async fn get(&self, cache: &Address, file: &str, most: usize) -> Result<Answer, Trouble> {
        self.open(cache, file).await?.whole(most).await
    }

    /// What an address gives, of at most so many bytes.
    pub async fn fetch(&self, url: Url, most: usize) -> Result<Answer, Trouble> {
        self.ask(&url.clone(), url).await?.whole(most).await
    }

    /// A file of a cache, which may be elsewhere by its own address.
    pub async fn open(&self, cache: &Address, file: &str) -> Result<Body, Trouble> {
        match cache.place() {
            Place::Http(root) => {
                let url = self.follow(root, file).await?;
                self.ask(root, url).await
            }
            Place::Folder(folder) => Body::of_file(folder, file, self.deadline),
            Place::Other(_) => Err(Trouble::Unreachable("only Nix speaks this".to_owned())),
        }
    }

    /// Where an address leads, which may take looking up names.
    async fn follow(&self, from: &Url, target: &str) -> Result<Url, Trouble> {
        let began = Instant::now();
        let late = |_| Trouble::Silent(began.elapsed().as_secs());
        timeout_at(self.deadline, follow(from, target)).await.map_err(late)?
    }

    async fn ask(&self, home: &Url, mut url: Url) -> Result<Body, Trouble> {
        let asked = Instant::now();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(home, url.clone()).await?;
            let status = response.status();
            if status.is_redirection()
                && let Some(target) = response.headers().get(LOCATION)
            {
                let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
                url = self.follow(&url, &target).await?;
                continue;
            }
            if status != StatusCode::OK {
                return Err(trouble(&response));
            }
            if let Some(encoding) = response.headers().get(CONTENT_ENCODING)
                && encoding != "identity"
            {
                let why = format!("encoded as {encoding:?}, which nobody asked for");
                return Err(Trouble::Broken(why));
            }
            return Ok(Body {
                source: Source::Http(response),
                deadline: self.deadline,
                received: 0,
                first_byte: asked.elapsed(),
            });
        }
        Err(Trouble::Redirect(format!("more than {MOST_REDIRECTS} in a row")))
    }

    async fn send(&self, home: &Url, url: Url) -> Result<Response, Trouble> {
        let began = Instant::now();
        // Nothing is decoded here, so that few bytes never become many.
        let mut request = self.http.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        // Not to where the cache sends us, which another may have chosen.
        if url.scheme() == "https"
            && url.origin() == home.origin()
            && let Some(login) = url.host_str().and_then(|host| self.logins.find(host))
        {
            request = request.basic_auth(&login.name, Some(&login.password));
        }
        match timeout_at(self.deadline, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(no_response(&error)),
            Err(_) => Err(Trouble::Silent(began.elapsed().as_secs())),
        }
    }
}

/// With the authorities that Nix would trust, instead of the system's.
fn trusting(http: ClientBuilder) -> Result<ClientBuilder> {
    let Some(found) = authorities()? else { return Ok(http) };
    let found: Result<Vec<Certificate>, _> =
        found.iter().map(|found| Certificate::from_der(found)).collect();
    Ok(http.tls_certs_only(found?))
}

/// An answer that comes in pieces.
#[derive(Debug)]
pub struct Body {
    source: Source,
    deadline: Instant,
    received: usize,
    /// From asking to the first byte.
    pub first_byte: Duration,
}

#[derive(Debug)]
enum Source {
    Http(Response),
    File(File),
}

impl Body {
    /// A file of a cache that is a folder.
    fn of_file(folder: &Path, file: &str, deadline: Instant) -> Result<Self, Trouble> {
        let asked = Instant::now();
        let inside = |part: Component| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(file).components().all(inside) {
            return Err(Trouble::Redirect("out of the cache's folder".to_owned()));
        }
        // A pipe is not waited for, and a device has no end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let found = rustix::fs::open(folder.join(file), flags, Mode::empty());
        let found = File::from(found.map_err(|error| unreadable(&error.into()))?);
        if !found.metadata().is_ok_and(|found| found.is_file()) {
            return Err(Trouble::Broken("no file".to_owned()));
        }
        Ok(Self { source: Source::File(found), deadline, received: 0, first_byte: asked.elapsed() })
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        let piece: Option<Vec<u8>> = match &mut self.source {
            Source::Http(response) => {
                match timeout(PIECE, timeout_at(self.deadline, response.chunk())).await {
                    Ok(Ok(Ok(piece))) => piece.map(Into::into),
                    Ok(Ok(Err(error))) => return Err(Trouble::Broken(innermost(&error))),
                    Ok(Err(_)) | Err(_) => return Err(Trouble::Stalled(self.received)),
                }
            }
            Source::File(file) => {
                let mut piece = Vec::new();
                file.take(BLOCK as u64)
                    .read_to_end(&mut piece)
                    .map_err(|error| unreadable(&error))?;
                (!piece.is_empty()).then_some(piece)
            }
        };
        self.received += piece.as_ref().map_or(0, Vec::len);
        Ok(piece)
    }

    /// All of it, at most so many bytes.
    async fn whole(mut self, most: usize) -> Result<Answer, Trouble> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
            if body.len() > most {
                return Err(Trouble::TooLarge(most));
            }
        }
        Ok(Answer { body, first_byte: self.first_byte })
    }
}

fn unreadable(error: &std::io::Error) -> Trouble {
    match error.kind() {
        std::io::ErrorKind::NotFound => Trouble::Missing(404),
        _ => Trouble::Unreachable(error.to_string()),
    }
}

fn trouble(response: &Response) -> Trouble {
    let again = response.headers().get(RETRY_AFTER);
    let again = again.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    match response.status().as_u16() {
        // S3 says 403 for what is not there when lists are not allowed.
        status @ (403 | 404 | 410) => Trouble::Missing(status),
        status @ (401 | 407) => Trouble::Private(status),
        status @ 429 => Trouble::Busy(status, again),
        503 if again.is_some() => Trouble::Busy(503, again),
        status => Trouble::Status(status),
    }
}

fn no_response(error: &reqwest::Error) -> Trouble {
    match error {
        error if error.is_connect() && error.is_timeout() => {
            Trouble::Unreachable(format!("no connection within {} s", CONNECT.as_secs()))
        }
        error if error.is_connect() => Trouble::Unreachable(innermost(error)),
        error => Trouble::Broken(innermost(error)),
    }
}

/// The cause at the bottom, which is the one that says something; its address is
/// said already, and may hold a password.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::fs::Mode;
    use tokio::time::Instant;

    use super::{Body, Trouble};

    #[test]
    fn only_files_are_opened_and_nothing_is_waited_for() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path();
        rustix::fs::mkfifoat(rustix::fs::CWD, path.join("pipe"), Mode::RWXU).expect("a pipe");
        std::fs::create_dir(path.join("folder")).expect("a folder");
        std::fs::write(path.join("file"), "text").expect("a file");
        let deadline = Instant::now() + Duration::from_secs(9);
        let open = |name: &str| Body::of_file(path, name, deadline);
        assert!(open("file").is_ok());
        for name in ["pipe", "folder"] {
            assert_eq!(open(name).err(), Some(Trouble::Broken("no file".to_owned())), "{name}");
        }
        assert_eq!(open("nothing").err(), Some(Trouble::Missing(404)));
        assert!(matches!(open("../file"), Err(Trouble::Redirect(_))));
    }
}
