//! The workflow that builds each host of a flake, from its template.

use std::path::Path;

use anyhow::{Result, bail};
use detect::arguments::Common;
use detect::report::{Hint, Usage};
use detect::stage;

use crate::generated::ensure_contents;

const TEMPLATE: &str = include_str!("workflow/performance-ci.yml");

/// Ours.
const PATH: &str = ".github/workflows/performance-ci.yml";

/// The hosts of the original design.
const HOSTS: [&str; 4] = ["nixair", "dracula", "legion", "SGRIMEE-M-4HJT=darwin"];

/// The action as our own workflow names it; the comment is for zizmor.
const OUR_ACTION: &str = "./ # zizmor: ignore[self-repository] actionlint knows no other";

/// A flake that has them, without anything to download.
const FLAKE: &str = "./tests/hosts";

/// Write our workflow, or say whether it is current; with hosts, print one for the
/// flake that has them.
pub(crate) fn run(check: bool, hosts: &[String], action: Option<&str>) -> Result<()> {
    let Some(action) = action else {
        let ours = render(&HOSTS.map(str::to_owned), OUR_ACTION, FLAKE)?;
        return ensure_contents(Path::new(PATH), &ours, check).map_err(|error| {
            if check { error.context(Hint::new("run cargo xtask workflow")) } else { error }
        });
    };
    if !is_fixed(action) {
        bail!(Usage(format!("--action: {action:?}: not OWNER/NAME@COMMIT, in 40 hex digits")));
    }
    stage::write_text(&render(hosts, action, ".")?, &Common::default())
}

/// The template with its places filled.
fn render(hosts: &[String], action: &str, flake: &str) -> Result<String> {
    for host in hosts {
        // It is written into an expression, and into an installable.
        let name = host.strip_suffix("=darwin").unwrap_or(host);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(is_plain) {
            bail!(Usage(format!("--hosts: {host:?}: not NAME or NAME=darwin")));
        }
    }
    let list = serde_json::to_string(hosts)?;
    let filled = TEMPLATE.replace("@HOSTS@", &list).replace("@FLAKE@", flake);
    Ok(filled.replace("@ACTION@", action))
}

/// Whether an action is named by a commit: tags and branches may move.
fn is_fixed(action: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    action.split_once('@').is_some_and(|(name, commit)| {
        name.contains('/')
            && name.chars().all(is_plain)
            && commit.len() == 40
            && commit.chars().all(|c| c.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::{is_fixed, render};

    #[test]
    fn places_are_filled_and_nothing_else_gets_in() {
        let hosts = ["a".to_owned(), "b-1=darwin".to_owned()];
        let text = render(&hosts, "me/nixpace@0123", ".").expect("a workflow");
        assert!(text.contains(r#"fromJSON(inputs.hosts || '["a","b-1=darwin"]')"#), "{text}");
        assert!(text.contains("uses: me/nixpace@0123\n"));
        assert!(text.contains("installable=.#$attribute"));
        assert!(!text.contains("@HOSTS@") && !text.contains("@FLAKE@"));
        for bad in ["", "=darwin", "a'b", "a b", "$(x)", "a=linux", "a\nb"] {
            assert!(render(&[bad.to_owned()], "./", ".").is_err(), "{bad}");
        }
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert!(is_fixed(&format!("me/nixpace@{commit}")));
        for bad in ["", "./", "me/nixpace", "me/nixpace@main", "me/nixpace@v1\n- run: x"] {
            assert!(!is_fixed(bad), "{bad}");
        }
        for bad in [format!("a b/c@{commit}"), format!("a/b@{commit} # x"), format!("a@{commit}")] {
            assert!(!is_fixed(&bad), "{bad}");
        }
    }
}
