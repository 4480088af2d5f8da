//! How large the store is: three sizes that differ up to seven times.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use detect::database::read;
use detect::human::{plain, size};
use detect::mount::{self, Mount};
use detect::nix;
use detect::root::Root;
use detect::store::{Graph, Keep};
use schemars::JsonSchema;
use serde::Serialize;

use crate::roots::{database, state_dir};

/// More files than any store has.
const MOST_LINKS: usize = 50_000_000;

/// The store's sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StoreSize {
    /// Valid store paths.
    pub paths: u64,
    /// Their size as archives (`narSize`), hard links counted as often as they
    /// are there.
    pub logical_bytes: u64,
    /// What hard links save (`nix-store --optimise`); `null` when it cannot be
    /// looked at.
    pub saved_bytes: Option<u64>,
    /// What its file system has in use; `null` when others use it, too.
    pub disk_bytes: Option<u64>,
    /// Why that is not known.
    pub disk_why: Option<String>,
}

impl StoreSize {
    pub(crate) fn human(&self) -> String {
        let unknown = || "unknown".to_owned();
        let why =
            self.disk_why.as_ref().map(|why| format!(" ({})", plain(why))).unwrap_or_default();
        format!(
            "The store, {} paths\n  {:<22}{}\n  {:<22}{}\n  {:<22}{}{why}\n",
            self.paths,
            "logical size",
            size(self.logical_bytes),
            "saved by hard links",
            self.saved_bytes.map_or_else(unknown, size),
            "on disk",
            self.disk_bytes.map_or_else(unknown, size),
        )
    }
}

/// How large this machine's store is.
pub(crate) fn store_size(root: &Root) -> Result<StoreSize> {
    let keep = Keep { derivations: false, outputs: false };
    let whole =
        read(&database(&state_dir())?, |connection| Ok(Graph::read(connection, keep)?.whole()))?;
    let store = nix::store_dir(root);
    let mounts = mount::mounts(root);
    let disk = on_disk(root, &mounts, &root.resolve(&store));
    Ok(StoreSize {
        paths: whole.paths,
        logical_bytes: whole.bytes,
        saved_bytes: saved(&store.join(".links")),
        disk_why: disk.as_ref().err().map(ToString::to_string),
        disk_bytes: disk.ok(),
    })
}

/// What hard links save: each file has a name of its own there, one in the store
/// that it would have anyway, and others for nothing.
fn saved(links: &Path) -> Option<u64> {
    let mut bytes = 0_u64;
    for entry in fs::read_dir(links).ok()?.take(MOST_LINKS) {
        let Ok(found) = entry.ok()?.metadata() else { continue };
        bytes = bytes.saturating_add(found.nlink().saturating_sub(2).saturating_mul(found.len()));
    }
    Some(bytes)
}

/// What the store's file system has in use, where it holds nothing else.
fn on_disk(root: &Root, mounts: &[Mount], store: &Path) -> Result<u64> {
    let own = mount::covering(mounts, store).context("its file system is not known")?;
    // The state directory beside the store is part of it.
    let home = store.parent().unwrap_or(store);
    let is_same = |other: &&Mount| {
        other.device == own.device || (own.filesystem == "btrfs" && other.source == own.source)
    };
    let other = mounts.iter().filter(is_same).find(|other| !other.mount_point.starts_with(home));
    if let Some(other) = other {
        anyhow::bail!("its file system is also mounted on {}", other.mount_point.display());
    }
    let found = root.statvfs(&own.mount_point).context("its file system cannot be looked at")?;
    Ok(found.f_blocks.saturating_sub(found.f_bfree).saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use detect::mount::parse_mountinfo;
    use detect::root::Root;

    use super::{on_disk, saved};

    #[test]
    fn all_names_but_two_are_saved() {
        let folder = tempfile::tempdir().expect("folder");
        let links = folder.path().join(".links");
        fs::create_dir(&links).expect("made");
        for (name, others) in [("a", 3), ("b", 1), ("unused", 0)] {
            let file = links.join(name);
            fs::write(&file, [0; 1000]).expect("written");
            for other in 0..others {
                let link = folder.path().join(format!("{name}-{other}"));
                fs::hard_link(&file, link).expect("a link");
            }
        }
        assert_eq!(saved(&links), Some(2000));
        assert_eq!(saved(&folder.path().join("none")), None);
    }

    #[test]
    fn a_shared_file_system_does_not_tell() {
        let why = |mounts: &str| {
            let mounts = parse_mountinfo(mounts);
            let found = on_disk(&Root::live(), &mounts, Path::new("/nix/store"));
            found.map_or_else(|error| error.to_string(), |_| String::new())
        };
        let root = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";
        let also = "its file system is also mounted on /";
        assert_eq!(why(root), also);
        let bound = format!("{root}2 1 8:1 /nix/store /nix/store ro - ext4 /dev/sda1 rw\n");
        assert_eq!(why(&bound), also);
        let pool = "1 0 0:31 /@ / rw - btrfs /dev/a rw\n2 1 0:32 /@nix /nix rw - btrfs /dev/a rw\n";
        assert_eq!(why(pool), also);
        // /nix is none of this test's; that it is asked at all is.
        let own = format!(
            "{root}2 1 8:2 / /nix rw - ext4 /dev/sda2 rw\n3 2 8:2 /store /nix/store ro - ext4 /dev/sda2 rw\n"
        );
        assert!(!why(&own).contains("mounted"), "{}", why(&own));
    }
}
