//! The closed loop, once round, on real Nix.

use std::fs;

use serde_json::Value;

use crate::tools::{RealNix, path_with, real_nix, skip, text, tool, workspace};

/// Both in one test: they write to the same folder.
#[test]
fn what_builds_cost_becomes_a_plan_that_is_no_slower() {
    let Some(nix) = real_nix().pop() else { return };
    of_too_few_pairs_nothing_is_proven(&nix);
    a_plan_that_is_proven_faster_is_kept(&nix);
}

/// What `xtask tune` says.
fn tune(nix: &RealNix, arguments: &[&str]) -> String {
    let output = tool("xtask")
        .args(["tune", "--shape", "wide"])
        .args(arguments)
        .env("PATH", path_with(&[&nix.bin]))
        .env_remove("NIX_CONFIG")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn tuned(name: &str) -> Value {
    let text = fs::read(workspace().join("target/nixpace/tune").join(name)).expect(name);
    serde_json::from_slice(&text).expect(name)
}

fn sizes(plan: &Value) -> [Value; 2] {
    ["max-jobs", "cores"].map(|name| plan["settings"][name]["value"].clone())
}

fn of_too_few_pairs_nothing_is_proven(nix: &RealNix) {
    let said = tune(nix, &["--pairs", "2"]);
    assert!(said.contains("| plain | ") && said.contains("Kept: "), "{said}");
    let tried = workspace().join("target/nixpace/tune/tried.md");
    assert_eq!(fs::read_to_string(tried).expect("tried.md"), said);
    // Each of its builds was recorded, and the plan says what it made of them.
    let costs = tuned("costs.json");
    let packages = costs["packages"].as_object().expect("packages");
    // Twelve leaves and what needs them, four times each.
    let builds = ["leaf", "wide"].map(|name| packages[name]["builds"].as_u64());
    assert_eq!(builds, [Some(48), Some(4)], "{costs}");
    let notes = tuned("tuned.json")["notes"].to_string();
    assert!(notes.contains("recorded builds"), "{notes}");
    assert_eq!(sizes(&tuned("best.json")), sizes(&tuned("plain.json")), "{said}");
}

fn a_plan_that_is_proven_faster_is_kept(nix: &RealNix) {
    if std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() < 2) {
        return skip("one CPU: no plan is faster than another");
    }
    let mut plan = tuned("plain.json");
    for name in ["max-jobs", "cores"] {
        plan["settings"][name]["value"] = 1.into();
    }
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("plan.json");
    fs::write(&file, plan.to_string()).expect("written");
    let said = tune(nix, &["--pairs", "8", "--against", file.to_str().expect("UTF-8")]);
    assert!(said.contains("| plain | 1 × 1 |") && said.contains("faster ("), "{said}");
    assert_eq!(sizes(&tuned("best.json")), sizes(&tuned("tuned.json")), "{said}");
}
