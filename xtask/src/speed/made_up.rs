//! The database of a store that was never built.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::Connection;

/// The tables of Nix 2.34, and paths such as a machine has that builds: each
/// with eight references, one of five built here, the others from a cache.
const STORE: &str = "\
    create table ValidPaths (id integer primary key autoincrement not null, \
      path text unique not null, hash text not null, registrationTime integer not null, \
      deriver text, narSize integer, ultimate integer, sigs text, ca text);
    create table Refs (referrer integer not null, reference integer not null, \
      primary key (referrer, reference), \
      foreign key (referrer) references ValidPaths(id) on delete cascade, \
      foreign key (reference) references ValidPaths(id) on delete restrict);
    create index IndexReferrer on Refs(referrer);
    create index IndexReference on Refs(reference);
    create table DerivationOutputs (drv integer not null, id text not null, path text not null, \
      primary key (drv, id), foreign key (drv) references ValidPaths(id) on delete cascade);
    create index IndexDerivationOutputs on DerivationOutputs(path);
    create table SchemaMigrations (migration text primary key not null);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < PATHS) \
    insert into ValidPaths select i, printf('/nix/store/%032d-package-%d-1.0', i, i), \
      'sha256:' || printf('%064d', i), unixepoch() - i * 300, \
      printf('/nix/store/%032d-package-%d-1.0.drv', i, i), 1000 * i, \
      case when i % 5 = 0 then 1 end, \
      case when i % 5 > 0 then 'cache.nixos.org-1:' || printf('%086d', i) || '==' end, null from n;
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 8) \
    insert into Refs select id, id - i from ValidPaths, n where id > i;";

/// Make the database of so many paths in a state folder of Nix.
pub(crate) fn store(state: &Path, paths: u32) -> Result<()> {
    let database = state.join("db");
    fs::create_dir_all(&database).with_context(|| database.display().to_string())?;
    fs::write(database.join("schema"), "10").context("schema")?;
    let connection = Connection::open(database.join("db.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let store = STORE.replace("PATHS", &paths.to_string());
    connection.execute_batch(&format!("begin; {store} commit;"))?;
    Ok(())
}

/// The path of a number in it.
pub(crate) fn path(number: u32) -> String {
    format!("/nix/store/{number:032}-package-{number}-1.0")
}
