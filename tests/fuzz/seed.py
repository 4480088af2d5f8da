#!/usr/bin/env python3
"""seed.py [FOLDER]: give each fuzz target something to start from.

Writes FOLDER/TARGET (default: corpus/TARGET here), and json.dict and text.dict here
unless NIXPACE_SEEDS_ONLY is set. From what our
own tools print (target/{release,debug} of the project), a few texts below, and,
only when FOLDER lies outside the project, machines captured by others, from
$NIXPACE_SHARED: their data never enter the project, not even ignored by git.
"""

import hashlib
import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
SHARED = pathlib.Path(os.environ.get("NIXPACE_SHARED", PROJECT.parent / "shared"))
FOLDER = pathlib.Path(sys.argv[1] if sys.argv[1:] else HERE / "corpus").resolve()

PROC = {
    "l": ["0-3,8\n", "0-6:2", "0-7:1/4", "0-65535", "1023,2047", "\0", "0-3:2/0", "3-1,"],
    "m": ["3,00000001\n", "ffffffff,ffffffff", "00000000,0000000f", "f,,f"],
    "c": [
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: X\nflags\t\t: lm cmov cx8 fpu "
        "fxsr mmx syscall sse sse2 cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3 abm avx avx2 bmi1 "
        "bmi2 f16c fma movbe xsave avx512bw avx512cd avx512dq avx512f avx512vl\n",
        "vendor_id       : IBM/S390\nprocessor 0: version = FF\n",
        "processor\t: 0\ncpu\t\t: POWER7\nHardware\t: BCM2835\nuarch : sifive\n",
    ],
    "i": [
        "MemTotal:       24682420 kB\nMemAvailable:   24000000 kB\nSwapFree: 1 kB\n"
        "HugePages_Total:      16\nHugepagesize:       2048 kB\nHugetlb: 1048576 kB\n",
        "HugePages_Total: 9\nHugepagesize: 18446744073709551615 kB\n",
    ],
    "t": [
        "/nix/store\n21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
        "22 21 0:47 /@nix /nix rw,noatime - btrfs /dev/mapper/my\\040pool rw,subvol=/@nix\n"
        "24 21 0:51 / /nix rw master:3 propagate_from:2 unbindable - tmpfs none rw\n",
    ],
    "r": ["2.34.8", "2.36.0pre20260822", "lix-2.93.0", "determinate-2.30.2", "2.93",
          "nix (Nix) 2.8.0\n", "nix (Lix, like Nix) 2.93.3",
          "nix (Determinate Nix 3.8.5) 2.30.2", "65535.65535.65535"],
}  # fmt: skip

KEY = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="

CACHE = {
    "i": ["StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n", "Priority: high\n", "<html>\n"],
    "k": [KEY, KEY[:-1], "a:AAAA"],
    "s": ["a:" + "A" * 86 + "==", "a:AAAA", "a:="],
    "h": ["sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj", "sha1:" + "0" * 40,
          "sha256-8sobtsfpB9Btr+Roflefznazfk6Tt2BQItpS5szCb9I=", "sha512:" + "0" * 128],
    "b": ["Zm9v", "Zm8=", "Zm9vA"],
    "n": ["a" * 32, "a" * 20, "abc"],
    "a": ["https://me:secret@a.example/x?token=1&priority=5#x", "file:///a%20b", "ssh-ng://me@a"],
    "u": ["https://a.example/?priority=5=" + KEY, "file:///a=" + KEY],
    "t": [f'[[cache]]\nurl = "https://a.example"\nkeys = ["{KEY}"]\n'],
    "p": ["/nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a", "ibzx00wpszg959bxhbva99mwk4001dxf-a"],
}  # fmt: skip

NARINFO = """StorePath: /nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a
URL: nar/x.nar.xz
Compression: xz
FileHash: sha256:0k4g5xc97sj9ana6anjwibzx00wpszg959bxhbva99mwk4001dxf
FileSize: 100
NarHash: sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj
NarSize: 120
References: cm0mlfk05405kd64my5h93x7m2r677g4-r3 ibzx00wpszg959bxhbva99mwk4001dxf-a
Deriver: ypixjs8i4qszk4qfa468j5ph8drkxb0q-d.drv
Sig: a:AAAA
CA: fixed:r:sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj
"""

