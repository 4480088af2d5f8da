//! The Plan document: a machine, and what follows from it, each with its reason.
//!
//! Every stage after `profile` reads one and writes one. **Invariant:** a field
//! that a stage does not know is an error, never dropped, so that no stage in
//! the middle of the pipe loses what another one decided.

use std::collections::BTreeMap;
use std::fmt;

use clap::ValueEnum;
use detect::hardware::{Hardware, Implementation, Note};
use detect::number::Version;
use detect::release::Release;
use schemars::JsonSchema;
use serde::de::{SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::overlay::Optimize;

/// What a machine is and what settings follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this document's format.
    pub version: Version<1>,
    /// The machine the plan is for.
    pub hardware: Hardware,
    /// What the decisions rest on.
    pub profile: Profile,
    /// Exactly what goes into nix.conf, by its names.
    pub settings: BTreeMap<String, Setting>,
    /// What nix.conf cannot say, by `NixOS` option path.
    pub nixos: BTreeMap<String, Setting>,
    /// The same by nix-darwin option path, on macOS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub darwin: BTreeMap<String, Setting>,
    /// Packages to build for this machine's CPU; absent unless asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimize: Option<Optimize>,
    /// Binary caches that were looked at.
    #[serde(default)]
    pub caches: Vec<Cache>,
    /// What deserves attention.
    #[serde(default)]
    pub notes: Vec<Note>,
}

/// What the decisions rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The class of machine.
    pub tier: Tier,
    /// What the machine is for.
    pub workload: Workload,
    /// The Nix the plan is for.
    pub target: Target,
    /// The rule that sized jobs and cores.
    pub rule: Rule,
}

/// A class of machine. A name for people: nothing is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// At least 8 usable CPUs and 16 GB.
    HighPerformance,
    /// At least 4 usable CPUs and 8 GB.
    Balanced,
    /// Less, or not known.
    Conservative,
}

/// What a machine is for. It decides how much memory builds must leave to
/// others, by which rule jobs and cores are sized, whether builds yield the CPU
/// and the disk, when garbage is collected, and after how long a CI build counts
/// as hung.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Whatever the machine looks like: a CI runner, a laptop, a server, …
    #[default]
    General,
    /// Somebody works at it while it builds
    Interactive,
    /// It runs CI jobs
    Ci,
    /// It builds for others
    Builder,
    /// It builds a few big packages
    Big,
}

/// The Nix a plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Which Nix.
    pub implementation: Implementation,
    /// Its version, e.g. `2.34.8`; for Determinate Nix, the Nix it is built from.
    pub version: String,
    /// Where that is known from.
    pub source: Source,
}

/// Where the target is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// It is installed.
    Detected,
    /// The user asked for it.
    Requested,
    /// No Nix was found: the newest that is supported.
    Assumed,
}

/// The rule that sized jobs and cores, with what it was given. All of it is
/// `null` where the machine is not known well enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule's name and version, e.g. `memory-bound-2`; `null` when no rule
    /// could be applied.
    pub policy: Option<String>,
    /// CPUs that builds may use, rounded up.
    pub cpus: Option<u32>,
    /// Memory that processes may use.
    pub memory_bytes: Option<u64>,
    /// Swap that builds may use, zram by what it adds to memory.
    pub swap_bytes: Option<u64>,
    /// Memory that builds leave to others.
    pub reserve_bytes: Option<u64>,
    /// Memory that build directories fill, when they are a tmpfs.
    pub tmpfs_bytes: Option<u64>,
    /// Memory that builds may use.
    pub available_bytes: Option<u64>,
    /// The rule applied, for people.
    pub text: String,
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// What to set.
    pub value: Value,
    /// Why, for people, on one line.
    pub why: String,
    /// The stage that decided.
    pub stage: String,
}

impl Setting {
    /// A decision of this stage.
    pub(crate) fn new(value: Value, why: impl Into<String>) -> Self {
        Self { value, why: why.into(), stage: "profile".to_owned() }
    }
}

/// What a setting is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number from 0 up.
    Integer(u64),
    /// One line of text.
    Text(String),
    /// Words.
    List(Vec<String>),
}

/// As nix.conf has it.
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(formatter, "{value}"),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Text(text) => formatter.write_str(text),
            Self::List(words) => formatter.write_str(&words.join(" ")),
        }
    }
}

// By hand, since serde's `untagged` only says that nothing fitted.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("true, false, a whole number from 0 up, a string or a list of strings")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        let unsigned = u64::try_from(value).map(Value::Integer);
        unsigned.map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(word) = words.next_element()? {
            list.push(word);
        }
        Ok(Value::List(list))
    }
}

/// What is known of a binary cache.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Where it is.
    pub url: String,
    /// The key that is said to be its own, as `name:base64`.
    pub key: Option<String>,
    /// What an attempt to prove the key gave; `null` when there was none.
    pub verdict: Option<Verdict>,
    /// What it says of itself: the lowest is asked first.
    pub priority: Option<u32>,
    /// Time to an answer.
    pub latency_seconds: Option<f64>,
}

/// What an attempt to prove a cache's key gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The key signed what the cache serves.
    Verified,
    /// It serves what another key signed.
    OtherKey,
    /// A signature by that key's name is not by that key.
    BadSignature,
    /// It serves what nobody signed.
    Unsigned,
    /// The path needs no signature: its name proves its contents.
    ContentAddressed,
    /// No path could be tested.
    Unverified,
}

impl Target {
    /// The release, if the version is one.
    pub fn release(&self) -> Option<Release> {
        let implementation = self.implementation;
        let release = Release::parse(&self.version)?;
        Some(Release { implementation, ..release })
    }
}

#[cfg(test)]
mod tests {
    use super::{Setting, Value};

    fn value(json: &str) -> Result<Value, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn every_kind_of_value_round_trips() {
        for json in ["true", "0", "18446744073709551615", r#""auto""#, r#"["a","b"]"#, "[]"] {
            let value = value(json).expect(json);
            assert_eq!(serde_json::to_string(&value).expect("JSON"), json);
        }
    }

    #[test]
    fn says_what_a_value_can_be() {
        for bad in ["-1", "1.5", "null", "{}", "[1]", r#"[["a"]]"#] {
            let error = value(bad).expect_err(bad);
            assert!(error.contains("expected"), "{bad}: {error}");
        }
        let error = value("-1").expect_err("negative");
        assert!(error.contains("a whole number from 0 up"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_no_setting() {
        let json = r#"{"value":1,"why":"","stage":"","unit":"GiB"}"#;
        let error = serde_json::from_str::<Setting>(json).expect_err("a unit");
        assert!(error.to_string().contains("unknown field `unit`"), "{error}");
    }
}
