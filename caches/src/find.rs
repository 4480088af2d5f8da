//! Finding a path that a cache has, to ask it for.
//!
//! What proves a key is a narinfo, and a cache lists none; so we ask for paths
//! that somebody knows to be there, best knowledge first.

use std::path::{Path, PathBuf};

use detect::database;
use schemars::JsonSchema;
use serde::Serialize;

use crate::address::{Address, Place};
use crate::path::StorePath;

/// Paths to ask a cache for before it counts as one that cannot be tested.
pub const MOST: usize = 12;

/// Of those, at most so many from Nix's own memory, and by each key.
const EACH: u8 = 4;

/// Paths that `cache.nixos.org` has had for years: it keeps what it has, and
/// these are in the test data of several implementations of its format.
const OLD: [&str; 2] = [
    "00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432",
    "1q8w6gl1ll0mwfkqc3c2yx005s6wwfrl-hello-2.12.1",
];

/// A path to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The path; its name may be unknown, and then `name` says so.
    pub path: Wanted,
    /// Who knows that it is there.
    pub source: Source,
}

/// A path as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Path(StorePath),
    /// Only its hash.
    Hash(String),
}

impl Wanted {
    /// What a cache is asked for.
    pub fn file(&self) -> String {
        match self {
            Self::Path(path) => format!("{}.narinfo", path.hash()),
            Self::Hash(hash) => format!("{hash}.narinfo"),
        }
    }

    /// Whether this is the path that was asked for.
    pub fn is(&self, path: &StorePath) -> bool {
        match self {
            Self::Path(wanted) => wanted == path,
            Self::Hash(hash) => hash == path.hash(),
        }
    }
}

/// Who knows that a cache has a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The user.
    User,
    /// The store: it has paths with a signature by that key.
    Store,
    /// Nix, which was told so by the cache not long ago.
    NixCache,
    /// The system in use.
    System,
    /// This program: paths that have been there for years.
    BuiltIn,
    /// Nobody; the cache is a folder, and was looked into.
    Folder,
}

/// Where this machine keeps what it knows.
#[derive(Clone, Debug)]
pub struct Knowledge {
    /// Nix's database of the store.
    pub store: PathBuf,
    /// Folders with what Nix was told by caches, the user's and root's.
    pub nix_caches: Vec<PathBuf>,
    /// Paths that the user named.
    pub named: Vec<StorePath>,
    /// Links to systems and profiles in use.
    pub links: Vec<PathBuf>,
}

impl Knowledge {
    /// What this machine has where Nix keeps it.
    pub fn of_this_machine(named: Vec<StorePath>) -> Self {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let state = variable("NIX_STATE_DIR").unwrap_or_else(|| "/nix/var/nix".into());
        let home = variable("XDG_CACHE_HOME")
            .or_else(|| Some(variable("HOME")?.join(".cache")))
            .map(|cache| cache.join("nix"));
        let root = if cfg!(target_os = "macos") { "/var/root" } else { "/root" };
        let root = Path::new(root).join(".cache/nix");
        Self {
            store: state.join("db/db.sqlite"),
            nix_caches: home.into_iter().chain([root]).collect(),
            named,
            links: ["/run/current-system", "/nix/var/nix/profiles/default"]
                .map(PathBuf::from)
                .to_vec(),
        }
    }

    /// Paths that a cache whose key has one of these names may have.
    pub fn candidates(&self, cache: &Address, keys: &[String], store_dir: &str) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut add = |path: Wanted, source| {
            let known = |found: &Candidate| found.path.file() == path.file();
            if found.len() < MOST && !found.iter().any(known) {
                found.push(Candidate { path, source });
            }
        };
        for path in &self.named {
            add(Wanted::Path(path.clone()), Source::User);
        }
        // What only Nix can ask cannot be asked for no more than a hash.
        if !matches!(cache.place(), Place::Other(_)) {
            let told = self.nix_caches.iter().flat_map(|folder| told_by(folder, cache));
            for hash in told.take(EACH.into()) {
                add(Wanted::Hash(hash), Source::NixCache);
            }
        }
        let signed: Vec<Vec<StorePath>> =
            keys.iter().map(|key| signed_by(&self.store, key, store_dir)).collect();
        // In turn, since any of the keys may be the cache's own.
        for round in 0..usize::from(EACH) {
            for path in signed.iter().filter_map(|paths| paths.get(round)) {
                add(Wanted::Path(path.clone()), Source::Store);
            }
        }
        for link in &self.links {
            if let Ok(path) = StorePath::containing(link, store_dir) {
                add(Wanted::Path(path), Source::System);
            }
        }
        if cache.is_official() {
            for path in OLD.iter().filter_map(|name| StorePath::parse(name).ok()) {
                add(Wanted::Path(path), Source::BuiltIn);
            }
        }
        found
    }
}

