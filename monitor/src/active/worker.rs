//! What a Nix process that builds has open, and which of its children builds
//! what.
//!
//! Nix opens, for each build and in this order, the lock of a build user, from
//! 2.30 on the build's directory, and the build's log, which is named after the
//! derivation; and before that it locks the outputs. All three stay open while
//! the build runs (facts seen in Nix 2.8, 2.26 and 2.34).

use std::collections::BTreeSet;

/// The letters of hashes in store paths: no `e`, `o`, `t` and `u`.
const BASE32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Letters of a store path's hash.
const HASH: usize = 32;

/// What a Nix process has open for its builds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// Logs, by their file's number: each the derivation's `HASH-NAME.drv`.
    pub logs: Vec<(u32, String)>,
    /// Locks of build users.
    pub users: Vec<(u32, u32)>,
    /// Locks of outputs: each the output's `HASH-NAME`.
    pub outputs: Vec<String>,
    /// The store, where an output is locked: as it looks from here.
    pub store: Option<String>,
}

impl Files {
    /// What of the files of a process has to do with builds. The folders before
    /// the parts that tell may be anywhere: a store in another root directory
    /// is seen from outside.
    pub fn parse(files: &[(u32, String)]) -> Self {
        let mut found = Self::default();
        for (number, path) in files {
            let path = path.strip_suffix(" (deleted)").unwrap_or(path);
            if let Some(derivation) = log(path) {
                found.logs.push((*number, derivation));
            } else if let Some(user) = build_user(path) {
                found.users.push((*number, user));
            } else if let Some((store, output)) = output(path) {
                found.outputs.push(output.to_owned());
                found.store.get_or_insert_with(|| inside(store).to_owned());
            }
        }
        found.logs.sort_unstable();
        found.users.sort_unstable();
        found
    }
}

/// The derivation of a log: `…/drvs/HA/SH-NAME.drv`, perhaps compressed.
fn log(path: &str) -> Option<String> {
    let path = path.strip_suffix(".bz2").unwrap_or(path);
    let (above, rest) = path.rsplit_once('/')?;
    let (above, start) = above.rsplit_once('/')?;
    let whole = format!("{start}{rest}");
    let is_log =
        above.ends_with("/drvs") && start.len() == 2 && whole.strip_suffix(".drv").is_some();
    (is_log && is_store_name(&whole)).then_some(whole)
}

/// The build user that a file of Nix's `userpool` stands for.
fn build_user(path: &str) -> Option<u32> {
    let (above, user) = path.rsplit_once('/')?;
    user.parse().ok().filter(|_| above.ends_with("/userpool"))
}

/// The store and the output that a lock is for.
fn output(path: &str) -> Option<(&str, &str)> {
    let (store, output) = path.strip_suffix(".lock")?.rsplit_once('/')?;
    is_store_name(output).then_some((store, output))
}

/// A store as Nix calls it: in another root directory it is the usual one.
fn inside(store: &str) -> &str {
    const USUAL: &str = "/nix/store";
    if store.ends_with(USUAL) { USUAL } else { store }
}

/// Whether this is `HASH-NAME`.
pub fn is_store_name(text: &str) -> bool {
    let Some((hash, name)) = text.split_at_checked(HASH) else { return false };
    hash.bytes().all(|letter| BASE32.contains(&letter)) && name.len() > 1 && name.starts_with('-')
}

/// The name in `HASH-NAME.drv`, or in an output's `HASH-NAME`.
pub fn name(store_name: &str) -> &str {
    let name = store_name.get(HASH + 1..).unwrap_or(store_name);
    name.strip_suffix(".drv").unwrap_or(name)
}

/// A child of a Nix process that has a session of its own, as builders have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// The process.
    pub pid: u32,
    /// Its user.
    pub user: u32,
    /// What it builds, as its environment says: derivations with structured
    /// attributes tell nothing there, and it may not be readable.
    pub name: Option<String>,
    /// The store, as its environment says.
    pub store: Option<String>,
}

/// A build, as far as a Nix process and its children tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The derivation's `HASH-NAME.drv`.
    pub derivation: String,
    /// The build user.
    pub user: Option<u32>,
    /// The process that was started to build it.
    pub builder: Option<u32>,
}

