//! Where Nix is not set to what was planned.

use std::collections::BTreeMap;

use profile::plan::Plan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A setting that is not what was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// Its name.
    pub setting: String,
    /// What the plan says, as nix.conf has it.
    pub planned: String,
    /// What it is, likewise; `null` where Nix does not say.
    pub actual: Option<String>,
}

/// Where settings are not as planned, in the order of their names.
pub fn drift(plan: &Plan, settings: &BTreeMap<String, Value>) -> Vec<Drift> {
    let mut found = Vec::new();
    for (name, setting) in &plan.settings {
        let planned = setting.value.to_string();
        // What adds to a setting is no setting itself.
        let base = name.strip_prefix("extra-").filter(|_| !settings.contains_key(name));
        let actual = settings.get(base.unwrap_or(name)).map(text);
        let is_as_planned = actual.as_ref().is_some_and(|actual| {
            let (planned, actual) = (words(&planned), words(actual));
            match base {
                Some(_) => planned.iter().all(|word| actual.contains(word)),
                None => planned == actual,
            }
        });
        if !is_as_planned {
            found.push(Drift { setting: name.clone(), planned, actual });
        }
    }
    found
}

/// A value as nix.conf has it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(words) => words.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// Blanks between words are no matter.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}
