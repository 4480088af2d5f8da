//! What a directory stands on: its mount, file system, layers and disks.

use std::num::NonZeroU64;
use std::path::Path;

use crate::disk::{self, Below};
use crate::hardware::{Media, Place};
use crate::mount::{self, Mount};
use crate::root::Root;

/// File systems kept in memory.
const MEMORY: [&str; 4] = ["tmpfs", "ramfs", "devtmpfs", "rootfs"];

/// File systems whose data are on another machine, or on the host of this one.
const REMOTE: [&str; 18] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "gpfs",
    "orangefs",
    "beegfs",
    "vboxsf",
    "vmhgfs",
    "prl_fs",
    "drvfs",
];

/// Overlays on loops on overlays: deeper is a circle.
const MOST_MOUNTS: usize = 8;

/// Look at the directory `path`, which need not exist yet.
pub fn place(root: &Root, mounts: &[Mount], path: &Path) -> Place {
    let mut place = Place {
        path: path.display().to_string(),
        mount_point: None,
        filesystem: None,
        options: Vec::new(),
        size_bytes: None,
        inodes: None,
        media: Media::Unknown,
        stack: Vec::new(),
        disks: None,
    };
    let Some(mount) = mount::covering(mounts, &root.resolve(path)) else {
        return place;
    };
    place.mount_point = Some(mount.mount_point.display().to_string());
    place.filesystem = Some(mount.filesystem.clone());
    place.options.clone_from(&mount.options);
    if let Some(size) = root.statvfs(&mount.mount_point) {
        place.size_bytes = NonZeroU64::new(size.f_blocks.saturating_mul(size.f_frsize));
        place.inodes = NonZeroU64::new(size.f_files);
    }
    let mut below = Some(Below::default());
    look_below(root, mounts, mount, 0, &mut below);
    if let Some(below) = below {
        place.media = below.media.iter().copied().min().unwrap_or_default();
        place.stack = below.stack;
        place.disks = (!below.hidden).then_some(below.disks);
    } else {
        place.stack.push(mount.filesystem.clone());
    }
    place
}

/// Add to `found` what `mount` stands on, or set it to `None` where that cannot
/// be seen: half of the disks would be taken for all of them.
fn look_below(
    root: &Root,
    mounts: &[Mount],
    mount: &Mount,
    depth: usize,
    found: &mut Option<Below>,
) {
    let Some(below) = found else { return };
    below.stack.push(mount.filesystem.clone());
    if MEMORY.contains(&mount.filesystem.as_str()) {
        below.media.push(Media::Memory);
        return;
    }
    if is_remote(mount) {
        below.media.push(Media::Network);
        return;
    }
    if depth > MOST_MOUNTS {
        *found = None;
        return;
    }
    // New files of an overlay go to its upper directory. (A path inside a
    // container's host cannot be found here, and its mount is then a guess.)
    if mount.filesystem == "overlay" {
        let upper = mount.option("upperdir").map(Path::new).filter(|upper| upper.is_absolute());
        match upper.filter(|upper| root.exists(upper)) {
            Some(upper) => look_at_path(root, mounts, upper, depth, found),
            None => *found = None,
        }
        return;
    }
    let folders = match mount.filesystem.as_str() {
        "btrfs" => btrfs_members(root, &mount.source),
        "bcachefs" => bcachefs_members(root, &mount.source),
        _ => device(root, mount).into_iter().collect(),
    };
    if folders.is_empty() {
        *found = None;
        return;
    }
    for folder in folders {
        let member = disk::below(root, &folder);
        let Some(below) = found else { return };
        let new = |layer: &String| !below.stack.contains(layer);
        let layers: Vec<String> = member.stack.into_iter().filter(new).collect();
        below.stack.extend(layers);
        below.media.extend(member.media);
        below.hidden |= member.hidden;
        let new: Vec<_> =
            member.disks.into_iter().filter(|disk| !below.disks.contains(disk)).collect();
        below.disks.extend(new);
        below.disks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for file in member.files {
            look_at_path(root, mounts, &file, depth, found);
        }
    }
}

fn look_at_path(
    root: &Root,
    mounts: &[Mount],
    path: &Path,
    depth: usize,
    found: &mut Option<Below>,
) {
    match mount::covering(mounts, &root.resolve(path)) {
        Some(mount) => look_below(root, mounts, mount, depth + 1, found),
        None => *found = None,
    }
}

fn is_remote(mount: &Mount) -> bool {
    REMOTE.contains(&mount.filesystem.as_str())
        || mount.filesystem.starts_with("fuse.sshfs")
        || mount.filesystem.starts_with("fuse.glusterfs")
        || (!mount.source.starts_with('/') && mount.source.contains(":/"))
}

/// The block device of an ordinary file system. Numbers of major 0 stand for
/// no device.
fn device(root: &Root, mount: &Mount) -> Option<std::path::PathBuf> {
    let number = mount.device.as_deref().filter(|number| !number.starts_with("0:"));
    number
        .and_then(|number| disk::by_number(root, number))
        .or_else(|| disk::by_path(root, &mount.source))
}

/// All members of the btrfs that `source` is one of: a mount names just one.
fn btrfs_members(root: &Root, source: &str) -> Vec<std::path::PathBuf> {
    let Some(one) = disk::by_path(root, source) else {
        return Vec::new();
    };
    let Some(name) = one.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
        return Vec::new();
    };
    let base = Path::new("/sys/fs/btrfs");
    for id in root.list(base) {
        let devices = base.join(id).join("devices");
        let members = root.list(&devices);
        if members.contains(&name) {
            return members.iter().map(|member| root.resolve(&devices.join(member))).collect();
        }
    }
    vec![one]
}

/// The members of a bcachefs, which a mount names all: `/dev/sda:/dev/sdb`.
fn bcachefs_members(root: &Root, source: &str) -> Vec<std::path::PathBuf> {
    let members: Option<Vec<_>> =
        source.split(':').map(|member| disk::by_path(root, member)).collect();
    members.unwrap_or_default()
}
