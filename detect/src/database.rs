//! Read `SQLite` databases that Nix writes, as they are, and never write to one.
//!
//! Nix keeps a write-ahead log: what was committed last is in a file beside the
//! database, and whoever opens the database alone sees an old state. `SQLite`
//! reads the log if it may use its shared memory, which an unprivileged reader
//! may only when somebody made it before. Hence the ways below, each tried when
//! the one before it is refused.
//!
//! **Invariant:** what is read is what was committed; nothing is written in
//! Nix's folder, but for the two files `SQLite` makes there for root, empty,
//! while it reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use rusqlite::ffi::{SQLITE_CANTOPEN, SQLITE_READONLY};
use rusqlite::{Connection, Error, OpenFlags};

/// How long to wait for a writer that holds the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to look again when the database changes under a reader that `SQLite`
/// does not protect.
const ATTEMPTS: usize = 5;

/// The largest database copied because it cannot be read in place.
const LARGEST_COPY: u64 = 4 << 30;

/// What a query gives on a database: one transaction, as short as the query.
///
/// The query may be run more than once, and only its last answer counts.
pub fn read<T>(path: &Path, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
    ways(path, |path, mode| run(path, mode, &query))
}

/// What the halves of a query, 0 and 1, give side by side on one state of a database.
/// As with [`read`], they may be run more than once.
pub fn read_halves<T: Send>(
    path: &Path,
    query: impl Fn(&Connection, usize) -> rusqlite::Result<T> + Sync,
) -> Result<[T; 2]> {
    ways(path, |path, mode| {
        for _ in 0..ATTEMPTS {
            let (first, second) = (open(path, mode)?, open(path, mode)?);
            let before = version(&second)?;
            // What begins is held from its first look.
            begin(&first)?;
            begin(&second)?;
            // Nobody has written since before the first one's state.
            if version(&second)? == before {
                return std::thread::scope(|scope| {
                    let first = scope.spawn(|| query(&{ first }, 0));
                    let second = query(&second, 1);
                    let first = first.join();
                    let first = first.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    Ok([first?, second?])
                });
            }
        }
        run(path, mode, &|connection| Ok([query(connection, 0)?, query(connection, 1)?]))
    })
}

/// Each way to open a database, until one is not refused.
fn ways<T>(path: &Path, run: impl Fn(&Path, &str) -> rusqlite::Result<T>) -> Result<T> {
    let name = || path.display().to_string();
    match run(path, "mode=ro") {
        Err(error) if is_refused(&error) => {}
        result => return result.with_context(name),
    }
    if log_size(path) == 0 {
        for _ in 0..ATTEMPTS {
            let before = state(path);
            let result = run(path, "mode=ro&immutable=1");
            if state(path) == before {
                return result.with_context(name);
            }
        }
    }
    copied(path, &run).with_context(name)
}

/// Read a copy of the database and its log.
fn copied<T>(path: &Path, run: &impl Fn(&Path, &str) -> rusqlite::Result<T>) -> Result<T> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.sqlite");
    for _ in 0..ATTEMPTS {
        let before = state(path);
        let size = fs::metadata(path)?.len().saturating_add(log_size(path));
        if size > LARGEST_COPY {
            bail!("too large to copy, and not to be read in place: run as root");
        }
        fs::copy(path, &copy)?;
        match fs::copy(log(path), log(&copy)) {
            // That of an attempt before belongs to another state.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                drop(fs::remove_file(log(&copy)));
            }
            copied => drop(copied?),
        }
        if state(path) == before {
            return Ok(run(&copy, "mode=rw")?);
        }
    }
    bail!("keeps changing while it is read")
}

fn run<T>(
    path: &Path,
    mode: &str,
    query: &impl Fn(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let connection = open(path, mode)?;
    begin(&connection)?;
    query(&connection)
}

fn open(path: &Path, mode: &str) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | if mode == "mode=rw" {
            OpenFlags::SQLITE_OPEN_READ_WRITE
        } else {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        };
    let connection = Connection::open_with_flags(format!("{}?{mode}", uri(path)), flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Hold the state that is there now until the connection is closed.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("begin")?;
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}

/// What changes when others have written.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("pragma data_version", [], |row| row.get(0))
}

