//! The installed Nix: its version, its settings, and who owns them.

mod remarks;
mod secrets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::answer::Answer;
use crate::conf::{self, Kind};
use crate::flat;
use crate::hardware::{ConfOwner, Implementation, Nix, Note};
use crate::release::Release;
use crate::root::Root;

pub use secrets::without_login;

/// Settings whose effective values are reported: those that some stage plans,
/// or whose value decides whether a plan does good or harm.
const SETTINGS: [(&str, Kind); 40] = [
    ("allowed-users", Kind::List),
    ("always-allow-substitutes", Kind::Bool),
    ("auto-allocate-uids", Kind::Bool),
    ("auto-optimise-store", Kind::Bool),
    ("build-dir", Kind::Text),
    ("build-users-group", Kind::Text),
    ("builders", Kind::Text),
    ("builders-use-substitutes", Kind::Bool),
    ("connect-timeout", Kind::Number),
    ("cores", Kind::Number),
    ("download-attempts", Kind::Number),
    ("download-buffer-size", Kind::Number),
    ("extra-platforms", Kind::Set),
    ("fallback", Kind::Bool),
    ("filetransfer-retry-attempts", Kind::Number),
    ("fsync-metadata", Kind::Bool),
    ("http-connections", Kind::Number),
    ("keep-build-log", Kind::Bool),
    ("keep-derivations", Kind::Bool),
    ("keep-outputs", Kind::Bool),
    ("log-lines", Kind::Number),
    ("max-free", Kind::Number),
    ("max-jobs", Kind::Jobs),
    ("max-silent-time", Kind::Number),
    ("max-substitution-jobs", Kind::Number),
    ("min-free", Kind::Number),
    ("narinfo-cache-meta-ttl", Kind::Number),
    ("narinfo-cache-negative-ttl", Kind::Number),
    ("narinfo-cache-positive-ttl", Kind::Number),
    ("require-sigs", Kind::Bool),
    ("sandbox", Kind::Text),
    ("stalled-download-timeout", Kind::Number),
    ("substitute", Kind::Bool),
    ("substituters", Kind::List),
    ("system-features", Kind::Set),
    ("timeout", Kind::Number),
    ("trusted-public-keys", Kind::List),
    ("trusted-substituters", Kind::List),
    ("trusted-users", Kind::List),
    ("use-cgroups", Kind::Bool),
];

/// What the daemon, and everyone's Nix, reads.
const CONF: &str = "/etc/nix/nix.conf";

/// What stands in place of a secret key that somebody put among public ones, and
/// of what a cache's address logs in with: documents are kept and shared, and
/// these must not be.
pub const SECRET: &str = "SECRET";

/// Where `nix` is when it is not on the PATH, as under sudo or in a captured
/// tree.
const USUAL_PLACES: [&str; 4] = [
    "/run/current-system/sw/bin/nix",
    "/nix/var/nix/profiles/default/bin/nix",
    "/usr/local/bin/nix",
    "/usr/bin/nix",
];

/// Nix while it answers: it takes far longer than everything else, so ask
/// first, look at the machine, and then take the answers.
pub struct Asked {
    version: Option<Answer>,
    settings: Option<Answer>,
    program: Option<PathBuf>,
}

/// Start to ask this machine's Nix; a captured tree is only looked at.
pub fn ask(root: &Root) -> Asked {
    let program = program(root);
    if !root.is_live() {
        return Asked { version: None, settings: None, program };
    }
    Asked {
        version: program.as_deref().and_then(|program| Answer::ask(program, &["--version"])),
        settings: program.as_deref().and_then(|program| {
            // `config show` since 2.20, of which this stays an alias.
            let feature = ["--extra-experimental-features", "nix-command"];
            Answer::ask(program, &[feature[0], feature[1], "show-config", "--json"])
        }),
        program,
    }
}

/// Where the `nix` program is: on the PATH, or in one of the usual places.
pub fn program(root: &Root) -> Option<PathBuf> {
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("nix")).find(|file| file.is_file())
    };
    let usual = || USUAL_PLACES.iter().map(PathBuf::from).find(|path| root.exists(path));
    if root.is_live() { on_path().or_else(usual) } else { usual() }
}

