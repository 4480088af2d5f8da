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
        let active = Some(active::active().builds.len());
        let mut facts = Self { active, guard: guarded().found, ..Self::default() };
        let mut notes = Vec::new();
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
            Ok((builds, substituted, last_snapshot)) => {
                facts.builds = Some(builds);
                facts.substituted = Some(substituted);
                facts.last_snapshot = last_snapshot;
            }
            Err(error) => known("history", error),
        }
        common.tell(&notes);
        facts.version = nix.and_then(|nix| nix.version);
        facts
    }
}

type Recorded = (Vec<Tally>, BTreeMap<String, Amount>, Option<f64>);

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
    let last = connection.query_row("select max(taken) from samples", [], |row| row.get(0))?;
    Ok((tallies(connection)?, substituted, last))
}
