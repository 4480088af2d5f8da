//! What is recorded of what Nix did: on databases and stores of real Nix, and
//! whatever becomes of whoever records it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use monitor::history::History;
use monitor::history::reader::Reader;
use monitor::store::{Amount, Origin, look};
use monitor::{remembered, store};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::monitor_active::run;
use crate::tools::{RealNix, apart, real_nix, shared, shell, text, tool};

fn amount(paths: u64, nar_bytes: u64) -> Amount {
    Amount { paths, nar_bytes }
}

#[test]
fn paths_of_real_stores_by_where_they_are_from() {
    let Some(data) = shared("nixlogs/db") else { return };
    // Counted with sqlite3 when the databases were made.
    let expected = [
        ("2.8", 266, amount(103, 20_150_776), 4, 128),
        ("2.26", 274, amount(111, 21_354_032), 3, 136),
        ("2.34", 312, amount(130, 27_367_792), 3, 155),
    ];
    for (version, registered, built, sources, drvs) in expected {
        let store = look(&data.join(format!("db-{version}.sqlite")), 0).expect(version);
        let of = |origin| store.origins[&origin];
        assert_eq!(store.registered_paths, registered, "{version}");
        assert_eq!(of(Origin::Built), built, "{version}");
        assert_eq!(of(Origin::Substituted), amount(7, 18_004_512), "{version}");
        assert_eq!(of(Origin::Fetched), amount(1, 8_000_112), "{version}");
        assert_eq!(of(Origin::Copied), amount(1, 128), "{version}");
        assert_eq!((of(Origin::Source).paths, of(Origin::Drv).paths), (sources, drvs));
        assert_eq!(store.signed_by.values().copied().collect::<Vec<_>>(), [amount(7, 18_004_512)]);
    }
}

#[test]
fn what_is_only_in_the_log_of_a_live_store_counts() {
    let Some(data) = shared("nixlogs/db") else { return };
    let store = look(&data.join("wal-2.34/db.sqlite"), 0).expect("a store");
    assert_eq!(store.total.paths, 321, "297 without the log");
}

#[test]
fn misses_of_caches_are_told_from_hits() {
    let Some(data) = shared("nixlogs/db") else { return };
    let of = |file: &str| remembered::caches(&data.join(file)).expect(file);
    let found = &of("binary-cache-v6-2.8.sqlite")["http://127.0.0.1:8555"];
    assert_eq!((found.hits, found.misses, found.file_bytes), (7, 5, 18_005_688));
    let found = &of("binary-cache-v7-2.34.sqlite")["http://127.0.0.1:8555"];
    assert_eq!((found.hits, found.misses, found.nar_bytes), (1, 0, 432));
    assert!(of("binary-cache-v6-2.26.sqlite").is_empty());
}

/// Builds that succeed and one that fails, a path from a signed cache, and one
/// that is fetched; then all that is said of them, and what is said when one is
/// built again.
const STORE: &str = r#"
    export NIX_CONFIG="$NIX_CONFIG
