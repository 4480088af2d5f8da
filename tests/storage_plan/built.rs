//! Where real Nix builds once a plan is followed.

use std::process::Output;

use detect::hardware::{Hardware, Media};
use detect::stage;

use super::{GIB, place, two_disks};
use crate::tools::{RealNix, apart, has, kernel_has, missing, real_nix, text};

/// The system of a real Nix as `/mnt/r`, with layers above it so that what a
/// build writes is gone with the test: /nix on a disk of its own, /tmp in memory.
/// Then what the pipe makes of `hardware.json` is its nix.conf.
const SETUP: &str = r#"
    mount -t tmpfs -o mode=0755 none /mnt
    mkdir /mnt/upper /mnt/work /mnt/r
    mount -t overlay -o "lowerdir=$ROOT,upperdir=/mnt/upper,workdir=/mnt/work" none /mnt/r
    mkdir -p /mnt/r/nix /mnt/r/tmp
    truncate -s 256M /mnt/disk.img
    mkfs.ext4 -q -m 0 /mnt/disk.img
    mount -o loop /mnt/disk.img /mnt/r/nix
    chmod 0755 /mnt/r/nix
    mount -t tmpfs -o mode=1777 none /mnt/r/tmp
    mount --rbind /dev /mnt/r/dev

    profile -q --for-nix "$VERSION" hardware.json | storage -q > plan.json
    nix-conf-write -q plan.json > nix.conf
    nix-conf-write -q --as systemd plan.json > drop-in.conf
    mkdir -p /mnt/r/etc/nix
    printf '%s\n' 'build-users-group = nixbld' 'sandbox = false' 'substitute = false' |
        cat - nix.conf > /mnt/r/etc/nix/nix.conf

    inside() { chroot /mnt/r env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
    # Nix ends every process of a build user before and after it builds, so it
    # gets processes of its own.
    build() { # NAME VARIABLE=VALUE…
        local expression="derivation {
            name = \"$1\"; system = builtins.currentSystem; builder = \"/bin/sh\";
            args = [ \"-euc\" ''
                PATH=/usr/bin:/bin
                head -c 20000000 /dev/zero > big
                { pwd; stat -f -c %T .; } > \$out
            '' ]; }"
        shift
        printf '%s' "$expression" > /mnt/r/root/default.nix
        timeout 60 unshare --mount --pid --fork bash -euc '
            mount -t proc proc /mnt/r/proc
            exec chroot /mnt/r env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" \
                nix-build --no-out-link /root/default.nix' build "$@" > /mnt/r/root/path
        cat "/mnt/r$(cat /mnt/r/root/path)"
    }
"#;

/// Run a script with a system of this Nix for which that machine is planned.
fn run(nix: &RealNix, hardware: &Hardware, script: &str) -> Option<Output> {
    let root = nix.bin.parent().map(|folder| folder.join("root"));
    let Some(root) = root.filter(|root| root.is_dir()) else {
        missing("the real Nix has no system of its own");
        return None;
    };
    if !has(&["mkfs.ext4"]) || !kernel_has("ext4") || !kernel_has("overlay") {
        return None;
    }
    let hardware = stage::text(hardware).expect("JSON");
    let script = format!(
        "ROOT='{}' VERSION={}\ncat > hardware.json <<'END'\n{hardware}END\n{SETUP}\n{script}",
        root.display(),
        nix.version
    );
    apart(&script)
}

fn said(nix: &RealNix, output: &Output) -> String {
    let said = text(&output.stdout);
    let errors = text(&output.stderr);
    assert!(output.status.success(), "Nix {}: {said}{errors}", nix.version);
    said
}

#[test]
fn builds_run_on_the_disk_that_is_planned() {
    for nix in real_nix() {
        // What each release has to get away from: /nix on a disk that spins; or
        // a /tmp that is too small.
        let (hardware, path, kind) = if nix.version == "2.34" {
            (two_disks("2.34", Media::Hdd, Media::Nvme, 16), "/nix-builds", "overlayfs")
        } else {
            let mut hardware = two_disks(&nix.version, Media::Ssd, Media::Ssd, 16);
            hardware.storage.tmp = place("/tmp", "/tmp", Media::Memory, 4);
            hardware.storage.build_dir.clone_from(&hardware.storage.tmp);
            (hardware, "/nix/var/nix/builds", "ext2/ext3")
        };
        let script = match &*nix.version {
            // Without build-dir, what is planned is to say so.
            "2.8" => {
                "! grep build-dir nix.conf; grep -o 'give nix-daemon [^ ]* as TMPDIR' plan.json
                build before
                install -d -m 0755 /mnt/r/nix/var/nix/builds
                build after TMPDIR=/nix/var/nix/builds"
            }
            // As the note says: nobody else makes it.
            "2.26" => {
                "grep '^build-dir' nix.conf
                ! build before 2> err; grep -q 'No such file' err
                install=$(grep -o 'install -d -m 0755 [^` ]*' plan.json)
                inside $install
                build after"
            }
            _ => "grep '^build-dir' nix.conf; build after",
        };
        let Some(output) = run(&nix, &hardware, script) else { return };
        let said = said(&nix, &output);
        let lines: Vec<&str> = said.lines().collect();
        let (first, last) = (lines[0], &lines[lines.len() - 2..]);
        let what = format!("Nix {}: {said}", nix.version);
        assert!(last[0].starts_with(&format!("{path}/nix-")), "{what}");
        assert_eq!(last[1], kind, "{what}");
        if nix.version == "2.8" {
            assert_eq!(first, format!("give nix-daemon {path} as TMPDIR"), "{what}");
            assert!(lines[1].starts_with("/tmp/nix-build-") && lines[2] == "tmpfs", "{what}");
        } else {
            assert_eq!(first, format!("build-dir = {path}"), "{what}");
        }
    }
}

#[test]
fn builds_fit_into_the_memory_that_is_planned() {
    // The command as it is printed, but for where the unit goes.
    let script = r#"
    sed -n 's|^#   \(printf .*\) > /etc/systemd/system/\([a-z-]*\.mount\)$|\1 > \2|p' \
        drop-in.conf > command
    bash command
    unit=$(echo *.mount)
    echo "$unit"
    field() { sed -n "s/^$1=//p" "$unit"; }
    if command -v systemd-escape > /dev/null; then
        [ "$(systemd-escape --path --suffix=mount "$(field Where)")" = "$unit" ]
    fi
    if command -v systemd-analyze > /dev/null; then
        systemd-analyze verify --man=no "./$unit" >&2
    fi
    mkdir -p "/mnt/r$(field Where)"
    mount -t "$(field Type)" -o "$(field Options)" "$(field What)" "/mnt/r$(field Where)"
    df -B1 --output=size "/mnt/r$(field Where)" | tail -1
    build inside
    "#;
    for nix in real_nix() {
        let hardware = two_disks(&nix.version, Media::Hdd, Media::Hdd, 128);
        let Some(output) = run(&nix, &hardware, script) else { return };
        let said = said(&nix, &output);
        let lines: Vec<&str> = said.lines().collect();
        let (unit, path) = match &*nix.version {
            "2.8" => ("tmp.mount", "/tmp/nix-build-"),
            _ => ("nix-var-nix-builds.mount", "/nix/var/nix/builds/nix-"),
        };
        let what = format!("Nix {}: {said}", nix.version);
        assert_eq!(lines[..2], [unit, &(16 * GIB).to_string()], "{what}");
        assert!(lines[2].starts_with(path) && lines[3] == "tmpfs", "{what}");
    }
}
