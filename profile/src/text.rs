//! Text for people: sizes and lines.

/// A size in the unit people think in, to one decimal.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 2] = [(30, "GiB"), (20, "MiB")];
    for (shift, unit) in UNITS {
        if bytes >> shift > 0 {
            // Tenths, rounded; the sum stays below 2^68.
            let tenths = (u128::from(bytes) * 10 + (1 << (shift - 1))) >> shift;
            return match tenths % 10 {
                0 => format!("{} {unit}", tenths / 10),
                tenth => format!("{}.{tenth} {unit}", tenths / 10),
            };
        }
    }
    format!("{bytes} bytes")
}

/// `1 CPU`, `2 CPUs`.
pub(crate) fn count(number: u32, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
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
    use super::{count, size, wrap};

    #[test]
    fn sizes_are_short() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(700 << 20), "700 MiB");
        assert_eq!(size(16 << 30), "16 GiB");
        assert_eq!(size(16_541_433_856), "15.4 GiB");
        assert_eq!(size(u64::MAX), "17179869184 GiB");
        assert_eq!(count(1, "CPU"), "1 CPU");
        assert_eq!(count(2, "CPU"), "2 CPUs");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable é", 3), ["unbreakable", "é"]);
        assert_eq!(wrap(" ", 3), [""; 0]);
    }
}
