//! The closed loop, once round, on real Nix.

use std::fs;

use serde_json::Value;

use crate::tools::{path_with, real_nix, text, tool, workspace};

#[test]
fn what_builds_cost_becomes_a_plan_that_is_no_slower() {
    let Some(nix) = real_nix().pop() else { return };
    let output = tool("xtask")
        .args(["tune", "--shape", "wide", "--pairs", "2"])
        .env("PATH", path_with(&[&nix.bin]))
        .env_remove("NIX_CONFIG")
        .output()
        .expect("it runs");
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(said.contains("| plain | ") && said.contains("Kept: "), "{said}");
    let folder = workspace().join("target/nixpace/tune");
    let read = |name: &str| -> Value {
        let text = fs::read(folder.join(name)).expect(name);
        serde_json::from_slice(&text).expect(name)
    };
    assert_eq!(fs::read_to_string(folder.join("tried.md")).expect("tried.md"), said);
    // Each of its builds was recorded, and the plan says what it made of them.
    let costs = read("costs.json");
    let packages = costs["packages"].as_object().expect("packages");
    // Twelve leaves and what needs them, four times each.
    let builds = ["leaf", "wide"].map(|name| packages[name]["builds"].as_u64());
    assert_eq!(builds, [Some(48), Some(4)], "{costs}");
    let notes = read("tuned.json")["notes"].to_string();
    assert!(notes.contains("recorded builds"), "{notes}");
    // Of two pairs no plan is proven faster.
    let sizes =
        |plan: &Value| ["max-jobs", "cores"].map(|name| plan["settings"][name]["value"].clone());
    assert_eq!(sizes(&read("best.json")), sizes(&read("plain.json")), "{said}");
}
