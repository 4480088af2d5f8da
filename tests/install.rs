//! A plan in place: what was there stays and comes back, what others write is
//! left to them, and Nix reads what was planned.

/// Out of space, without rights, two at once.
mod hindered;
/// Killed at any instant.
mod killed;
/// What Nix does not take, and what is not in force, is found before and after.
mod proven;
/// Two plans that take turns in one place.
mod turns;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use detect::release::Release;
use profile::Options;
use profile::plan::{Plan, Setting, Value};

use crate::nix::{json, machine};
use crate::tools::{RealNix, feed, has, is_root, path_with, real_nix, skip, text, tool};

/// The line that `--apply` adds, as far as all forms of it agree.
const LINE: &str = "!include nixpace.conf # added by nix-conf-write";

/// A tree with a folder for nix.conf, and a Nix that reads it.
struct Tree {
    base: tempfile::TempDir,
    nix: PathBuf,
}

impl Tree {
    /// A tree of some files; a text that starts with `-> ` makes a link.
    fn new(nix: &RealNix, files: &[(&str, &str)]) -> Self {
        // Quicker than on a disk; which one it is makes no difference to us.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let base = tempfile::tempdir_in(base).expect("folder");
        let tree = Self { base, nix: nix.bin.clone() };
        fs::create_dir_all(tree.conf()).expect("folder");
        for (path, text) in files {
            let path = tree.base.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("folders");
            match text.strip_prefix("-> ") {
                Some(target) => symlink(target, path).expect("link"),
                None => fs::write(path, text).expect("file"),
            }
        }
        tree
    }

