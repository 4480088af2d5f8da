//! Whose work the programs are: a static program holds that of many, and their
//! licences ask that their notices go with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::crates::{self, Crate};

/// How files with notices are named.
const NAMES: [&str; 5] = ["license", "licence", "copying", "copyright", "notice"];

/// Debian's file, from our licence.
pub(super) fn copyright(licence: &str) -> Result<String> {
    let mut lines = licence.lines().skip_while(|line| !line.starts_with("Copyright"));
    let holder = lines.next().context("LICENSE: names nobody")?;
    let text: Vec<String> = lines
        .skip_while(|line| line.is_empty())
        .map(|line| if line.is_empty() { " .".to_owned() } else { format!(" {line}") })
        .collect();
    Ok(format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Nixpace
Comment: The libraries inside the programs are listed in third-party.gz, with
 their notices.

Files: *
Copyright: {}
License: Expat

License: Expat
{}
",
        holder.trim_start_matches("Copyright (c) "),
        text.join("\n")
    ))
}

/// Every library inside the programs, its licence, and its notices; those that
/// many share are printed once.
pub(super) fn third_party() -> Result<String> {
    let mut list = String::from("The libraries inside the programs, and their licences:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in crates::linked()? {
        let name = format!("{} {}", one.name, one.version);
        list.push_str(&format!("{name}: {}\n", one.licence.as_deref().unwrap_or("not stated")));
        for text in notices(&one)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    for (text, names) in texts {
        let line = "-".repeat(80);
        list.push_str(&format!("\n{line}\n{}:\n\n{}\n", names.join(", "), text.trim_end()));
    }
    Ok(list)
}

fn notices(one: &Crate) -> Result<Vec<String>> {
    let folder = one.manifest.parent().unwrap_or(Path::new("."));
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        if NAMES.iter().any(|start| name.starts_with(start)) && entry.file_type()?.is_file() {
            texts.push(fs::read_to_string(entry.path())?.replace("\r\n", "\n"));
        }
    }
    texts.sort_unstable();
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::copyright;

    #[test]
    fn our_licence_is_said_as_debian_does() {
        let text = copyright("MIT License\n\nCopyright (c) 2026 A\n\nOne\n\nTwo\n").expect("it");
        assert!(text.contains("\nCopyright: 2026 A\nLicense: Expat\n"), "{text}");
        assert!(text.ends_with("\nLicense: Expat\n One\n .\n Two\n"), "{text}");
        assert!(copyright("").is_err());
    }
}
