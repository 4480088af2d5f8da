//! Lines, read one after the other, of bounded length.

use std::io::{BufRead, ErrorKind};

use anyhow::Result;

/// The longest line that is held; Nix has no reason to write one that is longer.
pub const LONGEST_BYTES: usize = 1 << 20;

/// A line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It was longer than is held, and was skipped.
    TooLong,
}

/// Hand over each line of a text, the last even where it has no end.
pub fn each(mut text: impl BufRead, mut hear: impl FnMut(Line) -> Result<()>) -> Result<()> {
    // What is known of a line whose end was not in the buffer.
    let mut held = Vec::new();
    let mut too_long = false;
    loop {
        let buffer = match text.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if buffer.is_empty() {
            return match (too_long, held.is_empty()) {
                (true, _) => hear(Line::TooLong),
                (false, false) => hear(Line::Whole(&held)),
                (false, true) => Ok(()),
            };
        }
        let end = memchr::memchr(b'\n', buffer);
        let part = &buffer[..end.unwrap_or(buffer.len())];
        too_long |= held.len() + part.len() > LONGEST_BYTES;
        if too_long {
            held = Vec::new();
        } else if end.is_none() || !held.is_empty() {
            held.extend_from_slice(part);
        }
        if end.is_some() {
            let whole = if held.is_empty() { part } else { &held };
            hear(if too_long { Line::TooLong } else { Line::Whole(whole) })?;
            held.clear();
            too_long = false;
        }
        let used = end.map_or(buffer.len(), |end| end + 1);
        text.consume(used);
    }
}