DERIVATIONS = [
    r"""Derive([("dev","/nix/store/7wqvam7q71nwabdbv5ql08nx2ymyyznw-m-dev","",""),("out","","r:sha256","")],"""
    r"""[("/nix/store/k8961q0ljcgy40i9gd86vjy6lwys61fn-a.drv",["out"])],[],"x86_64-linux","/bin/sh","""
    r"""["-c","echo \"x\ty\\\" > $out"],[("allowSubstitutes",""),("preferLocalBuild","1")])""",
    r"""DrvWithVersion("xp-dyn-drv",[],[("/nix/store/k8961q0ljcgy40i9gd86vjy6lwys61fn-a.drv","""
    r"""([],[("out",["out"])]))],[],"x","",[],[("__json","{\"allowSubstitutes\":false}")])""",
]

# What the kernel says of processes, and of the files that a Nix process has open.
HASH = "bbc3whrs7smbl8j4lvn7dm50p9035nk7"
PROCESSES = {
    "s": [
        "25561 (a) (b c) T 25548 25561 25561 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 2568192"
        " 200 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0"
    ],
    "l": [
        "1: POSIX  ADVISORY  WRITE 723 00:14:16845 0 EOF\n"
        "2: FLOCK  ADVISORY  WRITE 652 00:14:16763 0 EOF\n"
        "2: -> FLOCK  ADVISORY  WRITE 653 00:14:16763 0 EOF\n"
        "4: LEASE  ACTIVE    READ 655 <none>:0 0 EOF\n"
    ],
    "f": [
        f"7 /nix/var/log/nix/drvs/{HASH[:2]}/{HASH[2:]}-liba-1.0.drv.bz2\n"
        "5 /nix/var/nix/userpool/999\n6 /nix/var/nix/userpool2/998 (deleted)\n"
        f"4 /nix/store/{HASH}-liba-1.0.lock\n9 /nix/var/log/nix/drvs/{HASH[:2]}/{HASH[2:]}-b.drv\n"
        "!999 liba-1.0\n998 b\n"
    ],
    "p": ["python3.11-six-1.16", "gtk+-3.0", "a-b-"],
    "o": [
        "Name:\tsh\nUid:\t999\t999\t999\t999\nNSpid:\t26018\t1\n",
        "a=1\0names=2\0name=x=y\0",
        "3:cpu:/y\n0::/nix.slice/nix-build-uid-999\n",
    ],
}

MAC = """hw.ncpu: 8
hw.activecpu: 8
hw.logicalcpu: 8
hw.physicalcpu: 8
hw.packages: 1
hw.memsize: 17179869184
hw.memsize_usable: 16000000000
hw.machine: arm64
hw.model: MacBookPro17,1
hw.optional.arm64: 1
hw.nperflevels: 2
hw.perflevel0.logicalcpu: 4
hw.perflevel0.physicalcpu: 4
hw.perflevel0.l1dcachesize: 131072
hw.perflevel0.l2cachesize: 12582912
hw.perflevel0.cpusperl2: 4
hw.perflevel1.logicalcpu: 4
hw.perflevel1.physicalcpu: 4
vm.loadavg: { 1.52 2.00 3.00 }
vm.swapusage: total = 2048.00M  used = 605.88M  free = 1442.12M  (encrypted)
sysctl.proc_translated: 1
"""

INTEL = """hw.ncpu: 8
hw.activecpu: 8
hw.logicalcpu: 8
hw.physicalcpu: 4
hw.memsize: 17179869184
hw.cacheconfig: 8 2 2 8 0 0
hw.cachesize: 17179869184 32768 262144 6291456 0 0
hw.l1icachesize: 32768
machdep.cpu.vendor: GenuineIntel
machdep.cpu.brand_string: Example
machdep.cpu.features: FPU CX8 CMOV MMX FXSR SSE SSE2 SSE3 SSSE3 SSE4.1 SSE4.2 POPCNT VMM
machdep.cpu.extfeatures: SYSCALL EM64T LAHF LZCNT
"""

PLIST = """<?xml version="1.0"?><plist version="1.0"><dict>
<key>APFSContainerReference</key><string>disk3</string>
<key>APFSPhysicalStores</key><array><dict><key>APFSPhysicalStore</key><string>disk0s2</string></dict></array>
<key>BusProtocol</key><string>Apple Fabric</string><key>SolidState</key><true/>
<key>FileVault</key><true/><key>Fusion</key><false/><key>RAIDMaster</key><false/>
<key>DeviceIdentifier</key><string>disk3s7</string><key>FilesystemType</key><string>apfs</string>
<key>MountPoint</key><string>/nix &amp;lt;</string><key>TotalSize</key><integer>494384795648</integer>
</dict></plist>
"""

