//! Whether a result is a regression from an earlier one.
//!
//! The two were measured at different times, perhaps on different machines, so their
//! times are not compared: each is a comparison of B with A, and what is compared is
//! by how much B differs from A in each. A result of one configuration alone has only
//! its times, and a note says so.

use anyhow::{Result, bail, ensure};
use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::compared::{Compared, Measured, change};
use crate::statistics::{Estimate, estimate};

/// What a result is against a baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gated {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Whether a regression larger than allowed is proven.
    pub regressed: bool,
    /// What is allowed, as a ratio.
    pub allowed: f64,
    /// The result's time by the baseline's.
    pub found: Estimate,
}

/// Fewest figures of each: of fewer, comparisons claim nothing either.
const LEAST: usize = crate::pairs::LEAST_PAIRS;

/// A result of either kind.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Of `bench compare`.
    Compared(Box<Compared>),
    /// Of `bench run`.
    Measured(Box<Measured>),
}

impl Outcome {
    /// A result from its text.
    pub fn parse(text: &[u8]) -> Result<Self> {
        // Each kind by itself says what is wrong with it; both at once do not.
        let value: serde_json::Value = detect::stage::parse(text)?;
        Ok(match value.get("a") {
            Some(_) => Self::Compared(serde_json::from_value(value)?),
            None => Self::Measured(serde_json::from_value(value)?),
        })
    }

    fn estimate(&self) -> Option<Estimate> {
        let figures = match self {
            Self::Compared(compared) => compared.ratios(),
            Self::Measured(measured) => measured.series().seconds,
        };
        (figures.len() >= LEAST).then(|| estimate(&figures)).flatten()
    }

    /// What was measured, in words that differ where it is something else.
    fn subject(&self) -> String {
        let (name, subject) = match self {
            Self::Compared(compared) => (compared.name(), &compared.subject),
            Self::Measured(measured) => (measured.subject.name.clone(), &measured.subject),
        };
        let part = crate::synthetic::name(&subject.what);
        match self {
            Self::Compared(compared) => format!("{name} ({part}, against {})", compared.a.name),
            Self::Measured(_) => format!("{name} ({part})"),
        }
    }

    fn is_comparison(&self) -> bool {
        matches!(self, Self::Compared(_))
    }
}

/// A result against a baseline; `allowed` is a share, 0.05 for 5 %.
pub fn gate(result: &Outcome, baseline: &Outcome, allowed: f64) -> Result<Gated> {
    ensure!(
        result.subject() == baseline.subject(),
        "{:?} is no baseline for {:?}",
        baseline.subject(),
        result.subject()
    );
    ensure!(
        result.is_comparison() == baseline.is_comparison(),
        "one compares two configurations and the other has one"
    );
    let (Some(new), Some(old)) = (result.estimate(), baseline.estimate()) else {
        bail!("fewer than {LEAST} runs in one of them, of which nothing can be said: raise --time");
    };
    // Both are uncertain, and independent of one another: their uncertainties add up
    // as the sides of a right angle do, above and below by themselves.
    let value = new.value / old.value;
    let side = |new: f64, old: f64| (new.ln().powi(2) + old.ln().powi(2)).sqrt();
    let below = side(new.value / new.interval.low, old.interval.high / old.value);
    let above = side(new.interval.high / new.value, old.value / old.interval.low);
    let interval =
        crate::statistics::Interval { low: value * (-below).exp(), high: value * above.exp() };
    let allowed = 1.0 + allowed;
    let found = Estimate { value, interval };
    Ok(Gated { version: Version, regressed: interval.low > allowed, allowed, found })
}

impl Gated {
    /// One line of it, for people.
    pub fn sentence(&self) -> String {
        let Estimate { value, interval } = &self.found;
        let found = format!(
            "{} time ({} to {})",
            change(*value),
            change(interval.low),
            change(interval.high)
        );
        let most = change(self.allowed);
        match () {
            () if self.regressed => format!("regressed: {found}, more than {most}"),
            () if interval.high > self.allowed => {
                format!("no regression proven, nor excluded: {found}, allowed {most}")
            }
            () => format!("no regression: {found}, allowed {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, gate};
    use crate::compared::tests::compared;

    fn outcome(factor: f64) -> Outcome {
        let a: Vec<f64> = (0..12).map(|pair| 2.0 + f64::from(pair % 4) / 100.0).collect();
        let b: Vec<f64> = a
            .iter()
            .zip(0..)
            .map(|(a, pair)| a * factor * (1.0 + f64::from(pair % 3) / 100.0))
            .collect();
        let text = detect::stage::text(&compared(&a, &b)).expect("text");
        Outcome::parse(text.as_bytes()).expect("a result")
    }

    #[test]
    fn a_slower_result_is_caught_and_an_equal_one_passes() {
        let of = |factor| gate(&outcome(factor), &outcome(1.0), 0.05).expect("a gate");
        assert!(of(1.2).regressed);
        assert!(
            of(1.2).sentence().starts_with("regressed: +20.0 % time"),
            "{}",
            of(1.2).sentence()
        );
        for equal in [1.0, 1.02, 0.7] {
            assert!(!of(equal).regressed, "{equal}");
        }
        let unsure = of(1.055);
        assert!(!unsure.regressed && unsure.sentence().contains("nor excluded"), "{unsure:?}");
    }

    #[test]
    fn other_subjects_are_no_baseline() {
        let mut other = compared(&[1.0; 8], &[1.0; 8]);
        other.subject.name = "hello".to_owned();
        let text = detect::stage::text(&other).expect("text");
        let other = Outcome::parse(text.as_bytes()).expect("a result");
        let error = gate(&outcome(1.0), &other, 0.05).expect_err("another").to_string();
        assert_eq!(
            error,
            "\"hello (build, against default)\" is no baseline for \"synthetic mixed, small (build, against default)\""
        );
    }
}
