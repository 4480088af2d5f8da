//! Values of settings as Nix prints them, and no deeper.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Whether Nix prints values of this shape: it has no setting deeper than a
/// list or a map of words. What is read flat stays readable however many
/// documents are wrapped round it; JSON's readers give up at 128 levels.
pub(crate) fn is_flat(value: &Value) -> bool {
    let nests = |value: &Value| value.is_array() || value.is_object();
    match value {
        Value::Array(words) => !words.iter().any(nests),
        Value::Object(words) => !words.values().any(nests),
        _ => true,
    }
}

/// Settings as a document has them, each of them flat.
pub(crate) fn settings<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Value>, D::Error> {
    let settings = BTreeMap::<String, Value>::deserialize(deserializer)?;
    match settings.iter().find(|(_, value)| !is_flat(value)) {
        Some((name, _)) => Err(D::Error::custom(format!("nix.settings.{name}: too deep"))),
        None => Ok(settings),
    }
}
