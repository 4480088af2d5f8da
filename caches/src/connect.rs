//! How long each step to a cache takes: its name, a connection, TLS, an answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::authorities::authorities;

/// Time for each step.
const STEP: Duration = Duration::from_secs(5);

/// Addresses of a host that are tried.
const MOST_ADDRESSES: usize = 4;

/// The steps of a first question to a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Steps {
    /// To find its addresses; `null` where it is named by one.
    pub dns_seconds: Option<f64>,
    /// To a connection.
    pub connect_seconds: f64,
    /// To a secret one; `null` for plain HTTP.
    pub tls_seconds: Option<f64>,
    /// From asking to the first byte of the answer.
    pub first_byte_seconds: f64,
}

/// Ask for `nix-cache-info` on a new connection, step by step.
pub async fn steps(root: &Url) -> Result<Steps, String> {
    let mut steps = Steps::default();
    let port = root.port_or_known_default().unwrap_or(80);
    let began = Instant::now();
    let addresses: Vec<SocketAddr> = match root.host() {
        Some(Host::Ipv4(address)) => vec![(address, port).into()],
        Some(Host::Ipv6(address)) => vec![(address, port).into()],
        Some(Host::Domain(name)) => {
            let found = bounded("its name", tokio::net::lookup_host((name, port))).await?;
            steps.dns_seconds = Some(began.elapsed().as_secs_f64());
            found.take(MOST_ADDRESSES).collect()
        }
        None => Vec::new(),
    };
    let mut connected = Err("no address".to_owned());
    for address in addresses {
        let began = Instant::now();
        connected = bounded("connection", TcpStream::connect(address)).await;
        steps.connect_seconds = began.elapsed().as_secs_f64();
        if connected.is_ok() {
            break;
        }
    }
    let stream = connected?;
    let text = |error: io::Error| error.to_string();
    stream.set_nodelay(true).map_err(text)?;
    if root.scheme() != "https" {
        steps.first_byte_seconds = first_byte(stream, root).await?;
        return Ok(steps);
    }
    let host = root.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config()?));
    let began = Instant::now();
    let stream = bounded("TLS", connector.connect(name, stream)).await?;
    steps.tls_seconds = Some(began.elapsed().as_secs_f64());
    steps.first_byte_seconds = first_byte(stream, root).await?;
    Ok(steps)
}

/// A step that ends in time.
async fn bounded<T>(what: &str, step: impl Future<Output = io::Result<T>>) -> Result<T, String> {
    match timeout(STEP, step).await {
        Ok(result) => result.map_err(|error| format!("{what}: {error}")),
        Err(_) => Err(format!("{what}: not within {} s", STEP.as_secs())),
    }
}

/// Seconds from asking to the first byte.
async fn first_byte(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    root: &Url,
) -> Result<f64, String> {
    let host = root.host_str().unwrap_or_default();
    let host = root.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    let question = format!(
        "GET {}nix-cache-info HTTP/1.1\r\nHost: {host}\r\nUser-Agent: nixpace/{}\r\n\
         Connection: close\r\n\r\n",
        root.path(),
        env!("CARGO_PKG_VERSION"),
    );
    let began = Instant::now();
    bounded("asking", async {
        stream.write_all(question.as_bytes()).await?;
        stream.flush().await?;
        stream.read_u8().await
    })
    .await?;
    Ok(began.elapsed().as_secs_f64())
}

/// The authorities that Nix would trust, or else the system's.
fn config() -> Result<ClientConfig, String> {
    let Some(found) = authorities().map_err(|error| format!("{error:#}"))? else {
        return ClientConfig::with_platform_verifier().map_err(|error| error.to_string());
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found);
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