/// What was found out, and which release it is.
pub fn nix(root: &Root, asked: Asked, notes: &mut Vec<Note>) -> (Option<Nix>, Option<Release>) {
    let Some(program) = asked.program else {
        notes.push(Note::info("nix-missing", "no Nix found on this machine"));
        return (None, None);
    };
    let banner = asked.version.and_then(Answer::take);
    let settings = asked.settings.and_then(Answer::hear).filter(|heard| heard.succeeded);
    let release = match &banner {
        Some(banner) => Release::from_banner(banner),
        None => from_store_path(&root.resolve(&program)),
    };
    if release.is_none() {
        notes.push(Note::warning(
            "nix-version-unknown",
            "Nix is there but does not say its version: see what `nix --version` says, or give \
             profile --for-nix",
        ));
    }
    let settings = match settings {
        Some(heard) => {
            notes.extend(remarks::unknown(&heard.errors));
            select(&heard.text)
        }
        // What a captured machine's files set; what they do not has its default.
        None if root.is_live() => BTreeMap::new(),
        None => conf::settings(root, Path::new(CONF), &SETTINGS).unwrap_or_default(),
    };
    notes.extend(remarks::forgotten(&conf::forgotten(root, Path::new(CONF))));
    let mut settings = secrets::removed(settings);
    let multi_user = multi_user(root);
    // To all but root Nix says that there is no group; where no file says so, the daemon,
    // which builds for them, has its default.
    let group = ("build-users-group", Kind::Text);
    if root.is_live()
        && multi_user == Some(true)
        && settings.get(group.0).and_then(Value::as_str) == Some("")
        && user(root).is_some_and(|user| user != "0")
        && conf::settings(root, Path::new(CONF), &[group]).unwrap_or_default().is_empty()
    {
        settings.insert(group.0.to_owned(), "nixbld".into());
    }
    if settings.is_empty() {
        let text = if root.is_live() {
            "Nix's settings could not be read: `nix --extra-experimental-features nix-command \
             show-config` says why"
        } else {
            "no setting of Nix is known: nix.conf is not there, sets none, or cannot be read"
        };
        notes.push(Note::info("nix-settings-unknown", text));
    }
    let nix = Nix {
        version: release.map(|release| {
            let (major, minor, patch) = release.version;
            format!("{major}.{minor}.{patch}")
        }),
        implementation: release.map(|release| release.implementation),
        multi_user,
        build_users: build_users(root, &settings),
        trusted: if root.is_live() { trusted(root, multi_user, &settings) } else { None },
        conf_owner: Some(conf_owner(root)),
        store_dir: Some(store_dir(root).display().to_string()),
        settings,
    };
    (Some(nix), release)
}

/// The store directory, which only an environment variable can move.
pub fn store_dir(root: &Root) -> PathBuf {
    let set = std::env::var_os("NIX_STORE_DIR").filter(|_| root.is_live());
    set.map_or_else(|| PathBuf::from("/nix/store"), PathBuf::from)
}

/// Where builds run: as set, or the release's default. Without Nix, the default
/// of current releases.
pub fn build_dir(root: &Root, nix: Option<&Nix>, release: Option<Release>) -> PathBuf {
    if let Some(Value::String(set)) = nix.and_then(|nix| nix.settings.get("build-dir"))
        && !set.is_empty()
    {
        return set.into();
    }
    let old = match release {
        // lix.systems release notes 2.94.
        Some(Release { implementation: Implementation::Lix, version }) => {
            if version >= (2, 94, 0) {
                return "/nix/var/nix/b".into();
            }
            true
        }
        // NixOS/nix release notes 2.30.
        Some(release) => !release.has_nix(2, 30),
        None => false,
    };
    if !old {
        return "/nix/var/nix/builds".into();
    }
    // A daemon has an environment of its own, which mostly has no TMPDIR.
    let single = root.is_live() && nix.is_some_and(|nix| nix.multi_user == Some(false));
    let own = std::env::var_os("TMPDIR").filter(|_| single);
    own.map_or_else(|| "/tmp".into(), PathBuf::from)
}

/// The settings we report, of what `nix show-config --json` printed.
fn select(text: &str) -> BTreeMap<String, Value> {
    let Ok(Value::Object(mut all)) = serde_json::from_str(text) else {
        return BTreeMap::new();
    };
    SETTINGS
        .iter()
        .filter_map(|(name, _)| {
            Some(((*name).to_owned(), all.get_mut(*name)?.get_mut("value")?.take()))
        })
        .filter(|(_, value)| flat::is_flat(value))
        .collect()
}

/// `/nix/store/HASH-nix-2.34.8/bin/nix` tells the version without being run.
fn from_store_path(program: &Path) -> Option<Release> {
    let name = program.strip_prefix("/nix/store").ok()?.iter().next()?.to_str()?;
    let (_, name) = name.split_once('-')?;
    match name.rsplit_once('-')? {
        ("nix", version) => Release::parse(version),
        ("lix", version) => Release::parse(&format!("lix-{version}")),
        _ => None,
    }
}

fn multi_user(root: &Root) -> Option<bool> {
    if root.exists("nix/var/nix/daemon-socket/socket") {
        return Some(true);
    }
    root.exists("nix/store").then_some(false)
}

fn build_users(root: &Root, settings: &BTreeMap<String, Value>) -> Option<u32> {
    let group = settings.get("build-users-group").and_then(Value::as_str).unwrap_or("nixbld");
    let groups = root.read("etc/group")?;
    let members = groups.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(':'))?;
    let members = members.rsplit(':').next()?.split(',').filter(|name| !name.is_empty());
    u32::try_from(members.count()).ok()
}

