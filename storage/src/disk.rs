//! A better file system for builds, where the default's is bad.

use std::num::NonZero;

use detect::hardware::{Media, Place};
use detect::human::{count, media, size};

use crate::home::{BUILD_BYTES, Home};
use crate::site::Site;

/// The best of those that are better for certain.
pub(crate) fn disk(site: &Site) -> Option<Home> {
    let need = site.jobs().saturating_mul(BUILD_BYTES);
    let better = site
        .candidates()
        .into_iter()
        .filter(|(_, place)| place.mount_point != site.now.mount_point && is_good(place, need))
        .filter_map(|(path, place)| Some((path, place, reason(site, path, place, need)?)));
    let (path, _, why) = better.max_by_key(|(_, place, _)| (place.media, place.size_bytes))?;
    Some(Home { path, is_told: true, tmpfs_bytes: None, why })
}

/// Whether builds can run there: they write much, and run what they have built.
pub(crate) fn is_good(place: &Place, need: u64) -> bool {
    let forbids = |option: &String| ["ro", "noexec"].contains(&option.as_str());
    !matches!(place.media, Media::Network | Media::Memory)
        && !place.options.iter().any(forbids)
        && bytes(place).is_some_and(|bytes| bytes >= need)
}

/// Why builds are better off there, if they are: it has room where the default
/// has none, and is no slower; or it is flash, and the default is slow. Memory
/// gives way to any disk: a full one fails builds, and what builds write to it
/// is taken from their compilers.
fn reason(site: &Site, path: &str, place: &Place, need: u64) -> Option<String> {
    let now = site.now;
    let is_faster = place.media >= now.media || now.media == Media::Memory;
    let is_flash = matches!(place.media, Media::Ssd | Media::Nvme);
    match bytes(now).filter(|bytes| *bytes < need && is_faster) {
        Some(small) => Some(format!(
            "{} has only {}, where {} may write {} each; {path} has {}",
            site.default,
            size(small),
            count(u32::try_from(site.jobs()).unwrap_or(u32::MAX), "build"),
            size(BUILD_BYTES),
            size(bytes(place)?)
        )),
        None if site.is_slow() && is_flash => Some(format!(
            "{} is on {}, and builds write many small files; {path} is on {}",
            site.default,
            media(now.media),
            media(place.media)
        )),
        None => None,
    }
}

fn bytes(place: &Place) -> Option<u64> {
    place.size_bytes.map(NonZero::get)
}
