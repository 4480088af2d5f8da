//! How fast guarded builds are, beside the best that could be chosen by hand.

use std::io::Write;

use super::said;
use crate::tools::{RealNix, real_nix};

/// Graphs of three shapes, of which what runs at once needs twice the memory
/// there is, and what `$1` of them cost. `one NAME JOBS` builds all anew.
const SHAPES: &str = r#"
    RANDOM=42
    add() { # NAME MIB MILLISECONDS-FOR-EACH BEFORE SECONDS
        printf '%s\n' "$1 = derivation { name = \"$1-1.0\"; system = builtins.currentSystem;
            inherit salt; builder = \"/bin/sh\"; args = [ \"-euc\" ''PATH=/bin:/usr/bin
            perl -e 'select(undef, undef, undef, $4);
                my @a; for (1..$2) { my \$n = 1048576; push @a, \"a\" x \$n;
                    select(undef, undef, undef, $3 / 1000) } select(undef, undef, undef, $5)'
            echo ok > \$out'' ]; };" >> jobs.nix
        added="${added-} $1"
        # What is recorded is up to 8 % off.
        all="${all-}${all+,}$(cost "$1" $(($2 * (92 + RANDOM % 17) / 100 + 8)))"
    }
    case $shape in
        many) for i in $(seq 24); do
            add m$i $((60 + RANDOM % 160)) 4 0.2 1.$((RANDOM % 10))
        done ;;
        giant) add a 320 12 0.2 2; for i in $(seq 20); do
            add s$i $((40 + RANDOM % 60)) 4 0.2 1.$((RANDOM % 10))
        done ;;
        sudden) for i in $(seq 16); do
            add q$i $((100 + RANDOM % 80)) 1 1 1.$((RANDOM % 10))
        done ;;
    esac
    { echo '{ salt }: let'; cat jobs.nix; echo "in [ $added ]"; } > graph.nix
    echo "{\"version\": 1, \"packages\": { $all }}" > costs.json
    confine 600
    guarded_daemon
    one() {
        local start=$(date +%s%N) rc=0
        nix-build --no-out-link graph.nix --argstr salt $start -j $2 > built 2> errors || rc=$?
        echo "$shape $1 rc=$rc milliseconds=$((($(date +%s%N) - start) / 1000000)) built=$(wc -l < built)"
    }
    guarded() { # TIMES ARGUMENT...
        local times=$1
        shift
        ./monitor guard "$@" 2> guard.log & guard=$!
        until_there run/guard.json
        for time in $(seq $times); do one guarded$time 8; done
        kill $guard
        wait $guard || true
    }
"#;

/// The shortest time of runs of this name that all built everything.
fn best(said: &str, name: &str) -> Option<f64> {
    let of = |line: &str| {
        let (_, result) = line.split_once(&format!(" {name} rc="))?;
        let (code, rest) = result.split_once(" milliseconds=")?;
        let time = rest.split(' ').next()?.parse().ok()?;
        Some(if code == "0" { time } else { f64::INFINITY })
    };
    let times: Vec<f64> = said.lines().filter_map(of).collect();
    let all_built = !times.is_empty() && times.iter().all(|time| time.is_finite());
    all_built.then(|| times.into_iter().fold(f64::INFINITY, f64::min))
}

/// A figure for whoever asked for it.
pub(super) fn tell(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Twenty guarded runs of each shape with each Nix, beside all static choices:
/// half an hour, for a quiet machine:
/// `cargo nextest run -p tests --run-ignored only -E 'test(beside_static_choices)'`
#[test]
#[ignore = "takes half an hour"]
fn guarded_builds_beside_static_choices() {
    // They wait more than they compute, each in a memory of its own.
    std::thread::scope(|scope| {
        for nix in real_nix() {
            scope.spawn(move || ["many", "giant", "sudden"].map(|shape| compare(&nix, shape)));
        }
    });
}

/// Without any record, the first time is what it is; by the third, the guard has seen
/// what each build needs.
#[test]
#[ignore = "takes some minutes"]
fn what_was_seen_is_enough_to_go_by() {
    std::thread::scope(|scope| {
        for nix in real_nix() {
            scope.spawn(move || {
                for shape in ["many", "giant", "sudden"] {
                    let Some(said) = run(&nix, shape, "guarded 3") else { return };
                    let of = |time| best(&said, &format!("guarded{time}"));
                    tell(&format!("Nix {} {shape}: {:?}", nix.version, [of(1), of(2), of(3)]));
                    assert!(of(3).is_some(), "{said}");
                }
            });
        }
    });
}

fn run(nix: &RealNix, shape: &str, script: &str) -> Option<String> {
    said(nix, &format!("shape={shape}\n{SHAPES}\n{script}"))
}

fn compare(nix: &RealNix, shape: &str) {
    let run = |script: &str| run(nix, shape, script);
    let mut statics = Vec::new();
    for jobs in 1..=6 {
        // One at a time takes nearly as long as a run may; it does not vary either.
        let times = if jobs == 1 { 1 } else { 2 };
        let Some(said) = run(&format!("one {jobs} {jobs}\n").repeat(times)) else { return };
        statics.extend(best(&said, &jobs.to_string()).map(|time| (jobs, time)));
    }
    let Some(without) = run("one 8 8") else { return };
    assert!(best(&without, "8").is_none(), "unguarded builds are killed: {without}");
    let mut times = Vec::new();
    for _ in 0..20 {
        let Some(with) = run("guarded 1 --costs costs.json") else { return };
        times.push(best(&with, "guarded1").expect(&with));
    }
    times.sort_by(f64::total_cmp);
    let best = statics.iter().min_by(|one, other| one.1.total_cmp(&other.1));
    let (jobs, time) = best.expect("one job at a time is safe");
    let median = times[times.len() / 2];
    tell(&format!(
        "Nix {} {shape}: 20 of 20 guarded, median {median:.0} ms; best safe {jobs} jobs, \
         {time:.0} ms: {:.3}",
        nix.version,
        median / time
    ));
    assert!(median <= time * 1.10, "{shape}: {median} against {time}");
}
