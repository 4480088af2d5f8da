//! A captured tree of /proc and /sys whose files change from run to run.

use std::fs;
use std::os::unix::fs::symlink;

use detect::root::Root;
use tempfile::TempDir;

use super::Bytes;
use super::random::Random;

/// Ends a file in the input: no UTF-8 text holds it.
const END: u8 = 0xff;

/// Files that the input gives, by the byte it starts them with: `0` for the
/// first, and on through ASCII.
pub const PATHS: [&str; 50] = [
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/swaps",
    "proc/mounts",
    "proc/self/mountinfo",
    "proc/self/cgroup",
    "proc/self/cpuset",
    "proc/self/status",
    "proc/net/route",
    "proc/loadavg",
    "proc/pressure/memory",
    "proc/pressure/cpu",
    "proc/sys/kernel/osrelease",
    "proc/1/environ",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/present",
    "sys/devices/system/cpu/cpu0/topology/core_cpus_list",
    "sys/devices/system/cpu/cpu0/topology/package_cpus",
    "sys/devices/system/cpu/cpu1/topology/thread_siblings",
    "sys/devices/system/cpu/cpu1/topology/core_siblings_list",
    "sys/devices/system/cpu/cpu0/cache/index0/type",
    "sys/devices/system/cpu/cpu0/cache/index0/level",
    "sys/devices/system/cpu/cpu0/cache/index0/size",
    "sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list",
    "sys/devices/system/cpu/cpu1/cache/index0/size",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq",
    "sys/devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq",
    "sys/devices/system/cpu/cpu0/cpu_capacity",
    "sys/devices/system/cpu/cpu1/cpu_capacity",
    "sys/devices/system/cpu/cpu0/regs/identification/midr_el1",
    "sys/devices/cpu_atom/cpus",
    "sys/devices/cpu_core/cpus",
    "sys/fs/cgroup/cpu.max",
    "sys/fs/cgroup/memory.max",
    "sys/fs/cgroup/a/cpu.max",
    "sys/fs/cgroup/a/memory.high",
    "sys/fs/cgroup/a/memory.stat",
    "sys/fs/cgroup/a/memory.limit_in_bytes",
    "sys/fs/cgroup/a/cpu.cfs_quota_us",
    "sys/fs/cgroup/a/cpu.cfs_period_us",
    "sys/fs/cgroup/a/cpuset.cpus.effective",
    "sys/fs/cgroup/system.slice/nix-daemon.service/cpu.max",
    "sys/class/dmi/id/chassis_type",
    "sys/class/dmi/id/sys_vendor",
    "sys/devices/virtual/block/dm-0/dm/uuid",
    "sys/devices/virtual/block/loop0/loop/backing_file",
    "sys/devices/pci0/ata1/host0/block/sda/queue/rotational",
    "sys/class/net/eth0/speed",
    "etc/nix/nix.conf",
    "etc/group",
];

/// Links that are always there, so that storage has something to walk through.
const LINKS: [(&str, &str); 11] = [
    ("sys/dev/block/8:0", "../../devices/pci0/ata1/host0/block/sda"),
    ("sys/dev/block/253:0", "../../devices/virtual/block/dm-0"),
    ("sys/dev/block/7:0", "../../devices/virtual/block/loop0"),
    ("sys/dev/block/259:0", "../../devices/pci0/nvme/nvme0/nvme0n1"),
    ("sys/class/block/sda", "../../devices/pci0/ata1/host0/block/sda"),
    ("sys/class/block/dm-0", "../../devices/virtual/block/dm-0"),
    ("sys/class/block/nvme0n1", "../../devices/pci0/nvme/nvme0/nvme0n1"),
    ("sys/devices/virtual/block/dm-0/slaves/nvme0n1", "../../../../pci0/nvme/nvme0/nvme0n1"),
    ("sys/fs/btrfs/id/devices/sda", "../../../../class/block/sda"),
    ("sys/fs/btrfs/id/devices/loop0", "../../../../devices/virtual/block/loop0"),
    ("usr/bin/nix", "/nix/store/abc-nix-2.34.8/bin/nix"),
];

const FOLDERS: [&str; 3] =
    ["sys/devices/pci0/nvme/nvme0/nvme0n1/queue", "sys/devices/system/node/node0", "upper"];

