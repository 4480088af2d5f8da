//! The guard on real Nix: builds that need twice the memory there is are
//! killed without it and finish with it, and whatever happens to it, nothing
//! stays stopped.
//!
//! Each test has a daemon, a memory group and processes of its own.

use std::process::Output;

use crate::monitor_active::run;
use crate::tools::{RealNix, is_root, real_nix, skip, text};

mod ends;
mod shapes;

/// Our build users as this machine's, and a daemon in a group of `$1` MiB:
/// `memory NAME MIB MILLISECONDS SECONDS` is a build that takes so much, so long
/// for each MiB, and then waits; `cost NAME MIB` is what is recorded of it.
const SETUP: &str = r#"
    root=${NIX%/bin}/root
    mount --bind "$root/etc/group" /etc/group
    mount --bind "$root/etc/passwd" /etc/passwd
    export RUNTIME_DIRECTORY=/tmp/run
    export NIX_CONFIG="$NIX_CONFIG
max-jobs = 8"
    mkdir run
    group=/sys/fs/cgroup/memory limit=memory.limit_in_bytes
    [ -d $group ] || { group=/sys/fs/cgroup limit=memory.max; }
    top=$group group=$group/nixpace-guard-$RANDOM$RANDOM
    leave() {
        rc=$?
        kill $(jobs -p) 2> /dev/null || true
        for try in $(seq 50); do rmdir "$group" 2> /dev/null && break; sleep 0.1; done
        exit $rc
    }
    confine() { # MIB
        mkdir "$group" 2> /dev/null || { echo cannot-confine; exit 0; }
        trap leave EXIT
        echo $(($1 << 20)) > "$group/$limit" || { echo cannot-confine; exit 0; }
    }
    guarded_daemon() {
        (echo $BASHPID > "$group/cgroup.procs"
            NIX_REMOTE=local exec nix-daemon --daemon > daemon.log 2>&1) &
        until_there /tmp/socket
        export NIX_REMOTE=daemon
    }
    memory() {
        printf '%s\n' "(derivation { name = \"$1\"; system = builtins.currentSystem;
            builder = \"/bin/sh\"; args = [ \"-euc\" ''PATH=/bin:/usr/bin
            perl -e 'my @a; for (1..$2) { my \$n = 1048576; push @a, \"a\" x \$n;
                select(undef, undef, undef, $3 / 1000) } select(undef, undef, undef, $4)'
            echo ok > \$out'' ]; })"
    }
    cost() {
        printf '"%s": {"builds": 5, "wall_seconds": 3, "cpu_seconds": null,
            "parallelism": null, "peak_memory_bytes": %s, "base_memory_bytes": null,
            "slot_memory_bytes": null, "width": null}' "$1" $(($2 << 20))
    }
    stopped() {
        ps -eo uid=,state= | awk '$1 > 30000 && $1 < 30009 && $2 == "T" { n++ } END { print n + 0 }'
    }
    graph() { # how to make each of the names in $names
        { echo '['; for name in $names; do "$@"; done; echo ']'; } > graph.nix
    }
    costs() { # MIB
        local comma=
        echo '{"version": 1, "packages": {' > costs.json
        for name in $names; do
            { echo "$comma"; cost "$name" "$1"; } >> costs.json
            comma=,
        done
        echo '}}' >> costs.json
    }
"#;

