//! The crates of others that are linked into our programs, by what `deny.toml`
//! says: their licences, where they come from, and that each is there once.
//!
//! cargo-deny reads the same file and knows more; but it takes minutes to build, and
//! its database of advisories comes over the network.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::crates::Crate;

/// The only place that crates may come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What we read of `deny.toml`.
#[derive(Deserialize)]
pub(super) struct Deny {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    skip: Vec<Skip>,
}

/// A version that may be there besides another.
#[derive(Deserialize)]
struct Skip {
    /// `name@version`, where the version may end early.
    #[serde(rename = "crate")]
    name: String,
}

impl Deny {
    /// Read the file.
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("deny.toml")
    }

    /// What is wrong with the crates that are linked.
    pub(super) fn check(&self, linked: &[Crate]) -> Vec<String> {
        let mut findings = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Crate { name, version, licence, source, .. } in linked {
            let licence = licence.as_deref().unwrap_or("none");
            if !self.allows(licence) {
                findings.push(format!("{name} {version}: licence {licence}"));
            }
            if source.as_deref() != Some(REGISTRY) {
                findings.push(format!("{name} {version}: not from crates.io"));
            }
            if !self.skips(name, version) {
                versions.entry(name).or_default().push(version);
            }
        }
        let twice = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        findings
            .extend(twice.map(|(name, versions)| format!("{name}: {}", versions.join(" and "))));
        findings.into_iter().map(|finding| format!("deny.toml: {finding}")).collect()
    }

    fn skips(&self, name: &str, version: &str) -> bool {
        self.bans.skip.iter().any(|skip| match skip.name.split_once('@') {
            Some((of, start)) => of == name && version.starts_with(start),
            None => skip.name == name,
        })
    }

    /// Whether a licence's conditions can be met: one of what `OR` joins, all of what
    /// `AND` does. Crates of old join by `/`.
    fn allows(&self, licence: &str) -> bool {
        let licence = licence.trim();
        let inner = licence.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        if let Some(inner) = inner.filter(|inner| !inner.contains(['(', ')'])) {
            return self.allows(inner);
        }
        if let Some(parts) = split(licence, " AND ") {
            return parts.iter().all(|part| self.allows(part));
        }
        for or in [" OR ", "/"] {
            if let Some(parts) = split(licence, or) {
                return parts.iter().any(|part| self.allows(part));
            }
        }
        self.licenses.allow.iter().any(|allowed| allowed == licence)
    }
}

/// The parts that a word joins outside of parentheses, if it joins any.
fn split<'a>(text: &'a str, word: &str) -> Option<Vec<&'a str>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for (at, _) in text.match_indices(word) {
        let before = &text[..at];
        if before.matches('(').count() == before.matches(')').count() {
            parts.push(&text[start..at]);
            start = at + word.len();
        }
    }
    parts.push(&text[start..]);
    (parts.len() > 1).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::Deny;
    use crate::crates::Crate;

    fn deny() -> Deny {
        let text = "[licenses]\nallow = [\"MIT\", \"Unicode-3.0\"]\n\
                    [bans]\nskip = [{ crate = \"old@0.1\", reason = \"it\" }]";
        Deny::parse(text).expect("a file")
    }

    #[test]
    fn one_of_several_licences_is_enough() {
        let deny = deny();
        for good in ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"]
        {
            assert!(deny.allows(good), "{good}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "", "MIT WITH x", "(GPL-3.0 OR X) AND MIT"] {
            assert!(!deny.allows(bad), "{bad}");
        }
    }

    #[test]
    fn each_crate_is_there_once_and_from_the_registry() {
        let one = |name: &str, version: &str| -> Crate {
            let text = format!(
                r#"{{"name": "{name}", "version": "{version}", "license": "MIT", "id": "",
                    "source": "{}", "manifest_path": "/"}}"#,
                super::REGISTRY
            );
            serde_json::from_str(&text).expect("a crate")
        };
        let found = deny().check(&[one("a", "1.0.0"), one("old", "0.1.2"), one("old", "0.2.0")]);
        assert_eq!(found, [""; 0]);
        let found = deny().check(&[one("a", "1.0.0"), one("a", "2.0.0")]);
        assert_eq!(found, ["deny.toml: a: 1.0.0 and 2.0.0"]);
        let mut other = one("a", "1.0.0");
        (other.source, other.licence) = (Some("git".to_owned()), None);
        let found = deny().check(&[other]);
        assert_eq!(
            found,
            ["deny.toml: a 1.0.0: licence none", "deny.toml: a 1.0.0: not from crates.io"]
        );
    }
}
