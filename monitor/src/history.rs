//! The history: what was seen of builds, kept in a database of our own.
//!
//! What is recorded, is recorded whole or not at all: a run is one transaction,
//! and it is on the disk before `record` returns (`synchronous = FULL`, one
//! flush for each run). Writers wait for each other.
//!
//! **Invariant:** to record the same thing twice changes nothing; a history of
//! a newer program is refused, and left as it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use keep::Keep;
use reader::Reader;
use run::Run;

pub mod attempt;
pub mod keep;
mod place;
pub mod reader;
pub(crate) mod record;
pub mod run;
mod schema;
pub mod tally;
#[cfg(test)]
mod tests;

pub use place::Place;

/// How long to wait for another writer. Ours take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to ask for the write-ahead log, for which `SQLite` does not wait.
const ATTEMPTS: usize = 500;

/// A history that is written to.
pub struct History {
    connection: Connection,
    file: PathBuf,
}

impl History {
    /// Open a history, and begin it if there is none.
    pub fn open(file: &Path) -> Result<Self> {
        place::make_folder(file)?;
        let name = || file.display().to_string();
        let connection = open(file).map_err(explained).with_context(name)?;
        Ok(Self { connection, file: file.to_owned() })
    }

    /// A history that nobody keeps.
    pub(crate) fn in_memory() -> Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection, file: PathBuf::from(":memory:") })
    }

    /// Only read it from now on.
    pub(crate) fn into_reader(self) -> Reader {
        Reader::Memory(self.connection)
    }

    /// Record a run. Recorded before, it changes nothing.
    pub fn record(&mut self, run: &Run) -> Result<()> {
        self.write(|transaction| {
            record::run(transaction, run)?;
            Keep::default().apply(transaction)
        })
    }

    /// What a query gives.
    pub(crate) fn ask<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        query(&self.connection).with_context(|| self.file.display().to_string())
    }

    /// Change something, whole or not at all.
    pub(crate) fn write<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        let write = || {
            // Who reads first and writes then would find that another writer was
            // faster.
            let behavior = TransactionBehavior::Immediate;
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            let result = change(&transaction)?;
            transaction.commit()?;
            anyhow::Ok(result)
        };
        write().map_err(explained).with_context(|| self.file.display().to_string())
    }
}

fn open(file: &Path) -> Result<Connection> {
    let mut connection = Connection::open(file)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Whose it is, before anything is changed.
    schema::version(&connection)?;
    use_log(&connection)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Have changes in a log beside the database, so that readers wait for nobody.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let set = || connection.pragma_update(None, "journal_mode", "wal");
    for _ in 0..ATTEMPTS {
        match set() {
            // Another writer that began it at the same moment.
            Err(error) if is_busy(&error) => std::thread::sleep(PATIENCE / 500),
            result => return result,
        }
    }
    set()
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Why something could not be written, in words that say what to do.
fn explained(error: anyhow::Error) -> anyhow::Error {
    let Some(known) = error.downcast_ref::<rusqlite::Error>() else { return error };
    let is_full = known.sqlite_error().is_some_and(|error| {
        // What readers and writers share is made larger before anything is written.
        error.code == ErrorCode::DiskFull || error.extended_code == SQLITE_IOERR_SHMSIZE
    });
    if is_full {
        return anyhow::Error::msg("no space left on the device");
    }
    if is_busy(known) {
        let seconds = PATIENCE.as_secs();
        return anyhow::Error::msg(format!("another program has held it for {seconds} s"));
    }
    error
}

/// A number as `SQLite` has them.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