fn said(nix: &RealNix, script: &str) -> Option<String> {
    let output: Output =
        run(nix, "nixbld", &format!("NIX='{}'\n{SETUP}\n{script}", nix.bin.display()))?;
    let all = format!("Nix {}: {}{}", nix.version, text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{all}");
    if text(&output.stdout).contains("cannot-confine") {
        skip("this user cannot make a group with a limit of memory");
        return None;
    }
    Some(all)
}

#[test]
fn builds_that_need_twice_the_memory_finish() {
    let script = |guard: &str| {
        format!(
            r#"
        names=$(seq -f 'middle%g' 8)
        one() {{ memory "$name-1.0" 150 5 1; }}
        graph one
        costs 155
        confine 600
        guarded_daemon
        {guard}
        rc=0
        nix-build --no-out-link graph.nix > built 2> errors || rc=$?
        echo "rc=$rc built=$(wc -l < built) $(cat run/guard.json 2> /dev/null | tr -d ' \n')"
        cat guard.log 2> /dev/null || true
        "#
        )
    };
    let guard = "./monitor guard --costs costs.json 2> guard.log & until_there run/guard.json";
    for nix in real_nix() {
        let Some(without) = said(&nix, &script("")) else { return };
        assert!(without.contains("rc=1 built=0"), "{without}");
        // Predictions are good, so that none is frozen; but beside other tests a start may
        // be seen late, and what it takes with it. Once in three times it is not.
        let mut tries = 3;
        loop {
            let Some(with) = said(&nix, &script(guard)) else { return };
            assert!(with.contains("rc=0 built=8"), "{with}");
            assert!(with.contains(r#""stopped":[],"#) && !with.contains(r#""holds":0"#), "{with}");
            if with.contains(r#""freezes":0"#) {
                break;
            }
            tries -= 1;
            assert!(tries > 0, "predictions were good: {with}");
        }
    }
}

/// With what it costs, which `cargo nextest run --no-capture` shows.
#[test]
fn with_plenty_of_memory_nothing_is_touched() {
    let script = r#"
        names=$(seq -f 'small%g' 100)
        one() { memory "$name" 2 1 0.1; }
        graph one
        costs 10
        confine 2000
        guarded_daemon
        ./monitor guard --costs costs.json 2> guard.log & guard=$!
        until_there run/guard.json
        both="$guard $(pgrep -P $guard)"
        ticks() { for pid in $both; do cat /proc/$pid/stat; done | awk '{ all += $14 + $15 } END { print all }'; }
        before=$(ticks) start=$(date +%s%N)
        nix-build --no-out-link graph.nix -j 8 > built 2> errors
        # A tick is 10 ms: this is the share of a core, in thousandths.
        share=$((($(ticks) - before) * 10000000 * 1000 / ($(date +%s%N) - start)))
        kib=$(for pid in $both; do grep VmHWM: /proc/$pid/status; done | awk '{ all += $2 } END { print all }')
        echo "built=$(wc -l < built) $(cat run/guard.json | tr -d ' \n')"
        echo "share=$share thousandths, kib=$kib of both"
    "#;
    for nix in real_nix().into_iter().take(1) {
        let Some(said) = said(&nix, script) else { return };
        assert!(said.contains("built=100"), "{said}");
        assert!(said.contains(r#""holds":0,"freezes":0,"stopped_seconds":0.0"#), "{said}");
        let of = |name: &str| -> u32 {
            let (_, rest) = said.split_once(name).expect(name);
            rest.split(' ').next().and_then(|figure| figure.parse().ok()).expect(name)
        };
        // Unoptimised, and perhaps beside other tests.
        assert!(of("share=") < 50 && of("kib=") < 40_000, "{said}");
        let costs = said.lines().last().unwrap_or_default();
        let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{costs}\n").as_bytes());
    }
}

#[test]
fn where_it_cannot_guard_it_says_so() {
    for nix in real_nix().into_iter().take(1) {
        if !is_root() {
            skip("a guard needs root");
            return;
        }
        let script = r#"
            try() { rc=0; "$@" 2>&1 || rc=$?; echo "rc=$rc"; }
            try setpriv --reuid 65534 --regid 65534 --clear-groups ./monitor guard --once
            try ./monitor guard --high 0.5 --low 0.6
            try ./monitor guard --once
            try env NIX_CONFIG="keep-build-log = false" ./monitor guard --once
            echo "nixbld:x:30000:" > group
            mount --bind group /etc/group
            try ./monitor guard --once
        "#;
        let Some(said) = said(&nix, script) else { return };
        let lines = [
            "monitor: guard: only root may stop builds\nhint: run it as root: sudo monitor guard …\n\
             rc=1",
            "rc=2",
            "monitor: guard: nothing is being built\nrc=0",
            "monitor: guard: builds cannot be seen: keep-build-log is false\n",
            "monitor: guard: builds cannot be told apart: no users in the group of build users",
        ];
        for line in lines {
            assert!(said.contains(line), "{line}: {said}");
        }
    }
}
