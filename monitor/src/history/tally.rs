//! How many builds there ever were: what is forgotten stays counted.
//!
//! **Invariant:** a sum never falls because of age. Whoever watches a counter
//! takes one that falls for one that began anew, and would count all of it again.

use rusqlite::{Connection, Transaction, params};

use super::attempt::value;
use crate::recorded::Outcome;

/// Bounds between durations of builds, in seconds.
pub const BOUNDS: [u32; 7] = [1, 10, 60, 300, 1800, 7200, 36_000];

/// Builds that ended alike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tally {
    /// How they ended, where that is known.
    pub outcome: Option<Outcome>,
    /// The lowest bound that their durations are within: infinite above all, and
    /// `None` where they are not known.
    pub within_seconds: Option<f64>,
    /// How many.
    pub builds: u64,
    /// How long they took together.
    pub wall_seconds: f64,
}

/// All builds that were ever recorded.
pub fn tallies(connection: &Connection) -> rusqlite::Result<Vec<Tally>> {
    let mut query = connection.prepare(&format!(
        "select nullif(outcome, ''), within, sum(builds), total(wall_seconds) from \
         (select * from forgotten union all {}) group by 1, 2 order by 1, 2",
        count("true")
    ))?;
    let rows = query.query_map([], |row| {
        let within: f64 = row.get(1)?;
        Ok(Tally {
            outcome: value(row, 0)?,
            within_seconds: (within >= 0.0).then_some(within),
            builds: row.get::<_, i64>(2)?.try_into().unwrap_or(0),
            wall_seconds: row.get(3)?,
        })
    })?;
    rows.collect()
}

/// Count the builds that a condition is true of, and remove them.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    condition: &str,
    parameter: f64,
) -> rusqlite::Result<()> {
    let insert = format!(
        "insert into forgotten {} on conflict do update set builds = builds + excluded.builds, \
         wall_seconds = wall_seconds + excluded.wall_seconds",
        count(condition)
    );
    transaction.execute(&insert, params![parameter])?;
    transaction.execute(&format!("delete from builds where {condition}"), params![parameter])?;
    Ok(())
}

/// A query that counts builds as the table `forgotten` has them.
fn count(condition: &str) -> String {
    let cases = BOUNDS.map(|bound| format!("when wall_seconds <= {bound} then {bound}.0"));
    let cases = cases.join(" ");
    format!(
        "select coalesce(outcome, '') outcome, \
         case when wall_seconds is null then -1.0 {cases} else 9e999 end within, \
         count(*) builds, total(wall_seconds) wall_seconds from builds where {condition} \
         group by 1, 2"
    )
}
