//! Tables, times and names for people.

/// A terminal's usual width.
pub const WIDTH: usize = 80;

/// A time as people say it: seconds with a tenth, then minutes, hours, days.
pub fn time(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a minute or more, and what is above the range becomes its end"
    )]
    let seconds = seconds.round() as u64;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match hours {
        0 => format!("{minutes} min {:02} s", seconds % 60),
        1..48 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} d {:02} h", hours / 24, hours % 24),
    }
}

/// How long ago something was, roughly.
pub fn age(seconds: f64) -> String {
    let units = [(86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")];
    match units.iter().find(|(unit, _)| seconds >= *unit) {
        Some((unit, name)) => format!("{:.0} {name} ago", (seconds / unit).floor()),
        None => "now".to_owned(),
    }
}

/// A name from who knows where, without what a terminal would obey, and short.
pub fn short(name: &str, most: usize) -> String {
    let clean = name.chars().map(|letter| if letter.is_control() { '�' } else { letter });
    let clean: Vec<char> = clean.take(most + 1).collect();
    if clean.len() <= most {
        return clean.into_iter().collect();
    }
    let kept: String = clean.into_iter().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Rows in columns: the first to the left, numbers to the right.
pub fn table<const N: usize>(rows: &[[String; N]], right: [bool; N]) -> String {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for column in 0..N {
            let (cell, width) = (&row[column], widths[column]);
            let cell =
                if right[column] { format!("{cell:>width$}") } else { format!("{cell:width$}") };
            line.push_str(&cell);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{age, short, table, time};

    #[test]
    fn times_are_short() {
        assert_eq!(time(0.04), "0.0 s");
        assert_eq!(time(-1.0), "0.0 s");
        assert_eq!(time(59.96), "1 min 00 s");
        assert_eq!(time(7322.0), "2 h 02 min");
        assert_eq!(time(200_000.0), "2 d 07 h");
        assert!(time(f64::INFINITY).ends_with(" h"));
        assert_eq!(age(0.5), "now");
        assert_eq!(age(-5.0), "now");
        assert_eq!(age(7200.0), "2 h ago");
    }

    #[test]
    fn names_obey_nobody() {
        assert_eq!(short("a\x1b[2Jb", 10), "a�[2Jb");
        assert_eq!(short("abcdef", 6), "abcdef");
        assert_eq!(short("abcdefg", 6), "abcde…");
    }

    #[test]
    fn columns_line_up() {
        let rows = [["a", "1"], ["bcd", "22"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows, [false, true]), "a     1\nbcd  22\n");
    }
}