experimental-features = nix-command"
    nix-store --generate-binary-cache-key test-1 key.sec key.pub
    build subst-1.0 'echo substituted > $out' > subst
    nix copy --to "file:///tmp/cache?secret-key=/tmp/key.sec" "$(cat subst)"
    nix-store --delete "$(cat subst)" > deleted
    rm -r log
    nix-store -r "$(cat subst)" --option substitute true \
        --option substituters file:///tmp/cache \
        --option trusted-public-keys "$(cat key.pub)" > substituted
    echo fetched > file
    nix-build --no-out-link -E "derivation { name = \"file\"; system = \"builtin\";
        builder = \"builtin:fetchurl\"; url = file:///tmp/file; outputHashMode = \"flat\";
        outputHashAlgo = \"sha256\"; outputHash = \"$(sha256sum file | cut -d' ' -f1)\";
        executable = false; unpack = false; }" > fetched
    build liba-1.0 libb-2.0 'date +%s.%N > $out; sleep 1; date +%s.%N >> $out' > built
    build bad-3 'echo about to fail; sleep 0.5; exit 3' && exit 1
    mkdir -m 700 private
    nix-store --add-root /tmp/private/result -r "$(head -1 built)" > rooted
    # Locks stay behind, and are no paths.
    nix-store --gc --print-dead | grep -v '\.lock$' > garbage
    nix-store -q --size $(cat garbage) | awk '{ sum += $1 } END { print sum }' > dead
    ./monitor snapshot > first
    ./monitor snapshot > second
    ./monitor builds --json > builds.json
    ./monitor status --garbage --json > status.json
    setpriv --reuid 65534 --regid 65534 --clear-groups \
        env HOME=/nonexistent ./monitor status --garbage --json -q > nobody.json
    nix-store -r --check "$(nix-store -q --deriver "$(head -1 built)")" || echo differs >&2
    ./monitor snapshot > third
    ./monitor builds --name lib --json > again.json
    ./monitor costs > costs.json
    jq -n --rawfile first first --rawfile second second --rawfile third third \
        --rawfile a "$(head -1 built)" --rawfile b "$(tail -1 built)" \
        --slurpfile dead dead --slurpfile builds builds.json --slurpfile status status.json \
        --slurpfile nobody nobody.json --slurpfile again again.json --slurpfile costs costs.json \
        '{dead: $dead[0], $first, $second, $third, $a, $b, builds: $builds[0], status: $status[0],
          nobody: $nobody[0], again: $again[0], costs: $costs[0]}'
"#;

fn seconds(clocks: &Value) -> f64 {
    let clocks: Vec<f64> = clocks
        .as_str()
        .expect("clocks")
        .lines()
        .map(|line| line.parse().expect("a time"))
        .collect();
    clocks[1] - clocks[0]
}

fn find<'a>(builds: &'a Value, name: &str) -> &'a Value {
    let mut builds = builds["builds"].as_array().expect("builds").iter();
    builds.find(|build| build["name"] == name).expect(name)
}

fn check_store(nix: &RealNix, output: &Output) {
    let version = &nix.version;
    let all = format!("Nix {version}: {}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{all}");
    let said: Value = serde_json::from_slice(&output.stdout).expect(&all);
    assert_eq!(said["second"], "0 builds and 0 new paths recorded\n", "{all}");

    let builds = &said["builds"];
    for (name, clocks) in [("liba-1.0", &said["a"]), ("libb-2.0", &said["b"])] {
        let build = find(builds, name);
        assert_eq!(build["outcome"], "built", "{all}");
        let (own, wall) = (seconds(clocks), build["wall_seconds"].as_f64().expect(name));
        // A busy machine takes its time before and after.
        assert!((own - 0.05..own + 2.0).contains(&wall), "{version}: {name}: {own}, {wall}");
    }
    let bad = find(builds, "bad-3");
    assert_eq!(bad["outcome"], Value::Null, "a log does not tell how it ended");
    assert!(bad["wall_seconds"].as_f64().is_some_and(|wall| wall >= 0.45), "{bad}");
    let has_subst = builds["builds"].as_array().expect("builds").iter();
    assert!(!has_subst.clone().any(|build| build["name"] == "subst-1.0"), "{all}");

    let store = &said["status"]["store"]["found"];
    let paths = |origin: &str| store["origins"][origin]["paths"].as_u64();
    assert_eq!((paths("built"), paths("fetched")), (Some(2), Some(1)), "{all}");
    assert_eq!((paths("substituted"), paths("copied")), (Some(1), None), "{all}");
    assert_eq!(store["signed_by"]["test-1"]["paths"], 1);
    assert_eq!(store["rates"][0]["hit_rate"], json!(1.0 / 3.0));
    assert_eq!(&said["nobody"]["store"]["found"], store, "unprivileged");
    let kept = &said["status"]["kept"]["found"];
    assert!(kept["live"]["paths"].as_u64().is_some_and(|paths| paths > 0), "{all}");
    assert_eq!(kept["dead"]["nar_bytes"], said["dead"], "what Nix itself says: {all}");
    let kept = &said["nobody"]["kept"];
    assert!(kept["found"].is_null(), "where a link leads only root may see: {all}");
    assert!(
        kept["why"].as_str().is_some_and(|why| why.ends_with("without root or nix-daemon")),
        "{all}"
    );
    let found = &said["nobody"]["recent"];
    assert_eq!(found["source"], "logs of builds", "nobody has no history: {all}");

    let again: Vec<&Value> = said["again"]["builds"].as_array().expect("builds").iter().collect();
    assert_eq!((again.len(), &said["third"]), (3, &json!("1 build and 0 new paths recorded\n")));
    assert_eq!(again[0]["wall_seconds"], Value::Null, "built again: {all}");
    let walls = again.iter().filter(|build| build["wall_seconds"].is_number()).count();
    assert_eq!(walls, 2, "the first figures are kept: {all}");
    check_costs(&said["costs"]);
}

