//! Axes: where a value is on one, and where it has its ticks.

use super::date::{DAY, Date, time};
use super::unit::{float, thousands};

/// More ticks than this, and their labels touch on a narrow screen.
const MOST_DATES: usize = 7;

/// Steps between amounts of time, in seconds.
const STEPS: [f64; 17] = [
    0.001, 0.01, 0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0,
    28_800.0, 86_400.0, 172_800.0, 345_600.0,
];

/// Amounts of time that a logarithmic axis has ticks at, in seconds, and what
/// they are called.
const DECADES: [(f64, &str); 9] = [
    (0.001, "1 ms"),
    (0.01, "10 ms"),
    (0.1, "0.1 s"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3600.0, "1 h"),
    (36_000.0, "10 h"),
];

/// A place on an axis that is named.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Where, from 0 to 1.
    pub at: f64,
    /// Its name.
    pub label: String,
}

/// Values on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    is_logarithmic: bool,
}

impl Scale {
    /// From one value to another.
    pub fn between(low: f64, high: f64) -> Self {
        Self { low, high, is_logarithmic: false }
    }

    /// The same for values above zero that differ by orders of magnitude.
    pub fn logarithmic(low: f64, high: f64) -> Self {
        Self { low: low.ln(), high: high.ln(), is_logarithmic: true }
    }

    /// Where a value is, from 0 to 1; what is outside is at the nearer end.
    pub fn at(self, value: f64) -> f64 {
        let value = if self.is_logarithmic { value.ln() } else { value };
        let at = (value - self.low) / (self.high - self.low);
        // Neither NaN nor infinity gets into a page.
        if at.is_nan() { 0.0 } else { at.clamp(0.0, 1.0) }
    }
}

/// An axis for amounts of time that differ by orders of magnitude, whole
/// decades wide.
pub fn decades(values: impl Iterator<Item = f64>) -> (Scale, Vec<Tick>) {
    let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
    for value in values.filter(|value| value.is_finite()) {
        (low, high) = (low.min(value), high.max(value));
    }
    let known = DECADES.map(|(seconds, _)| seconds);
    let from = known.iter().rposition(|&tick| tick <= low).unwrap_or(0);
    let until = known.iter().position(|&tick| tick >= high).unwrap_or(known.len() - 1);
    // At least one decade, also for a single value.
    let (from, until) = if from < until { (from, until) } else { (from.min(7), from.min(7) + 1) };
    let scale = Scale::logarithmic(known[from], known[until].max(high));
    let ticks = DECADES[from..=until].iter();
    let ticks =
        ticks.map(|&(seconds, label)| Tick { at: scale.at(seconds), label: label.to_owned() });
    (scale, ticks.collect())
}

/// What an axis from zero measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Whole things.
    Count,
    /// Amounts of time, in seconds.
    Duration,
    /// Sizes, in bytes.
    Size,
}

/// An axis from zero to a round number not below `high`, with few ticks.
pub fn amounts(high: f64, measure: Measure) -> (Scale, Vec<Tick>) {
    let high = if high.is_finite() && high > 0.0 { high } else { 1.0 };
    let step = match measure {
        Measure::Count => round_step(high, 10.0).max(1.0),
        Measure::Duration if high <= 4.0 * STEPS[STEPS.len() - 1] => {
            STEPS.into_iter().find(|step| high / step <= 4.0).unwrap_or(DAY_STEP)
        }
        // As hours, which is what they are called in.
        Measure::Duration => round_step(high / 3600.0, 10.0) * 3600.0,
        Measure::Size => {
            let unit = [40, 30, 20, 10].map(|shift| float(1 << shift));
            let unit = unit.into_iter().find(|unit| high >= *unit).unwrap_or(1.0);
            round_step(high / unit, 10.0) * unit
        }
    };
    let steps = (high / step).ceil().clamp(1.0, 8.0);
    let scale = Scale::between(0.0, steps * step);
    let mut ticks = Vec::new();
    let mut value = 0.0;
    while value <= steps * step * 1.001 {
        ticks.push(Tick { at: scale.at(value), label: label(value, step, measure) });
        value += step;
    }
    (scale, ticks)
}