FACTER = {
    "version": 1,
    "system": "x86_64-linux",
    "virtualisation": "kvm",
    "hardware": {
        "cpu": [
            {"vendor_name": "V", "model_name": "M", "features": ["lm"], "siblings": 8, "cores": 4},
            None,
        ],
        "memory": [{"resources": [{"type": "phys_mem", "range": 64424509440},
                                  {"type": "mem", "range": 63424509440}]}],
    },
    "smbios": {"chassis": [{"chassis_type": {"value": 10}}]},
    "swap": [{"path": "/dev/zram0", "size": 1048576}, {"path": "/swap", "size": 1}],
}  # fmt: skip

TREES = [
    {
        "proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
        "20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 253:0 / /nix rw - xfs /dev/mapper/x rw\n",
        "proc/self/cgroup": "0::/a\n",
        "sys/fs/cgroup/a/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/memory.max": "1073741824\n",
        "sys/fs/cgroup/a/cpuset.cpus.effective": "0-1\n",
        "sys/devices/virtual/block/dm-0/dm/uuid": "CRYPT-LUKS2-abc-x\n",
    },
    {
        "proc/self/mountinfo": "30 1 0:30 / /sys/fs/cgroup rw - cgroup cgroup rw,cpu,memory\n"
        "20 1 7:0 / / rw - btrfs /dev/loop0 rw\n"
        "21 20 0:9 / /nix rw - overlay overlay rw,upperdir=/upper\n",
        "proc/self/cgroup": "5:cpu,memory:/a\n",
        "sys/fs/cgroup/a/cpu.cfs_quota_us": "60000\n",
        "sys/fs/cgroup/a/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/a/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/a/memory.stat": "rss 1\nhierarchical_memory_limit 1048576\n",
        "sys/devices/virtual/block/loop0/loop/backing_file": "/upper/image\n",
        "sys/devices/pci0/ata1/host0/block/sda/queue/rotational": "1\n",
    },
    {
        "sys/devices/system/cpu/online": "0-1\n",
        "sys/devices/system/cpu/cpu0/topology/core_cpus_list": "0\n",
        "sys/devices/system/cpu/cpu1/topology/thread_siblings": "2\n",
        "sys/devices/system/cpu/cpu0/cpu_capacity": "1024\n",
        "sys/devices/system/cpu/cpu1/cpu_capacity": "446\n",
        "sys/devices/system/cpu/cpu0/cache/index0/type": "Data\n",
        "sys/devices/system/cpu/cpu0/cache/index0/level": "1\n",
        "sys/devices/system/cpu/cpu0/cache/index0/size": "32K\n",
        "sys/devices/system/cpu/cpu1/cache/index0/size": "8M\n",
        "sys/devices/cpu_core/cpus": "0\n",
        "sys/devices/cpu_atom/cpus": "1\n",
        "proc/meminfo": "MemTotal: 16384000 kB\n",
        "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 4194304 0 100\n",
        "proc/loadavg": "0.52 0.58 0.59 1/467 12345\n",
        "proc/pressure/memory": "some avg10=1.00 avg60=2.50 avg300=3.00 total=4\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        "proc/pressure/cpu": "some avg10=1.00 avg60=2.50 avg300=3.00 total=4\n",
        "etc/group": "nixbld:x:30000:nixbld1,nixbld2\n",
        "proc/net/route": "Iface Destination Gateway Flags RefCnt Use Metric Mask\n"
        "eth0\t00000000\t0\t0\t0\t0\t1\t00000000\n",
        "sys/class/net/eth0/speed": "1000\n",
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        "sys/class/dmi/id/chassis_type": "10\n",
    },
]


def write(target, data):
    data = data if isinstance(data, bytes) else data.encode()
    folder = FOLDER / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ("seed-" + hashlib.sha1(data).hexdigest()[:16])).write_bytes(data)


def tree_paths():
    source = (HERE / "src/tree.rs").read_text()
    return re.findall(r'"(.+?)"', source.split("PATHS: ", 1)[1].split("];", 1)[0])


