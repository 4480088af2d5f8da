//! What of a file may leave the machine.

use std::borrow::Cow;
use std::path::Path;

/// Files may hold this much; what `detect` reads is far smaller, but for
/// /proc/cpuinfo of large machines.
pub(super) const LARGEST_BYTES: u64 = 1 << 20;

/// The folders whose files are copied. Of all others only names are: that
/// something exists, or where a link leads.
const OPEN: [&str; 3] = ["proc", "sys", "etc"];

/// A file outside them that holds one harmless word.
const CONTAINER: &str = "run/systemd/container";

/// Whether a file's contents may be copied, as far as its path tells.
pub(super) fn is_open(path: &Path) -> bool {
    path == Path::new(CONTAINER) || OPEN.iter().any(|folder| path.starts_with(folder))
}

/// The part of a file that `detect` looks for, where the rest may be secret.
pub(super) fn part<'a>(path: &Path, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if path.starts_with("etc") {
        return match name {
            // Access tokens are set here.
            "nix.conf" => {
                keep(bytes, b'\n', |line| line.trim_ascii_end().ends_with(b"nix.custom.conf"))
            }
            // People have accounts.
            "group" => keep(bytes, b'\n', |line| line.starts_with(b"nixbld")),
            _ => Cow::Borrowed(b""),
        };
    }
    match name {
        // What else is mounted where is nobody's business.
        "mountinfo" | "mounts" => keep(bytes, b'\n', |line| {
            let words: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
            let point = |at: usize| words.get(at).copied().unwrap_or_default();
            let matters = |path: &[u8]| {
                path == b"/"
                    || [&b"/nix"[..], b"/tmp", b"/var"].iter().any(|top| path.starts_with(top))
            };
            matters(point(4)) || matters(point(1)) || words.iter().any(|w| w.starts_with(b"cgroup"))
        }),
        "status" => keep(bytes, b'\n', |line| line.starts_with(b"Cpus_allowed")),
        // Containers are handed passwords and keys this way.
        "environ" => keep(bytes, b'\0', |variable| variable.starts_with(b"container=")),
        // CRYPT-LUKS2-4a7c…-name, LVM-4a7c…: no other disk has this number.
        "uuid" => {
            let words = bytes.split_inclusive(|&byte| byte == b'-');
            let kind = if bytes.starts_with(b"CRYPT-") { 2 } else { 1 };
            Cow::Owned(words.take(kind).flatten().copied().collect())
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// The parts that fit, of those that `end` ends.
fn keep(bytes: &[u8], end: u8, fits: fn(&[u8]) -> bool) -> Cow<'static, [u8]> {
    let parts = bytes.split_inclusive(|&byte| byte == end);
    Cow::Owned(parts.filter(|part| fits(part)).flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_open, part};

    fn kept(path: &str, text: &str) -> String {
        String::from_utf8_lossy(&part(Path::new(path), text.as_bytes())).into_owned()
    }

    #[test]
    fn secrets_stay() {
        assert_eq!(kept("proc/1/environ", "TOKEN=x\0container=lxc\0PW=y\0"), "container=lxc\0");
        let conf = "access-tokens = github.com=x\n!include nix.custom.conf\ncores = 2\n";
        assert_eq!(kept("etc/nix/nix.conf", conf), "!include nix.custom.conf\n");
        let group = "root:x:0:\nann:x:1000:\nnixbld:x:30000:nixbld1\n";
        assert_eq!(kept("etc/group", group), "nixbld:x:30000:nixbld1\n");
        assert_eq!(kept("etc/passwd", "ann:x:1000:1000:Ann\n"), "");
    }

    #[test]
    fn numbers_of_disks_stay() {
        let kept = |text| kept("sys/devices/virtual/block/dm-0/dm/uuid", text);
        assert_eq!(kept("CRYPT-LUKS2-4a7c-home\n"), "CRYPT-LUKS2-");
        assert_eq!(kept("LVM-4a7c\n"), "LVM-");
    }

    #[test]
    fn mounts_of_people_stay() {
        let mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      22 1 0:9 / /home/ann/secret rw - fuse.sshfs ann@work: rw\n\
                      23 1 0:8 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let kept = kept("proc/self/mountinfo", mounts);
        assert!(!kept.contains("ann") && kept.lines().count() == 2, "{kept}");
    }

    #[test]
    fn hardware_is_copied_whole() {
        assert_eq!(kept("proc/cpuinfo", "all\nof it"), "all\nof it");
        assert_eq!(kept("sys/block/sda/queue/rotational", "1\n"), "1\n");
    }

    #[test]
    fn only_system_files_are_read() {
        for open in ["proc/meminfo", "sys/block/sda/size", "etc/group", "run/systemd/container"] {
            assert!(is_open(Path::new(open)), "{open}");
        }
        for shut in ["dev/sda", "home/ann/nix.img", "run/secrets", "procedures/x", ".dockerenv"] {
            assert!(!is_open(Path::new(shut)), "{shut}");
        }
    }
}
