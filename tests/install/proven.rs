//! What Nix does not take, or would not read as planned, is not put in place,
//! and found when it is.

use std::fs;

use profile::plan::{Setting, Value};

use super::{Tree, document, newest, plan};
use crate::tools::{feed, has, real_nix, skip, text};

#[test]
fn nix_has_the_last_word() {
    for nix in real_nix() {
        let refused = |conf: &str| {
            let tree = Tree::new(&nix, &[("etc/nix/nix.conf", conf)]);
            let said = tree.refused(Some(&plan(&nix, 3)), "--apply");
            assert!(said.contains("/etc/nix") || !said.contains("in '"), "{said}");
            said
        };
        let said = refused("cores = 7\nmax-jobs is 3\n");
        assert!(said.contains("configuration line 'max-jobs is 3' in "), "{said}");
        assert!(said.contains("etc/nix/nix.conf"), "people know it by its own name: {said}");
        let said = refused("cores = many\n");
        assert!(said.contains("'cores' has invalid value 'many'"), "{said}");
        let said = refused("include gone.conf\n");
        assert!(said.contains("etc/nix/gone.conf"), "{said}");

        // A warning that was there before is none of ours.
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "no-such-setting = 1\n")]);
        tree.done(Some(&plan(&nix, 3)), "--apply");
        tree.done(Some(&plan(&nix, 3)), "--check");
    }
}

#[test]
fn a_plan_for_another_nix_is_not_put_in_place() {
    let all = real_nix();
    let [old, .., new] = all.as_slice() else { return };
    let mut plan = plan(new, 3);
    let value = Value::Integer(1 << 30);
    let setting = Setting { value, why: "since 2.12".to_owned(), stage: "t".to_owned() };
    plan.settings.insert("download-buffer-size".to_owned(), setting);
    let tree = Tree::new(new, &[]);
    tree.done(Some(&plan), "--apply");
    let tree = Tree::new(old, &[]);
    let said = tree.refused(Some(&plan), "--apply");
    assert!(said.contains("unknown setting 'download-buffer-size'"), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
}

#[test]
fn what_comes_later_is_named() {
    for nix in real_nix() {
        let plan = plan(&nix, 3);
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "build-cores = 7\n")]);
        tree.done(Some(&plan), "--apply");
        tree.assert_in_force(&plan);
        let conf = text(&tree.file("nix.conf").expect("nix.conf"));
        for (later, why) in [
            ("# cores = 1\nbuild-cores = 9\n", "cores: stays \"9\": "),
            ("!include later.conf\n", "min-free: stays \"5\": "),
        ] {
            fs::write(tree.conf().join("nix.conf"), conf.clone() + later).expect("edit");
            fs::write(tree.conf().join("later.conf"), "min-free = 5\n").expect("file");
            for action in ["--check", "--apply"] {
                let said = tree.refused(Some(&plan), action);
                assert!(said.contains(why), "{action}: {said}");
                assert!(!later.contains("cores") || said.contains("nix.conf line 4 sets it"));
            }
        }
    }
}

#[test]
fn additions_need_what_they_add_to() {
    for nix in real_nix() {
        let mut plan = plan(&nix, 3);
        let value = Value::List(vec!["benchmark".to_owned(), "kvm".to_owned()]);
        let setting = Setting { value, why: "for the test".to_owned(), stage: "t".to_owned() };
        plan.settings.insert("extra-system-features".to_owned(), setting);
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "system-features = uid-range\n")]);
        tree.done(Some(&plan), "--apply");
        let features = &tree.settings()["system-features"]["value"];
        assert_eq!(*features, serde_json::json!(["benchmark", "kvm", "uid-range"]));
        tree.done(Some(&plan), "--check");

        let conf = text(&tree.file("nix.conf").expect("nix.conf"));
        fs::write(tree.conf().join("nix.conf"), conf + "system-features = kvm\n").expect("edit");
        let said = tree.refused(Some(&plan), "--check");
        assert!(said.contains("extra-system-features: stays \"kvm\""), "{said}");
    }
}

