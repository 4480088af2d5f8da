//! Where builds really run, and why there.
//!
//! `build-dir` decides where it is set. Else it depends on the release: since
//! Nix 2.30 a directory of the store's own state, before it the daemon's TMPDIR,
//! which is seldom the one of whoever asks.

use std::path::{Path, PathBuf};

use detect::hardware::{Hardware, Implementation};
use detect::nix;
use detect::release::Release;
use detect::root::Root;
use serde_json::Value;

/// Units that start the daemon, and what administrators add to them.
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
/// that of the builds only without a daemon.
pub(crate) fn whereabouts(
    root: &Root,
    hardware: &Hardware,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Whereabouts {
    let nix = hardware.nix.as_ref();
    let set = nix.and_then(|nix| nix.settings.get("build-dir")).and_then(Value::as_str);
    if let Some(set) = set.filter(|set| !set.is_empty()) {
        return Whereabouts { path: tidied(Path::new(set)), reason: "build-dir is set".to_owned() };
    }
    let release = release(hardware);
    let name = release.map_or_else(|| "Nix".to_owned(), named);
    let daemon = daemon(root);
    let asked = |name: &str| match &daemon {
        Some(environment) => value(environment, name),
        None => variable(name),
    };
    let whose = if daemon.is_some() { "the daemon's" } else { "our" };
    let default = nix::build_dir(root, None, release);
    let by_default = |path: PathBuf| Whereabouts { path, reason: format!("the default of {name}") };
    // The default of current releases is below the state directory; of Lix, too.
    if let Ok(rest) = default.strip_prefix("/nix/var/nix") {
        return match asked("NIX_STATE_DIR").filter(|state| state.starts_with('/')) {
            Some(state) => Whereabouts {
                path: tidied(&Path::new(&state).join(rest)),
                reason: format!("{whose} NIX_STATE_DIR, and the default of {name}"),
            },
            None => by_default(default),
        };
    }
    let unit = || is_multi_user(hardware).then(|| unit(root)).flatten();
    match asked("TMPDIR").or_else(unit).filter(|path| path.starts_with('/')) {
        Some(path) => Whereabouts {
            path: tidied(Path::new(&path)),
            reason: format!("{whose} TMPDIR, which {name} builds in"),
        },
        None => by_default("/tmp".into()),
    }
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

/// The environment of the daemon, `None` when none runs or it is not shown to us.
fn daemon(root: &Root) -> Option<std::rc::Rc<str>> {
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let processes = root.list("proc").into_iter().filter(is_number);
    let mut daemons = processes.filter(|pid| {
        root.word(format!("proc/{pid}/comm")).is_some_and(|name| name == "nix-daemon")
    });
    // One's workers have its name and its environment.
    let pid = daemons.next()?;
    root.read(format!("proc/{pid}/environ"))
}

/// A variable of an environment as the kernel shows it.
fn value(environment: &str, name: &str) -> Option<String> {
    let assigned = |entry: &str| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned());
    environment.split('\0').find_map(assigned)
}

/// TMPDIR in the unit of a daemon that is not started yet. The last one counts.
fn unit(root: &Root) -> Option<String> {
    let mut files = Vec::new();
    for folder in UNITS {
        let unit = format!("{folder}/nix-daemon.service");
        let added = format!("{unit}.d");
        files.push(unit);
        files.extend(root.list(&added).into_iter().map(|name| format!("{added}/{name}")));
    }
    let texts = files.iter().filter_map(|file| root.read(file));
    texts.filter_map(|text| in_unit(&text)).last()
}

fn in_unit(text: &str) -> Option<String> {
    let assignments = text.lines().filter_map(|line| line.trim().strip_prefix("Environment="));
    let words = assignments.flat_map(str::split_whitespace);
    let value = |word: &str| {
        let word = word.trim_matches(['"', '\'']);
        word.strip_prefix("TMPDIR=").map(str::to_owned)
    };
    words.filter_map(value).next_back()
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
        let (path, reason) = look("2.34.8", &[], None);
        assert_eq!(path, "/state/builds", "without a daemon we build ourselves");
        assert_eq!(reason, "our NIX_STATE_DIR, and the default of Nix 2.34");
    }

    #[test]
    fn a_unit_tells_of_a_daemon_that_sleeps() {
        let unit = "[Service]\nEnvironment=\"A=1\" \"TMPDIR=/one\"\nEnvironment=TMPDIR=/two\n";
        assert_eq!(super::in_unit(unit).as_deref(), Some("/two"));
        assert_eq!(super::in_unit("#Environment=TMPDIR=/x\n"), None);
        assert_eq!(super::tidied(Path::new("/../a")), Path::new("/a"));
    }
}
