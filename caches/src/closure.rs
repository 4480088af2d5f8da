//! Which store paths to ask for: those named, or all that they need.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, bail, ensure};
use detect::database;
use detect::report::Usage;

use crate::path::StorePath;

/// The most text read from stdin: over a million paths.
const LARGEST_BYTES: u64 = 256 << 20;

/// The system in use, where nothing is named.
const SYSTEM: &str = "/run/current-system";

/// Paths to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The paths, each once.
    pub paths: Vec<StorePath>,
    /// Whether what they need is to be asked for too, as narinfos tell it, since
    /// the store here does not know all of it.
    pub is_open: bool,
}

/// Paths as they were named, with `-` for those on stdin; a link stands for where
/// it leads.
pub fn named(paths: &[PathBuf], store_dir: &str) -> Result<Wanted> {
    let mut found = Wanted::default();
    let mut known = BTreeSet::new();
    let mut add = |path: StorePath| {
        if known.insert(path.clone()) {
            found.paths.push(path);
        }
    };
    for path in paths {
        if path == Path::new("-") {
            let stdin = std::io::stdin().lock().take(LARGEST_BYTES);
            let count = lines(stdin, store_dir, &mut add).context("stdin")?;
            ensure!(count > 0, "stdin: empty (did the previous stage fail?)");
        } else {
            add(StorePath::containing(path, store_dir).map_err(Error::msg)?);
        }
    }
    Ok(found)
}

/// Store paths, one a line; how many there are.
fn lines(text: impl BufRead, store_dir: &str, add: &mut impl FnMut(StorePath)) -> Result<u64> {
    let mut count = 0;
    for (index, line) in text.lines().enumerate() {
        let line = line?;
        if !line.trim().is_empty() {
            let path = StorePath::parse_full(line.trim(), store_dir);
            add(path.map_err(|why| anyhow!("line {}: {why}", index + 1))?);
            count += 1;
        }
    }
    Ok(count)
}

/// These paths and all that they need, by Nix's database where it knows them.
/// Without any, those of the system in use.
pub fn of(roots: &[PathBuf], database: &Path, store_dir: &str) -> Result<Wanted> {
    let roots = if !roots.is_empty() {
        named(roots, store_dir)?
    } else if Path::new(SYSTEM).exists() {
        named(&[SYSTEM.into()], store_dir)?
    } else {
        bail!(Usage("name a PATH, --closure PATH or - for stdin".to_owned()));
    };
    let mut found = Wanted::default();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for root in &roots.paths {
        let path = format!("{store_dir}/{root}");
        let known = if database.exists() { needs(database, &path)? } else { Vec::new() };
        found.is_open |= known.is_empty();
        names.insert(path);
        names.extend(known);
    }
    let paths = names.iter().map(|name| StorePath::parse_full(name, store_dir));
    found.paths = paths.collect::<Result<_, _>>().map_err(Error::msg)?;
    Ok(found)
}

/// All that a path needs, itself too; nothing if the store has it not.
fn needs(database: &Path, path: &str) -> Result<Vec<String>> {
    database::read(database, |connection| {
        let mut query = connection.prepare(
            "with recursive needed(id) as ( \
                 select id from ValidPaths where path = ?1 \
                 union select reference from Refs join needed on referrer = needed.id) \
             select path from ValidPaths join needed using (id)",
        )?;
        let rows = query.query_map([path], |row| row.get(0))?;
        rows.collect()
    })
}

/// Some paths of the store, spread over all that are in it.
pub fn samples(database: &Path, count: usize, store_dir: &str) -> Vec<StorePath> {
    if !database.exists() {
        return Vec::new();
    }
    let found: Result<Vec<String>> = database::read(database, |connection| {
        // What was built here is in no cache, unless somebody put it there.
        let mut query = connection.prepare(
            "select path from (select path, row_number() over (order by id) as row, \
                 count(*) over () as rows from ValidPaths where sigs is not null and sigs != '') \
             where row % max(1, rows / ?1) = 0 limit ?1",
        )?;
        let rows = query.query_map([i64::try_from(count).unwrap_or(i64::MAX)], |row| row.get(0))?;
        rows.collect()
    });
    let paths = found.unwrap_or_default();
    paths.iter().filter_map(|path| StorePath::parse_full(path, store_dir).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rusqlite::Connection;

    use super::{Wanted, lines, named, of, samples};

    const STORE: &str = "/nix/store";

    fn path(digit: char) -> String {
        format!("{STORE}/{}-a", String::from(digit).repeat(32))
    }

    /// A store where 1 needs 2, 2 needs 3 and itself, 3 needs 1, and 4 nothing.
    fn store() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("db.sqlite");
        let connection = Connection::open(&file).expect("open");
        let mut text = "create table ValidPaths (id integer primary key, path text, sigs text); \
             create table Refs (referrer integer, reference integer); \
             insert into Refs values (1, 2), (2, 2), (2, 3), (3, 1);"
            .to_owned();
        for id in 1..=4 {
            let path = path(char::from_digit(id, 10).expect("a digit"));
            text += &format!("insert into ValidPaths values ({id}, '{path}', 'k:x');");
        }
        connection.execute_batch(&text).expect("rows");
        (folder, file)
    }

    fn names(wanted: &Wanted) -> Vec<String> {
        wanted.paths.iter().map(|path| format!("{STORE}/{path}")).collect()
    }

    #[test]
    fn all_that_a_path_needs() {
        let (_folder, file) = store();
        let found = of(&[path('2').into()], &file, STORE).expect("a closure");
        assert_eq!(names(&found), [path('1'), path('2'), path('3')]);
        assert!(!found.is_open);
        let found = of(&[path('4').into(), path('5').into()], &file, STORE).expect("a closure");
        assert_eq!(names(&found), [path('4'), path('5')]);
        assert!(found.is_open, "the store does not know the last one");
        let missing = PathBuf::from("/nonexistent/db.sqlite");
        assert!(of(&[path('1').into()], &missing, STORE).expect("a path").is_open);
    }

    #[test]
    fn what_is_in_a_path_is_the_path() {
        let inside = PathBuf::from(path('1') + "/bin/a");
        let found = named(&[inside, path('1').into()], STORE).expect("a path");
        assert_eq!(names(&found), [path('1')]);
        let folder = tempfile::tempdir().expect("folder");
        let link = folder.path().join("result");
        let target = folder.path().join("store").join(path('3').replace("/nix/store/", ""));
        std::fs::create_dir_all(&target).expect("folder");
        std::os::unix::fs::symlink(&target, &link).expect("link");
        let store = folder.path().canonicalize().expect("path").join("store");
        let found = named(&[link], store.to_str().expect("text")).expect("a path");
        assert_eq!(found.paths[0].hash(), "3".repeat(32));
        for bad in ["/nonexistent", "/", "/nix/store/junk"] {
            assert!(named(&[bad.into()], STORE).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_a_line() {
        let mut found = Vec::new();
        let text = format!("{}\n\n  {}\n", path('1'), path('2'));
        lines(text.as_bytes(), STORE, &mut |path| found.push(path)).expect("paths");
        assert_eq!(found.len(), 2);
        let error = lines(&b"\n/etc/passwd\n"[..], STORE, &mut |_| ()).expect_err("no path");
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }

    #[test]
    fn samples_are_spread() {
        let (_folder, file) = store();
        assert_eq!(samples(&file, 2, STORE).len(), 2);
        assert_eq!(samples(&file, 100, STORE).len(), 4);
    }
}
