//! Where builds really run, and why there.
//!
//! `build-dir` decides where it is set. Else it depends on the release: since
//! Nix 2.30 a directory of the store's own state, before it the daemon's TMPDIR,
//! which is seldom the one of whoever asks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use detect::hardware::{Hardware, Implementation};
use detect::nix;
use detect::release::Release;
use detect::root::{LONGEST_PATH, Root};
use serde_json::Value;

use super::is_root;

/// Where the unit that starts the daemon is, and what administrators add to it:
/// what is in the first hides what the others have by the same name (systemd.unit(5)).
const UNITS: [&str; 3] = ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// Where builds run, and what decides so.
pub(crate) struct Whereabouts {
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

/// The release that this machine has, if it is known.
pub(crate) fn release(hardware: &Hardware) -> Option<Release> {
    let nix = hardware.nix.as_ref()?;
    let release = Release::parse(nix.version.as_deref()?)?;
    let implementation = nix.implementation.unwrap_or(release.implementation);
    Some(Release { implementation, ..release })
}

/// Where the machine's builds run. `variable` is our own environment, which is
/// that of the builds only where we build ourselves: on an installation without
/// a daemon, or as root while none runs.
pub(crate) fn whereabouts(
    root: &Root,
    hardware: &Hardware,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Whereabouts {
    let nix = hardware.nix.as_ref();
    let set = nix.and_then(|nix| nix.settings.get("build-dir")).and_then(Value::as_str);
    if let Some(set) = set.filter(|set| !set.is_empty() && is_short(set)) {
        return Whereabouts { path: tidied(Path::new(set)), reason: "build-dir is set".to_owned() };
    }
    let release = release(hardware);
    let name = release.map_or_else(|| "Nix".to_owned(), named);
    let daemon = daemon(root);
    // The environment of a daemon is mostly root's to read; ours says nothing of it.
    let is_ours = daemon.is_none() && (!is_multi_user(hardware) || is_root(root));
    let environment = daemon.and_then(|pid| root.read(format!("proc/{pid}/environ")));
    let asked = |name: &str| {
        let found = match &environment {
            Some(environment) => value(environment, name),
            None if is_ours => variable(name),
            None => None,
        };
        found.filter(|path| path.starts_with('/') && is_short(path))
    };
    let whose = if is_ours { "our" } else { "the daemon's" };
    let default = nix::build_dir(root, None, release);
    let by_default = |path: PathBuf| Whereabouts { path, reason: format!("the default of {name}") };
    // The default of current releases is below the state directory; of Lix, too.
    if let Ok(rest) = default.strip_prefix("/nix/var/nix") {
        return match asked("NIX_STATE_DIR") {
            Some(state) => Whereabouts {
                path: tidied(&Path::new(&state).join(rest)),
                reason: format!("{whose} NIX_STATE_DIR, and the default of {name}"),
            },
            None => by_default(default),
        };
    }
    let unit = || is_multi_user(hardware).then(|| unit(root)).flatten();
    let set = asked("TMPDIR").map(|path| (whose, path));
    let set = set.or_else(|| Some(("the daemon's", unit()?)));
    match set {
        Some((whose, path)) => Whereabouts {
            path: tidied(Path::new(&path)),
            reason: format!("{whose} TMPDIR, which {name} builds in"),
        },
        None => by_default("/tmp".into()),
    }
}

/// Whether the kernel would take a path: what is longer is as good as unset.
fn is_short(path: &str) -> bool {
    path.len() <= LONGEST_PATH
}

fn named(release: Release) -> String {
    let name = match release.implementation {
        Implementation::Lix => "Lix",
        _ => "Nix",
    };
    format!("{name} {}.{}", release.version.0, release.version.1)
}

fn is_multi_user(hardware: &Hardware) -> bool {
    hardware.nix.as_ref().is_some_and(|nix| nix.multi_user == Some(true))
}

/// The process of the daemon, `None` when none runs or it is not shown to us.
fn daemon(root: &Root) -> Option<String> {
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let mut processes = root.list("proc").into_iter().filter(is_number);
    // One's workers have its name and its environment.
    processes
        .find(|pid| root.word(format!("proc/{pid}/comm")).is_some_and(|name| name == "nix-daemon"))
}

/// A variable of an environment as the kernel shows it.
fn value(environment: &str, name: &str) -> Option<String> {
    let assigned = |entry: &str| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    environment.split('\0').find_map(assigned)
}

/// TMPDIR in the unit of a daemon that is not started yet, and in what is added
/// to it, by name and after it wherever it is. The last one counts.
fn unit(root: &Root) -> Option<String> {
    let units = UNITS.map(|folder| format!("{folder}/nix-daemon.service"));
    let main = units.iter().find_map(|unit| root.read(unit));
    let mut added = BTreeMap::new();
    for folder in units.iter().map(|unit| format!("{unit}.d")) {
        let names = root.list(&folder).into_iter();
        for name in names.filter(|name| Path::new(name).extension().is_some_and(|is| is == "conf"))
        {
            let path = format!("{folder}/{name}");
            added.entry(name).or_insert(path);
        }
    }
    let texts = main.into_iter().chain(added.values().filter_map(|path| root.read(path)));
    let path = texts.fold(None, |before, text| in_unit(&text, before));
    path.filter(|path| path.starts_with('/') && is_short(path))
}

/// TMPDIR after a file of a unit, of which `before` is what those before it say.
fn in_unit(text: &str, before: Option<String>) -> Option<String> {
    let assignments = text.lines().filter_map(|line| line.trim().strip_prefix("Environment="));
    let value = |word: &str| {
        let word = word.trim_matches(['"', '\'']);
        word.strip_prefix("TMPDIR=").map(str::to_owned)
    };
    assignments.fold(before, |before, words| match words {
        // What is empty forgets all that is above it.
        "" => None,
        words => words.split_whitespace().filter_map(value).next_back().or(before),
    })
}

/// A path as Nix makes it of a setting: `.` and `..` are gone, whatever links
/// there are.
fn tidied(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::from("/");
    for name in detect::root::names(path).into_iter().rev() {
        if name == ".." {
            tidy.pop();
        } else {
            tidy.push(name);
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use detect::hardware::{Hardware, Nix};
    use detect::root::Root;
    use serde_json::json;

    use super::whereabouts;

    /// Where builds of a release run, in a tree with these files, and with our
    /// own TMPDIR and state directory.
    fn look(version: &str, files: &[(&str, &str)], set: Option<&str>) -> (String, String) {
        let tree = tempfile::tempdir().expect("folder");
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().expect("folder")).expect("folders");
            fs::write(path, text).expect("file");
        }
        let root = Root::captured(tree.path()).expect("root");
        let mut nix =
            Nix { version: Some(version.to_owned()), multi_user: Some(true), ..Nix::default() };
        nix.settings.extend(set.map(|set| ("build-dir".to_owned(), json!(set))));
        let hardware = Hardware { nix: Some(nix), ..Hardware::default() };
        let own = |name: &str| match name {
            "TMPDIR" => Some("/own".to_owned()),
            "NIX_STATE_DIR" => Some("/state".to_owned()),
            _ => None,
        };
        let found = whereabouts(&root, &hardware, &own);
        (found.path.display().to_string(), found.reason)
    }

    const COMM: (&str, &str) = ("proc/7/comm", "nix-daemon\n");
    const ROOT: (&str, &str) = ("proc/self/status", "Uid:\t0\t0\t0\t0\n");

    #[test]
    fn a_setting_decides_before_all_else() {
        let (path, reason) = look("2.34.8", &[COMM], Some("/a/./b/../c/"));
        assert_eq!((path.as_str(), reason.as_str()), ("/a/c", "build-dir is set"));
    }

    #[test]
    fn the_environment_is_that_of_the_daemon() {
        let environ = ("proc/7/environ", "A=1\0TMPDIR=/big\0NIX_STATE_DIR=/its\0");
        assert_eq!(look("2.26.3", &[COMM, environ], None).0, "/big");
        assert_eq!(look("2.34.8", &[COMM, environ], None).0, "/its/builds");
        let bare = ("proc/7/environ", "A=1\0");
        assert_eq!(look("2.26.3", &[COMM, bare], None).0, "/tmp", "ours does not count");
        assert_eq!(look("2.34.8", &[COMM, bare], None).0, "/nix/var/nix/builds");
        let (path, reason) = look("2.34.8", &[ROOT], None);
        assert_eq!(path, "/state/builds", "without a daemon root builds by itself");
        assert_eq!(reason, "our NIX_STATE_DIR, and the default of Nix 2.34");
    }

    #[test]
    fn our_environment_is_not_that_of_a_daemon_we_cannot_look_at() {
        let user = ("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\n");
        for files in [&[][..], &[user], &[user, COMM], &[ROOT, COMM]] {
            let (path, reason) = look("2.34.8", files, None);
            assert_eq!(path, "/nix/var/nix/builds", "{files:?}");
            assert_eq!(reason, "the default of Nix 2.34");
            assert_eq!(look("2.26.3", files, None).0, "/tmp", "{files:?}");
        }
        assert_eq!(look("2.26.3", &[ROOT], None).0, "/own");
    }

    #[test]
    fn what_no_kernel_takes_is_unset() {
        let long = format!("/{}", "x".repeat(4096));
        assert_eq!(look("2.34.8", &[], Some(&long)).0, "/nix/var/nix/builds");
        let environ = format!("TMPDIR={long}\0");
        assert_eq!(look("2.26.3", &[COMM, ("proc/7/environ", &environ)], None).0, "/tmp");
    }

    #[test]
    fn a_unit_tells_of_a_daemon_that_sleeps() {
        let unit = "[Service]\nEnvironment=\"A=1\" \"TMPDIR=/one\"\nEnvironment=TMPDIR=/two\n";
        assert_eq!(super::in_unit(unit, None).as_deref(), Some("/two"));
        assert_eq!(super::in_unit("#Environment=TMPDIR=/x\n", None), None);
        assert_eq!(super::in_unit("Environment=\n", Some("/one".to_owned())), None);
        assert_eq!(super::tidied(Path::new("/../a")), Path::new("/a"));
    }

    #[test]
    fn of_units_the_administrator_s_counts_and_what_is_added_comes_last() {
        const OWN: &str = "etc/systemd/system/nix-daemon.service";
        const SENT: &str = "usr/lib/systemd/system/nix-daemon.service";
        let text = |path: &str| format!("[Service]\nEnvironment=TMPDIR={path}\n");
        let find = |files: &[(&str, &str)]| {
            let files: Vec<(&str, String)> =
                files.iter().map(|(file, path)| (*file, text(path))).collect();
            let files: Vec<(&str, &str)> =
                files.iter().map(|(file, text)| (*file, text.as_str())).collect();
            look("2.26.3", &files, None)
        };
        let (path, reason) = find(&[(OWN, "/own"), (SENT, "/sent")]);
        assert_eq!(path, "/own", "it hides the other");
        assert_eq!(reason, "the daemon's TMPDIR, which Nix 2.26 builds in");
        let added = |folder: &str, name: &str| format!("{folder}.d/{name}");
        let (sent, own) = (added(SENT, "b.conf"), added(OWN, "a.conf"));
        assert_eq!(find(&[(OWN, "/own"), (&sent, "/added")]).0, "/added");
        assert_eq!(find(&[(&own, "/a"), (&sent, "/b")]).0, "/b", "by name, wherever they are");
        let same = added(OWN, "b.conf");
        assert_eq!(find(&[(&same, "/own"), (&sent, "/sent")]).0, "/own");
        assert_eq!(find(&[(&added(OWN, "b.conf~"), "/old"), (SENT, "/sent")]).0, "/sent");
    }
}
