//! The README's table of tools, which says what the manifests say.

/// A binary, and what its crate is for. Of several binaries in one crate, only
/// the one named like the crate has its description.
pub(super) struct Tool {
    name: String,
    description: Option<String>,
}

/// The binaries of a crate for users.
pub(super) fn tools(member: &str, description: &str, files: &[String]) -> Vec<Tool> {
    // Developers start it through cargo; it is explained elsewhere.
    if member == "xtask" {
        return Vec::new();
    }
    let main = format!("{member}/src/main.rs");
    let others = format!("{member}/src/bin/");
    files
        .iter()
        .filter_map(|path| {
            if *path == main {
                let description = Some(description.to_owned());
                return Some(Tool { name: member.to_owned(), description });
            }
            let name = path.strip_prefix(&others)?.strip_suffix(".rs")?;
            Some(Tool { name: name.to_owned(), description: None })
        })
        .collect()
}

/// What is wrong with the README.
pub(super) fn check(text: &str, tools: &[Tool]) -> Vec<String> {
    tools
        .iter()
        .filter_map(|Tool { name, description }| {
            let quoted = format!("`{name}`");
            let is_row = |line: &&str| line.starts_with('|') && line.contains(&quoted);
            let rows: Vec<&str> = text.lines().filter(is_row).collect();
            if rows.is_empty() {
                return Some(format!("README.md: {name}: not in the table of tools"));
            }
            let description = description.as_ref()?;
            let is_said = rows.iter().any(|row| row.contains(description));
            (!is_said).then(|| format!("README.md: {name}: not described as “{description}”"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{check, tools};

    fn files() -> Vec<String> {
        ["profile/src/bin/nix-conf-write.rs", "profile/src/lib.rs", "profile/src/main.rs"]
            .map(str::to_owned)
            .to_vec()
    }

    #[test]
    fn tables_describe_each_tool_as_its_manifest_does() {
        let tools = tools("profile", "Which settings", &files());
        let row = "| `profile` | Which settings |\n| `nix-conf-write` | Writes |\n";
        assert_eq!(check(row, &tools), [""; 0]);
        let other = row.replace("Which settings", "What settings");
        assert_eq!(
            check(&other, &tools),
            ["README.md: profile: not described as “Which settings”"]
        );
        let prose = row.replace("| `nix", "`nix");
        assert_eq!(check(&prose, &tools), ["README.md: nix-conf-write: not in the table of tools"]);
    }

    #[test]
    fn libraries_and_developers_tasks_are_no_tools() {
        assert!(tools("tests", "Tests", &files()).is_empty());
        assert!(tools("xtask", "Tasks", &["xtask/src/main.rs".to_owned()]).is_empty());
    }
}
