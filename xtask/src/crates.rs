//! The crates of others: which are linked, by what licence, and from where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command::{self, cargo};

/// A crate that is not ours.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Crate {
    pub(crate) name: String,
    pub(crate) version: String,
    #[serde(rename = "license")]
    pub(crate) licence: Option<String>,
    /// Where it comes from; a path has none.
    pub(crate) source: Option<String>,
    #[serde(rename = "manifest_path")]
    pub(crate) manifest: PathBuf,
    id: String,
}

/// What we read of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// Nothing for what is linked, `dev` or `build`.
    kind: Option<String>,
}

/// Members whose dependencies no user gets.
const OURS_ALONE: [&str; 2] = ["xtask", "tests"];

/// The crates that are linked into our programs here, sorted.
pub(crate) fn linked() -> Result<Vec<Crate>> {
    Ok(reached(&metadata(&command::host()?)?))
}

fn metadata(host: &str) -> Result<Metadata> {
    let mut metadata = cargo(["metadata", "--format-version=1", "--locked"]);
    let text = command::output(metadata.args(["--filter-platform", host]))?;
    serde_json::from_str(&text).context("cargo metadata")
}

fn reached(metadata: &Metadata) -> Vec<Crate> {
    let is_ours = |one: &&Crate| one.source.is_none() && !OURS_ALONE.contains(&one.name.as_str());
    let nodes: BTreeMap<&str, &Node> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut todo: Vec<&str> =
        metadata.packages.iter().filter(is_ours).map(|one| one.id.as_str()).collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if seen.insert(id) {
            let needs = nodes.get(id).map(|node| node.deps.as_slice()).unwrap_or_default();
            let links = |need: &&Dependency| need.dep_kinds.iter().any(|kind| kind.kind.is_none());
            todo.extend(needs.iter().filter(links).map(|need| need.pkg.as_str()));
        }
    }
    let is_linked = |one: &&Crate| one.source.is_some() && seen.contains(one.id.as_str());
    let mut found: Vec<Crate> = metadata.packages.iter().filter(is_linked).cloned().collect();
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::reached;

    #[test]
    fn what_only_builds_or_tests_need_is_not_linked() {
        let crate_ = |name: &str, source: &str| {
            format!(
                r#"{{"name": "{name}", "version": "1.0.0", "license": "MIT", "source": {source},
                    "manifest_path": "/{name}/Cargo.toml", "id": "{name}"}}"#
            )
        };
        let needs = |name: &str, kind: &str| {
            format!(r#"{{"pkg": "{name}", "dep_kinds": [{{"kind": {kind}}}]}}"#)
        };
        let names = ["linked", "deep", "built", "tested", "developers"];
        let others = names.map(|name| crate_(name, "\"registry\"")).join(",");
        let text = format!(
            r#"{{"packages": [{}, {}, {others}], "resolve": {{"nodes": [
                {{"id": "detect", "deps": [{}, {}, {}]}},
                {{"id": "xtask", "deps": [{}]}},
                {{"id": "linked", "deps": [{}]}}]}}}}"#,
            crate_("detect", "null"),
            crate_("xtask", "null"),
            needs("linked", "null"),
            needs("built", "\"build\""),
            needs("tested", "\"dev\""),
            needs("developers", "null"),
            needs("deep", "null"),
        );
        let found = reached(&serde_json::from_str(&text).expect("metadata"));
        let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["deep", "linked"]);
    }
}
