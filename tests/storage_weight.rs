//! What the store weighs, what keeps it, what builds leave behind and how fast
//! disks are, beside what real Nix and the system say.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::storage::{run, said};
use crate::tools::{real_nix, text};

/// Builds `a` and `b` of `base`, `c` of `a`, and `d`: all links go to
/// /tmp/home, but `d` has none.
const BUILD: &str = r#"
    cat > /tmp/home/graph.nix <<'END'
let make = name: size: inputs: derivation {
  inherit name inputs; system = builtins.currentSystem; builder = "/bin/sh";
  args = [ "-euc" ''PATH=/bin:/usr/bin; mkdir $out; echo $inputs > $out/inputs
    head -c ${toString size} /dev/zero > $out/one; cp $out/one $out/two'' ]; };
  base = make "base" 100000 [ ]; a = make "a" 20000 [ base ];
in { inherit a; b = make "b" 30000 [ base ]; c = make "c" 5000 [ a ]; d = make "d" 7000 [ ]; }
END
    make() { # NAME ARGUMENT…
        timeout 60 unshare --pid --fork --kill-child --mount-proc \
            nix-build /tmp/home/graph.nix -A "$1" "${@:2}"
    }
    for name in a b c; do make $name -o /tmp/home/$name > /dev/null 2>> err; done
    d=$(make d --no-out-link 2>> err)
"#;

