//! Mounted file systems, and which of them a path is on.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use procfs_core::process::MountInfo;

use crate::root::{LONGEST_PATH, Root};

/// More mounts than anyone puts on one directory.
const MOST_STACKED: usize = 64;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The kernel's number for it; `None` where only /proc/mounts was there.
    pub id: Option<i32>,
    /// The number of the mount that it is mounted on.
    pub parent: Option<i32>,
    /// Device number, `MAJOR:MINOR`; `None` where only /proc/mounts was there.
    pub device: Option<String>,
    /// Which directory of the file system is mounted; `/` unless bind-mounted.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Its type, e.g. `ext4`.
    pub filesystem: String,
    /// What is mounted: a device, `host:/path`, a pool, or any word.
    pub source: String,
    /// Options of the mount and of the file system, sorted.
    pub options: Vec<String>,
}

impl Mount {
    /// The value of option `name=value`.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether the option is set.
    pub fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }
}

/// All mounts that this process sees, in the order they were made.
pub fn mounts(root: &Root) -> Vec<Mount> {
    match root.read("proc/self/mountinfo") {
        Some(text) => parse_mountinfo(&text),
        None => root.read("proc/mounts").map(|text| parse_mounts(&text)).unwrap_or_default(),
    }
}

/// Parse /proc/PID/mountinfo; a damaged line is left out.
pub fn parse_mountinfo(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let info = MountInfo::from_line(line).ok()?;
            let words = |options: std::collections::HashMap<String, Option<String>>| {
                options.into_iter().map(|(name, value)| match value {
                    Some(value) => format!("{name}={value}"),
                    None => name,
                })
            };
            Some(Mount {
                id: Some(info.mnt_id),
                parent: Some(info.pid),
                device: Some(info.majmin),
                root: unescape(&info.root).into(),
                mount_point: unescape(&info.mount_point.to_string_lossy()).into(),
                filesystem: info.fs_type,
                source: unescape(info.mount_source.as_deref().unwrap_or_default()),
                options: tidy(words(info.mount_options).chain(words(info.super_options))),
            })
        })
        .collect()
}

/// Parse /proc/mounts, which lacks device numbers and bind-mounted roots.
fn parse_mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let source = unescape(words.next()?);
            let mount_point = unescape(words.next()?).into();
            let filesystem = words.next()?.to_owned();
            let options = tidy(words.next()?.split(',').map(str::to_owned));
            Some(Mount {
                id: None,
                parent: None,
                device: None,
                root: "/".into(),
                mount_point,
                filesystem,
                source,
                options,
            })
        })
        .collect()
}

fn tidy(options: impl Iterator<Item = String>) -> Vec<String> {
    let mut options: Vec<String> =
        options.map(|option| unescape(&option)).filter(|option| !option.is_empty()).collect();
    options.sort_unstable();
    options.dedup();
    options
}

/// The mount that `path` is on, as the kernel finds it: from the mount at the
/// root, at each component, on to what is mounted there on the mount it has come
/// to. A longer mount point that another mount hides is passed by.
///
/// Not by device number: btrfs subvolumes and overlays report one that no mount
/// has (util-linux#1563).
pub fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    // The kernel finds none for it, and each name costs a look at all mounts.
    if path.as_os_str().len() > LONGEST_PATH {
        return None;
    }
    // Mounts of another root, and those of /proc/mounts, have no parent here:
    // they count wherever they are. The kernel's first, rootfs, is its own.
    let ids: HashSet<i32> = mounts.iter().filter_map(|mount| mount.id).collect();
    let is_orphan = |mount: &Mount| {
        mount.parent == mount.id || mount.parent.is_none_or(|parent| !ids.contains(&parent))
    };
    let mut at: Option<&Mount> = None;
    let prefixes: Vec<&Path> = path.ancestors().collect();
    for prefix in prefixes.into_iter().rev() {
        let here: Vec<&Mount> = mounts.iter().filter(|m| m.mount_point == prefix).collect();
        // Each step goes to another mount here, so that damage is no circle.
        for _ in 0..here.len().min(MOST_STACKED) {
            let on = at.and_then(|at| at.id);
            let is_next = |mount: &&&Mount| {
                let is_child = on.is_some() && mount.parent == on && mount.id != on;
                is_child || (is_orphan(mount) && at.is_none_or(|at| at.mount_point != prefix))
            };
            match here.iter().rfind(is_next) {
                Some(next) => at = Some(next),
                None => break,
            }
        }
    }
    at
}

