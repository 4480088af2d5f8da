//! Days of the calendar, in UTC: nobody's clock changes in it.

/// Seconds of a day.
pub const DAY: i64 = 86400;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A day of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// E.g. 2026.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
}

impl Date {
    /// The day that a moment is in, in seconds since 1970.
    ///
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
    /// `civil_from_days`: years begin in March, so that a leap day is a year's
    /// last.
    pub fn of(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = (month_from_march + 2) % 12 + 1;
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        }
    }

    /// When it begins, in seconds since 1970 (`days_from_civil` of the same).
    pub fn begins(self) -> i64 {
        let year = self.year - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era - 719_468) * DAY
    }

    /// The first of the month, so many months later.
    #[must_use]
    pub fn month_later(self, months: i64) -> Self {
        let month = self.year * 12 + self.month - 1 + months;
        Self { year: month.div_euclid(12), month: month.rem_euclid(12) + 1, day: 1 }
    }

    /// `22 Nov`.
    pub fn short(self) -> String {
        format!("{} {}", self.day, self.month_name())
    }

    /// `Nov`.
    pub fn month_name(self) -> &'static str {
        let index = usize::try_from(self.month - 1).unwrap_or_default();
        MONTHS.get(index).copied().unwrap_or_default()
    }

    /// `22 Nov 2026`.
    pub fn long(self) -> String {
        format!("{} {}", self.short(), self.year)
    }
}

/// `14:05`, of a moment in seconds since 1970.
pub fn time(seconds: i64) -> String {
    let minutes = seconds.rem_euclid(DAY) / 60;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `2026-11-22T14:05:09Z` (RFC 3339), of a moment in seconds since 1970.
pub fn stamp(seconds: i64) -> String {
    let Date { year, month, day } = Date::of(seconds);
    let second = seconds.rem_euclid(60);
    format!("{year:04}-{month:02}-{day:02}T{}:{second:02}Z", time(seconds))
}

#[cfg(test)]
mod tests {
    use super::{DAY, Date, stamp};

    #[test]
    fn moments_have_the_dates_that_others_give_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_386_309, "2026-11-22T22:25:09Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(stamp(seconds), text);
        }
    }

    #[test]
    fn a_day_begins_where_it_began() {
        for day in -200_000..200_000 {
            assert_eq!(Date::of(day * DAY).begins(), day * DAY);
        }
    }

    #[test]
    fn months_follow_each_other() {
        let date = Date::of(1_795_386_309);
        assert_eq!(date.long(), "22 Nov 2026");
        assert_eq!(date.month_later(2), Date { year: 2027, month: 1, day: 1 });
        assert_eq!(date.month_later(-11).long(), "1 Dec 2025");
    }
}
