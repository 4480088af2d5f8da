//! How much of the past is kept.
//!
//! **Invariant:** no clock, however wrong, makes the past old: what counts is on how
//! many days something was recorded since, not what day it is said to be.

use rusqlite::{OptionalExtension, Transaction};

use super::{integer, tally};

/// How much of the past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Of how many days, the last on which there was anything to record. A year can
    /// be compared with the one before for a month.
    pub days: u32,
    /// How many builds, whatever the days: some 100 MB.
    pub builds: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Self { days: 400, builds: 500_000 }
    }
}

impl Keep {
    /// Remove what is older, or too much.
    pub(crate) fn apply(self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        if let Some(since) = self.since(transaction)? {
            let of_old_runs = "run in (select id from runs where ended < ?1)";
            // Those of logs have no run.
            tally::forget(transaction, &format!("ended < ?1 or {of_old_runs}"), since)?;
            transaction.execute("delete from runs where ended < ?1", [since])?;
            transaction.execute("delete from samples where day * 86400.0 < ?1", [since])?;
            roll_up(transaction, since)?;
        }
        let query = "select ended from builds order by ended desc limit 1 offset ?1";
        let most = integer(self.builds.saturating_sub(1));
        let oldest = transaction.query_row(query, [most], |row| row.get(0)).optional()?;
        match oldest {
            Some(oldest) => tally::forget(transaction, "ended < ?1", oldest),
            None => Ok(()),
        }
    }

    /// When the first day began of those that are kept; `None` while there are no
    /// more of them.
    fn since(self, transaction: &Transaction<'_>) -> rusqlite::Result<Option<f64>> {
        let query = "select day * 86400.0 from \
                     (select day from samples union select cast(ended / 86400 as integer) from runs) \
                     order by day desc limit 1 offset ?1";
        transaction.query_row(query, [self.days.saturating_sub(1)], |row| row.get(0)).optional()
    }
}

/// What came to stores long ago becomes what came on the first day of all.
fn roll_up(transaction: &Transaction<'_>, since: f64) -> rusqlite::Result<()> {
    let is_old = "day <> 0 and day * 86400.0 < ?1";
    let insert = format!(
        "insert into arrivals \
         select database, 0, origin, cache, sum(paths), sum(nar_bytes) from arrivals \
         where {is_old} group by database, origin, cache \
         on conflict do update set paths = paths + excluded.paths, \
         nar_bytes = nar_bytes + excluded.nar_bytes"
    );
    transaction.execute(&insert, [since])?;
    transaction.execute(&format!("delete from arrivals where {is_old}"), [since])?;
    Ok(())
}
