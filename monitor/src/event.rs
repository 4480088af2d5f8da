//! One line of what Nix says with `--log-format internal-json`.
//!
//! A line is `@nix ` and a JSON object; on the socket of `json-log-path` it is the
//! object alone. All else is text of others. The grammar is that of
//! `src/libutil/logging.hh`, which Nix, Lix and Determinate Nix share: what a
//! number means never changes, but each has numbers that the others lack. These
//! are counted and left alone, as are their fields.
//!
//! Nearly all lines of a large build say how far something is. They have one form,
//! which is read without a JSON parser, ten times as fast.

mod lines;
mod progress;

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub use lines::{LONGEST_BYTES, Line, each};
pub use progress::Progress;

/// What an event of a build or a download begins with, before its JSON.
const MARK: &[u8] = b"@nix ";

/// What begins every event, by which text that only looks like JSON is told apart.
const START: &[u8] = b"{\"action\":";

/// What a line says.
#[derive(Debug, PartialEq)]
pub enum Said<'a> {
    /// How far something is.
    Progress(Progress),
    /// Something began.
    Start(Start<'a>),
    /// Something ended.
    Stop {
        /// What ended.
        id: u64,
    },
    /// Something is to be said of what began.
    Result(Answer<'a>),
    /// A message for people.
    Message {
        /// 0 is an error, 1 a warning, 3 what Nix says without being asked.
        level: u64,
        /// Its text, perhaps of several lines and in colour.
        text: Cow<'a, str>,
    },
    /// An event of a kind that is not known.
    Unknown,
    /// A line that claims to be an event and is none.
    Malformed,
    /// Text of somebody else.
    Text(&'a [u8]),
}

/// Something began.
#[derive(Debug, PartialEq)]
pub struct Start<'a> {
    /// By which it is named from now on.
    pub id: u64,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What it is a part of: 0 is nothing. Nix 2.8 does not say.
    pub parent: Option<u64>,
    /// What it is, for people.
    pub text: Cow<'a, str>,
    /// Its texts, such as a path.
    pub fields: Vec<Cow<'a, str>>,
}

/// What can begin, as far as we ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 100: a path is copied, from somewhere to somewhere.
    CopyPath,
    /// 101: a file is downloaded or uploaded.
    FileTransfer,
    /// 103: all that is copied.
    CopyPaths,
    /// 104: all that is built.
    Builds,
    /// 105: a derivation is built: its path, the machine.
    Build,
    /// 108: a path comes from a cache: the path, the cache.
    Substitute,
    /// 111: something is waited for.
    BuildWaiting,
    /// What is known and tells nothing that is asked here.
    Other,
}

/// Something is said of what began.
#[derive(Debug, PartialEq)]
pub enum Answer<'a> {
    /// 101: a line that a builder wrote.
    LogLine {
        /// The build.
        id: u64,
        /// The line.
        text: Cow<'a, str>,
    },
    /// 104: a builder's next phase.
    Phase {
        /// The build.
        id: u64,
        /// The phase.
        name: Cow<'a, str>,
    },
    /// What is known and tells nothing that is asked here.
    Other,
}

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    id: Option<u64>,
    level: Option<u64>,
    r#type: Option<u64>,
    parent: Option<u64>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    msg: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    fields: Vec<Field<'a>>,
}

/// Fields are numbers and texts; of others, nothing is asked.
enum Field<'a> {
    Number(u64),
    Text(Cow<'a, str>),
    Other,
}

/// By hand: serde would try one kind after the other, and write an error for each
/// that it is not, which takes longer than all the rest.
impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyField)
    }
}

struct AnyField;

impl<'de> Visitor<'de> for AnyField {
    type Value = Field<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Field::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Field::Text(text.to_owned().into()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_seq(items).map(|_| Field::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        IgnoredAny.visit_map(entries).map(|_| Field::Other)
    }
}

/// Read a line.
pub fn read(line: &[u8]) -> Said<'_> {
    let (marked, json) = match line.strip_prefix(MARK) {
        Some(json) => (true, json),
        None => (false, line),
    };
    if let Some(progress) = Progress::read(json) {
        return Said::Progress(progress);
    }
    if !marked && !json.starts_with(START) {
        return Said::Text(line);
    }
    // As a text, so that it is looked at once, and not again for each of its strings.
    let json = str::from_utf8(json).ok();
    let raw = json.and_then(|json| serde_json::from_str::<Raw>(json).ok());
    raw.and_then(said).unwrap_or(Said::Malformed)
}

/// Where in a line that is no event one begins: after text that others wrote and
/// did not end, or after half of another.
pub fn inside(line: &[u8]) -> Option<usize> {
    let begins = |at: &usize| line[at + MARK.len()..].starts_with(START);
    memchr::memmem::find_iter(line, MARK).filter(|at| *at > 0).find(begins)
}

/// What an event says; `None` when it lacks what its kind must have.
fn said(raw: Raw<'_>) -> Option<Said<'_>> {
    Some(match raw.action.as_ref() {
        "start" => match kind(raw.r#type?) {
            Some(kind) => Said::Start(Start {
                id: raw.id?,
                kind,
                parent: raw.parent,
                text: raw.text.unwrap_or_default(),
                fields: raw.fields.into_iter().filter_map(text).collect(),
            }),
            None => Said::Unknown,
        },
        "stop" => Said::Stop { id: raw.id? },
        "result" => return answer(raw),
        "msg" => Said::Message { level: raw.level?, text: raw.msg? },
        _ => Said::Unknown,
    })
}

fn answer(raw: Raw<'_>) -> Option<Said<'_>> {
    let id = raw.id?;
    let mut fields = raw.fields.into_iter();
    Some(Said::Result(match raw.r#type? {
        101 => Answer::LogLine { id, text: text(fields.next()?)? },
        104 => Answer::Phase { id, name: text(fields.next()?)? },
        105 => {
            let mut number = || match fields.next() {
                Some(Field::Number(number)) => Some(number),
                _ => None,
            };
            let (done, expected) = (number()?, number()?);
            return Some(Said::Progress(Progress { id, done, expected }));
        }
        // 109 is a store path in Nix 2.36, and a hash in Determinate Nix, whose 110
        // is a whole result; it calls their fields `payload`.
        100 | 102 | 103 | 106..=110 => Answer::Other,
        _ => return Some(Said::Unknown),
    }))
}

fn kind(number: u64) -> Option<Kind> {
    Some(match number {
        100 => Kind::CopyPath,
        101 => Kind::FileTransfer,
        103 => Kind::CopyPaths,
        104 => Kind::Builds,
        105 => Kind::Build,
        108 => Kind::Substitute,
        111 => Kind::BuildWaiting,
        0 | 102 | 106 | 107 | 109 | 110 | 112 | 113 => Kind::Other,
        _ => return None,
    })
}

fn text(field: Field<'_>) -> Option<Cow<'_, str>> {
    match field {
        Field::Text(text) => Some(text),
        Field::Number(_) | Field::Other => None,
    }
}

#[cfg(test)]
mod tests;
