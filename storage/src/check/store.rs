//! What is wrong with where the store is, or with what keeps room there.

use std::path::Path;

use detect::hardware::{Hardware, Media, Place};
use detect::human::size;
use detect::root::Root;
use serde_json::Value;

use super::finding::Finding;

/// Transports of disks that are pulled without a word.
const REMOVABLE: [&str; 2] = ["usb", "mmc"];

/// File systems that take `A` for `a`, unless told otherwise.
const CASELESS: [&str; 9] =
    ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "cifs", "smb3", "apfs", "hfs"];

/// A store, or build directory, that may go away or is far.
pub(crate) fn attachment(what: &str, place: &Place) -> Option<Finding> {
    let id =
        |kind: &str| format!("{}-{kind}", what.replace("the ", "").replace("builds", "build-dir"));
    if place.media == Media::Network {
        let text = format!(
            "{what} on another machine, or on the host of this one ({}): every small file waits \
             for it, and locks may not hold",
            place.filesystem.as_deref().unwrap_or("unknown")
        );
        let next = "keep it on a disk of this machine";
        return Some(Finding::warning(&id("remote"), text.replacen(what, &are(what), 1), next));
    }
    let is_removable = |transport: &Option<String>| {
        transport.as_deref().is_some_and(|transport| REMOVABLE.contains(&transport))
    };
    let disk = place.disks.iter().flatten().find(|disk| is_removable(&disk.transport))?;
    let kind = disk.transport.as_deref().unwrap_or_default();
    let text =
        format!("{} on {}, a {kind} disk: it may be slow, or be pulled", are(what), disk.name);
    let next = "move it to a built-in disk, or make sure that this one stays";
    Some(Finding::warning(&id("removable"), text, next))
}

fn are(what: &str) -> String {
    format!("{what} {}", if what.ends_with('s') { "are" } else { "is" })
}

/// A store in which names that differ only by case are one.
pub(crate) fn caseless(root: &Root, place: &Place) -> Option<Finding> {
    let store = Path::new(&place.path);
    // Nix makes `.links` in each of its stores.
    let is_caseless = match root.lstat(&store.join(".links")) {
        Ok(_) => root.lstat(&store.join(".LINKS")).is_ok(),
        Err(_) => place.filesystem.as_deref().is_some_and(|name| CASELESS.contains(&name)),
    };
    is_caseless.then(|| {
        let text = format!(
            "{} takes names that differ only by case for one: what has such files is unpacked \
             wrongly, or not at all",
            place.path
        );
        let next = "keep the store on a case-sensitive file system, or set use-case-hack = true \
                    on macOS";
        Finding::warning("store-caseless", text, next)
    })
}

/// `min-free` of which nothing good comes. Nix collects when less is free than
/// both it and `max-free`, until `max-free` is (`autoGC` in gc.cc).
pub(crate) fn room(hardware: &Hardware) -> Option<Finding> {
    let settings = &hardware.nix.as_ref()?.settings;
    let number = |name: &str| settings.get(name).and_then(Value::as_u64);
    let least = number("min-free").filter(|&bytes| bytes > 0)?;
    let enough = number("max-free").unwrap_or(u64::MAX);
    let whole = hardware.storage.store.as_ref().and_then(|place| place.size_bytes);
    let next = "let storage plan both: detect | profile | storage";
    if enough == 0 {
        let text = "min-free does nothing: with max-free = 0 there is always enough";
        return Some(Finding::warning("min-free-useless", text, next));
    }
    if whole.is_some_and(|whole| least.min(enough) >= whole.get()) {
        let text = format!(
            "min-free, {}, is as much as the store's file system has: every build first deletes \
             all that nothing keeps",
            size(least)
        );
        return Some(Finding::warning("min-free-always", text, next));
    }
    (enough <= least).then(|| {
        let text = format!(
            "min-free, {}, is no less than max-free, {}: Nix collects only below max-free, and \
             stops at once",
            size(least),
            size(enough)
        );
        Finding::warning("min-free-useless", text, next)
    })
}
