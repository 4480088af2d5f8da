//! How much space the store keeps free: below it, Nix collects garbage while it
//! builds.
//!
//! The numbers are plain: suffixes such as `1G` are fatal before Nix 2.24.

use detect::hardware::{Media, Place};
use detect::human::size;
use profile::plan::{Plan, Value};
use profile::sizing::GIB;

use crate::Decision;

/// One part in this many of the file system stays free, …
const SHARE: u64 = 20;

/// … but at least what a build or two download and write, …
const LEAST: u64 = 2 * GIB;

/// … and at most what no single build exceeds.
const MOST: u64 = 20 * GIB;

/// Garbage is collected until so many times as much is free: Nix looks again
/// only 3 % below what it reached (libstore/gc.cc), and with max-free at or
/// below min-free it never collects.
const FACTOR: u64 = 3;

/// `min-free` and `max-free`, where the store's file system can have both.
pub(crate) fn room(plan: &Plan) -> Vec<Decision> {
    let Some(place) = &plan.hardware.storage.store else { return Vec::new() };
    let Some(whole) = file_system(place) else { return Vec::new() };
    let least = (whole / SHARE).clamp(LEAST, MOST);
    let enough = FACTOR * least;
    // Half a file system is never free for long: garbage would be collected on
    // and on.
    if enough > whole / 2 {
        return Vec::new();
    }
    vec![
        (
            "min-free",
            Value::Integer(least),
            format!(
                "a build that meets a full disk fails after hours: below {}, of a store on {}, \
                 garbage is collected while it runs",
                size(least),
                size(whole)
            ),
        ),
        (
            "max-free",
            Value::Integer(enough),
            format!(
                "garbage is collected until {} are free, not all of it, as by default",
                size(enough)
            ),
        ),
    ]
}

/// Size of the file system, unless others fill it whom no garbage collection
/// here could stop.
fn file_system(place: &Place) -> Option<u64> {
    if place.media == Media::Network {
        return None;
    }
    Some(place.size_bytes?.get())
}
