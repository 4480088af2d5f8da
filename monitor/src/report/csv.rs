//! Builds as comma-separated values (RFC 4180).

use super::date::stamp;
use super::text::whole;
use crate::history::attempt::Attempt;

/// The columns, in order. New ones go to the end.
const HEADER: [&str; 10] = [
    "ended",
    "name",
    "pname",
    "drv",
    "outcome",
    "wall_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
    "machine",
    "source",
];

/// A header and a line for each attempt. What is not known is empty.
pub fn render(attempts: &[Attempt]) -> String {
    let mut text = line(HEADER.map(str::to_owned));
    for attempt in attempts {
        text += &line([
            stamp(whole(attempt.ended_unix_seconds)),
            attempt.name.clone(),
            attempt.pname.clone(),
            attempt.drv.clone(),
            word(attempt.outcome.as_ref()),
            number(attempt.wall_seconds),
            number(attempt.cpu_seconds),
            attempt.peak_memory_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
            attempt.machine.clone().unwrap_or_default(),
            word(Some(&attempt.source)),
        ]);
    }
    text
}

fn line<const N: usize>(fields: [String; N]) -> String {
    format!("{}\r\n", fields.map(|field| quoted(&field)).join(","))
}

/// A field, in quotes where it must be.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn number(seconds: Option<f64>) -> String {
    seconds.map(|seconds| seconds.to_string()).unwrap_or_default()
}

/// The word that documents have for it.
fn word<T: serde::Serialize>(value: Option<&T>) -> String {
    let value = value.and_then(|value| serde_json::to_value(value).ok());
    value.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{quoted, render};

    #[test]
    fn only_what_needs_quotes_has_them() {
        assert_eq!(quoted("hello-2.12"), "hello-2.12");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("a \"b\"\r\nc"), "\"a \"\"b\"\"\r\nc\"");
        assert!(render(&[]).ends_with(",source\r\n"));
    }
}
