//! Finding a path that a cache has, to ask it for.
//!
//! What proves a key is a narinfo, and a cache lists none; so we ask for paths
//! that somebody knows to be there, best knowledge first.

use std::path::{Path, PathBuf};

use detect::database;
use schemars::JsonSchema;
use serde::Serialize;

use crate::address::Address;
use crate::path::StorePath;

/// Paths to ask a cache for before it counts as one that cannot be tested.
pub const MOST: usize = 12;

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
        Self {
            store: state.join("db/db.sqlite"),
            nix_caches: home.into_iter().chain([PathBuf::from("/root/.cache/nix")]).collect(),
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
        for path in keys.iter().flat_map(|key| signed_by(&self.store, key, store_dir)) {
            add(Wanted::Path(path), Source::Store);
        }
        for hash in self.nix_caches.iter().flat_map(|folder| told_by(folder, cache)) {
            add(Wanted::Hash(hash), Source::NixCache);
        }
        for path in self.links.iter().filter_map(|link| linked(link, store_dir)) {
            add(Wanted::Path(path), Source::System);
        }
        let is_official =
            Address::parse("https://cache.nixos.org").is_ok_and(|official| official.is_same(cache));
        if is_official {
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
             order by id desc limit 4",
        )?;
        let rows = query.query_map([key], |row| row.get::<_, String>(0))?;
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
            let mut query = connection.prepare(
                "select hashPart, url from NARs join BinaryCaches on NARs.cache = BinaryCaches.id \
                 where present = 1 order by NARs.timestamp desc limit 1000",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String)>>>()
        });
        let rows = found.unwrap_or_default().into_iter();
        let own = rows.filter(|(_, url)| Address::parse(url).is_ok_and(|url| url.is_same(cache)));
        hashes.extend(own.map(|(hash, _)| hash).filter(|hash| is_hash(hash)).take(4));
    }
    hashes
}

fn is_hash(text: &str) -> bool {
    StorePath::parse(&format!("{text}-x")).is_ok()
}

/// The store path a link leads to.
fn linked(link: &Path, store_dir: &str) -> Option<StorePath> {
    let target = std::fs::canonicalize(link).ok()?;
    let rest = target.strip_prefix(store_dir).ok()?;
    StorePath::parse(rest.iter().next()?.to_str()?).ok()
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
