//! The authorities by which a cache proves who it is, where Nix is told of its own.
//!
//! One certificate that nobody can read says nothing of the others, so it is
//! passed by, as it is in the bundles of many systems.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Where Nix looks for the authorities that it trusts, in this order.
const VARIABLES: [&str; 2] = ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"];

/// The authorities that Nix would trust instead of the system's; `None` where it
/// is told of none.
pub(crate) fn authorities() -> Result<Option<Vec<CertificateDer<'static>>>> {
    let set = |name: &&str| std::env::var_os(name).filter(|path| !path.is_empty());
    let Some(path) = VARIABLES.iter().find_map(set) else { return Ok(None) };
    let path = Path::new(&path);
    let name = || format!("{} (of {})", path.display(), VARIABLES.join(" or "));
    let found = usable(&std::fs::read(path).with_context(name)?);
    ensure!(!found.is_empty(), "{}: no certificate", name());
    Ok(Some(found))
}

/// Those certificates of a bundle by which another can be checked.
fn usable(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    CertificateDer::pem_slice_iter(bundle)
        .filter_map(Result::ok)
        .filter(|found| roots.add(found.clone()).is_ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::usable;

    /// `openssl req -x509 -newkey ed25519 -nodes -subj /CN=a`.
    const GOOD: &str = "\
-----BEGIN CERTIFICATE-----
MIIBLjCB4aADAgECAhRxIYBWKS1BSBM6rq/pVN5DLM/r+zAFBgMrZXAwDDEKMAgG
A1UEAwwBYTAgFw0yNjExMjcyMDUzMTVaGA8yMTI2MTEwMzIwNTMxNVowDDEKMAgG
A1UEAwwBYTAqMAUGAytlcAMhAEWmPhtqD950y/Kbkw2xqzUrr8jI2lSf0SdivHe4
sSV5o1MwUTAdBgNVHQ4EFgQUIcwk73Gwu8/hXeIwocdqfUiWoDwwHwYDVR0jBBgw
FoAUIcwk73Gwu8/hXeIwocdqfUiWoDwwDwYDVR0TAQH/BAUwAwEB/zAFBgMrZXAD
QQDfnfS2BYT3vfq2VTda1oN12O92XZIRQRUyrommphKyUvPPs5yKUxJsZaODglao
PNoWdwhqkWPeQ7MjzgrDKngA
-----END CERTIFICATE-----
";

    #[test]
    fn one_odd_certificate_is_passed_by() {
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let junk = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let open = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        assert_eq!(usable(GOOD.as_bytes()).len(), 1);
        assert_eq!(usable(format!("{odd}{GOOD}{junk}{GOOD}{open}").as_bytes()).len(), 2);
        for bundle in ["", "text", odd, junk, open] {
            assert!(usable(bundle.as_bytes()).is_empty(), "{bundle}");
        }
    }
}
