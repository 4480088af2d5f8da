//! Two plans that take turns in one place, and what must hold there at any time.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use profile::form::{Form, render};

use super::{LINE, Tree, document, plan};
use crate::tools::{RealNix, path_with, text};

/// What the user had in nix.conf.
pub(super) const CONF: &str = "# Mine.\ncores = 7\n";

pub(super) const FILES: [&str; 3] = ["nix.conf", "nixpace.conf", "nixpace.conf.previous"];

/// A tree, and two plans that take turns in it.
pub(super) struct Turns {
    pub(super) tree: Tree,
    /// The folder of the `nix` that proves them.
    pub(super) bin: PathBuf,
    pub(super) plans: [PathBuf; 2],
    pub(super) texts: [String; 2],
}

impl Turns {
    pub(super) fn new(nix: &RealNix, bin: &Path) -> Self {
        let tree = Tree::new(nix, &[("etc/nix/nix.conf", CONF)]);
        let plans = [plan(nix, 2), plan(nix, 3)];
        let texts = plans.each_ref().map(|plan| render(plan, Form::NixConf).expect("text"));
        let files = [0, 1].map(|index| {
            let path = tree.base.path().join(format!("{index}.json"));
            fs::write(&path, document(&plans[index])).expect("plan");
            path
        });
        Self { tree, bin: bin.to_owned(), plans: files, texts }
    }

    /// A run that puts the first or second plan in place, or what was before.
    pub(super) fn command(&self, what: Run) -> Command {
        let mut command = match what {
            Run::Apply(_) => self.tree.command("--apply"),
            Run::Rollback => self.tree.command("--rollback"),
        };
        if let Run::Apply(index) = what {
            command.arg(&self.plans[index]);
        }
        command.env("PATH", path_with(&[&self.bin]));
        // What a killed run leaves there goes with the tree.
        command.env("TMPDIR", self.tree.base.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// What Nix reads of ours.
    pub(super) fn in_force(&self) -> String {
        in_force(&self.tree.conf(), &self.texts)
    }

    /// What Nix must read of ours after a run that was let finish.
    pub(super) fn target(&self, what: Run) -> String {
        match what {
            Run::Apply(index) => self.texts[index].clone(),
            Run::Rollback => match self.tree.file("nixpace.conf.previous") {
                Some(previous) => text(&previous),
                None => self.in_force(),
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    Apply(usize),
    Rollback,
}

/// What else is in a folder.
pub(super) fn others(conf: &Path) -> Vec<String> {
    let names = fs::read_dir(conf).expect("folder").map(|entry| entry.expect("entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| !FILES.contains(&name.as_str())).collect()
}

/// What Nix reads of ours, when nothing there is half of anything.
pub(super) fn in_force(conf: &Path, texts: &[String; 2]) -> String {
    let read = |name| fs::read(conf.join(name)).ok().map(|found| text(&found));
    let [host, ours, previous] = FILES.map(read);
    let host = host.expect("the user's file");
    let included = host == format!("{CONF}{LINE}\n");
    assert!(included || host == CONF, "{host}");
    let whole = |text: &String| texts.contains(text);
    assert!(ours.as_ref().is_none_or(whole), "{ours:?}");
    assert!(previous.as_ref().is_none_or(|text| text.is_empty() || whole(text)), "{previous:?}");
    assert!(!included || ours.is_some(), "the line comes last and goes first");
    let others = others(conf);
    assert!(others.len() <= 1, "each run clears up after the one before: {others:?}");
    ours.filter(|_| included).unwrap_or_default()
}

/// A `nix` that answers as the real one does. Nix takes a hundred times as long
/// as all else and changes nothing, so where runs are killed this stands in for
/// it; what they leave is read by the real one.
pub(super) fn recording(nix: &RealNix) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    let turns = Turns::new(nix, &nix.bin);
    let mut script = "#!/bin/sh\n".to_owned();
    for (index, text) in turns.texts.iter().enumerate() {
        assert!(turns.command(Run::Apply(index)).status().expect("runs").success());
        let answer = folder.path().join(format!("{index}.json"));
        fs::write(&answer, turns.tree.settings().to_string()).expect("answer");
        script += &format!(
            "grep -qsx 'cores = {}' \"$NIX_CONF_DIR\"/nix*.conf && exec cat {}\n",
            cores(text),
            answer.display()
        );
    }
    let program = folder.path().join("nix");
    fs::write(&program, script + "exit 1\n").expect("script");
    fs::set_permissions(program, Permissions::from_mode(0o755)).expect("mode");
    folder
}

/// The cores that our file sets, or the user's where there is none of ours.
pub(super) fn cores(ours: &str) -> &str {
    ours.lines().find_map(|line| line.strip_prefix("cores = ")).unwrap_or("7")
}

/// Let every state that differs from those before be read by Nix.
pub(super) fn prove(turns: &Turns, seen: &Mutex<BTreeSet<Vec<Option<Vec<u8>>>>>) {
    let state = FILES.map(|name| turns.tree.file(name)).to_vec();
    if seen.lock().expect("no panic").insert(state) {
        let values = turns.tree.settings();
        assert_eq!(values["cores"]["value"].to_string(), cores(&turns.in_force()));
    }
}
