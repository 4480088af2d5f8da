//! Exports as those read them that they are for, and our own by their schemas.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::{answer, bench, scratch};
use crate::tools::{feed, has, real_nix, text, tool, workspace};

/// One build that takes no time.
const BUILD: &str = r#"
derivation {
  name = "short";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-euc" "PATH=/bin:/usr/bin; sleep 0.02; echo x > $out" ];
}
"#;

/// Bencher's Metric Format, as its reference describes it.
fn bencher() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"minLength": 1, "maxLength": 1024},
        "additionalProperties": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"minLength": 1, "maxLength": 64},
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "value": {"type": "number"},
                    "lower_value": {"type": "number"},
                    "upper_value": {"type": "number"},
                },
                "required": ["value"],
                "additionalProperties": false,
            },
        },
    })
}

/// `customSmallerIsBetter` of github-action-benchmark, as its README describes it.
fn action() -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "unit": {"type": "string", "minLength": 1},
                "value": {"type": "number"},
                "range": {"type": "string"},
                "extra": {"type": "string"},
            },
            "required": ["name", "unit", "value"],
            "additionalProperties": false,
        },
    })
}

/// What hyperfine's scripts compute: whiskers and histograms of the times, sorted by
/// the median; statistics beside those in the file; and Welch's t of two commands.
const HYPERFINE: &str = r#"
import json, math, statistics, sys
results = json.load(sys.stdin)["results"]
assert len(results) == 2, results
for result in sorted(results, key=lambda result: result["median"]):
    times = result["times"]
    assert isinstance(result["command"], str) and all(isinstance(t, float) for t in times)
    for field, figure in [
        ("mean", statistics.mean(times)),
        ("stddev", statistics.stdev(times)),
        ("median", statistics.median(times)),
        ("min", min(times)),
        ("max", max(times)),
    ]:
        assert math.isclose(result[field], figure, rel_tol=1e-6, abs_tol=1e-9), (field, figure)
    assert result["user"] >= 0 and result["system"] >= 0
    assert result["exit_codes"] == [0] * len(times)
    assert [type(value) for value in result["parameters"].values()] == [str]
    statistics.quantiles(times, n=4)
one, other = results
count = lambda result: len(result["times"])
error = math.sqrt(sum(result["stddev"] ** 2 / count(result) for result in results))
print("t =", (one["mean"] - other["mean"]) / error)
"#;

/// A line for each run, whose names hold whatever people write.
const CSV: &str = r#"
import csv, sys
rows = list(csv.DictReader(sys.stdin, strict=True))
assert [row["pair"] for row in rows] == ["0", "0", "1", "1", "2", "2"], rows
for row in rows:
    assert None not in row and None not in row.values(), row
    assert row["configuration"] == {"a": "max-jobs=1", "b": "max-jobs=1,cores=1"}[row["side"]], row
    assert 0 < float(row["seconds"]) <= float(row["wall_seconds"]), row
    assert float(row["cpu_seconds"]) >= 0 and int(row["peak_memory_bytes"] or 0) >= 0, row
    assert row["disturbed"] in ("true", "false"), row
print(len(rows))
"#;

#[track_caller]
fn valid(found: &Value, schema: &Value) {
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let wrong: Vec<String> = validator.iter_errors(found).map(|error| error.to_string()).collect();
    assert_eq!(wrong, [""; 0], "{found}");
}

/// Our own schema of a name.
fn own(name: &str) -> Value {
    let text = fs::read(workspace().join("bench").join(name)).expect("the schema");
    serde_json::from_slice(&text).expect("JSON")
}

/// What a script of Python says of a document.
#[track_caller]
fn python(script: &str, document: &[u8]) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    let output: Output = feed(command, document);
    assert!(output.status.success(), "{}: {}", text(&output.stderr), text(document));
    text(&output.stdout)
}

#[test]
fn whoever_an_export_is_for_can_read_it() {
    let Some(nix) = real_nix().pop() else { return };
    if !has(&["python3"]) {
        return;
    }
    let folder = scratch();
    let file = folder.path().join("short.nix");
    fs::write(&file, BUILD).expect("written");
    let file = file.to_str().expect("a path");
    let export = |form: &str| {
        let what = ["compare", "max-jobs=1", "max-jobs=1,cores=1", "-f", file, "--fresh"];
        let how = ["--pairs", "2", "--min-pairs", "2", "--export", form];
        let arguments = [&what[..], &how].concat();
        let output = bench(&nix, folder.path(), &arguments).output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        output
    };
    valid(&answer(&export("json")), &own("schema.json"));
    valid(&answer(&export("bencher")), &bencher());
    valid(&answer(&export("github-action-benchmark")), &action());
    assert!(python(HYPERFINE, &export("hyperfine").stdout).starts_with("t = "));
    assert_eq!(python(CSV, &export("csv").stdout), "6\n");
}

#[test]
fn a_sweep_has_what_the_simulator_says_beside_it() {
    let Some(nix) = real_nix().pop() else { return };
    let folder = scratch();
    let arguments = ["sweep", "--synthetic", "--shape", "deep", "--time", "1", "--json"];
    let found = answer(&bench(&nix, folder.path(), &arguments).output().expect("it runs"));
    valid(&found, &own("swept.schema.json"));
    let points = found["points"].as_array().expect("points");
    assert!(points.len() >= 9, "{found}");
    for point in points {
        assert!(point["simulated_seconds"].as_f64().is_some_and(|time| time > 0.0), "{point}");
    }
    let found = found["rank_correlation"].as_f64();
    assert!(found.is_none_or(|found| (-1.0..=1.0).contains(&found)), "{found:?}");
}

#[test]
fn a_fleet_is_simulated_by_its_schema() {
    let folder = scratch();
    let graph = folder.path().join("graph.json");
    let derivation = |number: u32| json!({"name": number.to_string(), "needs": [], "phases": [[10, 4, 0.5, 0.1, 0, 1]]});
    let derivations: Vec<Value> = (0..40).map(derivation).collect();
    let document = json!({"version": 1, "name": "many", "derivations": derivations});
    fs::write(&graph, document.to_string()).expect("written");
    let simulate = |arguments: &[&str]| {
        let mut command = tool("bench");
        command.arg("simulate").arg(Path::new(&graph)).args(arguments).arg("--json");
        answer(&command.output().expect("it runs"))
    };
    let alone = simulate(&["--machine", "8/16", "--with", "plan", "--guard"]);
    let fleet = simulate(&["--fleet", "--machine", "4x8/16", "--machine", "4/8", "--with", "plan"]);
    valid(&alone, &own("simulated.schema.json"));
    valid(&fleet, &own("simulated.schema.json"));
    let seconds = |found: &Value| found["rows"][0]["seconds"].as_f64().expect("seconds");
    assert!(seconds(&fleet) < seconds(&alone) / 3.0, "{fleet}");
    assert_eq!(fleet["rows"][0]["machine"], json!("4 × 8/16, 4/8"));
}
