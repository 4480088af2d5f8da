//! From a block device down to the whole disks that hold its data: through
//! partitions, device mapper (LUKS, LVM, multipath), md, bcache and loop.

use std::path::{Path, PathBuf};

use crate::hardware::{Disk, Media};
use crate::root::Root;

/// More devices than any real volume is made of.
const MOST_DEVICES: usize = 512;

/// How the models of `NVMe` disks start that are on another machine, though as fast
/// as their owners promise: of Amazon, of Microsoft and of Google.
const REMOTE_MODELS: [&str; 3] =
    ["Amazon Elastic Block Store", "MSFT NVMe Accelerator", "nvme_card-pd"];

/// What lies below a block device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// Layers, top first.
    pub stack: Vec<String>,
    /// Whole disks, by name.
    pub disks: Vec<Disk>,
    /// What the data lie on, as far as it was seen.
    pub media: Vec<Media>,
    /// Whether there is more below that cannot be seen.
    pub hidden: bool,
    /// Files behind loop devices, where the search goes on.
    pub files: Vec<PathBuf>,
}

/// The folder in /sys of a device by its number, e.g. `8:1`.
pub fn by_number(root: &Root, number: &str) -> Option<PathBuf> {
    root.device(&Path::new("/sys/dev/block").join(number))
}

/// The folder in /sys of a device by its path in /dev, which need not be there.
pub fn by_path(root: &Root, path: &str) -> Option<PathBuf> {
    if !path.starts_with("/dev/") {
        return None;
    }
    let resolved = root.resolve(Path::new(path));
    let name = resolved.strip_prefix("/dev").ok()?.to_str()?;
    // sysfs writes `!` for the slash in names such as cciss/c0d0.
    if let Some(found) = by_name(root, &name.replace('/', "!")) {
        return Some(found);
    }
    let mapped = name.strip_prefix("mapper/")?;
    let devices = root.list("sys/class/block").into_iter().chain(root.list("sys/block"));
    devices
        .filter(|device| device.starts_with("dm-"))
        .filter_map(|device| by_name(root, &device))
        .find(|folder| root.word(folder.join("dm/name")).as_deref() == Some(mapped))
}

fn by_name(root: &Root, name: &str) -> Option<PathBuf> {
    ["/sys/class/block", "/sys/block"]
        .iter()
        .find_map(|class| root.device(&Path::new(class).join(name)))
}

/// Walk down from the device whose folder in /sys this is.
pub fn below(root: &Root, folder: &Path) -> Below {
    let mut found = Below::default();
    descend(root, folder, &mut Vec::new(), &mut found);
    // All layers and no ground: a circle.
    found.hidden |= found.media.is_empty() && found.files.is_empty();
    found.disks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found.disks.dedup();
    found
}

/// `seen` are the devices passed: members may share one, and damaged trees lead
/// in circles.
fn descend(root: &Root, folder: &Path, seen: &mut Vec<PathBuf>, found: &mut Below) {
    if seen.len() > MOST_DEVICES || seen.iter().any(|known| known == folder) {
        return;
    }
    seen.push(folder.to_owned());
    if root.exists(folder.join("partition")) {
        if let Some(disk) = folder.parent() {
            descend(root, disk, seen, found);
        }
        return;
    }
    let name = folder.file_name().unwrap_or_default().to_string_lossy().replace('!', "/");
    if let Some(layer) = layer(root, folder, &name)
        && !found.stack.contains(&layer)
    {
        found.stack.push(layer);
    }
    let members = root.list(folder.join("slaves"));
    for member in &members {
        let linked = folder.join("slaves").join(member);
        let member = by_name(root, member).unwrap_or_else(|| root.resolve(&linked));
        descend(root, &member, seen, found);
    }
    if !members.is_empty() {
        return;
    }
    if name.starts_with("loop")
        && let Some(file) = root.word(folder.join("loop/backing_file"))
    {
        found.files.push(file.into());
        return;
    }
    let (disk, media) = leaf(root, folder, name);
    found.media.push(media);
    // Containers and old captures hide what a mapped device stands on; its own
    // queue still tells what kind of disk, since the kernel passes limits up.
    if ["dm-", "md", "bcache", "loop"].iter().any(|stacked| disk.name.starts_with(stacked)) {
        found.hidden = true;
    } else {
        found.disks.push(disk);
    }
}

/// What a device that stands on others adds to them.
fn layer(root: &Root, folder: &Path, name: &str) -> Option<String> {
    if name.starts_with("dm-")
        && let Some(uuid) = root.word(folder.join("dm/uuid"))
    {
        let kind = uuid.split('-').next().unwrap_or_default();
        return Some(match kind {
            "CRYPT" if uuid.starts_with("CRYPT-LUKS") => "luks".to_owned(),
            "LVM" => "lvm".to_owned(),
            "mpath" => "multipath".to_owned(),
            other => other.to_lowercase(),
        });
    }
    if root.exists(folder.join("md")) {
        return Some(root.word(folder.join("md/level")).unwrap_or_else(|| "md".to_owned()));
    }
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    match prefix {
        "dm" | "md" | "bcache" | "loop" | "zram" | "nbd" | "rbd" | "drbd" => {
            Some(prefix.to_owned())
        }
        _ => None,
    }
}