const DAY_STEP: f64 = STEPS[STEPS.len() - 1];

/// The smallest of 1, 2 or 5 times a power that cuts `high` in four at most.
fn round_step(high: f64, base: f64) -> f64 {
    let power = base.powf((high / 4.0).log10().floor());
    [1.0, 2.0, 5.0]
        .map(|factor| factor * power)
        .into_iter()
        .find(|step| high / step <= 4.0)
        .unwrap_or(10.0 * power)
}

fn label(value: f64, step: f64, measure: Measure) -> String {
    let whole = |value: f64| thousands(super::text::bounded(value.round()));
    match measure {
        _ if value < step / 2.0 => "0".to_owned(),
        Measure::Count => whole(value),
        Measure::Duration if step < 1.0 => format!("{} ms", whole(value * 1000.0)),
        Measure::Duration if step < 60.0 => format!("{} s", whole(value)),
        Measure::Duration if step < 1800.0 => format!("{} min", whole(value / 60.0)),
        Measure::Duration if step < 3600.0 => format!("{} h", value / 3600.0),
        Measure::Duration => format!("{} h", whole(value / 3600.0)),
        Measure::Size => detect::human::size(super::text::bounded(value)),
    }
}

/// Ticks for moments, in seconds since 1970, at round times of day, days or
/// months.
pub fn dates(from: i64, until: i64) -> Vec<Tick> {
    let scale = Scale::between(float_of(from), float_of(until));
    let tick = |(moment, label): (i64, String)| Tick { at: scale.at(float_of(moment)), label };
    moments(from, until).into_iter().map(tick).collect()
}

fn moments(from: i64, until: i64) -> Vec<(i64, String)> {
    for minutes in [1, 5, 15, 60, 180, 360, 720] {
        let step = minutes * 60;
        if let Some(found) = every(from, until, step) {
            let name = |moment: i64| match moment.rem_euclid(DAY) {
                0 => Date::of(moment).short(),
                _ => time(moment),
            };
            return found.into_iter().map(|moment| (moment, name(moment))).collect();
        }
    }
    for days in [1, 2, 7, 14] {
        if let Some(found) = every(from, until, days * DAY) {
            return found.into_iter().map(|moment| (moment, Date::of(moment).short())).collect();
        }
    }
    for months in [1, 3, 6, 12, 60, 240] {
        let mut found = Vec::new();
        let mut date = Date::of(from).month_later(0);
        // Quarters and years begin in January.
        date.month = (date.month - 1) / months.min(12) * months.min(12) + 1;
        while date.begins() <= until && found.len() <= MOST_DATES {
            if date.begins() >= from {
                let name = match date.month {
                    1 => date.year.to_string(),
                    _ => date.month_name().to_owned(),
                };
                found.push((date.begins(), name));
            }
            date = date.month_later(months);
        }
        if found.len() <= MOST_DATES {
            return found;
        }
    }
    Vec::new()
}

/// Every moment that `step` divides, if they are not too many.
fn every(from: i64, until: i64, step: i64) -> Option<Vec<i64>> {
    let first = from.div_euclid(step) + i64::from(from.rem_euclid(step) != 0);
    let last = until.div_euclid(step);
    let few = usize::try_from(last - first + 1).is_ok_and(|count| count <= MOST_DATES);
    few.then(|| (first..=last).map(|index| index * step).collect())
}

/// A moment as a float.
#[expect(clippy::cast_precision_loss, reason = "seconds of this age of the world")]
pub fn float_of(moment: i64) -> f64 {
    moment as f64
}