/// Whole files worth trying.
const TEXTS: [&str; 40] = [
    "",
    "0",
    "1",
    "-1",
    "max",
    "0-1",
    "0,1",
    "1-0",
    "0-65535",
    "0-1:1/2",
    "3",
    "ffffffff,00000003",
    "18446744073709551615",
    "9223372036854775807",
    "4294967296",
    "max 100000",
    "100000 0",
    "1 9223372036854775807",
    "250000 100000",
    "32K",
    "17179869184M",
    "Data",
    "Unified",
    "inf",
    "NaN",
    "0::/",
    "0::/a",
    "0::/../..",
    "0::/a/../a",
    "5:cpu,memory,cpuset:/a",
    "4:memory:",
    "CRYPT-LUKS2-x",
    "LVM-x",
    "-",
    "/upper/image",
    "/",
    "/nix/image",
    "10",
    "QEMU",
    "\0\n",
];

/// Lines of a mount table worth adding.
const MOUNTS: [&str; 12] = [
    "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
    "30 1 0:26 /a /sys/fs/cgroup rw - cgroup cgroup rw,cpu,memory,cpuset",
    "20 1 8:0 / / rw - ext4 /dev/sda rw",
    "21 1 253:0 / /nix rw - xfs /dev/mapper/x rw",
    "22 1 7:0 / / rw - squashfs /dev/loop0 rw",
    "23 1 0:40 / / rw - btrfs /dev/loop0 rw",
    "24 1 0:9 / /nix rw - overlay overlay rw,upperdir=/upper",
    "24 1 0:9 / /upper rw - overlay overlay rw,upperdir=/upper",
    "25 1 0:41 / /nix rw - bcachefs /dev/sda:/dev/nvme0n1 rw",
    "26 1 259:0 / /upper rw - f2fs /dev/nvme0n1 rw",
    "27 1 0:50 / /tmp rw - tmpfs tmpfs rw,size=4k",
    "28 1 0:51 / /net rw - nfs4 server:/export rw",
];

/// Change one file of an input: any byte of it alike would nearly always be one
/// of the largest file.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, bytes: Bytes) -> usize {
    let mut random = Random::new(seed);
    if random.below(8) == 0 {
        return bytes(data, size, most);
    }
    let mut files: Vec<Vec<u8>> =
        data[..size].split(|&byte| byte == END).map(<[u8]>::to_vec).collect();
    let at = random.below(files.len());
    let path = b'0' + u8::try_from(random.below(PATHS.len())).unwrap_or(0);
    let text = TEXTS[random.below(TEXTS.len())].as_bytes();
    match random.below(8) {
        0 => files.push([&[path], text].concat()),
        1 => drop(files.swap_remove(at)),
        2 => files[at] = [files[at].get(..1).unwrap_or(&[path]), text].concat(),
        3 => files[at].extend([b"\n", text].concat()),
        4 => {
            let table = b'4';
            let line = MOUNTS[random.below(MOUNTS.len())].as_bytes();
            match files.iter_mut().find(|file| file.first() == Some(&table)) {
                Some(file) => file.extend([line, b"\n"].concat()),
                None => files.push([&[table], line, b"\n"].concat()),
            }
        }
        _ => {
            let length = files[at].len();
            files[at].resize((length + 64).min(most), 0);
            let room = files[at].len();
            let length = bytes(&mut files[at], length.min(room), room);
            files[at].truncate(length);
        }
    }
    let text = files.join(&END);
    let length = text.len().min(most);
    data[..length].copy_from_slice(&text[..length]);
    length
}

/// A tree in memory. libFuzzer may end the process without dropping it.
pub struct Tree {
    folder: TempDir,
    files: Vec<Option<Vec<u8>>>,
}

impl Default for Tree {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("nixpace-fuzz-").tempdir_in("/dev/shm");
        let folder = folder.expect("a folder in memory");
        let parent = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            path
        };
        for path in PATHS {
            parent(path);
        }
        for (path, target) in LINKS {
            symlink(target, parent(path)).expect("a link");
        }
        for path in FOLDERS {
            fs::create_dir_all(folder.path().join(path)).expect("folders");
        }
        Self { folder, files: vec![None; PATHS.len()] }
    }
}

impl Tree {
    /// Make the tree hold what the input says, and no other files.
    pub fn hold(&mut self, input: &[u8]) -> Root {
        let mut wanted: Vec<Option<&[u8]>> = vec![None; PATHS.len()];
        for file in input.split(|&byte| byte == END) {
            if let Some((&path, bytes)) = file.split_first() {
                wanted[usize::from(path.wrapping_sub(b'0')) % PATHS.len()] = Some(bytes);
            }
        }
        for ((path, wanted), known) in PATHS.iter().zip(wanted).zip(&mut self.files) {
            if known.as_deref() == wanted {
                continue;
            }
            let path = self.folder.path().join(path);
            match wanted {
                Some(bytes) => fs::write(path, bytes).expect("a file"),
                None => fs::remove_file(path).expect("its file"),
            }
            *known = wanted.map(<[u8]>::to_vec);
        }
        Root::captured(self.folder.path()).expect("a tree")
    }
}
