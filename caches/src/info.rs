//! `nix-cache-info`: what a cache says of itself.
//!
//! Source: the Nix manual, "nix-cache-info format"; libstore's
//! binary-cache-store.cc.

use std::fmt;

/// The largest one read.
pub const LARGEST_BYTES: usize = 64 << 10;

/// What a cache says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheInfo {
    /// Whose paths it has; `None` when it does not say, and then Nix asks no more.
    pub store_dir: Option<String>,
    /// Whether it wants to be asked for many paths at once.
    pub want_mass_query: bool,
    /// Whom to ask first: the lowest.
    pub priority: Priority,
}

/// Whom to ask first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    /// It does not say, and Nix takes that as 0: before all others.
    #[default]
    Missing,
    /// What it says.
    Number(i32),
    /// No number. Nix ends with an error, and substitutes nothing from any cache.
    Bad(String),
}

impl Priority {
    /// What Nix makes of it.
    pub fn effective(&self) -> Option<i32> {
        match self {
            Self::Missing => Some(0),
            Self::Number(number) => Some(*number),
            Self::Bad(_) => None,
        }
    }
}

/// Why what a cache says makes it none for a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A web page, which Nix takes for a cache and asks before all others.
    Page,
    /// It is for another store, and for which one.
    OtherStore {
        /// Its store's directory.
        theirs: String,
        /// The one in question.
        ours: String,
    },
    /// Its priority is no number.
    BadPriority(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page => formatter.write_str(
                "a web page answers in its place: log in to the network, or mend the address",
            ),
            Self::OtherStore { theirs, ours } => {
                write!(formatter, "it is for the store {theirs:?}, not {ours}: Nix skips it")
            }
            Self::BadPriority(text) => write!(
                formatter,
                "its Priority {text:?} is no number: Nix ends with `stoi` and substitutes nothing \
                 from any cache"
            ),
        }
    }
}

/// Whether an answer is a web page.
pub fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'<')
}

impl CacheInfo {
    /// What a cache of this store says of itself; why it is none, otherwise.
    pub fn of(body: &[u8], store_dir: &str) -> Result<Self, Refusal> {
        if is_page(body) {
            return Err(Refusal::Page);
        }
        let info = Self::parse(body);
        match (&info.store_dir, &info.priority) {
            (Some(dir), _) if dir != store_dir => Err(Refusal::OtherStore {
                theirs: dir.chars().filter(|letter| !letter.is_control()).take(120).collect(),
                ours: store_dir.to_owned(),
            }),
            (_, Priority::Bad(text)) => Err(Refusal::BadPriority(text.clone())),
            _ => Ok(info),
        }
    }

    /// Read one. Nothing is an error: Nix takes even a web page for one.
    pub fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(&text[..text.len().min(LARGEST_BYTES)]);
        let mut info = Self::default();
        for line in text.split('\n') {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim_matches([' ', '\t', '\r', '\n']);
            match name {
                "StoreDir" => info.store_dir = Some(value.to_owned()),
                "WantMassQuery" => info.want_mass_query = value == "1",
                "Priority" => info.priority = priority(value),
                _ => {}
            }
        }
        info
    }
}

/// A number as `std::stoi` reads it: blanks, a sign, digits, and then anything.
fn priority(text: &str) -> Priority {
    let bare = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let sign = usize::from(bare.starts_with(['+', '-']));
    let digits = bare[sign..].bytes().take_while(u8::is_ascii_digit).count();
    match bare[..sign + digits].parse() {
        Ok(number) => Priority::Number(number),
        Err(_) => Priority::Bad(text.chars().take(40).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CacheInfo, Priority, Refusal};

    #[test]
    fn what_a_cache_says() {
        let info = CacheInfo::parse(b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n");
        assert_eq!(info.store_dir.as_deref(), Some("/nix/store"));
        assert!(info.want_mass_query);
        assert_eq!(info.priority, Priority::Number(40));
    }

    #[test]
    fn priorities_as_nix_reads_them() {
        let priority =
            |text: &str| CacheInfo::parse(format!("Priority:{text}").as_bytes()).priority;
        assert_eq!(CacheInfo::parse(b"StoreDir: /nix/store").priority.effective(), Some(0));
        for (text, number) in [(" 40x", 40), ("\t-1", -1), ("+7", 7), ("30\nPriority: 5", 5)] {
            assert_eq!(priority(text), Priority::Number(number), "{text}");
        }
        for text in ["", " high", " 99999999999", " -", " +x"] {
            assert_eq!(priority(text).effective(), None, "{text}");
        }
    }

    #[test]
    fn a_web_page_is_an_empty_one() {
        assert_eq!(CacheInfo::parse(b"<!doctype html>\n<p>Log in"), CacheInfo::default());
        assert!(!CacheInfo::parse(b"WantMassQuery: true").want_mass_query);
    }

    #[test]
    fn what_is_no_cache_of_this_store() {
        let of = |text: &str| CacheInfo::of(text.as_bytes(), "/nix/store");
        assert!(of("StoreDir: /nix/store\nPriority: 40\n").is_ok() && of("").is_ok());
        assert_eq!(of("\n<html>"), Err(Refusal::Page));
        assert_eq!(of("Priority: high"), Err(Refusal::BadPriority("high".to_owned())));
        let other = of("StoreDir: /gnu/\u{1b}store\nPriority: high").expect_err("another store");
        let text = "it is for the store \"/gnu/store\", not /nix/store: Nix skips it";
        assert_eq!(other.to_string(), text);
    }

    proptest! {
        #[test]
        fn never_panics(text in prop::collection::vec(any::<u8>(), 0..200), number in ".*") {
            let _ = CacheInfo::parse(&text);
            let _ = CacheInfo::parse(format!("Priority: {number}").as_bytes());
        }
    }
}
