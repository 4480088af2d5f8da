//! Asking caches, with a bound on everything they can cost.
//!
//! Bodies are bounded in size, the whole of a check in time; redirects are
//! followed ten times, but never from https to http, nor from a public host to
//! one of this machine or its link, which could then be made to answer things
//! they tell nobody else.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode, redirect};
use tokio::time::{Instant, timeout, timeout_at};
use url::{Host, Url};

use crate::address::{Address, Place};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Time for a connection: far above any real one, and still below the deadline.
const CONNECT: Duration = Duration::from_secs(5);

/// Time between two pieces of an answer.
const PIECE: Duration = Duration::from_secs(5);

/// Asks caches.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
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
                write!(formatter, "private: it wants a login (status {status})")
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
            .referer(false)
            .build()
            .context("no HTTP client")?;
        Ok(Self { http, deadline: Instant::now() + within })
    }

    /// A file of a cache, of at most so many bytes.
    pub async fn get(&self, cache: &Address, file: &str, most: usize) -> Result<Answer, Trouble> {
        match cache.place() {
            Place::Http(root) => {
                let url = root.join(file).map_err(|error| Trouble::Broken(error.to_string()))?;
                self.fetch(url, most).await
            }
            Place::Folder(folder) => read(&folder.join(file), most),
            Place::Other(_) => Err(Trouble::Unreachable("only Nix speaks this".to_owned())),
        }
    }

    /// What an address gives, of at most so many bytes.
    pub async fn fetch(&self, url: Url, most: usize) -> Result<Answer, Trouble> {
        let asked = Instant::now();
        let mut url = url;
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(url.clone()).await?;
            let status = response.status();
            if status.is_redirection()
                && let Some(target) = response.headers().get(LOCATION)
            {
                let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
                url = follow(&url, &target).await?;
                continue;
            }
            if status == StatusCode::OK {
                let first_byte = asked.elapsed();
                return Ok(Answer { body: self.body(response, most).await?, first_byte });
            }
            return Err(trouble(&response));
        }
        Err(Trouble::Redirect(format!("more than {MOST_REDIRECTS} in a row")))
    }

    async fn send(&self, url: Url) -> Result<Response, Trouble> {
        let began = Instant::now();
        match timeout_at(self.deadline, self.http.get(url).send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(no_response(&error)),
            Err(_) => Err(Trouble::Silent(began.elapsed().as_secs())),
        }
    }

    async fn body(&self, mut response: Response, most: usize) -> Result<Vec<u8>, Trouble> {
        let mut body = Vec::new();
        loop {
            let piece = timeout(PIECE, timeout_at(self.deadline, response.chunk())).await;
            match piece {
                Ok(Ok(Ok(Some(piece)))) => body.extend_from_slice(&piece),
                Ok(Ok(Ok(None))) => return Ok(body),
                Ok(Ok(Err(error))) => return Err(Trouble::Broken(innermost(&error))),
                Ok(Err(_)) | Err(_) => return Err(Trouble::Stalled(body.len())),
            }
            if body.len() > most {
                return Err(Trouble::TooLarge(most));
            }
        }
    }
}

/// A file of a cache that is a folder.
fn read(path: &Path, most: usize) -> Result<Answer, Trouble> {
    use std::io::Read;
    let asked = Instant::now();
    let broken = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Trouble::Missing(404),
        _ => Trouble::Unreachable(error.to_string()),
    };
    let file = std::fs::File::open(path).map_err(broken)?;
    let mut body = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut body).map_err(broken)?;
    if body.len() > most {
        return Err(Trouble::TooLarge(most));
    }
    Ok(Answer { body, first_byte: asked.elapsed() })
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

/// Where a redirect leads, if it may be followed.
async fn follow(from: &Url, target: &str) -> Result<Url, Trouble> {
    let refuse = |why: &str| Err(Trouble::Redirect(why.to_owned()));
    let Ok(to) = from.join(target) else {
        return refuse("its target is no address");
    };
    match (from.scheme(), to.scheme()) {
        ("https" | "http", "https") | ("http", "http") => {}
        ("https", "http") => return refuse("from https to http"),
        _ => return refuse("to something that is not HTTP"),
    }
    if from.host() != to.host() && !reaches_inside(from).await && reaches_inside(&to).await {
        return refuse("from a public host to this machine or its own network");
    }
    Ok(to)
}

/// Whether a host is this machine, or next to it.
async fn reaches_inside(url: &Url) -> bool {
    let port = url.port_or_known_default().unwrap_or(0);
    match url.host() {
        Some(Host::Ipv4(address)) => is_inside(address.into()),
        Some(Host::Ipv6(address)) => is_inside(address.into()),
        Some(Host::Domain(name)) => match tokio::net::lookup_host((name, port)).await {
            Ok(mut addresses) => addresses.any(|address| is_inside(address.ip())),
            Err(_) => false,
        },
        None => true,
    }
}

fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_link_local()
                || address.is_private()
                || address.is_unspecified()
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}
