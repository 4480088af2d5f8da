//! The property list of `diskutil info -plist`: what a mounted volume stands on.
//!
//! Read here by hand, since a few flat pairs are wanted of it: the `plist` crate
//! brings quick-xml, indexmap, base64 and time along for all that such a list
//! could be.

use std::num::NonZeroU64;

use crate::hardware::{Disk, Media, Place};

/// File systems of macOS whose data are on another machine, or on the host of
/// this one.
const REMOTE: [&str; 8] =
    ["AppleVirtIOFS", "afpfs", "cifs", "ftp", "nfs", "smbfs", "virtiofs", "webdav"];

/// How a disk is attached, by diskutil's `BusProtocol`. What Apple makes itself
/// is `NVMe` behind a bus of its own. Plain `PCI` are the AHCI disks before it.
const TRANSPORTS: [(&str, &str); 11] = [
    ("Apple Fabric", "nvme"),
    ("NVMe", "nvme"),
    ("PCI-Express", "nvme"),
    ("ATA", "ata"),
    ("Fibre Channel Interface", "fc"),
    ("FireWire", "firewire"),
    ("SAS", "sas"),
    ("SATA", "sata"),
    ("Secure Digital", "mmc"),
    ("USB", "usb"),
    ("VirtIO", "virtio"),
];

/// A file system as the kernel names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Where it is mounted.
    pub mount_point: String,
    /// Its type, e.g. `apfs`.
    pub filesystem: String,
    /// Its size.
    pub size_bytes: Option<NonZeroU64>,
}

/// What is below a file system that has no disk of this machine below it, of
/// which diskutil knows nothing.
pub fn diskless(filesystem: &str) -> Option<Media> {
    match filesystem {
        "tmpfs" => Some(Media::Memory),
        _ if REMOTE.contains(&filesystem) => Some(Media::Network),
        _ => None,
    }
}

/// What the directory `path` stands on, by the kernel and by what
/// `diskutil info -plist` says of the mount point. (Its other lists name things
/// otherwise.)
pub fn place(path: &str, mounted: Option<&Mounted>, text: &str) -> Place {
    let list = List::parse(text);
    let filesystem = mounted.map(|mounted| mounted.filesystem.clone());
    let filesystem = filesystem.or_else(|| list.text("FilesystemType"));
    let diskless = filesystem.as_deref().and_then(diskless);
    let mount_point = mounted.map(|mounted| mounted.mount_point.clone());
    let total = list.text("TotalSize").and_then(|size| size.parse().ok());
    Place {
        path: path.to_owned(),
        mount_point: mount_point.or_else(|| list.text("MountPoint")),
        options: Vec::new(),
        size_bytes: total.or_else(|| mounted?.size_bytes),
        inodes: None,
        media: diskless.unwrap_or_else(|| media(&list)),
        stack: stack(&list, filesystem.as_deref()),
        disks: diskless.map_or_else(|| disks(&list), |_| Some(Vec::new())),
        filesystem,
    }
}

/// The slowest of what the volume is on. `SolidState` is missing where macOS
/// does not know, as with most disks behind USB.
fn media(list: &List) -> Media {
    if list.is("Fusion") {
        // A Fusion Drive is one of flash and one that spins.
        return Media::Hdd;
    }
    let bus = list.text("BusProtocol").unwrap_or_default();
    match (bus.as_str(), list.flag("SolidState")) {
        ("Disk Image", _) => Media::Unknown,
        ("Secure Digital", _) => Media::Ssd,
        (_, Some(true)) if transport(&bus) == Some("nvme") => Media::Nvme,
        (_, Some(true)) => Media::Ssd,
        (_, Some(false)) => Media::Hdd,
        (_, None) => Media::Unknown,
    }
}

fn transport(bus: &str) -> Option<&'static str> {
    let known = TRANSPORTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(bus));
    known.map(|(_, transport)| *transport)
}

fn stack(list: &List, filesystem: Option<&str>) -> Vec<String> {
    let layers = [
        filesystem,
        list.is("FileVault").then_some("filevault"),
        list.is("Fusion").then_some("fusion"),
        list.is("RAIDMaster").then_some("raid"),
        is_image(list).then_some("disk-image"),
    ];
    layers.into_iter().flatten().map(str::to_owned).collect()
}

