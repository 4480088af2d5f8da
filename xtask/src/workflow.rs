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

/// A flake that has them, without anything to download.
const FLAKE: &str = "./tests/hosts";

/// Write our workflow, or say whether it is current; with hosts, print one for the
/// flake that has them.
pub(crate) fn run(check: bool, hosts: &[String], action: &str) -> Result<()> {
    if hosts.is_empty() {
        let ours = render(&HOSTS.map(str::to_owned), "./", FLAKE)?;
        return ensure_contents(Path::new(PATH), &ours, check).map_err(|error| {
            if check { error.context(Hint::new("run cargo xtask workflow")) } else { error }
        });
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
    if action.is_empty() || action.contains(|c: char| c.is_control() || "#:'\" ".contains(c)) {
        bail!(Usage(format!("--action: {action:?}: not OWNER/NAME@COMMIT")));
    }
    let list = serde_json::to_string(hosts)?;
    let filled = TEMPLATE.replace("@HOSTS@", &list).replace("@FLAKE@", flake);
    Ok(filled.replace("@ACTION@", action))
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn places_are_filled_and_nothing_else_gets_in() {
        let hosts = ["a".to_owned(), "b-1=darwin".to_owned()];
        let text = render(&hosts, "me/nixpace@0123", ".").expect("a workflow");
        assert!(text.contains(r#"fromJSON(inputs.hosts || '["a","b-1=darwin"]')"#), "{text}");
        assert!(text.contains("uses: me/nixpace@0123 #"));
        assert!(text.contains("installable=.#$attribute"));
        assert!(!text.contains("@HOSTS@") && !text.contains("@FLAKE@"));
        for bad in ["", "=darwin", "a'b", "a b", "$(x)", "a=linux", "a\nb"] {
            assert!(render(&[bad.to_owned()], "./", ".").is_err(), "{bad}");
        }
        for bad in ["", "a b@c", "a@c # x", "a\n- run: x"] {
            assert!(render(&hosts, bad, ".").is_err(), "{bad}");
        }
    }
}
