//! How much of the past is kept.

use rusqlite::{Transaction, params};

use super::integer;

/// How much of the past is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// For how many days. A year can be compared with the one before for a
    /// month.
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
    /// What is older than this is not kept; in seconds since 1970.
    pub(crate) fn since(self, now: f64) -> f64 {
        now - f64::from(self.days) * 86400.0
    }

    /// Remove what is older, or too much.
    pub(crate) fn apply(self, transaction: &Transaction<'_>, now: f64) -> rusqlite::Result<()> {
        let since = self.since(now);
        transaction.execute("delete from runs where ended < ?1", [since])?;
        // Those of logs have no run.
        transaction.execute("delete from builds where ended < ?1", [since])?;
        for table in ["arrivals", "samples"] {
            let delete = format!("delete from {table} where (day + 1) * 86400.0 < ?1");
            transaction.execute(&delete, [since])?;
        }
        transaction.execute(
            "delete from builds where ended < \
             (select ended from builds order by ended desc limit 1 offset ?1)",
            params![integer(self.builds.saturating_sub(1))],
        )?;
        Ok(())
    }
}
