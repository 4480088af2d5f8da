//! How long what a plan holds may be.
//!
//! Each is far above anything sensible. Without them, a plan could make a file
//! that no editor opens, or an error that fills a log.

use anyhow::{Context, Result, bail};

use crate::plan::{Setting, Value};

/// The longest name, in bytes.
const NAME: usize = 128;

/// The longest reason, text or word of a list, in bytes.
const TEXT: usize = 4096;

/// The most words of a list.
const WORDS: usize = 256;

/// Check that all of a setting can be shown to people, even in an error.
pub(super) fn check(part: &str, name: &str, setting: &Setting) -> Result<()> {
    at_most(NAME, name).with_context(|| format!("{part}: a name"))?;
    let judge = || {
        check_reason(&setting.why)?;
        match &setting.value {
            Value::Text(text) => at_most(TEXT, text),
            Value::List(words) if words.len() > WORDS => {
                bail!("{} words are more than {WORDS}", words.len())
            }
            Value::List(words) => words.iter().try_for_each(|word| at_most(TEXT, word)),
            Value::Bool(_) | Value::Integer(_) => Ok(()),
        }
    };
    judge().with_context(|| format!("{part}.{name}"))
}

/// Check that a reason can stand in a comment.
pub(super) fn check_reason(why: &str) -> Result<()> {
    at_most(TEXT, why).context("its reason")?;
    if !why.chars().all(is_visible) {
        bail!("its reason has a control character");
    }
    Ok(())
}

/// Check a text that an error may quote.
pub(super) fn check_short(text: &str) -> Result<()> {
    at_most(NAME, text)
}

/// A value for an error's one line, cut where it gets long.
pub(super) fn shown(value: &Value) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn at_most(most: usize, text: &str) -> Result<()> {
    if text.len() > most {
        bail!("{} bytes are more than {most}", text.len());
    }
    Ok(())
}

/// Whether a character is part of one line that reads as it is written. Those
/// that turn the direction of text can make a comment look like something else.
fn is_visible(c: char) -> bool {
    let turns = matches!(c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !c.is_control() && !turns
}