    fn conf(&self) -> PathBuf {
        self.base.path().join("etc/nix")
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.conf().join(name)).ok()
    }

    /// What Nix would read of us, whether or not anything includes it.
    fn ours(&self) -> String {
        text(&self.file("nixpace.conf").unwrap_or_default())
    }

    /// The names, kinds, modes and contents of everything below the folder.
    fn everything(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.base.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("folder") {
                let path = entry.expect("entry").path();
                let about = fs::symlink_metadata(&path).expect("stat");
                let contents =
                    if about.is_file() { fs::read(&path).expect("file") } else { vec![] };
                let mode = about.permissions().mode();
                found.insert(path.clone(), format!("{mode:o} {}", contents.escape_ascii()));
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }

    fn command(&self, action: &str) -> Command {
        let mut command = tool("nix-conf-write");
        command.args([action, "--conf-dir"]).arg(self.conf()).env("PATH", path_with(&[&self.nix]));
        command.env_remove("NIX_CONFIG");
        command
    }

    fn run(&self, plan: Option<&Plan>, action: &str) -> Output {
        feed(self.command(action), &plan.map(document).unwrap_or_default())
    }

    /// What a run that must succeed says to people.
    fn done(&self, plan: Option<&Plan>, action: &str) -> String {
        let output = self.run(plan, action);
        assert!(output.status.success(), "{action}: {}", text(&output.stderr));
        text(&output.stderr)
    }

    /// What a run that must fail says, after which nothing has changed.
    fn refused(&self, plan: Option<&Plan>, action: &str) -> String {
        let before = self.everything();
        let output = self.run(plan, action);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{action}: {errors}");
        assert_eq!(text(&output.stdout), "", "{action}");
        assert_eq!(self.everything(), before, "{action}: {errors}");
        errors
    }

    /// The settings that Nix reads from the folder.
    fn settings(&self) -> serde_json::Value {
        let output = Command::new(self.nix.join("nix"))
            .args(["--extra-experimental-features", "nix-command", "show-config", "--json"])
            .env("NIX_CONF_DIR", self.conf())
            .env("NIX_USER_CONF_FILES", "")
            .env_remove("NIX_CONFIG")
            .env("HOME", self.base.path())
            .output()
            .expect("nix runs");
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let news = errors.lines().find(|line| !line.contains("deprecated alias"));
        assert_eq!(news, None, "{:#?}", self.everything());
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn assert_in_force(&self, plan: &Plan) {
        let settings = self.settings();
        for (name, setting) in &plan.settings {
            assert_eq!(settings[name]["value"], json(&setting.value), "{name}");
        }
    }
}

/// A plan with a given number of cores, and a setting that a daemon keeps.
fn plan(nix: &RealNix, cores: u64) -> Plan {
    let for_nix = Release::parse(&nix.version);
    let options = Options { for_nix, ..Options::default() };
    let mut plan = profile::run(machine(8, 16 << 30), &options).expect("a plan");
    let set = |value| Setting { value, why: "for the test".to_owned(), stage: "t".to_owned() };
    plan.settings.insert("cores".to_owned(), set(Value::Integer(cores)));
    plan.settings.insert("min-free".to_owned(), set(Value::Integer(cores << 30)));
    plan
}

/// A plan as text.
fn document(plan: &Plan) -> Vec<u8> {
    detect::stage::text(plan).expect("JSON").into_bytes()
}

/// The newest Nix that is here.
fn newest() -> Option<RealNix> {
    real_nix().pop()
}

#[test]
fn what_was_there_stays_and_comes_back() {
    let more = ("etc/nix/more/other.conf", "!include deeper.conf\nkeep-outputs = true\n");
    let files: [&[(&str, &str)]; 7] = [
        &[],
        &[("etc/nix/nix.conf", "")],
        &[("etc/nix/nix.conf", "# Mine.\n\ncores = 7 # many\n#\n")],
        &[("etc/nix/nix.conf", "cores = 7")],
        &[("etc/nix/nix.conf", "# Mine.\r\ncores = 7\r\n\r\n")],
        &[("etc/nix/nix.conf", "cores = 7\r\nmax-jobs = 1")],
        &[("etc/nix/nix.conf", "include more/other.conf\nmin-free = 1\n!include gone\n#"), more],
    ];
    for nix in real_nix() {
        for files in files {
            let tree = Tree::new(&nix, files);
            let plan = plan(&nix, 3);
            let before = tree.everything();

            let said = tree.done(Some(&plan), "--apply");
            assert!(said.contains("systemctl restart nix-daemon"), "{said}");
            tree.assert_in_force(&plan);
            let conf = tree.file("nix.conf").expect("nix.conf");
            let old = files.first().map_or("", |(_, text)| text);
            assert!(conf.starts_with(old.as_bytes()), "what was there is kept");
            assert_eq!(text(&conf).matches(LINE).count(), 1);
            assert_eq!(old.contains('\r'), text(&conf).ends_with("\r\n"));
            if files.len() > 1 {
                assert_eq!(tree.settings()["keep-outputs"]["value"], true);
            }

            let applied = tree.everything();
            assert!(tree.done(Some(&plan), "--apply").contains("already in place"));
            assert_eq!(tree.done(Some(&plan), "--check"), "");
            assert_eq!(text(&tree.run(Some(&plan), "--diff").stdout), "");
            assert_eq!(tree.everything(), applied, "nothing changes a second time");

            tree.done(None, "--rollback");
            assert_eq!(tree.everything(), before, "Nix {}: {files:?}", nix.version);
            let said = tree.refused(None, "--rollback");
            assert!(said.contains("nothing to roll back"), "{said}");
        }
    }
}

#[test]
fn one_step_back() {
    let Some(nix) = newest() else { return };
    let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "cores = 7\n")]);
    let (one, two) = (plan(&nix, 2), plan(&nix, 3));
    tree.done(Some(&one), "--apply");
    let conf = tree.file("nix.conf");
    let first = tree.ours();
    tree.done(Some(&two), "--apply");
    assert_eq!(tree.file("nix.conf"), conf, "one line is enough");
    tree.assert_in_force(&two);
    tree.done(None, "--rollback");
    assert_eq!(tree.ours(), first);
    tree.assert_in_force(&one);
    assert!(tree.refused(None, "--rollback").contains("nothing to roll back"));
}