def pack(files, paths):
    """A tree as the target `tree` reads it."""
    known = [(path, files[path]) for path in paths if path in files]
    return b"\xff".join(
        bytes([ord("0") + paths.index(path)]) + data.replace(b"\xff", b"?") for path, data in known
    )


def machine_files(archive, paths):
    """The files of a captured machine that the tree has, and its PROC texts."""
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            for path in paths:
                if (name == path or name.endswith("/" + path)) and member.isfile():
                    found[path] = tar.extractfile(member).read()[:6000]
    return found


def binary(name):
    for kind in ("release", "debug"):
        path = PROJECT / "target" / kind / name
        if path.exists():
            return str(path)
    raise SystemExit(f"seed.py: {name}: not built: run `cargo build --workspace` first")


def run(*command, stdin=b""):
    return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout


def settings(plan):
    """Plans that set every name in the catalogue, each with its likely values."""
    table = (PROJECT / "profile/src/catalogue/table.rs").read_text()
    values = {
        "Bool": True, "Number": 4, "Large": 1 << 33, "Jobs": 2, "Text": "a", "Path": "/a",
        "Words": ["a", "b"], "SANDBOX": "relaxed", "LOG_FORMAT": "raw", "LINT": "warn",
        "PROFILER": "disabled",
    }  # fmt: skip
    rows = re.findall(r'(?:row|lix|determinate)\(\s*"([a-z0-9-]+)",\s*(\w+)', table)
    entries = [(name, values.get(kind, "a")) for name, kind in rows]
    extra = [("extra-" + name, ["c"]) for name, kind in rows if kind == "Words"]
    for version, implementation in [("2.8.0", "nix"), ("2.34.0", "nix"), ("2.93.0", "lix")]:
        for group in itertools.batched(entries + extra, 6) if hasattr(itertools, "batched") else (
            (entries + extra)[at : at + 6] for at in range(0, len(entries + extra), 6)
        ):
            copy = json.loads(json.dumps(plan))
            copy["profile"]["target"].update(version=version, implementation=implementation)
            for name, value in group:
                copy["settings"][name] = {"value": value, "why": "x", "stage": "s"}
            yield copy