#[test]
fn drift_is_found_and_shown() {
    let Some(nix) = newest() else { return };
    let (one, two) = (plan(&nix, 2), plan(&nix, 3));
    let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "cores = 7")]);
    let said = tree.refused(Some(&one), "--check");
    assert!(said.contains("nixpace.conf: missing; "), "{said}");
    assert!(said.contains("nix.conf: does not include nixpace.conf\nhint: --diff"), "{said}");
    tree.done(Some(&one), "--apply");
    assert!(tree.refused(Some(&two), "--check").contains("nixpace.conf: differs from the plan"));

    // What is shown is what is done, as another program understands it.
    if !has(&["patch"]) {
        return;
    }
    for (from, to) in [(None, &one), (Some(&one), &two)] {
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "cores = 7")]);
        from.map(|plan| tree.done(Some(plan), "--apply"));
        let before = tree.everything();
        let shown = tree.run(Some(to), "--diff");
        assert!(shown.status.success());
        assert_eq!(tree.everything(), before, "it is only shown");
        tree.done(Some(to), "--apply");
        let done = [tree.file("nix.conf"), tree.file("nixpace.conf")];
        tree.done(None, "--rollback");
        let mut patch = std::process::Command::new("patch");
        patch.args(["-p0", "--quiet", "-d", "/"]);
        let patched = feed(patch, &shown.stdout);
        assert!(patched.status.success(), "{}", text(&patched.stderr));
        assert_eq!([tree.file("nix.conf"), tree.file("nixpace.conf")], done);
    }
    let mut colored = tree.command("--diff");
    colored.arg("--color=always");
    let shown = text(&feed(colored, &document(&two)).stdout);
    assert!(shown.contains("\u{1b}[32m+cores = 3\u{1b}[0m\n"), "{shown}");
}

#[test]
fn a_plan_that_must_not_be_written_is_not() {
    let Some(nix) = newest() else { return };
    let edits = [
        ("trusted-users", Value::List(vec!["*".to_owned()]), "settings.trusted-users: refused"),
        ("extra-trusted-users", Value::List(vec!["me".to_owned()]), "refused"),
        ("build-dir", Value::Text("/a\nsandbox = false".to_owned()), "control character"),
        ("user-agent-suffix", Value::Text("a # b".to_owned()), "comment"),
    ];
    for (name, value, why) in edits {
        let mut plan = plan(&nix, 3);
        let setting = Setting { value, why: "?".to_owned(), stage: "t".to_owned() };
        plan.settings.insert(name.to_owned(), setting);
        let tree = Tree::new(&nix, &[("etc/nix/nix.conf", "cores = 7\n")]);
        for action in ["--apply", "--check", "--diff"] {
            let said = tree.refused(Some(&plan), action);
            assert!(said.contains(why), "{name} {action}: {said}");
        }
    }
}

#[test]
fn without_nix_there_is_no_proof() {
    let Some(nix) = newest() else { return };
    let usual = ["/run/current-system/sw", "/nix/var/nix/profiles/default", "/usr/local", "/usr"];
    if usual.iter().any(|place| fs::exists(format!("{place}/bin/nix")).unwrap_or(true)) {
        skip("this machine has a Nix");
        return;
    }
    let tree = Tree::new(&nix, &[]);
    let before = tree.everything();
    let mut command = tree.command("--apply");
    command.env("PATH", tree.conf());
    let output = feed(command, &document(&plan(&nix, 3)));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("no Nix found") && said.contains("\nhint: "), "{said}");
    assert_eq!(tree.everything(), before);
}

#[test]
fn the_command_line_says_what_goes_together() {
    let Some(nix) = newest() else { return };
    let tree = Tree::new(&nix, &[]);
    for arguments in
        [&["--check"][..], &["--as", "env"], &["-o", "file"], &["--rollback", "plan.json"]]
    {
        let mut command = tree.command("--apply");
        command.args(arguments);
        let output = feed(command, &document(&plan(&nix, 3)));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", text(&output.stderr));
    }
    assert_eq!(tree.file("nix.conf"), None);
}
