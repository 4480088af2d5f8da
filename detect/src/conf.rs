//! nix.conf of a captured machine, whose Nix cannot be asked.
//!
//! The grammar is that of Nix's `parseConfigFiles`
//! (`src/libutil/configuration.cc`): a comment starts at the first `#`, words
//! are split at white space, `=` is a word of its own, and there are no quotes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::root::Root;

/// More files than anyone includes; Nix itself overflows its stack when a file
/// includes itself.
const MOST_FILES: usize = 64;

/// What kind of value a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `yes`, `1`, or one of their opposites.
    Bool,
    /// A whole number, perhaps with a suffix of K, M, G or T.
    Number,
    /// A whole number or `auto`.
    Jobs,
    /// Any words, joined.
    Text,
    /// Any words, which `extra-NAME` adds to.
    List,
    /// The same, sorted and each word once.
    Set,
}

/// Former names that Nix still takes.
const ALIASES: [(&str, &str); 9] = [
    ("binary-cache-public-keys", "trusted-public-keys"),
    ("binary-caches", "substituters"),
    ("build-cores", "cores"),
    ("build-fallback", "fallback"),
    ("build-max-jobs", "max-jobs"),
    ("build-use-sandbox", "sandbox"),
    ("gc-keep-derivations", "keep-derivations"),
    ("gc-keep-outputs", "keep-outputs"),
    ("trusted-binary-caches", "trusted-substituters"),
];

/// What `path` and the files it includes set of the settings that `kinds`
/// names; `None` when there is no such file, or Nix would refuse it.
pub fn settings(
    root: &Root,
    path: &Path,
    kinds: &[(&str, Kind)],
) -> Option<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    read(root, path, &mut 0, &mut |name, words| assign(kinds, name, words, &mut found))?;
    Some(found)
}

/// Settings that a file sets after something was added to them, which Nix then
/// forgets (NixOS/nix#9487), sorted. Nothing of a file that cannot be read.
pub fn forgotten(root: &Root, path: &Path) -> Vec<String> {
    let (mut added, mut forgotten) = (BTreeSet::new(), BTreeSet::new());
    let _ = read(root, path, &mut 0, &mut |name, _| {
        match base(name) {
            (name, true) => {
                added.insert(name.to_owned());
            }
            (name, false) if added.remove(name) => {
                forgotten.insert(name.to_owned());
            }
            (_, false) => {}
        }
        Some(())
    });
    forgotten.into_iter().collect()
}

/// Give every assignment of a file and those it includes, in Nix's order, until
/// one is refused.
fn read(
    root: &Root,
    path: &Path,
    files: &mut usize,
    assign: &mut impl FnMut(&str, &[&str]) -> Option<()>,
) -> Option<()> {
    *files += 1;
    if *files > MOST_FILES {
        return None;
    }
    for line in root.read(path)?.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["include", file] => read(root, &beside(path, file), files, assign)?,
            ["!include", file] => {
                let file = beside(path, file);
                if root.exists(&file) {
                    read(root, &file, files, assign)?;
                }
            }
            [name, "=", words @ ..] => assign(name, words)?,
            _ => return None,
        }
    }
    Some(())
}

/// What a name sets or adds to, by its present name, and whether it adds.
fn base(name: &str) -> (&str, bool) {
    let (name, extra) = match name.strip_prefix("extra-") {
        // A setting of its own, in spite of its name.
        Some(_) if name == "extra-platforms" => (name, false),
        Some(base) => (base, true),
        None => (name, false),
    };
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    (alias.map_or(name, |(_, name)| *name), extra)
}

/// A path as an include means it: relative to the file that has it.
fn beside(path: &Path, file: &str) -> PathBuf {
    path.parent().unwrap_or(path).join(file)
}

fn assign(
    kinds: &[(&str, Kind)],
    name: &str,
    words: &[&str],
    found: &mut BTreeMap<String, Value>,
) -> Option<()> {
    let (name, extra) = base(name);
    let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == name) else { return Some(()) };
    match (extra, kind, found.get_mut(name)) {
        (true, kind @ (Kind::List | Kind::Set), Some(Value::Array(list))) => {
            let had = list.iter().filter_map(Value::as_str).collect::<Vec<_>>();
            *list = self::list(*kind, &[&had, words].concat());
        }
        // To a default, which depends on the machine and the release.
        (true, ..) => {}
        (false, kind, _) => {
            found.insert(name.to_owned(), value(*kind, words)?);
        }
    }
    Some(())
}

