//! Mounted file systems, and which of them a path is on.

use std::path::{Path, PathBuf};

use procfs_core::process::MountInfo;

use crate::root::Root;

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
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
            Some(Mount { device: None, root: "/".into(), mount_point, filesystem, source, options })
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

/// The mount that `path` is on: the longest mount point that is a prefix of it,
/// component by component, and of equal ones the last, which hides the others.
///
/// Not by device number: btrfs subvolumes and overlays report one that no mount
/// has (util-linux#1563).
pub fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
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