#[cfg(test)]
mod tests {
    use super::Tick;
    use super::{DAY, Measure, Scale, amounts, dates, decades};

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn values_outside_are_at_the_ends() {
        let at = |scale: Scale, value: f64| format!("{:.3}", scale.at(value));
        let scale = Scale::between(2.0, 4.0);
        let found = [1.0, 2.0, 3.0, 9.0, f64::NAN].map(|value| at(scale, value));
        assert_eq!(found, ["0.000", "0.000", "0.500", "1.000", "0.000"]);
        assert_eq!(at(Scale::between(1.0, 1.0), 1.0), "0.000");
        assert_eq!(at(Scale::logarithmic(1.0, 100.0), 0.0), "0.000");
        assert_eq!(at(Scale::logarithmic(1.0, 100.0), 10.0), "0.500");
    }

    #[test]
    fn decades_hold_every_value() {
        let (scale, ticks) = decades([0.3, 45.0].into_iter());
        assert_eq!(labels(&ticks), ["0.1 s", "1 s", "10 s", "1 min"]);
        assert!(scale.at(0.3) > 0.0 && scale.at(45.0) < 1.0);
        for values in [vec![], vec![1.0], vec![0.0], vec![1e9], vec![f64::NAN], vec![36_000.0]] {
            let (scale, ticks) = decades(values.iter().copied());
            assert!(ticks.len() >= 2, "{values:?}");
            assert!(values.iter().all(|value| (0.0..=1.0).contains(&scale.at(*value))));
        }
    }

    #[test]
    fn amounts_have_few_round_ticks() {
        let found = |high, measure| {
            let (scale, ticks) = amounts(high, measure);
            assert!(scale.at(high) > 0.5 || high <= 1.0, "{high}: the axis is too long");
            labels(&ticks).join(" ")
        };
        assert_eq!(found(0.0, Measure::Count), "0 1");
        assert_eq!(found(3.0, Measure::Count), "0 1 2 3");
        assert_eq!(found(17.0, Measure::Count), "0 5 10 15 20");
        assert_eq!(found(1234.0, Measure::Count), "0 500 1,000 1,500");
        assert_eq!(found(0.9, Measure::Duration), "0 1 s");
        assert_eq!(found(50.0, Measure::Duration), "0 15 s 30 s 45 s 60 s");
        assert_eq!(found(1000.0, Measure::Duration), "0 5 min 10 min 15 min 20 min");
        assert_eq!(found(5400.0, Measure::Duration), "0 0.5 h 1 h 1.5 h");
        assert_eq!(found(40_000.0, Measure::Duration), "0 4 h 8 h 12 h");
        assert_eq!(found(1e7, Measure::Duration), "0 1,000 h 2,000 h 3,000 h");
        assert_eq!(found(3e9, Measure::Size), "0 1 GiB 2 GiB 3 GiB");
        for high in [1e-9, 1.0, 1e20, 1e300, f64::INFINITY, f64::NAN] {
            for measure in [Measure::Count, Measure::Duration, Measure::Size] {
                assert!((2..=9).contains(&amounts(high, measure).1.len()), "{high} {measure:?}");
            }
        }
    }

    #[test]
    fn dates_are_round_and_few() {
        let noon = 1_795_348_800; // 22 Nov 2026, 12:00
        let found = |length: i64| labels(&dates(noon - length, noon)).join(", ");
        assert_eq!(found(3600), "11:00, 11:15, 11:30, 11:45, 12:00");
        assert_eq!(found(DAY), "12:00, 18:00, 22 Nov, 06:00, 12:00");
        assert_eq!(found(5 * DAY), "18 Nov, 19 Nov, 20 Nov, 21 Nov, 22 Nov");
        assert_eq!(found(30 * DAY), "29 Oct, 5 Nov, 12 Nov, 19 Nov");
        assert_eq!(found(180 * DAY), "Jun, Jul, Aug, Sep, Oct, Nov");
        assert_eq!(found(400 * DAY), "2026, Apr, Jul, Oct");
        assert_eq!(found(4000 * DAY), "2020, 2025");
        assert!(found(0).len() < 10);
        assert!(dates(i64::from(i32::MIN), i64::from(i32::MAX)).len() <= 7);
    }
}
