//! What users install: it goes in, runs, and goes without a trace.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::tools::{RealNix, apart, binaries, document, has, real_nix, text, tool, workspace};

/// Install into a Debian of its own, run what was installed, and remove it; $ROOT is
/// a Debian tree that stays as it is. Prints what each step gave.
const INSTALL: &str = r#"
    mount -t tmpfs none .
    cd "$PWD"
    mkdir upper work root
    mount -t overlay -o "lowerdir=$ROOT,upperdir=$PWD/upper,workdir=$PWD/work" none root
    # These trees were made without manual pages, and would leave out ours.
    rm -f root/etc/dpkg/dpkg.cfg.d/99mmdebstrap
    cp "$PACKAGE" root/nixpace.deb
    mount --rbind /proc root/proc
    inside() { chroot root env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
    # What dpkg remembers of a package that was there once is not the package's.
    files() {
        (cd root && find . -xdev -path ./proc -prune -o -path ./var/log -prune \
            -o -path ./var/lib/dpkg -prune -o -path './var/cache/*' -prune -o -print | sort)
    }
    files > before
    inside dpkg --install /nixpace.deb >&2
    files > there
    inside detect --version
    inside sh -euc 'detect -q | profile -q | storage -q | caches -q --offline | nix-conf-write -q' |
        head -n 1
    for tool in bench caches detect monitor nix-conf-write profile storage; do
        test -x "root/usr/bin/$tool"
        gzip --test "root/usr/share/man/man1/$tool.1.gz"
        test -s "root/usr/share/bash-completion/completions/$tool"
        test -s "root/usr/share/zsh/vendor-completions/_$tool"
        test -s "root/usr/share/fish/vendor_completions.d/$tool.fish"
        test -s "root/usr/share/nushell/vendor/autoload/$tool.nu"
    done
    inside sh -c 'cd / && md5sum --check --quiet /var/lib/dpkg/info/nixpace.md5sums'
    # Nothing is enabled, and no script waits for its turn.
    find root/etc/systemd -name '*nixpace*'
    ls root/var/lib/dpkg/info/ | sed -n 's/^nixpace\.//p' | sort | tr '\n' ' '
    echo
    comm -13 before there | wc -l
    inside dpkg --purge nixpace >&2
    files > after
    diff before after
    echo clean
"#;

/// Whether the Debian of this Nix has a C library as new as this machine's: what is
/// packed here is no release, and not static.
fn runs_ours(nix: &RealNix) -> bool {
    let trees = nix.bin.ancestors().nth(2).expect("a folder of trees");
    let mut enter = Command::new(trees.join("enter"));
    enter.arg(nix.bin.with_file_name("root")).arg(workspace());
    let ran = enter.arg(binaries().join("detect")).arg("--version").output();
    ran.is_ok_and(|ran| ran.status.success())
}

fn pack(out: &Path) -> String {
    let mut xtask = tool("xtask");
    xtask.args(["dist", "--bin"]).arg(binaries()).arg("--out").arg(out);
    let output = xtask.output().expect("xtask runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    fs::read_to_string(out.join("SHA256SUMS")).expect("checksums")
}

#[test]
fn a_package_installs_runs_and_goes() {
    if !has(&["dpkg-deb", "sha256sum", "strip", "gzip"]) {
        return;
    }
    let out = tempfile::tempdir().expect("folder");
    let sums = pack(out.path());
    let check = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(out.path())
        .output();
    assert_eq!(document(&check.expect("sha256sum runs")), "");
    let names: Vec<&str> = sums.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    assert_eq!(names.len(), 2, "{sums}");
    let again = tempfile::tempdir().expect("folder");
    assert_eq!(pack(again.path()), sums, "the same bytes each time");

    let nix = real_nix();
    if nix.is_empty() {
        return;
    }
    // Debian 12 before others. The newest runs whatever is built on an older one.
    let nix = nix.iter().filter(|nix| runs_ours(nix)).max_by_key(|nix| nix.version == "2.8");
    let RealNix { bin, version } = nix.expect("a Debian that runs what is built here");
    let root = bin.with_file_name("root");
    let package = out.path().join(names[1]);
    let script = format!("ROOT={} PACKAGE={}\n{INSTALL}", root.display(), package.display());
    let Some(output) = apart(&script) else { return };
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("detect "), "{said}");
    assert!(
        lines[1].starts_with(&format!("# Written by nix-conf-write for Nix {version}")),
        "{said}"
    );
    assert_eq!(lines[2], "list md5sums ", "{said}");
    assert!(lines[3].parse::<u32>().is_ok_and(|files| files > 60), "{said}");
    assert_eq!(lines[4..], ["clean"], "{said}");
}
