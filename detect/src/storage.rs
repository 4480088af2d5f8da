//! What a directory stands on: its mount, file system, layers and disks.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use crate::disk::{self, Below};
use crate::hardware::{Media, Place, Storage};
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

/// Overlays on loops on overlays: more than these in all is a circle, or worse.
const MOST_MOUNTS: usize = 32;

/// Look at the store, the build directory and the temporary directory, which
/// need not exist yet. What two of them stand on is looked at once.
pub fn storage(root: &Root, mounts: &[Mount], store: &Path, build_dir: &Path) -> Storage {
    let mut seen: Vec<Place> = Vec::new();
    let [store, build_dir, tmp] = [store, build_dir, Path::new("/tmp")].map(|path| {
        let mount = mount::covering(mounts, &root.resolve(path));
        let mount_point = mount.map(|mount| mount.mount_point.display().to_string());
        let known = seen.iter().find(|place| place.mount_point == mount_point).cloned();
        let place = known.unwrap_or_else(|| place(root, mounts, mount));
        let place = Place { path: path.display().to_string(), ..place };
        seen.push(place.clone());
        Some(place)
    });
    Storage { store, build_dir, tmp }
}

/// What a mount stands on.
fn place(root: &Root, mounts: &[Mount], mount: Option<&Mount>) -> Place {
    let mut place = Place {
        path: String::new(),
        mount_point: None,
        filesystem: None,
        options: Vec::new(),
        size_bytes: None,
        inodes: None,
        media: Media::Unknown,
        stack: Vec::new(),
        disks: None,
    };
    let Some(mount) = mount else { return place };
    place.mount_point = Some(mount.mount_point.display().to_string());
    place.filesystem = Some(mount.filesystem.clone());
    place.options.clone_from(&mount.options);
    if let Some(size) = root.statvfs(&mount.mount_point) {
        place.size_bytes = NonZeroU64::new(size.f_blocks.saturating_mul(size.f_frsize));
        place.inodes = NonZeroU64::new(size.f_files);
    }
    let mut below = Some(Below::default());
    look_below(root, mounts, mount, &mut 0, &mut below);
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
    passed: &mut usize,
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
    *passed += 1;
    if *passed > MOST_MOUNTS {
        *found = None;
        return;
    }
    // New files of an overlay go to its upper directory. (A path inside a
    // container's host cannot be found here, and its mount is then a guess.)
    if mount.filesystem == "overlay" {
        let upper = mount.option("upperdir").map(Path::new).filter(|upper| upper.is_absolute());
        match upper.filter(|upper| root.exists(upper)) {
            Some(upper) => look_at_path(root, mounts, upper, passed, found),
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
    // Members mostly stand on the same layers, which are told once.
    let mut told: Vec<Vec<String>> = Vec::new();
    for folder in folders {
        let mut member = disk::below(root, &folder);
        let files = std::mem::take(&mut member.files);
        let mut member = Some(member);
        for file in files {
            look_at_path(root, mounts, &file, passed, &mut member);
        }
        let (Some(below), Some(member)) = (found.as_mut(), member) else {
            *found = None;
            return;
        };
        if !told.contains(&member.stack) {
            below.stack.extend(member.stack.clone());
            told.push(member.stack);
        }
        below.media.extend(member.media);
        below.hidden |= member.hidden;
        below.disks.extend(member.disks);
        below.disks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        below.disks.dedup();
    }
}

fn look_at_path(
    root: &Root,
    mounts: &[Mount],
    path: &Path,
    passed: &mut usize,
    found: &mut Option<Below>,
) {
    match mount::covering(mounts, &root.resolve(path)) {
        Some(mount) => look_below(root, mounts, mount, passed, found),
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
fn device(root: &Root, mount: &Mount) -> Option<PathBuf> {
    let number = mount.device.as_deref().filter(|number| !number.starts_with("0:"));
    number
        .and_then(|number| disk::by_number(root, number))
        .or_else(|| disk::by_path(root, &mount.source))
}

/// All members of the btrfs that `source` is one of: a mount names just one.
fn btrfs_members(root: &Root, source: &str) -> Vec<PathBuf> {
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

/// The members of a bcachefs: a mount names all (`/dev/sda:/dev/sdb`), one, or
/// just its id, and the kernel lists them by number.
fn bcachefs_members(root: &Root, source: &str) -> Vec<PathBuf> {
    let named: Vec<PathBuf> =
        source.split(':').filter_map(|member| disk::by_path(root, member)).collect();
    let base = Path::new("/sys/fs/bcachefs");
    for id in root.list(base) {
        let folder = base.join(&id);
        let numbers = root.list(&folder).into_iter().filter(|name| name.starts_with("dev-"));
        let members: Vec<PathBuf> =
            numbers.map(|name| root.resolve(&folder.join(name).join("block"))).collect();
        if source.contains(&id) || named.iter().any(|member| members.contains(member)) {
            return members;
        }
    }
    let all_named = named.len() == source.split(':').count();
    if all_named { named } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::storage;
    use crate::fixture::tree;
    use crate::hardware::{Media, Place};
    use crate::mount::mounts;

    /// Two disks of which one spins, a LUKS volume on the first, and mounts of
    /// all sorts.
    fn look(path: &str) -> Place {
        let mountinfo = "\
20 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
21 20 253:0 / /nix rw,noatime - xfs /dev/mapper/my\\040crypt rw
22 20 0:30 / /pool rw - btrfs /dev/nvme0n1 rw
23 20 0:31 / /run rw - tmpfs tmpfs rw,size=1g
24 20 0:32 / /net rw - nfs4 server:/export rw
25 20 0:33 / /over rw - overlay overlay rw,lowerdir=/a,upperdir=/pool/up,workdir=/pool/w
26 20 7:0 / /image ro - squashfs /dev/loop0 ro
27 20 253:9 / /mapped rw - ext4 /dev/mapper/bare rw
28 20 0:40 / /host rw - 9p share rw
29 20 0:41 / /tank rw - zfs tank/data rw
30 20 252:0 / /guest rw - ext4 /dev/vda rw
31 20 0:50 / /both rw - bcachefs /dev/sda rw
";
        let sata = "sys/devices/pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda";
        let tree = tree(&[
            ("proc/self/mountinfo", mountinfo),
            (
                "sys/dev/block/8:1",
                "-> ../../devices/pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
            ),
            (
                "sys/class/block/sda",
                "-> ../../devices/pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda",
            ),
            (
                "sys/class/block/sda1",
                "-> ../../devices/pci0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
            ),
            (&format!("{sata}/sda1/partition"), "1\n"),
            (&format!("{sata}/queue/rotational"), "1\n"),
            (&format!("{sata}/queue/write_cache"), "write back\n"),
            ("sys/dev/block/253:0", "-> ../../devices/virtual/block/dm-0"),
            ("sys/class/block/dm-0", "-> ../../devices/virtual/block/dm-0"),
            ("sys/devices/virtual/block/dm-0/dm/uuid", "CRYPT-LUKS2-abc-my crypt\n"),
            ("sys/devices/virtual/block/dm-0/dm/name", "my crypt\n"),
            (
                "sys/devices/virtual/block/dm-0/slaves/nvme0n1",
                "-> ../../../../pci0/nvme/nvme0/nvme0n1",
            ),
            ("sys/class/block/nvme0n1", "-> ../../devices/pci0/nvme/nvme0/nvme0n1"),
            ("sys/devices/pci0/nvme/nvme0/nvme0n1/queue/rotational", "0\n"),
            ("sys/devices/pci0/nvme/nvme0/nvme0n1/device/transport", "pcie\n"),
            ("sys/fs/btrfs/id/devices/nvme0n1", "-> ../../../../devices/pci0/nvme/nvme0/nvme0n1"),
            ("sys/fs/btrfs/id/devices/sda", "-> ../../../../class/block/sda"),
            ("sys/fs/bcachefs/id/dev-0/block", "-> ../../../../class/block/sda"),
            ("sys/fs/bcachefs/id/dev-1/block", "-> ../../../../class/block/nvme0n1"),
            ("pool/up/.keep", ""),
            ("sys/dev/block/7:0", "-> ../../devices/virtual/block/loop0"),
            ("sys/devices/virtual/block/loop0/loop/backing_file", "/nix/image\n"),
            ("sys/dev/block/253:9", "-> ../../devices/virtual/block/dm-9"),
            ("sys/devices/virtual/block/dm-9/queue/rotational", "0\n"),
            ("sys/devices/virtual/block/dm-9/dm/uuid", "LVM-x\n"),
            ("sys/dev/block/252:0", "-> ../../devices/pci0/virtio1/block/vda"),
            ("sys/devices/pci0/virtio1/block/vda/queue/rotational", "1\n"),
        ]);
        let found = storage(&tree.root, &mounts(&tree.root), Path::new(path), Path::new("/run"));
        assert_eq!(found.build_dir.map(|place| place.media), Some(Media::Memory));
        found.store.expect("a place")
    }

    fn disks(place: &Place) -> Option<Vec<&str>> {
        Some(place.disks.as_ref()?.iter().map(|disk| disk.name.as_str()).collect())
    }

    #[test]
    fn a_partition_is_on_its_disk() {
        let place = look("/var/lib");
        assert_eq!(place.mount_point.as_deref(), Some("/"));
        assert_eq!((disks(&place), place.media), (Some(vec!["sda"]), Media::Hdd));
        let disk = &place.disks.as_ref().expect("disks")[0];
        assert_eq!(disk.transport.as_deref(), Some("sata"));
        assert_eq!(disk.write_cache.as_deref(), Some("write back"));
    }

    #[test]
    fn layers_are_walked_through() {
        let place = look("/nix/store");
        assert_eq!((disks(&place), place.media), (Some(vec!["nvme0n1"]), Media::Nvme));
        assert_eq!(place.stack, ["xfs", "luks"]);
        let image = look("/image");
        assert_eq!(image.stack, ["squashfs", "loop", "xfs", "luks"]);
        assert_eq!(disks(&image), Some(vec!["nvme0n1"]));
    }

    #[test]
    fn the_slowest_of_all_members_counts() {
        for path in ["/pool", "/over/x", "/both"] {
            let place = look(path);
            assert_eq!(disks(&place), Some(vec!["nvme0n1", "sda"]), "{path}");
            assert_eq!(place.media, Media::Hdd, "{path}");
        }
    }

    #[test]
    fn memory_and_remote_have_no_disk() {
        assert_eq!((disks(&look("/run/x")), look("/run").media), (Some(vec![]), Media::Memory));
        assert_eq!((disks(&look("/net")), look("/net").media), (Some(vec![]), Media::Network));
        assert_eq!((disks(&look("/host")), look("/host").media), (Some(vec![]), Media::Network));
    }

    #[test]
    fn what_cannot_be_seen_is_null() {
        let mapped = look("/mapped");
        assert_eq!((disks(&mapped), mapped.media), (None, Media::Ssd), "the queue still tells");
        assert_eq!((disks(&look("/tank")), look("/tank").media), (None, Media::Unknown));
        let guest = look("/guest");
        assert_eq!(guest.media, Media::Unknown, "virtio always says that it spins");
        assert_eq!(guest.disks.expect("disks")[0].rotational, None);
    }
}