/// `profile` takes the costs, by its own rules.
fn check_costs(costs: &Value) {
    assert_eq!(costs["packages"]["liba"]["builds"], 1, "{costs}");
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("costs.json");
    fs::write(&file, costs.to_string()).expect("a file");
    let plan = shell(&format!("detect | profile --costs {}", file.display()));
    assert!(plan.status.success(), "{}", text(&plan.stderr));
    let plan: Value = serde_json::from_slice(&plan.stdout).expect("a plan");
    let notes = plan["notes"].as_array().expect("notes");
    let is_used = |note: &Value| note["id"].as_str().is_some_and(|id| id.starts_with("costs-"));
    assert!(notes.iter().any(is_used), "{notes:?}");
}

#[test]
fn what_real_nix_did_is_what_is_said() {
    if !crate::tools::has(&["jq"]) {
        return;
    }
    for nix in real_nix() {
        let Some(output) = run(&nix, "", STORE) else { return };
        check_store(&nix, &output);
    }
}

/// Logs and a database, as Nix leaves them.
fn traces() -> TempDir {
    let folder = tempfile::tempdir().expect("folder");
    fs::create_dir_all(folder.path().join("log/drvs/ib")).expect("a folder");
    fs::create_dir_all(folder.path().join("db")).expect("a folder");
    let database = Connection::open(folder.path().join("db/db.sqlite")).expect("open");
    database
        .execute_batch(
            "create table ValidPaths (id integer primary key autoincrement not null, \
             path text unique not null, hash text, registrationTime integer not null, \
             deriver text, narSize integer, ultimate integer, sigs text, ca text);",
        )
        .expect("tables");
    folder
}

fn add_log(folder: &Path, name: &str) {
    let log = format!("log/drvs/ib/zx00wpszg959bxhbva99mwk4001dxf-{name}.drv.bz2");
    fs::write(folder.join(log), "").expect("a log");
}

fn snapshot(folder: &Path) -> Command {
    let mut command = tool("monitor");
    command
        .arg("snapshot")
        .arg("--db")
        .arg(folder.join("history.sqlite"))
        .env("NIX_LOG_DIR", folder.join("log"))
        .env("NIX_STATE_DIR", folder)
        .env("NIX_STORE_DIR", "/nonexistent")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How many builds and logs a history has, if it was begun.
fn counts(folder: &Path) -> (i64, i64) {
    let file = folder.join("history.sqlite");
    drop(History::open(&file).expect("it opens"));
    let reader = Reader::open(&file).expect("it opens").expect("it was begun");
    let query = "select (select count(*) from builds), (select count(*) from logs)";
    reader
        .ask(|connection| connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))))
        .expect("counts")
}

