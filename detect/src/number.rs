//! Numbers that cannot be wrong: a document's version, an amount of CPU time.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A document's version: always `N`. Reading any other is an error that names
/// both, so that no stage acts on a document it may misunderstand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Version<const N: u32>;

impl<const N: u32> Serialize for Version<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(N)
    }
}

impl<'de, const N: u32> Deserialize<'de> for Version<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            found if found == u64::from(N) => Ok(Self),
            found => Err(D::Error::custom(format!(
                "document version {found}, but this program reads version {N}"
            ))),
        }
    }
}

impl<const N: u32> JsonSchema for Version<N> {
    fn schema_name() -> Cow<'static, str> {
        "Version".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "const": N })
    }
}

/// An amount of CPU time a second, in CPUs: finite and above zero.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Cpus(f64);

impl Cpus {
    /// More than any machine has; what is above it is not a limit.
    const MOST: f64 = 1e6;

    /// An amount of CPUs, if it is one.
    pub fn new(cpus: f64) -> Option<Self> {
        (cpus > 0.0 && cpus <= Self::MOST).then_some(Self(cpus))
    }

    /// The amount as a float.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The smaller of two amounts.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other.0 < self.0 { other } else { self }
    }

    /// A whole number, if it is one.
    fn whole(self) -> Option<u32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a million, by construction"
        )]
        let whole = self.0 as u32;
        (f64::from(whole).to_bits() == self.0.to_bits()).then_some(whole)
    }
}

impl From<std::num::NonZeroU32> for Cpus {
    fn from(cpus: std::num::NonZeroU32) -> Self {
        Self(f64::from(cpus.get()).min(Self::MOST))
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.whole() {
            Some(whole) => write!(formatter, "{whole}"),
            // To a hundredth, and no digit more than that takes.
            None => write!(formatter, "{}", (self.0 * 100.0).round() / 100.0),
        }
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.whole() {
            Some(whole) => serializer.serialize_u32(whole),
            None => serializer.serialize_f64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Cpus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let cpus = f64::deserialize(deserializer)?;
        Self::new(cpus).ok_or_else(|| {
            D::Error::custom(format!("{cpus} CPUs: must be above 0 and at most {}", Self::MOST))
        })
    }
}

impl JsonSchema for Cpus {
    fn schema_name() -> Cow<'static, str> {
        "Cpus".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An amount of CPU time a second, in CPUs.",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": Self::MOST
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Cpus, Version};

    #[test]
    fn another_version_is_refused_by_name() {
        assert!(serde_json::from_str::<Version<1>>("1").is_ok());
        let error = serde_json::from_str::<Version<1>>("7").expect_err("version 7").to_string();
        assert!(
            error.starts_with("document version 7, but this program reads version 1"),
            "{error}"
        );
    }

    #[test]
    fn cpus_are_positive_and_finite() {
        for bad in ["0", "-1", "1e999", "1000001", "\"2\"", "null"] {
            assert!(serde_json::from_str::<Cpus>(bad).is_err(), "{bad}");
        }
        assert!(Cpus::new(f64::NAN).is_none());
    }

    #[test]
    fn whole_cpus_print_without_a_fraction() {
        for text in ["1.5", "2", "0.1"] {
            let cpus: Cpus = serde_json::from_str(text).expect("a number of CPUs");
            assert_eq!(serde_json::to_string(&cpus).expect("JSON"), text);
            assert_eq!(cpus.to_string(), text);
        }
    }
}
