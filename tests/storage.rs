//! Where builds really run, and which will fail, by what real Nix does.
//!
//! Each test has mounts of its own: a `/tmp` to which only root may write, which
//! real Nix sees by the same name, and small file systems on loop devices.

use std::process::Output;

use crate::tools::{RealNix, has, kernel_has, real_nix, text, with_nix};

/// What runs a build by a build user: `build NAME SCRIPT BUILD_DIR [SANDBOX]`.
const SETUP: &str = r#"
    configure() { # BUILD_DIR [SANDBOX]
        export NIX_CONFIG="build-users-group = nixbld
sandbox = ${2-false}
sandbox-paths = /bin /usr /lib /lib64
substitute = false
max-jobs = 1"
        if [ -n "$1" ]; then
            NIX_CONFIG+="
build-dir = $1"
        fi
    }
    # Nix ends every process of a build user before and after it builds: without
    # processes of its own, a test would end the builds of another.
    build() {
        configure "$3" "${4-false}"
        timeout 60 \
            unshare --pid --fork --kill-child --mount-proc nix-build --no-out-link -E "derivation {
            name = \"$1\"; system = builtins.currentSystem; builder = \"/bin/sh\";
            args = [ \"-euc\" ''PATH=/bin:/usr/bin; $2'' ]; }"
    }
    check() { # BUILD_DIR SANDBOX [ARGUMENT…]
        configure "$1" "$2"
        # Without daemons of other tests, which would decide where builds run.
        unshare --pid --fork --kill-child --mount-proc /tmp/storage check --json "${@:3}"
    }
    found() { # LEVEL: the ids of findings, from a report
        { grep -B1 "\"level\": \"$1\"" || true; } | sed -n 's/.*"id": "\(.*\)".*/\1/p'
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
pub(crate) fn run(nix: &RealNix, script: &str) -> Option<Output> {
    if !has(&["mkfs.ext4"]) || !kernel_has("ext4") {
        return None;
    }
    with_nix(nix, "storage", &format!("{SETUP}\n{script}"))
}

/// Its stdout, after it has succeeded.
pub(crate) fn said(nix: &RealNix, output: &Output) -> String {
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "Nix {}: {said}{errors}", nix.version);
    said
}

/// Those that know `build-dir`.
fn with_build_dir() -> impl Iterator<Item = RealNix> {
    real_nix().into_iter().filter(|nix| nix.version != "2.8")
}

/// Each line makes one shape at the path `$at/b`; `$at` is fresh. Then come what
/// Nix 2.26 and 2.34 say of it: `-` for nothing, `!` for nothing though builds
/// that use the directory fail, or a word of the message.
const SHAPES: &str = r"
plain|mkdir -p $at/b|-|-
missing|mkdir $at|No_such_file|-
missing-deep|true|No_such_file|-
world-writable|mkdir -p $at/b; chmod 0777 $at/b|-|world-writable
world-writable-parent|mkdir -p $at/b; chmod 0777 $at|-|world-writable
sticky|mkdir -p $at/b; chmod 1777 $at/b|-|world-writable
sticky-parent|mkdir -p $at/b; chmod 1777 $at|-|world-writable
missing-below-writable|mkdir $at; chmod 0777 $at|No_such_file|world-writable
link|mkdir -p $at/c; ln -s c $at/b|-|world-writable
link-above|mkdir -p $at.real/b; ln -s $at.real $at|-|world-writable
link-to-writable|mkdir -p $at/c; chmod 0777 $at/c; ln -s c $at/b|-|world-writable
link-to-closed|mkdir -p $at/c; chmod 0700 $at/c; ln -s c $at/b|!|world-writable
dangling|mkdir $at; ln -s nowhere $at/b|No_such_file|File_exists
dangling-above|ln -s nowhere $at|No_such_file|File_exists
group-writable|mkdir -p $at/b; chmod 0775 $at/b|-|-
setgid|mkdir -p $at/b; chmod 2755 $at/b|-|-
others-own|mkdir -p $at/b; chown 30001 $at/b|-|-
others-own-above|mkdir -p $at/b; chown 30001 $at|-|-
write-only-to-others|mkdir -p $at/b; chmod 0753 $at/b|-|world-writable
unlisted|mkdir -p $at/b; chmod 0711 $at/b|-|-
closed|mkdir -p $at/b; chmod 0700 $at/b|!|!
closed-above|mkdir -p $at/b; chmod 0700 $at|!|!
file|mkdir $at; touch $at/b|Not_a_directory|Not_a_directory
file-above|touch $at|Not_a_directory|Not_a_directory
pipe|mkdir $at; mkfifo $at/b|Not_a_directory|Not_a_directory
noexec|mkdir -p $at/b; mount -t tmpfs -o noexec,mode=0755 none $at/b|!|!
nosuid-nodev|mkdir -p $at/b; mount -t tmpfs -o nosuid,nodev,mode=0755 none $at/b|-|-
read-only|mkdir -p $at/b; mount -t tmpfs -o ro,mode=0755 none $at/b|Read-only|Read-only
missing-on-read-only|mkdir $at; mount -t tmpfs -o ro,mode=0755 none $at|No_such_file|Read-only
tmpfs-by-default|mkdir -p $at/b; mount -t tmpfs none $at/b|-|world-writable
";

#[test]
fn nix_refuses_what_check_says_it_refuses() {
    // The build writes a script to its directory, by its own path, and runs it.
    // What Nix itself says is in a line of its own that starts with `error:`.
    let script = r##"
    mkdir shapes
    while IFS='|' read -r name make _; do
        [ -n "$name" ] || continue
        at=/tmp/shapes/$name
        eval "$make"
        for sandbox in false true; do
            [ $sandbox = false ] || case $name in plain | closed* | noexec | link) ;; *) continue ;; esac
            check "$at/b" $sandbox --build-size 1 --build-files 1 > report 2> /dev/null || true
            errors=$(found error < report | sort -u | tr '\n' ' ')
            status=0
            build "$name-$sandbox" 'cd $TMPDIR; echo "#!/bin/sh" > x; chmod +x x; ./x; : > $out' \
                "$at/b" $sandbox > out 2> err || status=$?
            message=$(grep -E '^error: (Path|creating|path)' err | head -1 | tr ' ' _ || true)
            echo "$name|$sandbox|$status|$message|$errors"
        done
    done <<< "$SHAPES"
    "##;
    for nix in with_build_dir() {
        let script = format!("SHAPES='{SHAPES}'\n{script}");
        let Some(output) = run(&nix, &script) else { return };
        let said = said(&nix, &output);
        let rows: Vec<Vec<&str>> = said.lines().map(|line| line.split('|').collect()).collect();
        let shapes: Vec<Vec<&str>> =
            SHAPES.trim().lines().map(|line| line.split('|').collect()).collect();
        let column = if nix.version == "2.26" { 2 } else { 3 };
        assert_eq!(rows.len(), shapes.len() + 5, "{said}");
        for row in &rows {
            let [name, sandbox, status, message, errors] = row[..] else { panic!("{said}") };
            let what = format!("Nix {}: {row:?}\n{}", nix.version, text(&output.stderr));
            let shape = shapes.iter().find(|shape| shape[0] == name).expect("a shape");
            // Nix's own words, which are ours to predict and not to guess.
            match shape[column] {
                "-" => assert!(status == "0" && message.is_empty(), "{what}"),
                // A sandbox has the directory at another path, and keeps noexec.
                "!" if sandbox == "true" && name != "noexec" => assert_eq!(status, "0", "{what}"),
                "!" => assert!(status != "0" && message.is_empty(), "{what}"),
                word => assert!(message.contains(word), "{what}"),
            }
            let errors: Vec<&str> = errors.split_whitespace().collect();
            let says = |id: &str| errors.contains(&id);
            assert_eq!(
                says("build-dir-refused"),
                message.contains("world-writable")
                    || (nix.version == "2.34" && name.starts_with("dangling")),
                "{what}"
            );
            assert_eq!(!errors.is_empty(), status != "0", "{what}");
            let is_used = says("build-dir-closed") || says("build-dir-noexec");
            assert!(!is_used || message.is_empty() || errors.len() > 1, "{what}");
        }
    }
}