/// Which derivation is built by whom.
///
/// A log's build user is the last one locked before it. Files that were closed
/// leave numbers free, so that a later build's may come in between; then the
/// name in the builder's environment tells.
pub fn pairs(files: &Files, builders: &[Builder]) -> Vec<Pair> {
    let mut users = files.users.clone();
    let mut taken = BTreeSet::new();
    let mut pairs = Vec::new();
    for (number, derivation) in &files.logs {
        let name = name(derivation);
        let user = take_user(&mut users, *number, name, builders);
        let builder = match user {
            Some(user) => builders.iter().find(|builder| builder.user == user),
            // Nix without build users: its builders run as it does itself.
            None if files.users.is_empty() => alone(builders, &taken, name, files.logs.len()),
            None => None,
        };
        let builder = builder.map(|builder| builder.pid);
        taken.extend(builder);
        pairs.push(Pair { derivation: derivation.clone(), user, builder });
    }
    pairs
}

fn take_user(
    users: &mut Vec<(u32, u32)>,
    log: u32,
    name: &str,
    builders: &[Builder],
) -> Option<u32> {
    // 2: its builder says so; 1: it has none yet, or one that does not say.
    let fits = |user: u32| match builders.iter().find(|builder| builder.user == user) {
        Some(Builder { name: Some(said), .. }) => {
            if said == name {
                2
            } else {
                0
            }
        }
        _ => 1,
    };
    let score = |&(number, user): &(u32, u32)| (fits(user), number < log, number);
    let best = (0..users.len()).max_by_key(|&at| score(&users[at]))?;
    let (number, user) = users[best];
    let is_sure = fits(user) == 2 || (fits(user) == 1 && number < log);
    is_sure.then(|| users.remove(best).1)
}

/// The builder of a name among those that run as Nix itself: the first that
/// says so, else the only one there is.
fn alone<'a>(
    builders: &'a [Builder],
    taken: &BTreeSet<u32>,
    name: &str,
    logs: usize,
) -> Option<&'a Builder> {
    let mut free = builders.iter().filter(|builder| !taken.contains(&builder.pid));
    let named = free.clone().find(|builder| builder.name.as_deref() == Some(name));
    named.or_else(|| free.next().filter(|builder| logs == 1 && builder.name.is_none()))
}

#[cfg(test)]
mod tests {
    use super::{Builder, Files, Pair, is_store_name, name, pairs};

    const A: &str = "bbc3whrs7smbl8j4lvn7dm50p9035nk7-liba-1.0.drv";
    const B: &str = "5659vyjfxq4fabhlkihwccqysmff9v5v-libb-1.0.drv";

    fn files(list: &[(u32, &str)]) -> Files {
        let list: Vec<(u32, String)> =
            list.iter().map(|(number, path)| (*number, (*path).to_owned())).collect();
        Files::parse(&list)
    }

    fn builder(pid: u32, user: u32, name: Option<&str>) -> Builder {
        Builder { pid, user, name: name.map(str::to_owned), store: None }
    }

    /// As Nix 2.34 has them, in a root directory elsewhere.
    fn two() -> Files {
        files(&[
            (5, "/srv/nx/sid/nix/var/nix/db/big-lock"),
            (13, "/srv/nx/sid/nix/var/nix/temproots/27471"),
            (14, "/srv/nx/sid/nix/var/nix/gc.lock"),
            (15, "/srv/nx/sid/nix/store/s8m4kx4vf4yb1ci5417f68lfn42jj4h2-liba-1.0.lock"),
            (17, "/srv/nx/sid/nix/var/nix/userpool/999"),
            (18, "/srv/nx/sid/nix/var/nix/builds/nix-27471-609933114"),
            (
                19,
                "/srv/nx/sid/nix/var/log/nix/drvs/bb/c3whrs7smbl8j4lvn7dm50p9035nk7-liba-1.0.drv.bz2",
            ),
            (21, "/srv/nx/sid/nix/var/nix/userpool/998"),
            (23, "/srv/nx/sid/nix/var/log/nix/drvs/56/59vyjfxq4fabhlkihwccqysmff9v5v-libb-1.0.drv"),
            (24, "socket:[12]"),
        ])
    }