#[test]
fn what_the_user_did_since_stays() {
    let Some(nix) = newest() else { return };
    let plan = plan(&nix, 3);
    let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "cores = 7")]);
    tree.done(Some(&plan), "--apply");
    let path = tree.conf().join("nix.conf");
    let edited = text(&tree.file("nix.conf").expect("nix.conf")) + "keep-outputs = true\n";
    fs::write(&path, edited).expect("edit");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("mode");
    tree.done(None, "--rollback");
    assert_eq!(tree.file("nix.conf").as_deref(), Some(&b"cores = 7\nkeep-outputs = true\n"[..]));
    let mode = fs::metadata(&path).expect("stat").permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "an edited file keeps its mode");

    // A file that was made for our line is the user's once there is more in it.
    let tree = Tree::new(&nix, &[]);
    tree.done(Some(&plan), "--apply");
    let created = text(&tree.file("nix.conf").expect("nix.conf"));
    fs::write(tree.conf().join("nix.conf"), created + "cores = 1\n").expect("edit");
    tree.done(None, "--rollback");
    assert!(text(&tree.file("nix.conf").expect("kept")).ends_with("\ncores = 1\n"));

    // Where there was no folder there is one, for everyone, whatever the umask.
    let tree = Tree::new(&nix, &[]);
    fs::remove_dir(tree.conf()).expect("empty");
    let mut shell = Command::new("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    let run = tree.command("--apply");
    shell.arg(run.get_program()).args(run.get_args()).env("PATH", path_with(&[&tree.nix]));
    assert!(feed(shell, &document(&plan)).status.success());
    for (path, mode) in [("", 0o755), ("nix.conf", 0o644), ("nixpace.conf", 0o644)] {
        let about = fs::metadata(tree.conf().join(path)).expect("stat");
        assert_eq!(about.permissions().mode() & 0o777, mode, "{path}");
    }

    // Nor is a line of the user's own ever doubled, or taken out.
    for own in ["!include nixpace.conf\n", "!include ./nixpace.conf # ours\n"] {
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", own)]);
        let before = tree.everything();
        tree.done(Some(&plan), "--apply");
        tree.assert_in_force(&plan);
        assert_eq!(tree.file("nix.conf").as_deref(), Some(own.as_bytes()));
        tree.done(None, "--rollback");
        assert_eq!(tree.everything(), before);
    }
    let tree = Tree::new(&nix, &[]);
    fs::write(tree.conf().join("nix.conf"), "include nixpace.conf\n").expect("nix.conf");
    tree.done(Some(&plan), "--apply");
    let said = tree.refused(None, "--rollback");
    assert!(said.contains("nix.conf line 1: Nix would fail without"), "{said}");
}

#[test]
fn determinate_nix_keeps_its_own_file() {
    let managed = "# Managed by Determinate Nix.\nmax-jobs = auto\n!include nix.custom.conf\n";
    for nix in real_nix() {
        for custom in [None, Some("cores = 7\n")] {
            let mut files = vec![("etc/nix/nix.conf", managed)];
            files.extend(custom.map(|text| ("etc/nix/nix.custom.conf", text)));
            let tree = Tree::new(&nix, &files);
            let before = tree.everything();
            let plan = plan(&nix, 3);
            tree.done(Some(&plan), "--apply");
            assert_eq!(tree.file("nix.conf").as_deref(), Some(managed.as_bytes()));
            assert!(text(&tree.file("nix.custom.conf").expect("custom")).contains(LINE));
            tree.assert_in_force(&plan);
            tree.done(Some(&plan), "--check");
            tree.done(None, "--rollback");
            assert_eq!(tree.everything(), before);
        }
    }
}

#[test]
fn where_builds_would_run_must_be_there_first() {
    if Path::new("/nix-builds").exists() {
        return skip("this machine has /nix-builds");
    }
    for nix in real_nix().into_iter().filter(|nix| nix.version == "2.26") {
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "")]);
        let mut plan = plan(&nix, 3);
        let value = Value::Text("/nix-builds".to_owned());
        let setting = Setting { value, why: "for the test".to_owned(), stage: "t".to_owned() };
        plan.settings.insert("build-dir".to_owned(), setting);
        let said = tree.refused(Some(&plan), "--apply");
        assert!(said.contains("hint: sudo install --directory --mode=0755 /nix-builds"), "{said}");
    }
}