/// Whether `SQLite` may not use the log here, rather than that something is wrong.
fn is_refused(error: &Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code & 0xff);
    matches!(code, Some(SQLITE_READONLY | SQLITE_CANTOPEN))
}

/// Every byte but letters, digits and a few more stands for itself in no URI.
fn uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

fn log(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn log_size(path: &Path) -> u64 {
    fs::metadata(log(path)).map_or(0, |log| log.len())
}

/// When a database was last written to, be it only its log; `None` if it is not
/// there.
pub fn changed(path: &Path) -> Option<SystemTime> {
    let (own, _, log) = state(path);
    own.max(log)
}

/// Changes when anything was committed.
fn state(path: &Path) -> (Option<SystemTime>, u64, Option<SystemTime>) {
    let changed = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    (changed(path), log_size(path), changed(&log(path)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rusqlite::Connection;

    use super::{changed, log, read, read_halves, uri};

    fn count(path: &Path) -> anyhow::Result<i64> {
        read(path, |connection| {
            connection.query_row("select count(*) from t", [], |row| row.get(0))
        })
    }

    #[test]
    fn sees_what_is_only_in_the_log() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a b%.sqlite");
        let writer = Connection::open(&path).expect("open");
        writer.pragma_update(None, "journal_mode", "wal").expect("wal");
        writer.execute_batch("create table t (a); insert into t values (1), (2)").expect("rows");
        assert_eq!(count(&path).expect("a count"), 2);
        writer.execute_batch("begin; insert into t values (3)").expect("not committed");
        assert_eq!(count(&path).expect("a count"), 2);
        writer.execute_batch("commit").expect("commit");
        assert_eq!(count(&path).expect("a count"), 3);
        assert!(changed(&path).is_some_and(|time| Some(time) >= changed(&log(&path))));
        assert_eq!(changed(&folder.path().join("none")), None);
    }

    #[test]
    fn halves_see_one_state() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("db.sqlite");
        let writer = Connection::open(&path).expect("open");
        writer.pragma_update(None, "journal_mode", "wal").expect("wal");
        writer.execute_batch("create table t (a)").expect("a table");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let writer = Connection::open(&path).expect("open");
                writer.pragma_update(None, "synchronous", "off").expect("faster");
                while !done.load(Ordering::Relaxed) {
                    writer.execute_batch("insert into t values (1)").expect("a row");
                }
            });
            let count = |connection: &Connection, _| -> rusqlite::Result<i64> {
                connection.query_row("select count(*) from t", [], |row| row.get(0))
            };
            let pairs: Vec<_> = (0..200).map(|_| read_halves(&path, count)).collect();
            done.store(true, Ordering::Relaxed);
            let pairs: Vec<[i64; 2]> = pairs.into_iter().map(|pair| pair.expect("read")).collect();
            assert!(pairs.iter().all(|[one, other]| one == other), "{pairs:?}");
            assert!(pairs[0] < pairs[199], "it was written to meanwhile");
        });
    }

    #[test]
    fn never_writes() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("db.sqlite");
        Connection::open(&path).expect("open").execute_batch("create table t (a)").expect("table");
        let write = |connection: &Connection| connection.execute_batch("insert into t values (1)");
        assert!(read(&path, write).is_err());
        assert_eq!(count(&path).expect("a count"), 0);
    }

    #[test]
    fn what_is_no_database_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("db.sqlite");
        assert!(count(&path).is_err(), "missing");
        std::fs::write(&path, "no database, but long enough to be looked at as one").expect("file");
        let error = format!("{:#}", count(&path).expect_err("junk"));
        assert!(error.contains("db.sqlite: "), "{error}");
    }

    #[test]
    fn paths_in_uris() {
        assert_eq!(uri(Path::new("/a?b#c%/é")), "file:/a%3Fb%23c%25/%C3%A9");
    }
}