    fn pair(derivation: &str, user: Option<u32>, builder: Option<u32>) -> Pair {
        Pair { derivation: derivation.to_owned(), user, builder }
    }

    #[test]
    fn what_is_open_tells_the_builds() {
        let files = two();
        assert_eq!(files.logs, [(19, A.to_owned()), (23, B.to_owned())]);
        assert_eq!(files.users, [(17, 999), (21, 998)]);
        assert_eq!(files.outputs, ["s8m4kx4vf4yb1ci5417f68lfn42jj4h2-liba-1.0"]);
        assert_eq!(files.store.as_deref(), Some("/nix/store"));
    }

    #[test]
    fn a_user_is_locked_before_the_log_is_opened() {
        let builders = [builder(2, 998, None), builder(1, 999, None)];
        let expected = [pair(A, Some(999), Some(1)), pair(B, Some(998), Some(2))];
        assert_eq!(pairs(&two(), &builders), expected);
        let expected = [pair(A, Some(999), None), pair(B, Some(998), None)];
        assert_eq!(pairs(&two(), &[]), expected, "none has started");
    }

    #[test]
    fn numbers_that_were_free_again_mislead_nobody() {
        // A's log has a number after B's, since others were free between.
        let files = files(&[
            (13, "/nix/var/nix/userpool/999"),
            (17, "/nix/var/nix/userpool/998"),
            (18, "/nix/var/log/nix/drvs/56/59vyjfxq4fabhlkihwccqysmff9v5v-libb-1.0.drv.bz2"),
            (19, "/nix/var/log/nix/drvs/bb/c3whrs7smbl8j4lvn7dm50p9035nk7-liba-1.0.drv.bz2"),
        ]);
        let expected = [pair(B, Some(998), None), pair(A, Some(999), None)];
        assert_eq!(pairs(&files, &[]), expected);
        let builders = [builder(1, 998, Some("liba-1.0")), builder(2, 999, Some("libb-1.0"))];
        let expected = [pair(B, Some(999), Some(2)), pair(A, Some(998), Some(1))];
        assert_eq!(pairs(&files, &builders), expected, "the builders say otherwise");
    }

    #[test]
    fn a_builder_of_something_else_is_not_taken() {
        let mut files = two();
        files.logs.truncate(1);
        files.users.truncate(1);
        assert_eq!(pairs(&files, &[builder(1, 999, Some("other"))]), [pair(A, None, None)]);
    }

    #[test]
    fn without_build_users_the_name_tells() {
        let mut files = two();
        files.users.clear();
        let builders = [builder(1, 0, Some("libb-1.0")), builder(2, 0, Some("liba-1.0"))];
        let expected = [pair(A, None, Some(2)), pair(B, None, Some(1))];
        assert_eq!(pairs(&files, &builders), expected);
        assert_eq!(
            pairs(&files, &[builder(1, 0, None)]),
            [pair(A, None, None), pair(B, None, None)]
        );
        files.logs.truncate(1);
        assert_eq!(pairs(&files, &[builder(1, 0, None)]), [pair(A, None, Some(1))]);
    }

    #[test]
    fn names_of_the_store() {
        assert!(is_store_name(A));
        for no in [
            "",
            "-",
            &A[1..],
            "bbc3whrs7smbl8j4lvn7dm50p9035nk7",
            "bbc3whrs7smbl8j4lvn7dm50p9035nk7-",
            "ebc3whrs7smbl8j4lvn7dm50p9035nk7-e",
            "bbc3whrs7smbl8j4lvn7dm50p9035né-x",
        ] {
            assert!(!is_store_name(no), "{no}");
        }
        assert_eq!(name(A), "liba-1.0");
        assert_eq!(name("s8m4kx4vf4yb1ci5417f68lfn42jj4h2-liba-1.0"), "liba-1.0");
        assert_eq!(Files::parse(&[(1, "/drvs/bb/é.drv".to_owned())]), Files::default());
    }
}
