//! Text in a page: nothing in it is taken for markup, whoever wrote it.

/// Text, safe between tags and in quoted attributes.
///
/// Names of derivations, commands and addresses of caches are anybody's. Besides
/// markup, what turns the direction of text around or cannot be seen could make
/// one name look like another.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() || is_format(c) => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The same, with what is between backticks as code.
pub(super) fn prose(text: &str) -> String {
    let mut parts = text.split('`');
    let mut html = escape(parts.next().unwrap_or_default());
    while let Some(code) = parts.next() {
        html += &format!("<code>{}</code>", escape(code));
        html += &escape(parts.next().unwrap_or_default());
    }
    html
}

/// What is short enough to be shown: the start of a text.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// Marks that are not seen and change how the rest is (Unicode, "Bidirectional
/// Character Types"; zero widths; line separators).
fn is_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A whole number out of a float, as near as there is one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and what is no number becomes 0"
)]
pub(super) fn bounded(value: f64) -> u64 {
    value as u64
}

/// The same, below zero too.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and what is no number becomes 0")]
pub(super) fn whole(value: f64) -> i64 {
    value.floor() as i64
}

#[cfg(test)]
mod tests {
    use super::{escape, prose, shortened};

    #[test]
    fn nothing_gets_out_of_its_place() {
        let hostile = "<script>alert(\"1\")</script>' onload='x&\u{202e}\u{0}\n";
        let escaped = escape(hostile);
        assert!(!escaped.contains(['<', '>', '"', '\'', '\u{202e}', '\u{0}', '\n']), "{escaped}");
        assert!(escaped.starts_with("&lt;script&gt;alert(&quot;1&quot;)"), "{escaped}");
    }

    #[test]
    fn code_is_marked_and_never_left_open() {
        assert_eq!(
            prose("run `monitor snapshot` <now>"),
            "run <code>monitor snapshot</code> &lt;now&gt;"
        );
        assert_eq!(prose("odd `<b>"), "odd <code>&lt;b&gt;</code>");
    }

    #[test]
    fn long_texts_end_at_a_character() {
        assert_eq!(shortened("ééé", 2), "éé…");
        assert_eq!(shortened("ééé", 3), "ééé");
    }
}