/// Who writes nix.conf, by the marks each leaves.
pub fn conf_owner(root: &Root) -> ConfOwner {
    let target = root.link("/etc/nix/nix.conf").unwrap_or_default();
    if target.starts_with("/etc/.system-manager-static") {
        return ConfOwner::SystemManager;
    }
    if root.exists("etc/NIXOS") {
        return ConfOwner::Nixos;
    }
    if target.starts_with("/etc/static") {
        return ConfOwner::Darwin;
    }
    let conf = root.read("etc/nix/nix.conf").unwrap_or_default();
    let includes_custom = conf.lines().any(|line| line.trim_end().ends_with("nix.custom.conf"));
    if includes_custom || root.exists("usr/local/bin/determinate-nixd") {
        return ConfOwner::Determinate;
    }
    // Where `nix.enable` is off, nix.conf is somebody else's.
    if !root.exists("etc/nix/nix.conf") && root.exists("run/current-system/darwin-version") {
        return ConfOwner::Darwin;
    }
    ConfOwner::Plain
}

/// Who runs this program, as a number.
fn user(root: &Root) -> Option<String> {
    if root.is_live() {
        return Some(rustix::process::geteuid().as_raw().to_string());
    }
    ids(root, "Uid:")?.into_iter().nth(1)
}

/// The numbers of a line of this program's status.
fn ids(root: &Root, key: &str) -> Option<Vec<String>> {
    let status = root.read("proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().map(str::to_owned).collect())
}

/// Whether the daemon takes every setting from this user: root, or one whom
/// `trusted-users` names or whose group it names. Without a daemon nobody asks.
fn trusted(
    root: &Root,
    multi_user: Option<bool>,
    settings: &BTreeMap<String, Value>,
) -> Option<bool> {
    let user = user(root)?;
    if user == "0" || multi_user == Some(false) {
        return Some(true);
    }
    let listed: Vec<&str> =
        settings.get("trusted-users")?.as_array()?.iter().filter_map(Value::as_str).collect();
    if listed.contains(&"*") {
        return Some(true);
    }
    let mut groups = ids(root, "Groups:").unwrap_or_default();
    groups.extend(ids(root, "Gid:")?.into_iter().nth(1));
    let by_id = |file: &str, ids: &[String]| -> Vec<String> {
        let text = root.read(file).unwrap_or_default();
        let entries = text.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            ids.iter().any(|id| Some(id.as_str()) == fields.clone().nth(1)).then(|| name.to_owned())
        });
        entries.collect()
    };
    let names = by_id("etc/passwd", &[user]);
    let groups = by_id("etc/group", &groups);
    let group =
        |name: &&&str| name.strip_prefix('@').is_some_and(|g| groups.iter().any(|own| own == g));
    if listed.iter().any(|name| names.iter().any(|own| own == name) || group(&name)) {
        return Some(true);
    }
    // A user of a directory service has no line in /etc/passwd.
    (!names.is_empty()).then_some(false)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{conf_owner, from_store_path, select};
    use crate::fixture::tree;
    use crate::hardware::ConfOwner;
    use crate::release::Release;

    #[test]
    fn a_store_path_tells_the_version() {
        let path = |text| from_store_path(Path::new(text));
        assert_eq!(path("/nix/store/abc-nix-2.34.8/bin/nix"), Some(Release::nix(2, 34, 8)));
        assert_eq!(path("/nix/store/abc-lix-2.93.0/bin/nix"), Release::parse("lix-2.93.0"));
        assert_eq!(path("/nix/store/abc-determinate-nix-3.8.5/bin/nix"), None);
        assert_eq!(path("/usr/bin/nix"), None);
    }

    #[test]
    fn nix_conf_s_writer_is_known_by_its_marks() {
        let owner = |files: &[&str]| {
            let files: Vec<(&str, &str)> = files.iter().map(|file| (*file, "\n")).collect();
            conf_owner(&tree(&files).root)
        };
        let (conf, darwin) = ("etc/nix/nix.conf", "run/current-system/darwin-version");
        let determinate = "usr/local/bin/determinate-nixd";
        assert_eq!(owner(&[conf]), ConfOwner::Plain);
        assert_eq!(owner(&[conf, "etc/NIXOS"]), ConfOwner::Nixos);
        assert_eq!(owner(&[darwin]), ConfOwner::Darwin);
        assert_eq!(owner(&[conf, determinate]), ConfOwner::Determinate);
        // With `nix.enable` off.
        assert_eq!(owner(&[conf, darwin, determinate]), ConfOwner::Determinate);
        assert_eq!(owner(&[conf, darwin]), ConfOwner::Plain);
    }

    #[test]
    fn only_the_settings_that_matter() {
        let text = r#"{"cores": {"value": 2}, "access-tokens": {"value": {"a": "secret"}},
            "max-jobs": {"value": [[3]]}}"#;
        let settings = select(text);
        assert_eq!(settings.get("cores"), Some(&serde_json::json!(2)));
        assert_eq!(settings.len(), 1, "no secret gets out, and nothing that Nix does not print");
        assert!(select("no JSON").is_empty());
    }
}