fn value(kind: Kind, words: &[&str]) -> Option<Value> {
    let text = words.join(" ");
    match kind {
        Kind::Bool => match text.as_str() {
            "true" | "yes" | "1" => Some(true.into()),
            "false" | "no" | "0" => Some(false.into()),
            _ => None,
        },
        Kind::Number => number(&text).map(Value::from),
        Kind::Jobs if text == "auto" => Some(text.into()),
        Kind::Jobs => text.parse::<u64>().ok().map(Value::from),
        Kind::Text => Some(text.into()),
        Kind::List | Kind::Set => Some(list(kind, words).into()),
    }
}

fn list(kind: Kind, words: &[&str]) -> Vec<Value> {
    let mut words = words.to_owned();
    if kind == Kind::Set {
        words.sort_unstable();
        words.dedup();
    }
    words.into_iter().map(Value::from).collect()
}

fn number(text: &str) -> Option<u64> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let last = text.chars().next_back()?;
    let unit = units.iter().find(|(letter, _)| last.eq_ignore_ascii_case(letter));
    let (digits, shift) = unit.map_or((text, 0), |(_, shift)| (&text[..text.len() - 1], *shift));
    digits.trim_start_matches('+').parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{Kind, forgotten, settings};
    use crate::fixture::tree;

    const KINDS: [(&str, Kind); 6] = [
        ("build-dir", Kind::Text),
        ("cores", Kind::Number),
        ("fallback", Kind::Bool),
        ("max-jobs", Kind::Jobs),
        ("min-free", Kind::Number),
        ("substituters", Kind::List),
    ];

    fn read(files: &[(&str, &str)]) -> Option<Value> {
        let found = settings(&tree(files).root, Path::new("/etc/nix/nix.conf"), &KINDS)?;
        Some(json!(found))
    }

    #[test]
    fn the_grammar_of_nix() {
        let conf = "# comment\nmax-jobs = auto # here too\r\ncores = 2\ncores = 3\n\
                    substituters = a  b\nextra-substituters = c\nfallback = yes\n\
                    build-dir = /a b\nmin-free = 1G\nunknown = x\nextra-max-jobs = 9\n";
        let expected = json!({
            "build-dir": "/a b", "cores": 3, "fallback": true, "max-jobs": "auto",
            "min-free": 1_u64 << 30, "substituters": ["a", "b", "c"],
        });
        assert_eq!(read(&[("etc/nix/nix.conf", conf)]), Some(expected));
        assert_eq!(
            read(&[("etc/nix/nix.conf", "build-max-jobs = 4")]),
            Some(json!({"max-jobs": 4}))
        );
        assert_eq!(read(&[("etc/nix/nix.conf", "extra-substituters = c")]), Some(json!({})));
    }

    #[test]
    fn includes_are_relative_and_bounded() {
        let files = [
            ("etc/nix/nix.conf", "include more/one.conf\n!include gone.conf\n"),
            ("etc/nix/more/one.conf", "cores = 7\n!include two.conf\n"),
            ("etc/nix/more/two.conf", "max-jobs = 5\n"),
        ];
        assert_eq!(read(&files), Some(json!({"cores": 7, "max-jobs": 5})));
        assert_eq!(read(&[("etc/nix/nix.conf", "include nix.conf\n")]), None, "a circle");
        assert_eq!(read(&[("etc/nix/nix.conf", "include gone.conf\n")]), None);
    }

    #[test]
    fn an_addition_before_what_it_adds_to_is_forgotten() {
        let of = |files: &[(&str, &str)]| {
            forgotten(&tree(files).root, Path::new("/etc/nix/nix.conf")).join(" ")
        };
        let one = |conf: &str| of(&[("etc/nix/nix.conf", conf)]);
        assert_eq!(one("extra-substituters = a\nsubstituters = b\n"), "substituters");
        assert_eq!(one("extra-substituters = a\nbinary-caches = b\n"), "substituters");
        assert_eq!(one("substituters = b\nextra-substituters = a\n"), "");
        assert_eq!(one("extra-platforms = a\nextra-platforms = b\n"), "");
        assert_eq!(one("extra-x = 1\nx = 2\nextra-x = 3\n"), "x");
        let files = [
            ("etc/nix/nix.conf", "!include own.conf\nsubstituters = b\n"),
            ("etc/nix/own.conf", "extra-substituters = a\n"),
        ];
        assert_eq!(of(&files), "substituters");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn what_nix_refuses_says_nothing() {
        for bad in ["max-jobs=2", "max-jobs", "cores = many", "fallback = True", "a b c"] {
            assert_eq!(read(&[("etc/nix/nix.conf", bad)]), None, "{bad}");
        }
        assert_eq!(read(&[]), None);
    }
}
