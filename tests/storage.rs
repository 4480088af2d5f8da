//! Where builds really run, and which will fail, by what real Nix does.
//!
//! Each test has mounts of its own: a `/tmp` to which only root may write, which
//! real Nix sees by the same name, and small file systems on loop devices.

use std::process::Output;

use crate::tools::{RealNix, apart, has, kernel_has, real_nix, text};

/// A `/tmp` of its own with our tool in it, a store, and what runs a build by a
/// build user: `build NAME SCRIPT BUILD_DIR`.
const SETUP: &str = r#"
    mount -t tmpfs -o mode=0755 none /mnt
    cp "$(command -v storage)" /mnt/storage
    mount --bind /mnt /tmp
    cd /tmp
    mkdir home
    export HOME=/tmp/home NIX_STORE_DIR=/tmp/store NIX_STATE_DIR=/tmp/state
    export NIX_LOG_DIR=/tmp/log NIX_CONF_DIR=/tmp/none
    export PATH=$NIX:/usr/sbin:/usr/bin:/sbin:/bin
    common='build-users-group = nixbld
sandbox = false
substitute = false
max-jobs = 1'
    export NIX_CONFIG=$common
    # Nix ends every process of a build user before and after it builds: without
    # processes of its own, a test would end the builds of another.
    build() {
        NIX_CONFIG="$common
build-dir = $3" timeout 60 \
            unshare --pid --fork --mount-proc nix-build --no-out-link -E "derivation {
            name = \"$1\"; system = builtins.currentSystem; builder = \"/bin/sh\";
            args = [ \"-euc\" ''PATH=/bin:/usr/bin; $2'' ]; }"
    }
    check() {
        NIX_CONFIG="$common
build-dir = $1" /tmp/storage check --json "${@:2}"
    }
    loop() { # FOLDER MIB OPTION…
        truncate -s "$2M" "/tmp/$(basename "$1").img"
        mkfs.ext4 -q -m 0 "${@:3}" "/tmp/$(basename "$1").img"
        mkdir -p "$1"
        mount -o loop "/tmp/$(basename "$1").img" "$1"
        chmod 0755 "$1"
    }
"#;

/// Run a script after the setup, with this Nix.
fn run(nix: &RealNix, script: &str) -> Option<Output> {
    if !has(&["mkfs.ext4"]) || !kernel_has("ext4") {
        return None;
    }
    apart(&format!("NIX='{}'\n{SETUP}\n{script}", nix.bin.display()))
}

/// Those that know `build-dir`.
fn with_build_dir() -> impl Iterator<Item = RealNix> {
    real_nix().into_iter().filter(|nix| nix.version != "2.8")
}

#[test]
fn nix_refuses_what_check_says_it_refuses() {
    // Each line makes one shape at the path `$at/b`; `$at` is fresh.
    const SHAPES: &str = r"
plain: mkdir -p $at/b
missing: mkdir $at
missing-deep: true
world-writable: mkdir -p $at/b; chmod 0777 $at/b
world-writable-parent: mkdir -p $at/b; chmod 0777 $at
sticky-parent: mkdir -p $at/b; chmod 1777 $at
sticky: mkdir -p $at/b; chmod 1777 $at/b
missing-below-writable: mkdir $at; chmod 0777 $at
link: mkdir -p $at/c; ln -s c $at/b
link-above: mkdir -p $at.real/b; ln -s $at.real $at
group-writable: mkdir -p $at/b; chmod 0775 $at/b
setgid: mkdir -p $at/b; chmod 2755 $at/b
others-own: mkdir -p $at/b; chown 30001 $at/b
write-only-to-others: mkdir -p $at/b; chmod 0753 $at/b
file: mkdir $at; touch $at/b
";
    let script = r#"
    while IFS=: read -r name make; do
        [ -n "$name" ] || continue
        at=/tmp/shapes/$name
        mkdir -p /tmp/shapes
        eval "$make"
        said=no built=yes
        check "$at/b" --build-size 1 --build-files 1 > report || true
        if grep -q build-dir-refused report; then said=yes; fi
        build "$name" 'pwd > $out' "$at/b" > out 2> err || built=no
        refused=no
        if [ $built = no ]; then refused=yes; fi
        echo "$name said=$said refused=$refused $(head -c 300 err | tail -1)"
    done <<< "$SHAPES"
    "#;
    for nix in real_nix().into_iter().filter(|nix| nix.version == "2.34") {
        let script = format!("SHAPES='{SHAPES}'\n{script}");
        let Some(output) = run(&nix, &script) else { return };
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(" said=")).collect();
        assert_eq!(lines.len(), 15, "{said}");
        for line in &lines {
            let agrees =
                line.contains("said=yes refused=yes") || line.contains("said=no refused=no");
            assert!(agrees, "Nix {}: {line}\n{said}", nix.version);
        }
        assert!(lines.iter().any(|line| line.contains("refused=yes")), "{said}");
        assert!(lines.iter().any(|line| line.contains("refused=no")), "{said}");
    }
}

#[test]
fn builds_run_on_the_file_system_that_is_planned() {
    for nix in with_build_dir() {
        let script = r#"
        loop /tmp/builds 64
        mkdir /tmp/builds/nix
        build where 'pwd > $out; stat -f -c %T . >> $out' /tmp/builds/nix > path
        cat "$(cat path)"
        check /tmp/builds/nix --build-size 1000000 --build-files 10
        "#;
        let Some(output) = run(&nix, script) else { return };
        let said = text(&output.stdout);
        let all = format!("Nix {}: {said}{}", nix.version, text(&output.stderr));
        assert!(output.status.success(), "{all}");
        assert!(said.starts_with("/tmp/builds/nix/"), "{all}");
        assert!(said.contains("\next2/ext3\n"), "{all}");
        assert!(said.contains(r#""mount_point": "/tmp/builds""#), "{all}");
    }
}

#[test]
fn check_predicts_what_runs_out() {
    for nix in with_build_dir() {
        let script = r#"
        loop /tmp/bytes 64
        loop /tmp/inodes 64 -N 256
        mkdir /tmp/bytes/b /tmp/inodes/b
        attempt() { # NAME FOLDER MIB FILES
            local predicted=no failed=no
            check "$2/b" --build-size $(($3 << 20)) --build-files "$4" > report 2>/dev/null ||
                predicted=yes
            build "$1" "head -c $(($3 << 20)) /dev/zero > big; i=0
                while [ \$i -lt $4 ]; do : > f\$i; i=\$((i + 1)); done; echo ok > \$out" \
                "$2/b" > out 2> err || failed=yes
            echo "$1 predicted=$predicted failed=$failed"
            if [ $failed = yes ]; then sed "s/^/$1: /" err >&2; fi
            if [ "$1" = too-many ]; then grep -o '"little-[a-z]*"' report; fi
            if [ "$1" = too-big ]; then grep -o '"little-[a-z]*"' report; fi
        }
        attempt fits /tmp/bytes 20 10
        attempt too-big /tmp/bytes 100 10
        attempt few /tmp/inodes 1 100
        attempt too-many /tmp/inodes 1 400
        "#;
        let Some(output) = run(&nix, script) else { return };
        let said = text(&output.stdout);
        let all = format!("Nix {}: {said}{}", nix.version, text(&output.stderr));
        assert!(output.status.success(), "{all}");
        let expected = "fits predicted=no failed=no\n\
                        too-big predicted=yes failed=yes\n\"little-space\"\n\
                        few predicted=no failed=no\n\
                        too-many predicted=yes failed=yes\n\"little-inodes\"\n";
        assert_eq!(said, expected, "{all}");
    }
}
