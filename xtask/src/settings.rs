//! The catalogue of settings as a page for people.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use detect::hardware::Hardware;
use detect::release::Release;
use profile::catalogue::{self, Entry, Kind};
use profile::left::{self, Place};
use profile::{Options, allowed};

/// Minor versions of Nix 2 and of Lix that exist, as far as the catalogue knows.
const NIX: (u16, u16) = (0, 36);
const LIX: (u16, u16) = (90, 95);

const HEAD: &str = "\
# Settings

Every setting that some Nix knows, what it is when nobody sets it, and what plans
do with it. Made from the catalogue that the tools use, by `cargo xtask schema`.

A range such as 2.26–2.29 is of versions of Nix that know the setting; `L` marks
those that Lix knows too, and `D` Determinate Nix. The default is that of the newest
Nix that has one. Nothing is planned or written that the target does not know.
*Refused* is what nix-conf-write writes from no plan, whoever put it there, since it
gives rights, drops checks, or is for one machine alone.

| Setting | Takes | Nix | | Default | In plans |
|---|---|---|---|---|---|
";

/// The page.
pub(crate) fn page() -> Result<String> {
    let plan = profile::run(Hardware::default(), &Options::default())?;
    let left = left::left(&plan, Place::NixConf);
    let reasons: BTreeMap<&str, &str> = left.iter().map(|left| (left.name, left.why)).collect();
    let settable = allowed::allowed().settings;
    let mut text = HEAD.to_owned();
    for entry in catalogue::all() {
        let name = entry.name;
        let fate = match reasons.get(name) {
            _ if !settable.iter().any(|settable| settable == name) => "*refused*",
            Some(why) => why,
            None => "not planned; written where a plan has it",
        };
        let [nix, others, default] = [spans(entry)?, forks(entry)?, default(entry)?];
        let takes = takes(entry.kind);
        text += &format!("| `{name}` | {takes} | {nix} | {others} | {default} | {fate} |\n");
    }
    Ok(text)
}

fn takes(kind: Kind) -> String {
    match kind {
        Kind::Bool => "true, false".to_owned(),
        Kind::Number | Kind::Large => "a number".to_owned(),
        Kind::Jobs => "a number, auto".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Choice(words) => words.join(", "),
        Kind::Words => "words".to_owned(),
    }
}

fn release(text: &str) -> Result<Release> {
    Release::parse(text).with_context(|| text.to_owned())
}

/// The versions of Nix that know it, as a range.
fn spans(entry: &Entry) -> Result<String> {
    let mut known = Vec::new();
    for minor in NIX.0..=NIX.1 {
        if entry.known(release(&format!("2.{minor}.0"))?) {
            known.push(minor);
        }
    }
    Ok(match (known.first(), known.last()) {
        (Some(&first), Some(&last)) if last == NIX.1 => format!("2.{first}–"),
        (Some(first), Some(last)) => format!("2.{first}–2.{last}"),
        _ => String::new(),
    })
}

/// Which others know it.
fn forks(entry: &Entry) -> Result<String> {
    let mut marks = Vec::new();
    for minor in LIX.0..=LIX.1 {
        if entry.known(release(&format!("lix-2.{minor}.0"))?) && marks.is_empty() {
            marks.push("L");
        }
    }
    if entry.known(release(&format!("determinate-2.{}.0", NIX.1))?) {
        marks.push("D");
    }
    Ok(marks.join(" "))
}

fn default(entry: &Entry) -> Result<String> {
    let mut found = None;
    for minor in NIX.0..=NIX.1 {
        found = entry.default(release(&format!("2.{minor}.0"))?).or(found);
    }
    for fork in [format!("lix-2.{}.0", LIX.1), format!("determinate-2.{}.0", NIX.1)] {
        found = found.or(entry.default(release(&fork)?));
    }
    Ok(found.map_or_else(String::new, |preset| preset.to_string().replace('|', "\\|")))
}

#[cfg(test)]
mod tests {
    use super::page;

    #[test]
    fn the_page_says_what_becomes_of_each() {
        let page = page().expect("a page");
        let row = |name: &str| {
            let start = format!("| `{name}` |");
            page.lines().find(|line| line.starts_with(&start)).expect(name).to_owned()
        };
        assert!(row("cores").contains("| a number | 2.0– | L D | "), "{}", row("cores"));
        assert!(row("trusted-users").ends_with("| *refused* |"));
        assert!(row("build-dir").contains("planned by `storage`"));
    }
}