/// A device with nothing below it that we can see.
fn leaf(root: &Root, folder: &Path, name: String) -> (Disk, Media) {
    let transport = transport(root, folder, &name);
    let queue = folder.join("queue");
    let flag = match root.word(queue.join("rotational")).as_deref() {
        Some("1") => Some(true),
        Some("0") => Some(false),
        _ => None,
    };
    // Virtual disks say that they spin whatever is behind them (virtio_blk sets
    // the flag always); that they do not spin is worth believing.
    let rotational = flag.filter(|spins| !spins || !is_virtual(root, folder, transport.as_deref()));
    let media = match transport.as_deref() {
        Some("network" | "iscsi" | "nvme-tcp" | "nvme-rdma" | "nvme-fc") => Media::Network,
        Some("memory") => Media::Memory,
        Some("nvme") if is_remote(root, folder) => Media::Unknown,
        Some("nvme") => Media::Nvme,
        _ => match rotational {
            Some(true) => Media::Hdd,
            Some(false) => Media::Ssd,
            None => Media::Unknown,
        },
    };
    let write_cache = root.word(queue.join("write_cache"));
    (Disk { name, transport, rotational, write_cache }, media)
}

/// How a disk is attached, by where the kernel hangs it: names such as sda say
/// nothing.
fn transport(root: &Root, folder: &Path, name: &str) -> Option<String> {
    let parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
    let has = |prefix: &str| {
        let numbered = |part: &&str| {
            part.strip_prefix(prefix)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        parts.iter().any(numbered)
    };
    if has("nvme") {
        // A disk that several controllers lead to hangs below what they belong to.
        let several = || {
            let beside = folder.parent()?;
            let names = root.list(beside);
            let is_one = |name: &&String| {
                let number = name.strip_prefix("nvme").unwrap_or_default();
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            };
            names
                .iter()
                .filter(is_one)
                .find_map(|name| root.word(beside.join(name).join("transport")))
        };
        let fabric = root.word(folder.join("device/transport")).or_else(several);
        let fabric = fabric.filter(|word| word != "pcie");
        return Some(fabric.map_or_else(|| "nvme".to_owned(), |fabric| format!("nvme-{fabric}")));
    }
    let by_path = [("usb", "usb"), ("mmc", "mmc"), ("session", "iscsi"), ("vbd-", "xen")];
    if let Some((_, transport)) = by_path.iter().find(|(prefix, _)| has(prefix)) {
        return Some((*transport).to_owned());
    }
    let by_name = [("zram", "memory"), ("ram", "memory"), ("pmem", "memory"), ("nbd", "network")];
    let by_name = by_name.iter().chain(&[("rbd", "network"), ("drbd", "network")]);
    if let Some((_, transport)) = by_name.copied().find(|(prefix, _)| name.starts_with(prefix)) {
        return Some(transport.to_owned());
    }
    if has("virtio") {
        return Some("virtio".to_owned());
    }
    if has("end_device-") || has("sas_") {
        return Some("sas".to_owned());
    }
    if has("rport-") {
        return Some("fc".to_owned());
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case("vmbus")) || has("VMBUS:") {
        return Some("hyperv".to_owned());
    }
    if has("ata") {
        return Some("sata".to_owned());
    }
    let host = parts
        .iter()
        .find(|part| part.strip_prefix("host").is_some_and(|id| id.parse::<u32>().is_ok()))?;
    if root.exists(format!("sys/class/fc_host/{host}")) {
        return Some("fc".to_owned());
    }
    if root.exists(format!("sys/class/sas_host/{host}")) {
        return Some("sas".to_owned());
    }
    match root.word(format!("sys/class/scsi_host/{host}/proc_name"))?.as_str() {
        "ahci" | "sata_nv" => Some("sata".to_owned()),
        "usb-storage" | "uas" => Some("usb".to_owned()),
        "storvsc" => Some("hyperv".to_owned()),
        "iscsi_tcp" => Some("iscsi".to_owned()),
        _ => None,
    }
}

fn is_remote(root: &Root, folder: &Path) -> bool {
    let model = root.word(folder.join("device/model")).unwrap_or_default();
    REMOTE_MODELS.iter().any(|remote| model.starts_with(remote))
}

fn is_virtual(root: &Root, folder: &Path, transport: Option<&str>) -> bool {
    matches!(transport, Some("virtio" | "xen" | "hyperv"))
        || root
            .word(folder.join("device/vendor"))
            .is_some_and(|vendor| matches!(vendor.as_str(), "VMware" | "QEMU" | "Msft" | "VBOX"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::below;
    use crate::fixture::tree;
    use crate::hardware::Media;

    #[test]
    fn a_cloud_s_nvme_disk_may_be_elsewhere() {
        let media = |model: &str| {
            let folder = "sys/devices/pci0/nvme/nvme0/nvme0n1";
            let tree = tree(&[
                (&format!("{folder}/queue/rotational"), "0\n"),
                (&format!("{folder}/device/model"), model),
            ]);
            below(&tree.root, &Path::new("/").join(folder)).media
        };
        // One that two controllers lead to, by the network.
        let subsystem = "sys/devices/virtual/nvme-subsystem/nvme-subsys0";
        let tree = tree(&[
            (&format!("{subsystem}/nvme0n1/queue/rotational"), "0\n"),
            (&format!("{subsystem}/nvme0/transport"), "tcp\n"),
        ]);
        let folder = Path::new("/").join(subsystem).join("nvme0n1");
        assert_eq!(below(&tree.root, &folder).media, [Media::Network]);
        for here in ["", "Amazon EC2 NVMe Instance Storage  \n", "nvme_card\n"] {
            assert_eq!(media(here), [Media::Nvme], "{here}");
        }
        let elsewhere =
            ["Amazon Elastic Block Store\n", "MSFT NVMe Accelerator v1.0\n", "nvme_card-pd\n"];
        for model in elsewhere {
            assert_eq!(media(model), [Media::Unknown], "{model}");
        }
    }
}