#[test]
fn builds_run_where_check_says_they_run() {
    // By the setting, by nothing, by TMPDIR, which counts before 2.30, and by the
    // state directory, which counts since.
    let script = r#"
    loop /tmp/builds 64
    mkdir /tmp/builds/nix
    attempt() { # NAME BUILD_DIR
        check "$2" false --build-size 1000000 --build-files 10 > report 2> /dev/null || true
        said=$(sed -n 's/^    "path": "\(.*\)".*/\1/p' report)
        mount=$(sed -n 's/^    "mount_point": "\(.*\)".*/\1/p' report)
        build "$1" 'pwd > $out; stat -c %m . >> $out' "$2" > path 2> err || { cat err >&2; exit 1; }
        { read -r ran; read -r on; } < "$(cat path)"
        case $ran in "$said"/nix-*) ;; *) echo "$1: said $said, ran in $ran"; exit 1 ;; esac
        # In the chroot of our Nix trees all is mounted elsewhere.
        case $on in *"$mount") ;; *) echo "$1: said on $mount, was on $on"; exit 1 ;; esac
        echo "$1 ${said#/tmp}"
    }
    attempt default ''
    TMPDIR=/tmp/builds attempt variable ''
    attempt set "$SET"
    "#;
    for nix in real_nix() {
        let set = if nix.version == "2.8" { "" } else { "/tmp/builds/nix" };
        let Some(output) = run(&nix, &format!("SET={set}\n{script}")) else { return };
        let said = said(&nix, &output);
        let expected = match nix.version.as_str() {
            "2.8" => "default \nvariable /builds\nset \n",
            "2.26" => "default \nvariable /builds\nset /builds/nix\n",
            _ => "default /state/builds\nvariable /state/builds\nset /builds/nix\n",
        };
        assert_eq!(said, expected, "Nix {}: {}", nix.version, text(&output.stderr));
    }
}

