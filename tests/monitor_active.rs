//! Who builds what at the moment: what `monitor active` says, while real Nix
//! builds things that tell themselves.
//!
//! Each test has a store, mounts and processes of its own: Nix ends all
//! processes of its build users.

use std::process::Output;
use std::time::Duration;

use monitor::recorded::Source;
use monitor::sample::Sampler;
use serde_json::Value;

use crate::tools::{RealNix, has, real_nix, text, with_nix};

/// What the script of a test runs in: `nix_build ATTRIBUTES…` builds some of
/// `graph.nix`, whose builders wait for /tmp/told/go; `said PID…` waits for files.
pub(crate) const SETUP: &str = r#"
    mkdir told state
    chmod 0777 told
    export NIX_DAEMON_SOCKET_PATH=/tmp/socket
    export NIX_CONFIG="build-users-group = ${USERS-nixbld}
sandbox = false
substitute = false
max-jobs = 4"
    until_there() { # FILE…
        for file; do
            for try in $(seq 600); do
                [ ! -e "$file" ] || continue 2
                sleep 0.05
            done
            echo "$file is not there" >&2
            return 1
        done
    }
    daemon() {
        NIX_REMOTE=local nix-daemon --daemon > daemon.log 2>&1 &
        until_there /tmp/socket
        export NIX_REMOTE=daemon
    }
    build() { # NAME… SCRIPT
        local script=${!#} names=${*:1:$#-1}
        for name in $names; do
            printf '%s\n' "(derivation { name = \"$name\"; system = builtins.currentSystem;
                builder = \"/bin/sh\"; args = [ \"-euc\" ''PATH=/bin:/usr/bin; $script'' ]; })"
        done > exprs
        printf '[ %s ]' "$(cat exprs)" > graph.nix
        ${RUN-} nix-build --no-out-link graph.nix
    }
"#;

/// Run a script with processes of its own, with this Nix.
pub(crate) fn run(nix: &RealNix, users: &str, script: &str) -> Option<Output> {
    let inner = format!("USERS={users}\n{SETUP}\n{script}");
    let script = format!(
        "cat > script <<'SCRIPT'\n{inner}\nSCRIPT\n\
         exec timeout 120 unshare --pid --fork --kill-child --mount-proc \
         bash -euo pipefail script"
    );
    with_nix(nix, "monitor", &script)
}

/// Two builds that wait, and what is said meanwhile: by root, and by nobody.
const TWO: &str = r#"
    RUN="./monitor run -q --" build liba-0.9 'sleep 0.2; echo > $out' > before
    build liba-1.0 libb-2.0 '
        echo $$ > /tmp/told/$name.pid
        while [ ! -e /tmp/told/go ]; do i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; done
        echo done > $out' > built 2> errors &
    until_there told/liba-1.0.pid told/libb-2.0.pid
    ./monitor active --json > active.json
    setpriv --reuid 65534 --regid 65534 --clear-groups ./monitor active --json -q > nobody.json
    ./monitor active >&2
    grep -H . told/*.pid >&2
    touch told/go
    wait %?build || { cat errors >&2; exit 1; }
    ./monitor active --json > after.json
    printf '[%s,%s,%s,["%s","%s","%s"]]' "$(cat active.json)" "$(cat nobody.json)" \
        "$(cat after.json)" "$(cat told/liba-1.0.pid)" "$(cat told/libb-2.0.pid)" \
        "$(nix-store -q --deriver $(cat built) | paste -sd' ')"
"#;

fn json(nix: &RealNix, output: &Output) -> Value {
    let all = format!("Nix {}: {}{}", nix.version, text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{all}");
    serde_json::from_slice(&output.stdout).expect(&all)
}

/// What root is told of two builds that run; the user of each.
fn check_two(nix: &RealNix, said: &Value) -> Vec<u64> {
    let (builds, pids) = (said[0]["builds"].as_array().expect("builds"), &said[3]);
    assert_eq!(builds.len(), 2, "Nix {}: {said}", nix.version);
    assert_eq!(said[2]["builds"], serde_json::json!([]), "all have ended");
    let drvs = pids[2].as_str().expect("derivations");
    let mut users = Vec::new();
    for (name, pid) in [("liba-1.0", &pids[0]), ("libb-2.0", &pids[1])] {
        let build = builds.iter().find(|build| build["name"] == name).expect(name);
        let says = |what: &str| &build[what];
        assert_eq!(says("builder").to_string(), pid.as_str().expect("pid"), "{said}");
        assert!(drvs.split(' ').any(|drv| says("drv") == drv), "{drvs}: {said}");
        assert_eq!(says("source"), "open-files");
        assert_eq!(says("sandboxed"), false);
        assert!(says("processes").as_array().is_some_and(|all| all.contains(says("builder"))));
        assert!(says("memory_bytes").as_u64().is_some_and(|bytes| bytes > 100_000), "{said}");
        assert!(says("cpu_seconds").as_f64().is_some(), "{said}");
        let running = says("running_seconds").as_f64().expect("a time");
        assert!((0.0..60.0).contains(&running), "{said}");
        // By the build of another version of it, which only one of them has.
        let expected = says("expected_seconds").as_f64();
        assert_eq!(expected.is_some(), name == "liba-1.0", "{said}");
        assert!(expected.is_none_or(|wall| (0.15..60.0).contains(&wall)), "{said}");
        users.extend(says("user").as_u64());
    }
    users
}

#[test]
fn builds_of_a_daemon_are_told_apart() {
    for nix in real_nix() {
        let Some(output) = run(&nix, "nixbld", &format!("daemon\n{TWO}")) else { return };
        let said = json(&nix, &output);
        let users = check_two(&nix, &said);
        assert!(users.len() == 2 && users[0] != users[1], "{users:?}");
        for build in said[0]["builds"].as_array().expect("builds") {
            let client = &build["client"];
            assert_eq!(client["user"], "root", "{said}");
            let command = client["command"].as_str().expect("a command");
            assert!(command.contains("nix-build") && command.contains("graph.nix"), "{command}");
        }
        // Nobody sees what the connection builds, but not by which processes.
        let builds = said[1]["builds"].as_array().expect("builds");
        let names: Vec<&str> = builds.iter().filter_map(|build| build["name"].as_str()).collect();
        assert_eq!(names, ["liba-1.0", "libb-2.0"], "{said}");
        assert!(builds.iter().all(|build| build["source"] == "locks" && build["user"].is_null()));
        assert!(builds.iter().all(|build| build["cpu_seconds"].is_null()));
        assert_eq!(said[1]["notes"][0]["id"], "builds-mixed");
    }
}

#[test]
fn builds_without_a_daemon_are_told_apart() {
    for nix in real_nix() {
        for (users, count) in [("nixbld", 2), ("", 0)] {
            let Some(output) = run(&nix, users, TWO) else { return };
            let said = json(&nix, &output);
            assert_eq!(check_two(&nix, &said).len(), count, "{said}");
        }
    }
}

#[test]
fn nobody_sees_all_of_a_single_build() {
    let script = r#"
    daemon
    build alone-1.0 'echo $$ > /tmp/told/$name.pid
        while [ ! -e /tmp/told/go ]; do :; done; echo done > $out' > built 2> errors &
    until_there told/alone-1.0.pid
    setpriv --reuid 65534 --regid 65534 --clear-groups ./monitor active --json > active.json
    # A root that only the daemon can follow.
    mkdir -m 700 private
    root=$(nix-store --add /tmp/graph.nix)
    nix-store --add-root /tmp/private/result --indirect -r "$root" > rooted
    setpriv --reuid 65534 --regid 65534 --clear-groups \
        env HOME=/nonexistent ./monitor status --garbage --json > status.json
    echo "{\"active\": $(cat active.json), \"kept\": $(jq .kept status.json),
        \"size\": $(nix-store -q --size "$root")}"
    cat told/alone-1.0.pid >&2
    touch told/go
    wait %?build
    "#;
    if !has(&["jq"]) {
        return;
    }
    for nix in real_nix() {
        let Some(output) = run(&nix, "nixbld", script) else { return };
        let said = json(&nix, &output);
        let live = said["kept"]["found"]["live"]["nar_bytes"].as_u64();
        assert!(live.is_some() && live >= said["size"].as_u64(), "{said}");
        let said = &said["active"];
        let build = &said["builds"][0];
        assert_eq!(build["name"], "alone-1.0", "{said}");
        assert_eq!(build["builder"].to_string(), text(&output.stderr).trim(), "{said}");
        assert!(build["drv"].as_str().is_some_and(|drv| drv.ends_with("-alone-1.0.drv")), "{said}");
        assert!(build["user"].as_u64().is_some_and(|user| user > 30_000), "{said}");
        assert!(build["cpu_seconds"].as_f64().is_some(), "{said}");
        assert_eq!(said["notes"], serde_json::json!([]));
    }
}

#[test]
fn what_is_sampled_is_what_builders_used() {
    // Two processes compute, one of them begun by the other, until the first has used
    // enough; `times` prints what the shell used, and what those did that it waited for.
    let script = r"
    daemon
    build sampled-a sampled-b '
        work() { i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; }
        (work; work; work) & work; wait
        until [ $(cut -d\  -f14 /proc/$$/stat) -gt '$TICKS' ]; do work; done
        times > /tmp/told/$name; echo done > $out' > built 2> errors || { cat errors >&2; exit 1; }
    grep -H . told/*
    ";
    for nix in real_nix() {
        let sampler = Sampler::start(Duration::from_millis(250));
        // Once for long enough to say how exact it is.
        let is_long = nix.version == "2.34";
        let ticks = if is_long { 1050 } else { 100 };
        let output = run(&nix, "nixbld", &format!("TICKS={ticks}\n{script}"));
        let used = sampler.finish();
        let Some(output) = output else { return };
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        for name in ["sampled-a", "sampled-b"] {
            let end = format!("-{name}.drv");
            let (_, usage) = used.iter().find(|(drv, _)| drv.ends_with(&end)).expect(name);
            let own = said.lines().filter(|line| line.contains(name)).map(own_seconds).sum::<f64>();
            assert_eq!(usage.source, Source::Sampled);
            assert!(usage.peak_memory_bytes.is_some_and(|bytes| bytes > 1_000_000));
            let off = (usage.cpu_seconds - own) / own;
            let seen = usage.cpu_seconds;
            let all = format!("Nix {}: {name}: {own} s, seen {seen} s", nix.version);
            assert_eq!(own > 10.0, is_long, "{all}");
            assert!(off.abs() < if is_long { 0.1 } else { 0.5 }, "{all}");
        }
    }
}

/// The seconds of a line of `times`: `…:0m1.230000s 0m0.010000s`.
fn own_seconds(line: &str) -> f64 {
    let (_, times) = line.rsplit_once(':').expect("a file's name");
    let seconds = |time: &str| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("minutes");
        minutes.parse::<f64>().expect("minutes") * 60.0 + seconds.parse::<f64>().expect("seconds")
    };
    times.split_whitespace().map(seconds).sum()
}
