//! The tables of the history, and how an older history gets them.

use anyhow::{Result, anyhow, bail};
use detect::report::Hint;
use rusqlite::{Connection, TransactionBehavior};

/// What marks the file as ours: `NxPh`, in the place that `SQLite` has for it.
const APPLICATION: i32 = 0x4e78_5068;

/// What makes each version from the one before it. Never changed once released:
/// a new version is a new entry.
const MIGRATIONS: [&str; 2] = [FIRST, SECOND];

/// Times are seconds since 1970; what is not known is null.
const FIRST: &str = "\
create table runs (
    id integer primary key,
    started real not null,
    ended real not null,
    command text not null, -- a JSON list
    exit_code integer,
    nix_version text,
    jobs integer,
    cores integer,
    downloaded_bytes integer not null,
    unique (started, command)
);
create index runs_by_end on runs (ended);

-- One attempt to build a derivation. Without a run, it was found by its log.
create table builds (
    id integer primary key,
    run integer references runs on delete cascade,
    drv text not null,
    name text not null,
    pname text not null,
    outcome text check (outcome in ('built', 'failed', 'cancelled')),
    reason text,
    machine text,
    started real,
    ended real not null, -- for want of better, the end of the run
    wall_seconds real,
    cpu_seconds real,
    peak_memory_bytes integer,
    usage_source text check (usage_source in ('cgroup', 'sampled')),
    source text not null check (source in ('events', 'log'))
);
create index builds_by_end on builds (ended);
create index builds_by_pname on builds (pname, ended);
create index builds_by_drv on builds (drv);
create index builds_by_run on builds (run);

-- Builds that are no longer among them, by how they ended and how long they
-- took: the bound that is within, -1 where it is not known.
create table forgotten (
    outcome text not null, -- empty where none is known
    within real not null,
    builds integer not null,
    wall_seconds real not null,
    primary key (outcome, within)
) without rowid;

create table phases (
    build integer not null references builds on delete cascade,
    position integer not null,
    name text not null,
    wall_seconds real,
    primary key (build, position)
) without rowid;

create table substitutions (
    id integer primary key,
    run integer not null references runs on delete cascade,
    path text not null,
    cache text not null,
    started real,
    wall_seconds real,
    downloaded_bytes integer,
    nar_bytes integer
);
create index substitutions_by_run on substitutions (run);

create table waits (
    id integer primary key,
    run integer not null references runs on delete cascade,
    drv text,
    what text not null,
    wall_seconds real
);
create index waits_by_run on waits (run);

-- Build logs as they were when last looked at; times in nanoseconds.
create table logs (
    file text primary key,
    born integer,
    changed integer not null
) without rowid;

-- Databases of Nix, and the last path seen in each: its ids only grow.
create table stores (
    database text primary key,
    last_path integer not null
) without rowid;

-- What came to stores, by day since 1970: collected garbage stays counted.
create table arrivals (
    database text not null,
    day integer not null,
    origin text not null,
    cache text not null, -- empty where none is known
    paths integer not null,
    nar_bytes integer not null,
    primary key (database, day, origin, cache)
) without rowid;

-- What stores held when last looked at on a day.
create table samples (
    database text not null,
    day integer not null,
    taken real not null,
    registered integer not null, -- paths ever registered
    paths integer not null,
    nar_bytes integer not null,
    primary key (database, day)
) without rowid;
";

/// Recorded streams are known by what is in them.
const SECOND: &str = "\
alter table runs add column digest text;
create unique index runs_by_digest on runs (digest);
";

/// Give a history the tables of this version.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    // Whoever is second finds the work done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in &MIGRATIONS[version(&transaction)?..] {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len())?)?;
    transaction.commit()?;
    Ok(())
}

/// Which version a history is, 0 when it is empty; an error when it is none of
/// those known here.
pub(super) fn version(connection: &Connection) -> Result<usize> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0))?;
    let version = number("user_version")?;
    match number("application_id")? {
        0 if tables == 0 => Ok(0),
        application if application == i64::from(APPLICATION) => match usize::try_from(version) {
            Ok(known) if known <= MIGRATIONS.len() => Ok(known),
            _ => {
                let known = MIGRATIONS.len();
                let hint = Hint::new("use the monitor that wrote it, or --db with another file");
                let error = anyhow!(
                    "history version {version}, but this program knows those up to {known}"
                );
                Err(error.context(hint))
            }
        },
        _ => bail!("a database, but no history of monitor"),
    }
}

#[cfg(test)]
mod tests {
    use detect::report::reason;
    use rusqlite::Connection;

    use super::{MIGRATIONS, migrate, version};

    #[test]
    fn an_empty_one_gets_the_tables_once() {
        let mut connection = Connection::open_in_memory().expect("open");
        assert_eq!(version(&connection).expect("empty"), 0);
        migrate(&mut connection).expect("tables");
        migrate(&mut connection).expect("again");
        assert_eq!(version(&connection).expect("current"), MIGRATIONS.len());
    }

    #[test]
    fn an_older_one_keeps_what_it_has() {
        let mut older = Connection::open_in_memory().expect("open");
        older.execute_batch(super::FIRST).expect("tables");
        older.pragma_update(None, "application_id", super::APPLICATION).expect("ours");
        older.pragma_update(None, "user_version", 1).expect("older");
        let run =
            "insert into runs (started, ended, command, downloaded_bytes) values (1, 2, '', 3)";
        older.execute_batch(run).expect("a run");
        migrate(&mut older).expect("the rest");
        let query = "select ended, digest from runs where started = 1";
        let row = older.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(row, Ok((2.0, None::<String>)));
        assert_eq!(version(&older).expect("current"), MIGRATIONS.len());
    }

    #[test]
    fn what_is_newer_or_not_ours_is_refused_by_name() {
        let mut newer = Connection::open_in_memory().expect("open");
        migrate(&mut newer).expect("tables");
        newer.pragma_update(None, "user_version", 7).expect("newer");
        let error = reason(&migrate(&mut newer).expect_err("newer"));
        assert_eq!(error, "history version 7, but this program knows those up to 2");

        let mut other = Connection::open_in_memory().expect("open");
        other.execute_batch("create table t (a)").expect("a table");
        let error = migrate(&mut other).expect_err("not ours").to_string();
        assert_eq!(error, "a database, but no history of monitor");
    }
}
