//! Real Nix, run, heard and read, whose builders say themselves what happened.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use super::{list, outcomes};
use crate::served::{Cache, Page, serve};
use crate::tools::{RealNix, has, real_nix, skip, text, with_nix};

/// A graph whose builders write down when they began and ended.
const GRAPH: &str = r#"{ url, hash }:
let
  build = name: script: inputs: derivation {
    inherit name inputs; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-euc" ''
      PATH=/bin:/usr/bin
      began=$(date +%s.%N)
      trap 'echo "$began $(date +%s.%N)" > /tmp/clock/${name}' EXIT
      echo "@nix {\"action\":\"setPhase\",\"phase\":\"buildPhase\"}" >&2
      echo "this is ${name}"
      ${script}
    '' ]; };
  ok = name: build name "sleep 0.3; echo ${name} > $out";
in rec {
  cached = build "cached" "head -c 200000 /dev/urandom > $out" [ ];
  fetched = derivation {
    name = "fetched"; system = "builtin"; builder = "builtin:fetchurl"; inherit url;
    outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = hash; };
  locked = build "locked" "until [ -e /tmp/go ]; do sleep 0.1; done; sleep 1; echo > $out" [ ];
  a = ok "a" [ ]; b = ok "b" [ fetched ]; c = ok "c" [ a b cached ]; d = ok "d" [ c ];
  e = ok "e" [ c ]; f = ok "f" [ d e ]; g = ok "g" [ f ]; h = ok "h" [ f ];
  top = ok "top" [ g h locked ];
  bad = build "bad" "echo going wrong >&2; sleep 0.4; exit 3" [ top ];
  victim = build "victim" "sleep 60" [ top ];
  dependent = ok "dependent" [ bad ];
  all = ok "all" [ dependent victim ];
  long = build "long" "sleep 347" [ ];
}
"#;

/// The graph, and a signed cache in `$SERVED`, which the test serves.
const SETUP: &str = r#"
    mkdir -m 1777 clock
    export XDG_STATE_HOME=/tmp/history
    common='build-users-group = nixbld
sandbox = false
max-jobs = 4
experimental-features = nix-command'
    export NIX_CONFIG="$common
substitute = false"
    echo "$GRAPH" > graph.nix
    echo data > "$SERVED/source"
    hash=$(nix-hash --type sha256 --flat --base32 "$SERVED/source")
    args="graph.nix --argstr url $URL/source --argstr hash $hash"
    # Nix ends every process of a build user before and after it builds: without
    # processes of its own, a test would end the builds of another.
    own() { timeout 120 unshare --pid --fork --kill-child --mount-proc "$@"; }
"#;

/// Run a script after the setup, with this Nix and what `folder` holds served.
fn run(nix: &RealNix, folder: &Path, cache: &Cache, script: &str) -> Option<Output> {
    let variables = [
        ("SERVED", folder.display().to_string()),
        ("URL", cache.url.clone()),
        ("GRAPH", GRAPH.to_owned()),
    ];
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let set: Vec<String> =
        variables.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    with_nix(nix, "monitor", &format!("{}\n{SETUP}\n{script}", set.join("\n")))
}

/// A folder in memory, where every mount namespace sees it, and who serves it.
fn served() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir_in("/dev/shm").expect("folder");
    let root = folder.path().to_owned();
    let cache = serve(Duration::ZERO, move |path| {
        let name = path.trim_start_matches('/');
        // Ours alone, on loopback; still, not all that can be named.
        let file = (!name.contains("..")).then(|| fs::read(root.join(name)).ok()).flatten();
        file.map_or_else(|| Page::status(404), Page::ok)
    });
    (folder, cache)
}

/// What the builders themselves wrote down: how long each took.
fn clocks(said: &str) -> BTreeMap<String, f64> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("clock/"));
    let clock = |line: &str| {
        let (name, times) = line.split_once(':')?;
        let (began, ended) = times.split_once(' ')?;
        let seconds = |text: &str| text.trim().parse::<f64>().ok();
        Some((name.to_owned(), seconds(ended)? - seconds(began)?))
    };
    lines.filter_map(clock).collect()
}