#[test]
fn what_others_write_is_left_to_them() {
    let Some(nix) = newest() else { return };
    let plan = plan(&nix, 3);
    let trees: [(&str, &[(&str, &str)]); 8] = [
        (
            "NixOS writes it",
            &[("etc/NIXOS", ""), ("etc/nix/nix.conf", "-> /etc/static/nix/nix.conf")],
        ),
        ("NixOS writes it", &[("etc/NIXOS", ""), ("etc/nix/nix.conf", "-> /nix/store/x-nix.conf")]),
        ("nix-darwin writes it", &[("etc/nix/nix.conf", "-> /etc/static/nix/nix.conf")]),
        (
            "system-manager writes it",
            &[("etc/nix/nix.conf", "-> /etc/.system-manager-static/nix/nix.conf")],
        ),
        ("a symbolic link to /nix/store", &[("etc/nix/nix.conf", "-> /nix/store/x-nix.conf")]),
        (
            "nix.conf: a symbolic link to ../../secret",
            &[("secret", "s"), ("etc/nix/nix.conf", "-> ../../secret")],
        ),
        (
            "nixpace.conf: a symbolic link",
            &[("secret", "s"), ("etc/nix/nixpace.conf", "-> ../../secret")],
        ),
        (
            "nix.custom.conf: a symbolic link",
            &[
                ("etc/nix/nix.conf", "!include nix.custom.conf\n"),
                ("etc/nix/nix.custom.conf", "-> ../../secret"),
            ],
        ),
    ];
    for (why, files) in trees {
        let tree = Tree::new(&nix, files);
        for action in ["--apply", "--check", "--diff"] {
            let said = tree.refused(Some(&plan), action);
            assert!(said.contains(why), "{action}: {said}");
            assert_eq!(said.contains("\nhint: "), !why.ends_with("conf: a symbolic link"));
        }
        let said = tree.refused(None, "--rollback");
        assert!(said.contains(why), "{said}");
    }

    let tree = Tree::new(&nix, &[("etc/nix/nixpace.conf.previous", "-> ../../secret")]);
    assert!(tree.refused(Some(&plan), "--apply").contains("previous: a symbolic link"));
    assert!(tree.refused(None, "--rollback").contains("previous: a symbolic link"));
    let tree = Tree::new(&nix, &[("else/nix.conf", "cores = 7\n")]);
    fs::remove_dir(tree.conf()).expect("empty");
    symlink("../else", tree.conf()).expect("link");
    assert!(tree.refused(Some(&plan), "--apply").contains("etc/nix: a symbolic link"));
    if has(&["mkfifo"]) {
        let tree = Tree::new(&nix, &[]);
        let made = Command::new("mkfifo").arg(tree.conf().join("nix.conf")).status();
        assert!(made.is_ok_and(|status| status.success()));
        assert!(tree.refused(Some(&plan), "--apply").contains("not a regular file"));
    }
}

#[test]
fn root_writes_only_where_nobody_else_can() {
    let Some(nix) = newest() else { return };
    if !is_root() {
        skip("only root has more rights than the owners of folders");
        return;
    }
    let plan = plan(&nix, 3);
    let tree = Tree::new(&nix, &[]);
    for folder in [tree.conf(), tree.base.path().join("etc")] {
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("mode");
        let said = tree.refused(Some(&plan), "--apply");
        assert!(said.contains("others than root may write to it"), "{said}");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("mode");
        chown(&folder, Some(65534), None).expect("chown");
        assert!(tree.refused(Some(&plan), "--apply").contains("not root's"));
        chown(&folder, Some(0), None).expect("chown");
    }
    tree.done(Some(&plan), "--apply");
}
