//! How long what is being built will take, by what the same packages took before.
//!
//! **Invariant:** nothing is guessed: of a package that was never built here, or
//! by whom nobody kept a history, nothing is expected.

use std::collections::HashMap;

use anyhow::Result;

use crate::active::Active;
use crate::history::Place;
use crate::history::attempt::last_walls;
use crate::history::reader::Reader;
use crate::human::time;
use crate::pname;
use crate::report::packages::median;

/// So many of the last builds count: few enough to forget an old machine or an
/// old version, and an odd number, so that the median is one of them.
const BUILDS: u32 = 5;

/// Derivations whose times are kept at hand.
const MOST_KNOWN: usize = 10_000;

/// How long packages took.
#[derive(Debug, Default)]
pub struct Estimates {
    past: Option<Reader>,
    /// By derivations, or by names where nothing more is known.
    known: HashMap<String, Option<f64>>,
}

impl Estimates {
    /// By the history in a place. Without one, nothing is known.
    pub fn open(place: &Place) -> Result<Self> {
        let past = Reader::open(&place.find()?)?;
        Ok(Self { past, known: HashMap::new() })
    }

    /// How long building a derivation will take; its path may not be known.
    pub fn of(&mut self, drv: Option<&str>, name: &str) -> Option<f64> {
        let past = self.past.as_ref()?;
        let key = drv.unwrap_or(name);
        if let Some(known) = self.known.get(key) {
            return *known;
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let found = expected(past, drv.unwrap_or_default(), name);
        self.known.insert(key.to_owned(), found);
        found
    }

    /// Say of all that is being built how long it will take.
    pub fn tell(&mut self, active: &mut Active) {
        for build in &mut active.builds {
            build.expected_seconds = self.of(build.drv.as_deref(), &build.name);
        }
    }
}

/// By the last builds of the same package.
pub fn expected(past: &Reader, drv: &str, name: &str) -> Option<f64> {
    let package = pname::of(drv, name);
    let mut walls = past.ask(|connection| last_walls(connection, &package, BUILDS)).ok()?;
    walls.sort_by(f64::total_cmp);
    median(&walls)
}

/// How long something still takes, in words.
pub fn left(expected: f64, running: f64) -> String {
    let left = expected - running;
    if left >= 0.0 { format!("~{} left", time(left)) } else { format!("{} late", time(-left)) }
}

#[cfg(test)]
mod tests {
    use super::left;

    #[test]
    fn what_takes_longer_than_before_is_late() {
        assert_eq!(left(90.0, 30.0), "~1 min 00 s left");
        assert_eq!(left(30.0, 30.0), "~0.0 s left");
        assert_eq!(left(30.0, 42.0), "12.0 s late");
    }
}