#[test]
fn killed_at_any_instant_it_loses_nothing_and_doubles_nothing() {
    let folder = traces();
    let folder = folder.path();
    let started = Instant::now();
    assert!(snapshot(folder).output().expect("it runs").status.success());
    // Within twice the time of a run, so that some end and some do not.
    let span = u64::try_from(started.elapsed().as_micros()).expect("a short time") * 2;
    let (mut before, mut random, mut ended) = (0, 1_u64, 0);
    for round in 0..200 {
        for number in 0..10 {
            add_log(folder, &format!("r{round}-{number}"));
        }
        let mut child = snapshot(folder).spawn().expect("it starts");
        // Knuth's generator: which instants is no matter, if they differ.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        std::thread::sleep(Duration::from_micros((random >> 33) % span));
        // It may have ended.
        let _ = child.kill();
        let status = child.wait().expect("it ends");
        let (builds, logs) = counts(folder);
        assert_eq!(builds, logs, "round {round}: a part of a snapshot");
        assert!(builds >= before, "round {round}: something is lost");
        if status.success() {
            ended += 1;
            assert_eq!(builds, (round + 1) * 10, "round {round}: what was committed is there");
        }
        before = builds;
    }
    assert!((1..200).contains(&ended), "{ended} of 200 ended: kill at other instants");
    let output = snapshot(folder).output().expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(counts(folder), (2000, 2000));
}

#[test]
fn two_at_once_record_everything_once() {
    let folder = traces();
    for number in 0..300 {
        add_log(folder.path(), &format!("a-{number}"));
    }
    let started: Vec<_> =
        (0..4).map(|_| snapshot(folder.path()).spawn().expect("it starts")).collect();
    for child in started {
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(counts(folder.path()), (300, 300));
}

#[test]
fn a_full_disk_is_one_line() {
    let script = r#"
        export NIX_STATE_DIR=$PWD/nix NIX_LOG_DIR=$PWD/log NIX_STORE_DIR=/nonexistent
        mkdir -p nix/db log/drvs/ib small
        sqlite3 nix/db/db.sqlite "create table ValidPaths (id integer primary key autoincrement, \
            path, hash, registrationTime integer, deriver, narSize integer, ultimate, sigs, ca)"
        for size in 4k 40k 100k 160k 200k 240k 300k; do
            mount -t tmpfs -o size=$size none small
            for number in $(seq 2000); do
                : > log/drvs/ib/zx00wpszg959bxhbva99mwk4001dxf-$size-$number.drv.bz2
            done
            if monitor snapshot --db small/history.sqlite 2> errors; then
                echo "$size was enough" >&2
                exit 1
            fi
            cat errors
            umount small
        done
    "#;
    if !crate::tools::has(&["sqlite3"]) {
        return;
    }
    let Some(output) = apart(script) else { return };
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert_eq!(said.lines().count(), 7, "{said}");
    for line in said.lines() {
        assert_eq!(line, "monitor: small/history.sqlite: no space left on the device");
    }
}

#[test]
fn a_history_that_is_named_must_be_there() {
    for command in [&["costs"][..], &["builds"], &["metrics"], &["report"]] {
        let mut monitor = tool("monitor");
        let output = monitor.args(command).args(["--db", "/nonexistent/history.sqlite"]).output();
        let output = output.expect("it runs");
        let said = text(&output.stderr) + &text(&output.stdout);
        assert!(said.contains("/nonexistent/history.sqlite: no history there"), "{said}");
        // These have more to say than the history has.
        let has_more = ["metrics", "report"].contains(&command[0]);
        assert_eq!(output.status.success(), has_more, "{command:?}: {said}");
    }
    for both in [["metrics", "--textfile", "a.prom"], ["report", "--html", "a.html"]] {
        let output = tool("monitor").args(both).args(["-o", "b"]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{both:?}");
    }
}

#[test]
fn a_machine_without_nix_still_has_a_status() {
    let output = tool("monitor")
        .env("NIX_STATE_DIR", "/nonexistent")
        .env("NIX_LOG_DIR", "/nonexistent")
        .env("HOME", "/nonexistent")
        .env_remove("XDG_STATE_HOME")
        .args(["--json", "--color", "never"])
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(status["store"]["found"], Value::Null);
    assert!(
        status["store"]["why"]
            .as_str()
            .is_some_and(|why| why.ends_with("No such file or directory"))
    );
    let schema = fs::read_to_string(crate::tools::workspace().join("monitor/status.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("a schema")).expect("JSON");
    let errors: Vec<String> = jsonschema::validator_for(&schema)
        .expect("a schema")
        .iter_errors(&status)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, [""; 0]);
    assert!(store::look(Path::new("/nonexistent"), 0).is_err());
}
