//! Figures as people read them.

use super::text::bounded;

/// An amount of time, in the units that people think in; no line breaks in it.
pub fn duration(seconds: f64) -> String {
    words(seconds).replace(' ', "\u{a0}")
}

fn words(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    let whole = bounded(seconds.round());
    match seconds {
        // Tenths of a millisecond are noise.
        _ if seconds < 0.9995 => format!("{} ms", bounded((seconds * 1000.0).round())),
        _ if seconds < 9.995 => format!("{seconds:.2} s"),
        _ if seconds < 59.95 => format!("{seconds:.1} s"),
        _ if whole < 3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ if whole < 100 * 3600 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} h", thousands(whole / 3600)),
    }
}

/// A share, of nothing: none.
pub fn percent(part: u64, whole: u64) -> Option<String> {
    let share = share(part, whole)? * 100.0;
    // 99.96 % is not all, and 0.04 % not none.
    let text = match share {
        _ if part == whole => "100".to_owned(),
        _ if share > 99.0 => format!("{:.1}", share.min(99.9)),
        _ if part > 0 && share < 0.05 => "< 0.1".to_owned(),
        _ if part > 0 && share < 1.0 => format!("{share:.1}"),
        _ => format!("{share:.0}"),
    };
    Some(format!("{text} %"))
}

/// A part of a whole, from 0 to 1.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| float(part) / float(whole))
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts and sizes, to be drawn")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// `1,234,567`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 build`, `1,234 builds`.
pub fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", thousands(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::{counted, duration, percent, thousands};

    #[test]
    fn durations_are_short_and_honest() {
        for (seconds, text) in [
            (0.0, "0 ms"),
            (0.0421, "42 ms"),
            (0.9996, "1.00 s"),
            (9.996, "10.0 s"),
            (59.96, "1 min 00 s"),
            (3599.6, "1 h 00 min"),
            (7261.0, "2 h 01 min"),
            (4_500_000.0, "1,250 h"),
            (f64::NAN, "unknown"),
            (-1.0, "unknown"),
            (1e300, "5,124,095,576,030,431 h"),
        ] {
            assert_eq!(duration(seconds).replace('\u{a0}', " "), text);
        }
    }

    #[test]
    fn a_share_is_all_or_nothing_only_when_it_is() {
        assert_eq!(percent(9_999, 10_000).as_deref(), Some("99.9 %"));
        assert_eq!(percent(1, 10_000).as_deref(), Some("< 0.1 %"));
        assert_eq!(percent(2, 3).as_deref(), Some("67 %"));
        assert_eq!(percent(0, 3).as_deref(), Some("0 %"));
        assert_eq!(percent(3, 3).as_deref(), Some("100 %"));
        assert_eq!(percent(0, 0), None);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(counted(1, "build"), "1 build");
        assert_eq!(counted(1000, "build"), "1,000 builds");
    }
}
