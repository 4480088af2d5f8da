//! The time of a report in equal parts, and what came to the store in it.

use std::collections::BTreeMap;

use super::axis::{Scale, Tick, dates, float_of};
use super::date::{DAY, Date, time};
use super::plot::Column;
use super::{Arrival, Report};
use crate::store::{Amount, Origin};

/// Columns that are wide enough to be told apart.
const MOST: i64 = 100;

/// How long a part may be, in seconds, and what that is called.
const LENGTHS: [(i64, &str); 4] = [
    (3600, "each hour"),
    (DAY, "each day"),
    (7 * DAY, "each week"),
    (28 * DAY, "every four weeks"),
];

/// A time in equal parts.
pub(super) struct Bands {
    first: i64,
    count: i64,
    length: i64,
    each: &'static str,
}

/// The parts of what is known in a report's time: whole days, where that is not
/// much less than what was asked for.
pub(super) fn bands(report: &Report) -> Bands {
    let until = report.until_unix_seconds;
    let builds = report.builds.found.iter().flatten();
    let days = report.arrivals.found.iter().flatten();
    let moments = builds
        .map(|attempt| super::text::whole(attempt.ended_unix_seconds))
        .chain(days.map(|arrival| arrival.day_unix_seconds));
    let first = moments.min().unwrap_or(until);
    Bands::between(first.max(report.since_unix_seconds).min(until), until)
}

impl Bands {
    fn between(since: i64, until: i64) -> Self {
        let of = |(length, each): (i64, &'static str)| {
            let first = since.div_euclid(length);
            Self { first, count: until.div_euclid(length) - first + 1, length, each }
        };
        // Hours are for a day or two only.
        let lengths = if until - since < 2 * DAY { &LENGTHS[..] } else { &LENGTHS[1..] };
        let fits = lengths.iter().map(|length| of(*length)).find(|bands| bands.count <= MOST);
        fits.unwrap_or_else(|| {
            let mut bands = of(LENGTHS[LENGTHS.len() - 1]);
            // More than seven years: the last of them.
            bands.first += bands.count - MOST;
            bands.count = MOST;
            bands
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.count).unwrap_or_default()
    }

    /// `each day`.
    pub(super) fn each(&self) -> &'static str {
        self.each
    }

    /// The one that a moment is in.
    pub(super) fn index(&self, moment: i64) -> Option<usize> {
        let index = usize::try_from(moment.div_euclid(self.length) - self.first).ok()?;
        (index < self.len()).then_some(index)
    }

    /// Where a moment is, from 0 to 1.
    pub(super) fn at(&self, moment: i64) -> f64 {
        self.scale().at(float_of(moment))
    }

    /// The ticks of their axis.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        dates(self.begins(0), self.begins(self.count))
    }

    /// What one is called.
    pub(super) fn name(&self, index: usize) -> String {
        let begins = self.begins(i64::try_from(index).unwrap_or_default());
        let date = Date::of(begins);
        match self.length {
            DAY => date.long(),
            length if length < DAY => format!("{}, {}", date.short(), time(begins)),
            length => format!("{} to {}", date.short(), Date::of(begins + length - DAY).long()),
        }
    }

    /// A column for each: its label, and its parts.
    pub(super) fn columns(
        &self,
        mut content: impl FnMut(usize) -> (String, Vec<(&'static str, f64)>),
    ) -> Vec<Column> {
        let column = |index: usize| {
            let (label, parts) = content(index);
            let begins = self.begins(i64::try_from(index).unwrap_or_default());
            Column { from: self.at(begins), until: self.at(begins + self.length), label, parts }
        };
        (0..self.len()).map(column).collect()
    }

    fn begins(&self, index: i64) -> i64 {
        (self.first + index) * self.length
    }

    fn scale(&self) -> Scale {
        Scale::between(float_of(self.begins(0)), float_of(self.begins(self.count)))
    }
}

/// What was built, and what came from which cache instead.
pub(super) struct Hits {
    /// Built here.
    pub(super) built: Amount,
    /// From caches: from the one that gave most paths first.
    pub(super) caches: Vec<(String, Amount)>,
}

impl Hits {
    /// All paths.
    pub(super) fn paths(&self) -> u64 {
        self.built.paths.saturating_add(self.fetched().paths)
    }

    /// What came from caches.
    pub(super) fn fetched(&self) -> Amount {
        sum(self.caches.iter().map(|(_, amount)| *amount))
    }
}

/// What the arrivals are, in all.
pub(super) fn hits(arrivals: &[Arrival]) -> Hits {
    let of = |origin: Origin| arrivals.iter().filter(move |arrival| arrival.origin == origin);
    let amount = |arrival: &Arrival| Amount { paths: arrival.paths, nar_bytes: arrival.nar_bytes };
    let mut caches: BTreeMap<&str, Amount> = BTreeMap::new();
    for arrival in of(Origin::Substituted) {
        let name = arrival.cache.as_deref().unwrap_or("caches");
        let amounts = caches.entry(name).or_default();
        *amounts = sum([*amounts, amount(arrival)].into_iter());
    }
    let mut caches: Vec<(String, Amount)> =
        caches.into_iter().map(|(name, amount)| (name.to_owned(), amount)).collect();
    caches.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.paths));
    Hits { built: sum(of(Origin::Built).map(amount)), caches }
}

/// All that the store holds.
pub(super) fn all(origins: &BTreeMap<Origin, Amount>) -> Amount {
    sum(origins.values().copied())
}

fn sum(amounts: impl Iterator<Item = Amount>) -> Amount {
    amounts.fold(Amount::default(), |sum, amount| Amount {
        paths: sum.paths.saturating_add(amount.paths),
        nar_bytes: sum.nar_bytes.saturating_add(amount.nar_bytes),
    })
}

/// What paths of an origin are called.
pub(super) fn name(origin: Origin) -> &'static str {
    match origin {
        Origin::Built => "built here",
        Origin::Fetched => "fetched by derivations",
        Origin::Substituted => "from caches",
        Origin::Copied => "copied unsigned",
        Origin::Source => "sources",
        Origin::Drv => "derivations",
    }
}

/// How they look.
pub(super) fn look(origin: Origin) -> &'static str {
    match origin {
        Origin::Built => "built",
        Origin::Substituted => "substituted",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::{Bands, DAY};

    const NOON: i64 = 1_795_348_800;

    #[test]
    fn a_time_is_in_parts_of_a_round_length() {
        let found = |length: i64| {
            let bands = Bands::between(NOON - length, NOON);
            (bands.each(), bands.len())
        };
        assert_eq!(found(0), ("each hour", 1));
        assert_eq!(found(DAY), ("each hour", 25));
        assert_eq!(found(7 * DAY), ("each day", 8));
        assert_eq!(found(200 * DAY), ("each week", 30));
        assert_eq!(found(365 * 5 * DAY), ("every four weeks", 67));
        assert_eq!(found(365 * 50 * DAY), ("every four weeks", 100));
    }

    #[test]
    fn moments_are_in_their_parts() {
        let bands = Bands::between(NOON - 5 * DAY, NOON);
        assert_eq!(bands.index(NOON), Some(5));
        assert_eq!(bands.index(NOON - 5 * DAY), Some(0));
        assert_eq!(bands.index(NOON - 6 * DAY), None);
        assert_eq!(bands.index(NOON + DAY), None);
        assert_eq!(bands.name(5), "22 Nov 2026");
        let columns = bands.columns(|index| (index.to_string(), Vec::new()));
        assert_eq!((columns[0].from, columns[5].until), (0.0, 1.0));
    }
}
