//! What a crate's manifest must and must not say.

use anyhow::{Result, bail};
use toml::{Table, Value};

/// A crate's manifest.
pub(super) struct Manifest(Table);

/// Which crates of ours a crate may need; the arrows of the design.
fn may_need(member: &str) -> Option<&'static [&'static str]> {
    Some(match member {
        "detect" => &[],
        "profile" => &["detect"],
        "storage" | "caches" | "monitor" => &["detect", "profile"],
        "bench" => &["detect", "profile", "monitor"],
        "xtask" | "tests" => CRATES,
        _ => return None,
    })
}

/// Our crates that others may need.
const CRATES: &[&str] = &["detect", "profile", "storage", "caches", "monitor", "bench"];

/// The kinds of dependency.
const KINDS: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

/// The members of the workspace, by its manifest.
pub(super) fn members(text: &str) -> Result<Vec<String>> {
    let manifest: Table = text.parse()?;
    let members = manifest.get("workspace").and_then(|workspace| workspace.get("members"));
    match members.cloned().map(Value::try_into) {
        Some(Ok(members)) => Ok(members),
        _ => bail!("Cargo.toml: no list of workspace.members"),
    }
}

impl Manifest {
    /// Read a manifest.
    pub(super) fn parse(text: &str) -> Result<Self> {
        Ok(Self(text.parse()?))
    }

    /// What the crate is for, in one sentence.
    pub(super) fn description(&self) -> &str {
        self.package("description")
    }

    /// What is wrong with the manifest of a workspace member.
    pub(super) fn check(&self, member: &str) -> Vec<String> {
        let mut findings = Vec::new();
        if self.package("name") != member {
            findings.push("name: differs from its folder's".to_owned());
        }
        if self.description().is_empty() {
            findings.push("description: missing".to_owned());
        }
        let lints = self.0.get("lints").and_then(|lints| lints.get("workspace"));
        if lints != Some(&Value::Boolean(true)) {
            findings.push("lints: not those of the workspace".to_owned());
        }
        match may_need(member) {
            Some(allowed) => findings.extend(self.wrong_arrows(allowed)),
            None => findings.push(format!("{member}: not in may_need of {}", file!())),
        }
        for (name, value) in self.dependencies() {
            if value.get("workspace") != Some(&Value::Boolean(true)) {
                findings.push(format!("{name}: its version belongs in [workspace.dependencies]"));
            }
        }
        findings
    }

    /// The dependencies that no source names: a path that starts with it, or a `use`.
    pub(super) fn unused<'a>(&'a self, sources: &'a [String]) -> impl Iterator<Item = &'a str> {
        let is_named = |name: &str| {
            let name = name.replace('-', "_");
            let uses = [format!("{name}::"), format!("use {name};"), format!("use {name} as ")];
            sources.iter().any(|text| uses.iter().any(|used| text.contains(used)))
        };
        self.dependencies().map(|(name, _)| name.as_str()).filter(move |name| !is_named(name))
    }

    fn wrong_arrows(&self, allowed: &[&str]) -> impl Iterator<Item = String> {
        self.dependencies()
            .filter(|(name, _)| may_need(name).is_some() && !allowed.contains(&name.as_str()))
            .map(|(name, _)| format!("{name}: an arrow that the design does not have"))
    }

    fn package(&self, key: &str) -> &str {
        let value = self.0.get("package").and_then(|package| package.get(key));
        value.and_then(Value::as_str).unwrap_or_default().trim()
    }

    /// All dependencies of every kind, also those for some platforms only.
    fn dependencies(&self) -> impl Iterator<Item = (&String, &Value)> {
        let platforms = self.0.get("target").and_then(Value::as_table).into_iter().flatten();
        std::iter::once(&self.0)
            .chain(platforms.filter_map(|(_, platform)| platform.as_table()))
            .flat_map(|table| KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()))
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::{Manifest, members};

    const GOOD: &str = r#"
        [package]
        name = "profile"
        description = "Settings"
        [dependencies]
        detect.workspace = true
        serde = { workspace = true, features = ["derive"] }
        [lints]
        workspace = true
    "#;

    fn findings(member: &str, text: &str) -> Vec<String> {
        Manifest::parse(text).expect("a manifest").check(member)
    }

    #[test]
    fn a_good_manifest_has_no_findings() {
        assert_eq!(findings("profile", GOOD), [""; 0]);
    }

    #[test]
    fn arrows_run_one_way() {
        let arrow = "xtask: an arrow that the design does not have";
        let turned = GOOD.replace("detect.workspace", "xtask.workspace");
        assert_eq!(findings("profile", &turned), [arrow]);
        let on_mac =
            format!("{GOOD}\n[target.'cfg(unix)'.dev-dependencies]\nxtask.workspace = true");
        assert_eq!(findings("profile", &on_mac), [arrow]);
        let renamed = GOOD.replace("\"profile\"", "\"detect\"");
        assert_eq!(
            findings("detect", &renamed),
            ["detect: an arrow that the design does not have"]
        );
    }

    #[test]
    fn dependencies_are_used() {
        let manifest = Manifest::parse(GOOD).expect("a manifest");
        let sources = ["use serde::Serialize;".to_owned(), "// detect".to_owned()];
        assert_eq!(manifest.unused(&sources).collect::<Vec<_>>(), ["detect"]);
    }

    #[test]
    fn versions_are_said_once() {
        let expected = ["serde: its version belongs in [workspace.dependencies]"];
        for version in ["\"1.0\"", "{ version = \"1.0\" }", "{ workspace = false }"] {
            let text = GOOD.replace("{ workspace = true, features = [\"derive\"] }", version);
            assert_eq!(findings("profile", &text), expected, "{version}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(
            findings("profile", &GOOD.replace("[lints]", "[other]")),
            ["lints: not those of the workspace"]
        );
        assert_eq!(findings("profile", &GOOD.replace("Settings", " ")), ["description: missing"]);
        let other = findings("other", GOOD);
        assert_eq!(other[0], "name: differs from its folder's");
        assert!(other[1].starts_with("other: not in may_need of "), "{other:?}");
    }

    #[test]
    fn reads_the_workspace() {
        let text = "[workspace]\nmembers = [\"detect\", \"tests\"]";
        assert_eq!(members(text).expect("members"), ["detect", "tests"]);
        assert!(members("[workspace]").is_err());
        assert!(members("[workspace]\nmembers = [1]").is_err());
    }
}