#[test]
fn check_predicts_what_runs_out() {
    // A build that wants more than there is ends with the kernel's words for it,
    // which are those of Nix, too, where it cannot even start.
    let script = r#"
    attempt() { # NAME FOLDER MIB FILES
        local predicted failed=no why=-
        # 2.8 knows only TMPDIR.
        local set=$2/b
        if [ "$VERSION" = 2.8 ]; then set=; export TMPDIR=$2/b; fi
        check "$set" false --build-size $(($3 << 20)) --build-files "$4" > report 2> /dev/null || true
        predicted=$(found error < report | tr '\n' ' ')
        build "$1" "head -c $(($3 << 20)) /dev/zero > big; i=0
            while [ \$i -lt $4 ]; do : > f\$i; i=\$((i + 1)); done; echo ok > \$out" \
            "$set" > out 2> err || failed=yes
        unset TMPDIR
        if grep -q 'No space left on device\|[Nn]o space' err; then why=ENOSPC; fi
        echo "$1: ${predicted% }: $failed $why"
        if [ $failed = yes ]; then sed "s/^/$1: /" err >&2; fi
    }
    loop /tmp/bytes 64
    loop /tmp/inodes 64 -N 256
    mkdir -p /tmp/memory/b /tmp/crowded
    mount -t tmpfs -o size=64m,mode=0755 none /tmp/memory
    mount -t tmpfs -o size=64m,nr_inodes=256,mode=0755 none /tmp/crowded
    mkdir /tmp/bytes/b /tmp/inodes/b /tmp/memory/b /tmp/crowded/b
    attempt fits /tmp/bytes 20 10
    attempt too-big /tmp/bytes 100 10
    attempt few /tmp/inodes 1 100
    attempt too-many /tmp/inodes 1 400
    attempt in-memory /tmp/memory 60 10
    attempt past-memory /tmp/memory 70 10
    attempt few-in-memory /tmp/crowded 1 100
    attempt many-in-memory /tmp/crowded 1 400
    # Nix cannot even start where somebody else has taken all.
    head -c 1G /dev/zero > /tmp/memory/all 2> /dev/null || true
    attempt full /tmp/memory 1 10
    rm /tmp/memory/all
    attempt again /tmp/memory 2 10
    "#;
    for nix in real_nix() {
        let script = format!("VERSION={}\n{script}", nix.version);
        let Some(output) = run(&nix, &script) else { return };
        let said = said(&nix, &output);
        let expected = "fits: : no -\n\
                        too-big: little-space: yes ENOSPC\n\
                        few: : no -\n\
                        too-many: little-inodes: yes ENOSPC\n\
                        in-memory: : no -\n\
                        past-memory: little-space: yes ENOSPC\n\
                        few-in-memory: : no -\n\
                        many-in-memory: little-inodes: yes ENOSPC\n\
                        full: little-space: yes ENOSPC\n\
                        again: : no -\n";
        assert_eq!(said, expected, "Nix {}: {}", nix.version, text(&output.stderr));
    }
}