#[test]
fn a_run_tells_what_real_nix_did() {
    let script = r#"
    nix-store --generate-binary-cache-key test-1 key.sec key.pub
    own nix-build $args -A cached --no-out-link > cached
    nix copy --to "file://$SERVED?secret-key=/tmp/key.sec" "$(cat cached)" 2>/dev/null
    nix-store --delete "$(cat cached)" > /dev/null 2>&1
    export NIX_CONFIG="$common
substitute = true
substituters = $URL
trusted-public-keys = $(cat key.pub)"
    export args
    cat > inner <<'END'
    nix-build $args -A locked --no-out-link > /dev/null 2>&1 &
    until [ -e log ] && ls log/drvs/*/*locked* > /dev/null 2>&1; do sleep 0.05; done
    (until grep -q 'waiting for lock' err; do sleep 0.05; done; touch go) &
    code=0
    monitor run -- nix build -f $args all --no-link > out 2> err || code=$?
    echo "code $code"
    # Once more, its events kept as they are, and perhaps with other build users.
    mv clock first
    mkdir -m 1777 clock
    nix build -f $args all --no-link --log-format internal-json 2> events || true
    wait
    rm -r clock
    mv first clock
END
    touch err
    own bash -euc '. ./inner'
    cat err >&2
    echo "out $(cat out)"
    grep . clock/*
    echo "runs $(monitor builds --json | tr -d '\n')"
    monitor ingest --json events | tr -d '\n' | sed 's/^/ingest /'
    "#;
    for nix in real_nix() {
        let (folder, cache) = served();
        if !has(&["unshare"]) {
            return;
        }
        let Some(output) = run(&nix, folder.path(), &cache, script) else { return };
        let said = text(&output.stdout);
        let errors = text(&output.stderr);
        let all = format!("Nix {}: {said}{errors}", nix.version);
        assert!(output.status.success(), "{all}");
        assert!(said.contains("code 1\n"), "{all}");
        for line in [
            "built top in ",
            "waiting for lock on '/tmp/store/",
            "fetching cached from http",
            "> going wrong",
            "10 built, 1 failed, 1 cancelled, 1 fetched (19",
            "exit code 3",
        ] {
            assert!(errors.contains(line), "{line}: {all}");
        }
        assert!(!errors.contains("building dependent"), "{all}");

        let line = |start: &str| {
            let found = said.lines().find_map(|line| line.strip_prefix(start));
            serde_json::from_str::<Value>(found.expect(start)).expect("JSON")
        };
        let runs = line("runs ");
        let clocks = clocks(&said);
        let mut apart = Vec::new();
        for build in list(&runs, "builds") {
            let name = build["name"].as_str().expect("a name");
            let expected = match name {
                "bad" => "failed",
                "victim" => "cancelled",
                _ => "built",
            };
            assert_eq!(build["outcome"], expected, "{name}: {all}");
            // What is cancelled has no time to write down when.
            if let (Some(clock), true) = (clocks.get(name), name != "victim") {
                apart.push((build["wall_seconds"].as_f64().expect("ended") - clock).abs());
            }
        }
        // To start a builder takes time that its clock does not see, and much of it when
        // the machine is busy: most are within 50 ms of their own clocks, and none is
        // another's.
        apart.sort_by(f64::total_cmp);
        assert!(apart.len() >= 9, "{apart:?}: {all}");
        assert!(apart[apart.len() / 2] < 0.05 && apart[apart.len() - 1] < 0.5, "{apart:?}: {all}");
        let again = line("ingest ");
        assert_eq!(
            outcomes(&again),
            ["bad failed builder failed with exit code 3", "victim cancelled"]
        );
    }
}

#[test]
fn a_run_ends_as_the_command_does() {
    let script = r#"
    export args
    cat > inner <<'END'
    code() { local code=0; "$@" > out 2> err || code=$?; echo "$code"; }
    echo "evaluation $(code monitor run --no-history -- nix build -f graph.nix nothing)"
    echo "plain $(code nix build -f graph.nix nothing)"
    echo "success $(code monitor run --no-history -- nix-build --version)"
    echo "refused $(code monitor run -- true)"
    echo "stdout $(monitor run --no-history -- nix-instantiate --eval -E '1 + 1')"
    # A history that cannot be written is one line, and the code is kept.
    echo "unwritable $(code monitor run --db /proc/none/h -- nix-instantiate --eval -E 3)"
    echo "lines $(grep -c . err) $(grep -c 'not remembered' err)"
    # A disk that is full from the start, soon, or when the build is done.
    mkdir small
    for size in 4k 60k 1m; do
        mount -t tmpfs -o size=$size none small
        if [ $size = 1m ]; then
            monitor run --db small/h -- nix-instantiate --eval -E 4 > /dev/null
            head -c 2M /dev/zero > small/all 2> /dev/null || true
        fi
        expr="derivation { name = \"full-$size\"; system = builtins.currentSystem;
            builder = \"/bin/sh\"; args = [ \"-c\" \"echo > \$out\" ]; }"
        full=$(code monitor run --db small/h -- nix-build --no-out-link -E "$expr")
        echo "full $size $full $(grep -c . out)"
        grep 'not remembered' err
        if [ $size = 1m ]; then
            rm small/all
            echo "again $(code monitor run --db small/h -- nix-instantiate --eval -E 4)"
            sqlite3 small/h 'pragma integrity_check; select count(*) from runs'
        fi
        umount small
    done
    for signal in INT TERM HUP; do
        rm -f err; touch err
        # In a group of its own, as a terminal's would be; bash ignores SIGINT for what
        # it starts in the background.
        setsid --wait env --default-signal=INT \
            monitor run -- nix build -f $args long --no-link 2> err &
        until grep -q 'building long' err && pgrep -f 'sleep 347' > /dev/null; do sleep 0.05; done
        kill -$signal "$(pgrep -x monitor)"
        code=0; wait $! || code=$?
        left=0
        for try in $(seq 100); do
            left=$(pgrep -fc 'sleep 347|internal-json' || true)
            [ "$left" = 0 ] && break
            sleep 0.05
        done
        echo "$signal code $code left $left"
    done
    sqlite3 history/nixpace/history.sqlite \
        "pragma integrity_check; select count(*) || ' remembered' from runs"
END
    own bash -euc '. ./inner'
    "#;
    for nix in real_nix() {
        let (folder, cache) = served();
        if !has(&["unshare", "setsid", "pgrep", "sqlite3"]) {
            return;
        }
        let Some(output) = run(&nix, folder.path(), &cache, script) else { return };
        let said = text(&output.stdout);
        let all = format!("Nix {}: {said}{}", nix.version, text(&output.stderr));
        assert!(output.status.success(), "{all}");
        let expected = [
            "evaluation 1",
            "plain 1",
            "success 0",
            "refused 2",
            "stdout 2",
            "unwritable 0",
            "lines 1 1",
            "full 4k 0 1",
            "full 60k 0 1",
            "full 1m 0 1",
            "again 0",
            "ok",
            "2",
            "3 remembered",
        ];
        for line in expected {
            assert!(said.lines().any(|said| said == line), "{line}: {all}");
        }
        let full = "monitor: warning: not remembered: small/h: no space left on the device";
        assert_eq!(said.lines().filter(|line| *line == full).count(), 3, "{all}");
        for signal in ["INT", "TERM", "HUP"] {
            let ended = said.lines().find(|line| line.starts_with(signal)).expect(signal);
            assert!(ended.ends_with("left 0") && !ended.contains("code 0"), "{all}");
        }
    }
}

#[test]
fn a_build_is_heard_and_never_waits_for_who_hears() {
    // A builder that says a lot, and a reader of ours that reads nothing.
    let script = r#"
    cat > noisy.nix <<'END'
    { name, lines }: derivation { inherit name; system = builtins.currentSystem; builder = "/bin/sh";
      args = [ "-euc" ''PATH=/bin:/usr/bin; seq -f "%0100.0f" ${lines}; echo > $out'' ]; }
END
    mkdir -m 0700 run
    export NIX_CONFIG="$common
substitute = false
json-log-path = /tmp/run/nix.sock"
    cat > inner <<'END'
    nix-daemon > daemon 2>&1 &
    until [ -S state/daemon-socket/socket ]; do sleep 0.05; done
    export NIX_REMOTE=daemon
    noisy() { nix-build noisy.nix --argstr name "$1" --argstr lines "$2" --no-out-link -Q > /dev/null 2>&1; }
    monitor listen run/nix.sock > heard 2> err &
    listener=$!
    until [ -S run/nix.sock ]; do sleep 0.05; done
    stat -c 'mode %a' run/nix.sock
    noisy heard 10
    until grep -q 'built heard' heard; do sleep 0.05; done
    kill $listener; wait $listener; echo "ended $?"
    [ -e run/nix.sock ] || echo removed
    monitor builds | grep -o 'heard'

    # stdout is a pipe that nobody reads, full from the start.
    mkfifo stuck
    exec 9<> stuck
    timeout 1 cat /dev/zero >&9 || true
    monitor listen run/nix.sock >&9 2> err &
    listener=$!
    until [ -S run/nix.sock ]; do sleep 0.05; done
    noisy loud 300000 && echo "not stalled"
    kill $listener; wait $listener; echo "ended $?"
END
    own bash -euc '. ./inner'
    cat err >&2
    "#;
    for nix in real_nix().into_iter().filter(|nix| nix.version == "2.34") {
        let (folder, cache) = served();
        if !has(&["unshare", "mkfifo"]) {
            return;
        }
        let Some(output) = run(&nix, folder.path(), &cache, script) else { return };
        let said = text(&output.stdout);
        let all = format!("Nix {}: {said}{}", nix.version, text(&output.stderr));
        assert!(output.status.success(), "{all}");
        let expected = "mode 600\nended 0\nremoved\nheard\nnot stalled\nended 0\n";
        assert_eq!(said, expected, "{all}");
    }
    if real_nix().is_empty() {
        skip("no Nix writes to a socket");
    }
}
