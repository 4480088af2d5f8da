//! What metrics are made of.

use std::collections::BTreeMap;

use detect::arguments::Common;
use detect::hardware::Note;
use detect::nix;
use detect::report::reason;
use detect::root::Root;
use rusqlite::Connection;

use crate::active;
use crate::guard::told::{Guarded, guarded};
use crate::history::Place;
use crate::history::tally::{Tally, tallies};
use crate::snapshot::{now, past};
use crate::store::{self, Amount, Kept, Store, kept};

/// What is known; the rest is `None`.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The version of Nix.
    pub version: Option<String>,
    /// What the store holds.
    pub store: Option<Store>,
    /// What of it is kept.
    pub kept: Option<Kept>,
    /// How many builds are running.
    pub active: Option<usize>,
    /// Builds that were ever recorded.
    pub builds: Option<Vec<Tally>>,
    /// What ever came from caches, by the names of their keys.
    pub substituted: Option<BTreeMap<String, Amount>>,
    /// Paths that were ever built here, since snapshots are taken.
    pub built_paths: Option<u64>,
    /// What a guard has done.
    pub guard: Option<Guarded>,
    /// When the last snapshot was taken, in seconds since 1970.
    pub last_snapshot: Option<f64>,
}

impl Facts {
    /// Those of this machine; people are told what cannot be had.
    pub fn gather(place: &Place, common: &Common) -> Self {
        let root = Root::live();
        // Nix takes longest to answer.
        let asked = nix::ask(&root);
        let seen = active::active();
        let active = seen.unseen().is_none().then_some(seen.builds.len());
        let mut facts = Self { active, guard: guarded().found, ..Self::default() };
        let mut notes: Vec<Note> = seen.unseen().cloned().into_iter().collect();
        let mut known = |what: &str, error: anyhow::Error| {
            let text = format!("{what}: {}", reason(&error));
            notes.push(Note::warning("metrics-missing", &text));
        };
        let database = store::place();
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 are few enough")]
        let store = store::look(&database, now() as i64);
        let nix = nix::nix(&root, asked, &mut Vec::new()).0;
        match store {
            Ok(store) => {
                facts.store = Some(store);
                match kept::look(&database, nix.as_ref()) {
                    Ok(kept) => facts.kept = Some(kept),
                    Err(error) => known("garbage", error),
                }
            }
            Err(error) => known("store", error),
        }
        match past(place).and_then(|past| past.ask(recorded)) {
            Ok(Recorded { builds, substituted, built_paths, last_snapshot }) => {
                facts.builds = Some(builds);
                facts.substituted = Some(substituted);
                facts.built_paths = built_paths;
                facts.last_snapshot = last_snapshot;
            }
            Err(error) => known("history", error),
        }
        common.tell(&notes);
        facts.version = nix.and_then(|nix| nix.version);
        facts
    }
}

/// What the history says.
struct Recorded {
    builds: Vec<Tally>,
    substituted: BTreeMap<String, Amount>,
    built_paths: Option<u64>,
    last_snapshot: Option<f64>,
}

fn recorded(connection: &Connection) -> rusqlite::Result<Recorded> {
    let mut query = connection.prepare(
        "select cache, sum(paths), sum(nar_bytes) from arrivals \
         where origin = 'substituted' group by cache",
    )?;
    let rows = query.query_map([], |row| {
        let [paths, nar_bytes] =
            [row.get::<_, i64>(1)?, row.get(2)?].map(|count| count.try_into().unwrap_or(0));
        Ok((row.get(0)?, Amount { paths, nar_bytes }))
    })?;
    let substituted = rows.collect::<rusqlite::Result<_>>()?;
    let query = "select coalesce(sum(paths), 0) from arrivals where origin = 'built'";
    let built: i64 = connection.query_row(query, [], |row| row.get(0))?;
    let query = "select max(taken) from samples";
    let last_snapshot: Option<f64> = connection.query_row(query, [], |row| row.get(0))?;
    // Without a snapshot nobody has counted any.
    let built_paths = last_snapshot.and_then(|_| built.try_into().ok());
    Ok(Recorded { builds: tallies(connection)?, substituted, built_paths, last_snapshot })
}

#[cfg(test)]
mod tests {
    use super::recorded;
    use crate::history::History;

    #[test]
    fn without_a_snapshot_nobody_has_counted() {
        let mut history = History::in_memory().expect("a history");
        let built = |history: &History| history.ask(recorded).expect("recorded").built_paths;
        assert_eq!(built(&history), None);
        let add = |history: &mut History, rows| {
            history.write(|transaction| transaction.execute_batch(rows)).expect("added");
        };
        let sample = "insert into samples (database, day, taken, registered, paths, nar_bytes) \
                      values ('d', 1, 2.0, 3, 4, 5)";
        add(&mut history, sample);
        assert_eq!(built(&history), Some(0));
        let arrivals = "insert into arrivals (database, day, origin, cache, paths, nar_bytes) \
                        values ('d', 1, 'built', '', 2, 5), ('d', 2, 'built', '', 1, 5), \
                        ('d', 1, 'substituted', 'c', 9, 5)";
        add(&mut history, arrivals);
        assert_eq!(built(&history), Some(3));
    }
}