/// Undo the kernel's `\ooo` for space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4);
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = byte.filter(u8::is_ascii) {
            plain.push(char::from(byte));
            rest = &rest[at + 4..];
        } else {
            plain.push('\\');
            rest = &rest[at + 1..];
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{covering, parse_mountinfo, parse_mounts, unescape};

    const MOUNTINFO: &str = "\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
22 21 0:47 /@nix /nix rw,noatime - btrfs /dev/mapper/my\\040pool rw,space_cache=v2,subvol=/@nix
23 21 0:50 / /nixpkgs rw - tmpfs tmpfs rw,size=4k
damaged line
24 21 0:51 / /nix rw - tmpfs none rw
";

    #[test]
    fn the_longest_and_last_mount_covers_a_path() {
        let mounts = parse_mountinfo(MOUNTINFO);
        assert_eq!(mounts.len(), 4);
        let at = |path| covering(&mounts, Path::new(path)).expect(path);
        assert_eq!(at("/nixpkgs-old").filesystem, "ext4", "a prefix of the name is no parent");
        assert_eq!(at("/nixpkgs/x").filesystem, "tmpfs");
        assert_eq!(at("/nix/store").device.as_deref(), Some("0:51"), "mounted over");
        assert_eq!(mounts[1].source, "/dev/mapper/my pool");
        assert_eq!(mounts[1].option("subvol"), Some("/@nix"));
        assert_eq!(mounts[1].options, ["noatime", "rw", "space_cache=v2", "subvol=/@nix"]);
    }

    #[test]
    fn a_mount_above_hides_those_below() {
        let mounts = parse_mountinfo(
            "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / /a/b rw - tmpfs hidden rw\n\
             3 1 0:3 / /a rw - ramfs shown rw\n4 3 0:4 / /a rw - xfs top rw\n",
        );
        assert_eq!(covering(&mounts, Path::new("/a/b/c")).expect("a mount").filesystem, "xfs");
        let circle = parse_mountinfo("1 2 8:1 / / rw - ext4 a rw\n2 1 8:2 / / rw - xfs b rw\n");
        assert!(covering(&circle, Path::new("/a")).is_none(), "damage is no circle");
    }

    #[test]
    fn the_first_mount_is_its_own_parent() {
        let text = "1 1 0:2 / / rw - rootfs rootfs rw\n2 1 0:3 / /proc rw - proc proc rw\n";
        let mounts = parse_mountinfo(text);
        let at = |path: &str| Some(covering(&mounts, Path::new(path))?.filesystem.as_str());
        assert_eq!((at("/nix/store"), at("/proc/1")), (Some("rootfs"), Some("proc")));
        assert_eq!(at(&"/x".repeat(2049)), None, "no kernel takes it");
        let mounts = parse_mountinfo(&format!("{text}3 1 8:1 / / rw - ext4 /dev/sda1 rw\n"));
        assert_eq!(covering(&mounts, Path::new("/nix")).expect("a mount").filesystem, "ext4");
    }

    #[test]
    fn old_mount_tables_do() {
        let mounts = parse_mounts("none /dev/cpuset cgroup rw,cpuset,noprefix 0 0\nshort line\n");
        assert_eq!(mounts.len(), 1);
        assert!(mounts[0].has_option("cpuset") && mounts[0].device.is_none());
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape("a\\040b\\134c"), "a b\\c");
        assert_eq!(unescape("a\\04"), "a\\04");
        assert_eq!(unescape("\\9x\\377é\\"), "\\9x\\377é\\");
    }
}
