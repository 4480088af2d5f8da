//! Caches and keys need proof.

use std::num::NonZeroU16;

use anyhow::{Context, Result, bail};

use crate::catalogue::CACHE_KEY;
use crate::plan::{Cache, Verdict};

/// The cache that every Nix uses when nobody says otherwise.
const CACHE_URL: &str = "https://cache.nixos.org";

pub(super) fn check_url(url: &str, caches: &[Cache]) -> Result<()> {
    let place = place(url).with_context(|| format!("{url:?} is no plain URL of a cache"))?;
    let proven = |cache: &Cache| {
        cache.verdict == Some(Verdict::Verified)
            && cache.key.is_some()
            && self::place(&cache.url) == Some(place)
    };
    if place != CACHE_URL && !caches.iter().any(proven) {
        bail!("{url}: no proof that it serves what its key signed");
    }
    Ok(())
}

/// A cache's URL without what may differ: a slash at its end, and a priority.
/// No other parameter is let through, since `?trusted=1` would turn signatures
/// off; nor is a URL that Nix 2.34 cannot parse, which would stop every command.
pub fn place(url: &str) -> Option<&str> {
    let (place, priority) = url.split_once("?priority=").unwrap_or((url, "0"));
    priority.parse::<u32>().ok()?;
    let (scheme, rest) = place.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let is_place = match scheme {
        "http" | "https" => !host.is_empty() && port.parse::<NonZeroU16>().is_ok(),
        "file" => host.is_empty() && !path.is_empty(),
        _ => false,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
    (is_place && rest.chars().all(plain)).then(|| place.strip_suffix('/').unwrap_or(place))
}

pub(super) fn check_key(key: &str, caches: &[Cache]) -> Result<()> {
    let proven = |cache: &Cache| {
        cache.verdict == Some(Verdict::Verified) && cache.key.as_deref() == Some(key)
    };
    if key != CACHE_KEY && !caches.iter().any(proven) {
        bail!("{key}: no proof that it signed what a cache serves");
    }
    Ok(())
}
