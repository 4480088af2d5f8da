//! Text in lines.

/// Width of comments, with their `# `.
const WIDTH: usize = 78;

/// Add a comment, in lines that are indented.
pub(crate) fn comment(output: &mut String, indent: usize, text: &str) {
    for line in wrap(text, WIDTH - indent - "# ".len()) {
        output.push_str(&format!("{:indent$}# {line}\n", ""));
    }
}

/// Lines of at most `width` characters, broken between words; a longer word has
/// a line of its own.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable é", 3), ["unbreakable", "é"]);
        assert_eq!(wrap(" ", 3), [""; 0]);
    }
}