/// Paths in the store with a signature by a key of this name, newest first. What
/// cannot be read is not known.
fn signed_by(database: &Path, key: &str, store_dir: &str) -> Vec<StorePath> {
    if !database.exists() {
        return Vec::new();
    }
    let found = database::read(database, |connection| {
        // Instead of a pattern, since a name may hold what patterns do.
        let mut query = connection.prepare(
            "select path from ValidPaths where instr(' ' || sigs, ' ' || ?1 || ':') > 0 \
             order by id desc limit ?2",
        )?;
        let rows = query.query_map((key, EACH), |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    let paths = found.unwrap_or_default();
    paths.iter().filter_map(|path| StorePath::parse_full(path, store_dir).ok()).collect()
}

/// Hashes that Nix was told this cache has, newest first.
fn told_by(folder: &Path, cache: &Address) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = files.flatten().map(|file| file.path()).collect();
    files.retain(|file| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        name.starts_with("binary-cache-v") && name.ends_with(".sqlite")
    });
    files.sort();
    let mut hashes = Vec::new();
    for file in files.iter().rev() {
        let found = database::read(file, |connection| {
            let mut query = connection.prepare("select id, url from BinaryCaches")?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let caches = rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
            let mut query = connection.prepare(
                "select timestamp, hashPart from NARs where cache = ?1 and present = 1 \
                 order by timestamp desc limit ?2",
            )?;
            let mut told = Vec::new();
            for (id, url) in caches {
                // One cache may stand there by several addresses.
                if Address::parse(&url).is_ok_and(|url| url.is_same(cache)) {
                    let rows = query.query_map((id, EACH), |row| Ok((row.get(0)?, row.get(1)?)))?;
                    told.extend(rows.collect::<rusqlite::Result<Vec<(i64, String)>>>()?);
                }
            }
            Ok(told)
        });
        let mut told = found.unwrap_or_default();
        told.sort_by(|a, b| b.cmp(a));
        hashes.extend(told.into_iter().map(|(_, hash)| hash).filter(|hash| is_hash(hash)));
    }
    hashes
}

fn is_hash(text: &str) -> bool {
    StorePath::parse(&format!("{text}-x")).is_ok()
}

/// Some paths of a cache that is a folder.
pub fn in_folder(folder: &Path) -> Vec<Candidate> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let hashes = files.filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        let hash = name.strip_suffix(".narinfo")?;
        is_hash(hash).then(|| hash.to_owned())
    });
    let mut hashes: Vec<String> = hashes.take(10_000).collect();
    hashes.sort();
    hashes.truncate(MOST);
    let candidate = |hash| Candidate { path: Wanted::Hash(hash), source: Source::Folder };
    hashes.into_iter().map(candidate).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::{Knowledge, Source, Wanted};
    use crate::address::Address;

    const KEYS: [&str; 4] = ["a", "b", "c", "d"];

    fn hash(number: u32) -> String {
        format!("{number:0>32}")
    }

    /// A store with four paths by each key, and what Nix was told of two caches:
    /// 2000 newer paths of the one, two of the other.
    fn knowledge(folder: &Path) -> Knowledge {
        let store = folder.join("db.sqlite");
        let database = Connection::open(&store).expect("a database");
        database
            .execute_batch("create table ValidPaths (id integer primary key, path, sigs)")
            .expect("a table");
        for number in 100..116 {
            let key = KEYS[(number as usize - 100) / 4];
            let (path, sigs) = (hash(number), format!("{key}:AAAA"));
            database
                .execute(
                    "insert into ValidPaths (path, sigs) values ('/nix/store/' || ?1 || '-x', ?2)",
                    (path, sigs),
                )
                .expect("a row");
        }
        let told = Connection::open(folder.join("binary-cache-v6.sqlite")).expect("a database");
        told.execute_batch(
            "create table BinaryCaches (id integer primary key, url);
             create table NARs (cache, hashPart, timestamp, present);
             insert into BinaryCaches values (1, 'https://busy.example'), (2, 'https://a.example');
             begin",
        )
        .expect("tables");
        let add = |cache: u8, number: u32, present: u8| {
            let row = (cache, hash(number), number, present);
            told.execute("insert into NARs values (?1, ?2, ?3, ?4)", row).expect("a row");
        };
        for number in 0..2000 {
            add(1, 10_000 + number, 1);
        }
        for (number, present) in [(1, 1), (2, 1), (3, 0)] {
            add(2, number, present);
        }
        told.execute_batch("commit").expect("written");
        Knowledge {
            store,
            nix_caches: vec![folder.to_owned()],
            named: Vec::new(),
            links: Vec::new(),
        }
    }

    #[test]
    fn what_nix_was_told_first_and_then_each_key_in_turn() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = Address::parse("https://a.example/").expect("an address");
        let keys = KEYS.map(str::to_owned);
        let found = knowledge(folder.path()).candidates(&cache, &keys, "/nix/store");
        assert_eq!(found.len(), super::MOST);
        let told: Vec<&Wanted> = found[..2].iter().map(|found| &found.path).collect();
        assert_eq!(told, [&Wanted::Hash(hash(2)), &Wanted::Hash(hash(1))], "newest first");
        assert!(found[2..].iter().all(|found| found.source == Source::Store));
        let files: Vec<String> = found[2..6].iter().map(|found| found.path.file()).collect();
        let newest = [103, 107, 111, 115].map(|number| format!("{}.narinfo", hash(number)));
        assert_eq!(files, newest, "one by each key");
    }

    #[test]
    fn nobody_asks_nix_for_a_hash() {
        let folder = tempfile::tempdir().expect("folder");
        let cache = Address::parse("ssh-ng://a.example").expect("an address");
        let found = knowledge(folder.path()).candidates(&cache, &[], "/nix/store");
        assert!(found.is_empty(), "{found:?}");
    }
}