fn is_image(list: &List) -> bool {
    list.text("BusProtocol").as_deref() == Some("Disk Image")
}

/// The whole disks below. A volume of APFS is on a disk that APFS makes up; its
/// physical stores are on the real ones. What is behind an image or a RAID is
/// not in the list.
fn disks(list: &List) -> Option<Vec<Disk>> {
    if is_image(list) || list.is("RAIDMaster") {
        return None;
    }
    let mut names = list.below("APFSPhysicalStore");
    if names.is_empty() && list.text("APFSContainerReference").is_none() {
        names.extend(list.text("DeviceIdentifier"));
    }
    let mut names: Vec<&str> = names.iter().filter_map(|name| whole(name)).collect();
    names.sort_unstable();
    names.dedup();
    // Of two, the list does not say which one spins.
    let is_one = names.len() == 1;
    let bus = list.text("BusProtocol").filter(|_| is_one);
    let disk = |name: &str| Disk {
        name: name.to_owned(),
        transport: bus.as_deref().and_then(transport).map(str::to_owned),
        rotational: list.flag("SolidState").filter(|_| is_one).map(|solid| !solid),
        write_cache: None,
    };
    (!names.is_empty()).then(|| names.into_iter().map(disk).collect())
}

/// `disk0s2` is on `disk0`.
fn whole(name: &str) -> Option<&str> {
    let digits = name.strip_prefix("disk")?;
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    (length > 0).then(|| &name[.."disk".len() + length])
}

/// Pairs of a property list in XML, in its order.
struct List<'a>(Vec<Pair<'a>>);

struct Pair<'a> {
    /// 1 in the outermost dictionary.
    depth: usize,
    key: &'a str,
    value: Value<'a>,
}

enum Value<'a> {
    Flag(bool),
    /// Still escaped.
    Text(&'a str),
}

impl<'a> List<'a> {
    /// Read tag by tag. What is no pair of a key and a flag, text or number is
    /// passed over, and so is what XML forbids: this judges no document.
    fn parse(text: &'a str) -> Self {
        let mut pairs = Vec::new();
        let (mut depth, mut key, mut rest) = (0_usize, None, text);
        while let Some((_, after)) = rest.split_once('<') {
            let Some((tag, after)) = after.split_once('>') else { break };
            let content = after.split('<').next().unwrap_or_default();
            rest = &after[content.len()..];
            let value = match tag {
                "key" => {
                    key = Some(content);
                    continue;
                }
                "true/" => Value::Flag(true),
                "false/" => Value::Flag(false),
                "string" | "integer" => Value::Text(content),
                "dict" | "array" => {
                    (depth, key) = (depth + 1, None);
                    continue;
                }
                "/dict" | "/array" => {
                    (depth, key) = (depth.saturating_sub(1), None);
                    continue;
                }
                _ => continue,
            };
            if let Some(key) = key.take() {
                pairs.push(Pair { depth, key, value });
            }
        }
        Self(pairs)
    }

    /// A flag of the outermost dictionary.
    fn flag(&self, key: &str) -> Option<bool> {
        self.0.iter().find(|pair| pair.depth == 1 && pair.key == key).and_then(|pair| {
            match pair.value {
                Value::Flag(flag) => Some(flag),
                Value::Text(_) => None,
            }
        })
    }

    /// Whether a flag is there and set.
    fn is(&self, key: &str) -> bool {
        self.flag(key) == Some(true)
    }

    /// A text or number of the outermost dictionary, if it is not empty.
    fn text(&self, key: &str) -> Option<String> {
        let pair = self.0.iter().find(|pair| pair.depth == 1 && pair.key == key)?;
        pair.text().filter(|text| !text.is_empty())
    }

    /// Texts of the dictionaries within.
    fn below(&self, key: &str) -> Vec<String> {
        let within = self.0.iter().filter(|pair| pair.depth > 1 && pair.key == key);
        within.filter_map(Pair::text).collect()
    }
}

impl Pair<'_> {
    fn text(&self) -> Option<String> {
        match self.value {
            // The five escapes of XML; `&amp;` last, or it would make new ones.
            Value::Text(text) => Some(
                [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
                    .iter()
                    .fold(text.trim().to_owned(), |text, (from, to)| text.replace(from, to)),
            ),
            Value::Flag(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