#[test]
fn roots_weigh_what_nix_says_they_weigh() {
    // For each way that Nix may be told to keep things: our report, and for each
    // root its closure by Nix and what is dead besides once its links are gone.
    let script = r#"
    configure '' false
    set_up
    plain=$NIX_CONFIG
    ln -s "$(readlink /tmp/home/b)" /tmp/state/profiles/p-1-link
    ln -s p-1-link /tmp/state/profiles/p
    dead() {
        local paths
        paths=$(nix-store --gc --print-dead 2> /dev/null)
        [ -z "$paths" ] || nix-store -q --size $paths | awk '{ sum += $1 } END { print sum + 0 }'
    }
    for keep in 'true false' 'false false' 'true true' 'false true'; do
        export NIX_CONFIG="$plain
keep-derivations = ${keep% *}
keep-outputs = ${keep#* }"
        ln -s /tmp/home/nowhere /tmp/state/gcroots/auto/stale
        echo "report $(/tmp/storage roots --json | tr -d '\n')"
        rm -f /tmp/state/gcroots/auto/stale
        before=$(dead)
        echo "dead $before"
        mkdir aside
        for name in a b c; do
            path=$(readlink /tmp/home/$name)
            closure=$(nix --extra-experimental-features nix-command path-info -S "$path" | awk '{ print $NF }')
            mv /tmp/home/$name aside/
            [ $name != b ] || mv /tmp/state/profiles/p-1-link aside/
            # Nix removes what leads nowhere, so those links come back later.
            cp -a /tmp/state/gcroots aside/
            echo "root $path $closure $(($(dead) - before))"
            mv aside/$name /tmp/home/
            [ $name != b ] || mv aside/p-1-link /tmp/state/profiles/
            rm -r /tmp/state/gcroots
            mv aside/gcroots /tmp/state/
        done
        rmdir aside
    done
    "#;
    for nix in real_nix() {
        let script = format!("set_up() {{\n{BUILD}\n}}\n{script}");
        let Some(output) = run(&nix, &script) else { return };
        let (said, errors) = (said(&nix, &output), text(&output.stderr));
        let number = |value: &Value| value.as_u64().expect("a number");
        let mut roots: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let (mut dead, mut compared, mut freed) = (0, 0, Vec::new());
        for line in said.lines() {
            let (what, rest) = line.split_once(' ').expect("two words");
            let words: Vec<&str> = rest.split(' ').collect();
            match what {
                "report" => {
                    let report: Value = serde_json::from_str(rest).expect("a report");
                    let of = |root: &Value| {
                        let path = root["path"].as_str().expect("a path").to_owned();
                        let links = root["links"].as_array().expect("links").len();
                        assert_eq!(links, if path.ends_with("-b") { 2 } else { 1 }, "{root}");
                        (path, (number(&root["closure"]["bytes"]), number(&root["only"]["bytes"])))
                    };
                    roots = report["roots"].as_array().expect("roots").iter().map(of).collect();
                    dead = number(&report["dead"]["bytes"]);
                    let dangling = report["dangling"].as_object().expect("links");
                    assert!(dangling.contains_key("/tmp/state/gcroots/auto/stale"), "{report}");
                    assert_eq!(roots.len(), 3, "{report}");
                }
                "dead" => assert_eq!(rest.parse(), Ok(dead), "Nix {}: {said}{errors}", nix.version),
                _ => {
                    let nix_says =
                        (words[1].parse().expect("bytes"), words[2].parse().expect("bytes"));
                    assert_eq!(roots[words[0]], nix_says, "Nix {}: {line}\n{said}", nix.version);
                    compared += 1;
                    freed.push(nix_says.1);
                }
            }
        }
        assert_eq!(compared, 12, "{said}{errors}");
        // `a` is kept by `c` in any case, and the others free something.
        assert!(freed.contains(&0) && freed.iter().any(|bytes| *bytes > 60_000), "{freed:?}");
    }
}

#[test]
fn the_store_is_as_large_as_nix_and_the_disk_say() {
    let script = r#"
    loop /tmp/own 64
    export NIX_STORE_DIR=/tmp/own/store NIX_STATE_DIR=/tmp/own/state
    configure '' false
    set_up
    nix-store --optimise 2>> err
    /tmp/storage measure /tmp/own --store-size --json > report
    field() { sed -n "s/^    \"$1\": \(.*[^,]\),*$/\1/p" report; }
    echo "logical $(field logical_bytes) $(nix-store -q --size $(sed 's/ .*//' <(nix --extra-experimental-features nix-command path-info --all)) | awk '{ sum += $1 } END { print sum }')"
    # All names of files, less what is one file of several names.
    all=$(find own/store -path '*/.links' -prune -o -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
    once=$(find own/store -path '*/.links' -prune -o -type f -printf '%i %s\n' | sort -u | awk '{ sum += $2 } END { print sum }')
    echo "saved $(field saved_bytes) $((all - once))"
    echo "disk $(field disk_bytes) $(df -B1 --output=used /tmp/own | tail -1)"
    mkdir /tmp/elsewhere
    mount --bind /tmp/own /tmp/elsewhere
    /tmp/storage measure /tmp/own --store-size --json > report
    echo "shared $(field disk_bytes) null"
    ls -A own | tr '\n' ' '
    "#;
    for nix in real_nix() {
        let script = format!("set_up() {{\n{BUILD}\n}}\n{script}");
        let Some(output) = run(&nix, &script) else { return };
        let said = said(&nix, &output);
        let mut lines: Vec<Vec<&str>> =
            said.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(
            lines.pop(),
            Some(vec!["lost+found", "state", "store"]),
            "nothing stays: {said}"
        );
        assert_eq!(lines.len(), 4, "{said}{}", text(&output.stderr));
        for line in lines {
            let what = format!("Nix {}: {line:?}", nix.version);
            let [name, ours, theirs] = line[..] else { panic!("{what}") };
            if name == "disk" {
                // While the database is read, there are two small files beside it.
                let [ours, theirs] = [ours, theirs].map(|bytes| bytes.parse::<u64>().expect(&what));
                assert!(ours.abs_diff(theirs) < 100_000, "{what}");
            } else {
                assert_eq!(ours, theirs, "{what}");
            }
        }
    }
}

#[test]
fn what_a_dead_build_left_is_found_and_a_living_one_s_is_not() {
    // A living build of any other test has the same user as the dead one: all of
    // this runs among processes of its own, with the build's one level deeper.
    let script = r#"
    steps() {
    mkdir -p "${BUILDS:-/tmp}"
    configure "$SET" false
    unshare --pid --fork --kill-child --mount-proc nix-build --no-out-link -E 'derivation {
        name = "left"; system = builtins.currentSystem; builder = "/bin/sh";
        args = [ "-euc" "PATH=/bin:/usr/bin; head -c 3000000 /dev/zero > big; : > done; sleep 90" ]; }' \
        > /dev/null 2>&1 &
    for try in $(seq 600); do
        [ -z "$(find "${BUILDS:-/tmp}" -name done)" ] || break
        sleep 0.1
    done
    find "${BUILDS:-/tmp}" -name done | grep -c .
    stale() { { /tmp/storage check --json 2> /dev/null || true; } | sed -n 's/.*"text": "\(.*no process uses.*\)".*/\1/p'; }
    echo "living: $(stale)"
    kill -KILL $!
    wait || true
    echo "dead: $(stale)"
    }
    export BUILDS SET
    unshare --pid --fork --kill-child --mount-proc \
        bash -euo pipefail -c "$(declare -f configure steps); steps"
    "#;
    for nix in real_nix() {
        let builds = if nix.version == "2.8" { "" } else { "/tmp/builds" };
        let Some(output) = run(&nix, &format!("BUILDS={builds} SET={builds}\n{script}")) else {
            return;
        };
        let said = said(&nix, &output);
        let what = format!("Nix {}: {said}{}", nix.version, text(&output.stderr));
        assert!(said.starts_with("1\nliving: \ndead: "), "{what}");
        assert!(said.contains("1 build directory that no process uses, of 2.9 MiB"), "{what}");
    }
}

#[test]
fn measuring_leaves_nothing_behind_when_it_is_interrupted() {
    let Some(nix) = real_nix().pop() else { return };
    let script = r#"
    loop /tmp/disk 64
    measure() { /tmp/storage measure /tmp/disk --json > report 2> err; }
    measure
    grep -c '"filesystem": "ext4"\|_per_second": [1-9]' report
    for signal in INT TERM HUP; do
        /tmp/storage measure /tmp/disk > report 2> err &
        until ls -A disk | grep -q nixpace; do kill -0 $! 2> /dev/null || break; done
        kill -$signal $!
        status=0
        wait $! || status=$?
        echo "$signal $status $(cat err)"
    done
    head -c 1G /dev/zero > disk/all 2> /dev/null || true
    if measure; then echo measured; fi
    # What was removed a moment ago may become free only while it is measured.
    sed -n 's/.*"why_not": //p' report |
        sed 's/too little free space to measure\|No space left on device/full/'
    rm disk/all
    ls -A disk
    "#;
    let Some(output) = run(&nix, script) else { return };
    let expected = "5\n\
                    INT 1 storage: measure: interrupted\n\
                    TERM 1 storage: measure: interrupted\n\
                    HUP 1 storage: measure: interrupted\n\
                    \"/tmp/disk: full\"\n\
                    lost+found\n";
    assert_eq!(said(&nix, &output), expected, "{}", text(&output.stderr));
}
