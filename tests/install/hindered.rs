//! A full disk, a folder that may not be written to, another writer: the old is
//! left whole, or the new is.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use super::turns::{CONF, Run, Turns, in_force, others, prove};
use super::{Tree, document, newest, plan};
use crate::tools::{apart, binaries, has, is_root, text};

#[test]
fn a_full_disk() {
    let Some(nix) = newest() else { return };
    let results = tempfile::tempdir().expect("folder");
    let turns = Turns::new(&nix, &nix.bin);
    // A page more of room each time; one for each small file.
    let script = format!(
        "export PATH={nix}:$PATH; mkdir disk
        for had in none one; do for room in 0 1 2 3 4 5 6; do
            mount -t tmpfs -o size=64k,mode=755 tmpfs disk
            mkdir -p disk/etc/nix; cp {tree}/etc/nix/nix.conf disk/etc/nix/
            run() {{ nix-conf-write \"$@\" --conf-dir disk/etc/nix; }}
            if [ $had = one ]; then run --apply {tree}/0.json; fi
            head -c 64K /dev/zero > disk/fill || true
            truncate -s -$((room * 4096)) disk/fill
            code=0; run --apply {tree}/1.json || code=$?
            cp -a disk/etc/nix {results}/$had-$room-$code
            umount disk
        done; done",
        nix = nix.bin.display(),
        tree = turns.tree.base.path().display(),
        results = results.path().display(),
    );
    let Some(output) = apart(&script) else { return };
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut codes = BTreeSet::new();
    for entry in fs::read_dir(&results).expect("results") {
        let conf = entry.expect("entry").path();
        let name = conf.file_name().expect("name").to_string_lossy().into_owned();
        let code = name.rsplit('-').next().expect("code").to_owned();
        let old = if name.starts_with("one") { turns.texts[0].as_str() } else { "" };
        let expected = if code == "0" { &turns.texts[1] } else { old };
        assert_eq!(in_force(&conf, &turns.texts), expected, "{name}");
        assert_eq!(others(&conf), [""; 0], "{name}");
        codes.insert(code);
    }
    assert_eq!(codes, BTreeSet::from(["0".to_owned(), "1".to_owned()]), "both were seen");
    assert!(text(&output.stderr).contains("No space left on device"));
}

#[test]
fn a_folder_that_may_not_be_written_to() {
    let Some(nix) = newest() else { return };
    let tree = Tree::new(&nix, &[("etc/nix/nix.conf", CONF)]);
    // Others may not look into the folder that it was built in.
    let base = tree.base.path();
    fs::copy(binaries().join("nix-conf-write"), base.join("nix-conf-write")).expect("copy");
    fs::write(base.join("plan.json"), document(&plan(&nix, 2))).expect("plan");
    fs::set_permissions(base, Permissions::from_mode(0o755)).expect("mode");
    fs::set_permissions(tree.conf(), Permissions::from_mode(0o555)).expect("mode");
    let before = tree.everything();
    let mut command = Command::new(base.join("nix-conf-write"));
    if is_root() {
        if !has(&["setpriv"]) {
            return;
        }
        command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(base.join("nix-conf-write"));
    }
    command.args(["--apply", "--conf-dir"]).arg(tree.conf()).arg(base.join("plan.json"));
    let output = command.output().expect("runs");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("etc/nix: Permission denied\nhint: run it as root"), "{said}");
    assert_eq!(tree.everything(), before);

    let script = format!(
        "mkdir disk; mount -t tmpfs -o ro,mode=755 tmpfs disk
        nix-conf-write --apply {}/plan.json --conf-dir disk",
        base.display()
    );
    let Some(output) = apart(&script) else { return };
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("disk: Read-only file system"));
}

#[test]
fn writers_wait_for_each_other() {
    let Some(nix) = newest() else { return };
    let turns = Turns::new(&nix, &nix.bin);
    let held = File::open(turns.tree.conf()).expect("folder");
    held.lock().expect("a lock");
    let mut child = turns.command(Run::Apply(0)).stderr(Stdio::piped()).spawn().expect("starts");
    let mut said = BufReader::new(child.stderr.take().expect("stderr"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert!(line.ends_with("etc/nix: waiting for another writer\n"), "{line}");
    assert_eq!(turns.in_force(), "");
    assert_eq!(child.try_wait().expect("status"), None);
    drop(held);
    std::io::copy(&mut said, &mut std::io::sink()).expect("the rest");
    assert!(child.wait().expect("ends").success());
    assert_eq!(turns.in_force(), turns.texts[0]);

    let run = |index: usize| turns.command(Run::Apply(index % 2)).spawn().expect("starts");
    let children: Vec<Child> = (0..8).map(run).collect();
    for mut child in children {
        assert!(child.wait().expect("ends").success());
    }
    assert!(turns.texts.contains(&turns.in_force()));
    prove(&turns, &Mutex::new(BTreeSet::new()));
}
