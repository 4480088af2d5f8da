use std::path::Path;

use rusqlite::Connection;

use super::{Amount, Day, Origin, Window, look};

/// The tables that Nix 2.8 to 2.34 have, and a path of every kind.
const STORE: &str = "\
    create table ValidPaths (id integer primary key autoincrement not null, \
      path text unique not null, hash text not null, registrationTime integer not null, \
      deriver text, narSize integer, ultimate integer, sigs text, ca text);
    insert into ValidPaths values \
      (1, '/nix/store/a-x.drv', '', 100, null, 10, null, null, 'text:sha256:x'), \
      (2, '/nix/store/b-x', '', 100, '/nix/store/a-x.drv', 20, 1, 'own:c2ln', null), \
      (3, '/nix/store/c-y', '', 86400, '/nix/store/a-y.drv', 60, null, 'a:c2ln b:c2ln a:x', null), \
      (4, '/nix/store/d-z', '', 86400, '/nix/store/a-z.drv', 5, 1, null, 'fixed:sha256:x'), \
      (5, '/nix/store/e-s', '', 86500, null, null, null, null, 'fixed:r:sha256:x'), \
      (9, '/nix/store/f-c', '', 90000, '/nix/store/a-c.drv', 7, null, '', null);
    delete from ValidPaths where id = 9;
    insert into ValidPaths values \
      (8, '/nix/store/f-c', '', 90000, '/nix/store/a-c.drv', 7, null, '', null);";

fn amount(paths: u64, nar_bytes: u64) -> Amount {
    Amount { paths, nar_bytes }
}

#[test]
fn every_kind_of_path() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("db.sqlite");
    Connection::open(&file).expect("open").execute_batch(STORE).expect("tables");
    let store = look(&file, 86400 + 101).expect("a store");
    assert_eq!(store.registered_paths, 9, "what was collected counts");
    assert_eq!(store.total, amount(6, 102));
    let origins = [
        (Origin::Built, amount(1, 20)),
        (Origin::Fetched, amount(1, 5)),
        (Origin::Substituted, amount(1, 60)),
        (Origin::Copied, amount(1, 7)),
        (Origin::Source, amount(1, 0)),
        (Origin::Drv, amount(1, 10)),
    ];
    assert_eq!(store.origins, origins.into());
    let signed = ["a", "b"].map(|name| (name.to_owned(), amount(1, 60)));
    assert_eq!(store.signed_by, signed.into());
    let first = [(Origin::Built, amount(1, 20)), (Origin::Drv, amount(1, 10))].into();
    assert_eq!(store.days[0], Day { began_unix_seconds: 0, origins: first });
    assert_eq!((store.days.len(), store.days[1].began_unix_seconds), (2, 86400));
    let of = |window| store.rates.iter().find(|rate| rate.window == window).expect("a rate");
    assert_eq!(of(Window::Day).hit_rate, Some(1.0), "the built path came a second before");
    assert_eq!(of(Window::All).hit_rate, Some(0.5));
    assert_eq!(of(Window::All).hit_rate_by_bytes, Some(0.75));
}

#[test]
fn an_empty_store_has_no_rate() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("db.sqlite");
    let connection = Connection::open(&file).expect("open");
    connection.execute_batch(STORE).expect("tables");
    connection.execute_batch("delete from ValidPaths").expect("nothing left");
    let store = look(&file, 0).expect("a store");
    assert_eq!((store.total, store.registered_paths), (amount(0, 0), 9));
    assert!(store.rates.iter().all(|rate| rate.hit_rate.is_none()));
    assert!(look(Path::new("/nonexistent"), 0).is_err());
}