def events():
    """A short stream of each kind of event, with and without parents."""
    drv = "/nix/store/" + "0" * 32 + "-a-1.0.drv"
    for parents in (True, False):
        def start(number, kind, *fields, parent=0, text=""):
            event = {"action": "start", "fields": list(fields), "id": number, "level": 3}
            return event | ({"parent": parent} if parents else {}) | {"text": text, "type": kind}

        def result(number, kind, *fields):
            return {"action": "result", "fields": list(fields), "id": number, "type": kind}

        path, cache = "/nix/store/" + "1" * 32 + "-b", "http://c"
        wait = f"waiting for a free build user ID for '{drv}'"
        lines = [
            start(1, 104), start(2, 103), start(3, 111, text=wait), {"action": "stop", "id": 3},
            start(4, 105, drv, "", 1, 1), result(4, 104, "buildPhase"), result(4, 101, "line"),
            start(5, 108, path, cache), start(6, 100, path, cache, "local", parent=5),
            start(7, 101, "http://c/nar/b", parent=6), result(7, 105, 7, 9, 0, 0),
            result(6, 105, 20, 30, 0, 0), {"action": "stop", "id": 7}, {"action": "stop", "id": 6},
            {"action": "stop", "id": 5}, result(2, 105, 1, 1, 0, 0), result(1, 105, 1, 2, 0, 1),
            {"action": "msg", "level": 0, "msg": f"error: builder for '{drv}' failed with exit code 3"},
            {"action": "msg", "level": 0,
             "msg": f"error: Cannot build '{drv}'.\n       Reason: builder failed.\n"},
            {"action": "stop", "id": 4},
        ]  # fmt: skip
        yield "".join("@nix " + json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def main():
    paths = tree_paths()
    for text in events():
        write("events", text)
    for first, texts in PROC.items():
        for text in texts:
            write("proc", first + text)
    for first, texts in PROCESSES.items():
        for text in texts:
            write("processes", first + text)
    for first, texts in CACHE.items():
        for text in texts:
            write("cache", first + text)
    write("narinfo", NARINFO)
    for text in DERIVATIONS:
        write("derivation", text)
    for text in ("s" + MAC, "s" + INTEL, "p" + PLIST, "f" + json.dumps(FACTER)):
        write("foreign", text)
    for files in TREES:
        write("tree", pack({path: text.encode() for path, text in files.items()}, paths))

    proc_of = {"proc/cpuinfo": b"c", "proc/meminfo": b"i", "proc/self/mountinfo": b"t/nix/store\n"}
    shared = [] if FOLDER.is_relative_to(PROJECT) else [SHARED]
    archives = sorted(path for folder in shared for path in folder.glob("*/**/*.tar.xz"))
    documents = [run(binary("detect")), run(binary("detect"), "--live")]
    documents += [path.read_bytes() for path in PROJECT.glob("tests/fixtures/*/hardware.json")]
    for archive in archives:
        files = machine_files(archive, paths)
        if files:
            write("tree", pack(files, paths))
        for path, first in proc_of.items():
            if path in files:
                write("proc", first + files[path][:3000])

    for file in [file for folder in shared for file in folder.glob("narinfo*/*.narinfo")]:
        write("narinfo", file.read_bytes()[:8000])

    for file in [file for folder in shared for file in folder.glob("nixlogs/*/*.jsonl")]:
        write("events", file.read_bytes()[:8000])

    minimal = {"version": 1, "cpu": {}, "memory": {}, "network": {}, "environment": {}}
    minimal["storage"] = {}
    documents.append(json.dumps(minimal).encode())
    big = json.loads(json.dumps(minimal))
    big["cpu"] = {"allowed": 64, "quota": 1.5, "online": 64}
    big["memory"] = {"usable_bytes": 1 << 36, "total_bytes": 1 << 36, "swap_bytes": 1 << 35}
    big["daemon"] = {"quota": 3.25, "memory_limit_bytes": 1 << 34, "allowed": 8}
    big["environment"] = {"laptop": True, "ci": "garnix", "container": "docker"}
    documents.append(json.dumps(big).encode())
    for document in documents:
        # Short, so that changes hit something.
        document = json.dumps(json.loads(document), separators=(",", ":")).encode()
        write("hardware", document)
        plan = json.loads(run(binary("profile"), stdin=document))
        write("plan", json.dumps(plan, separators=(",", ":")))

    plan = json.loads(run(binary("profile"), stdin=json.dumps(minimal).encode()))
    plan["notes"] = []
    for copy in settings(plan):
        write("plan", json.dumps(copy, separators=(",", ":")))
    plan["caches"] = [
        {"url": "https://a.example", "key": "a:b", "verdict": "verified"},
        {"url": "http://b:80/", "key": "b:c", "verdict": "unsigned", "priority": 30},
    ]
    words = {
        "substituters": ["https://a.example/?priority=1", "https://cache.nixos.org"],
        "extra-trusted-public-keys": ["a:b"],
        "experimental-features": ["cgroups", "nix-command"],
        "use-cgroups": True,
    }
    for name, value in words.items():
        plan["settings"][name] = {"value": value, "why": "a proof", "stage": "caches"}
    write("plan", json.dumps(plan, separators=(",", ":")))

    if "NIXPACE_SEEDS_ONLY" in os.environ:
        return
    texts = set()
    for schema in ("detect", "profile"):
        text = (PROJECT / schema / "schema.json").read_text()
        collect(json.loads(text), texts)
    lines = [f'"\\"{text}\\""' for text in sorted(texts)]
    lines += ['"null"', '"18446744073709551615"', '"4294967295"', '"1e308"', '"0.1"', '"-1"']
    (HERE / "json.dict").write_text("\n".join(lines) + "\n")
    literals = set()
    sources = [path for crate in ("detect", "caches") for path in PROJECT.glob(f"{crate}/src/**/*.rs")]
    for source in sources:
        code = source.read_text().split("#[cfg(test)]\nmod tests")[0]
        literals.update(re.findall(r'"([A-Za-z0-9_:./ @-]{2,24})"', code))
    lines = [f'"{text}"' for text in sorted(literals)]
    lines += [f'"{text}"' for text in ("inf", "NaN", "1e999", "-0", "+1", "0-65535", "\\\\134")]
    (HERE / "text.dict").write_text("\n".join(lines) + "\n")


def collect(schema, texts):
    """Keys and words that a schema knows."""
    if isinstance(schema, dict):
        texts.update(schema.get("properties", {}))
        texts.update(word for word in schema.get("enum", []) if isinstance(word, str))
        if isinstance(schema.get("const"), str):
            texts.add(schema["const"])
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            collect(part, texts)


if __name__ == "__main__":
    main()
