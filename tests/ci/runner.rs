//! A runner, as far as our workflow and action need one: it does the steps in their
//! order, with the files and variables that GitHub's has. What others' actions do is
//! done for them, or left out where it is no matter here.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::caches::machine::Machine;
use crate::tools::{binaries, text, tool, workspace};

/// A run of the job for one host.
pub(super) struct Runner<'a> {
    machine: &'a Machine,
    folder: tempfile::TempDir,
    /// What expressions stand for, by their text.
    known: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    path: Vec<PathBuf>,
    log: String,
}

/// How a run went.
pub(super) struct Ran {
    _folder: tempfile::TempDir,
    pub(super) log: String,
    pub(super) summary: String,
    /// What steps have put into `$GITHUB_ENV`.
    pub(super) variables: BTreeMap<String, String>,
    /// `ID.NAME` of each output of a step.
    pub(super) outputs: BTreeMap<String, String>,
    /// The link to what was built.
    pub(super) system: PathBuf,
    builds: Value,
}

impl Ran {
    /// The names of what was built.
    pub(super) fn built(&self) -> Vec<String> {
        let builds = self.builds["builds"].as_array().expect("builds");
        builds.iter().map(|build| build["name"].as_str().expect("a name").to_owned()).collect()
    }
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("text");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// Remove a folder that may be read-only, or may not be there.
pub(super) fn remove(folder: &Path) {
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(folder).output();
    let _ = fs::remove_dir_all(folder);
}

impl<'a> Runner<'a> {
    pub(super) fn new(machine: &'a Machine, host: &str, caches: &str) -> Self {
        let folder = tempfile::tempdir_in("/tmp").expect("folder");
        let at = |name: &str| folder.path().join(name);
        for name in ["temp/nixpace", "checkout/tests/hosts"] {
            fs::create_dir_all(at(name)).expect("folder");
        }
        let flake = workspace().join("tests/hosts/flake.nix");
        fs::copy(flake, at("checkout/tests/hosts/flake.nix")).expect("a flake");
        // The tools that an earlier run has built, one of which sees another machine.
        for tool in ["profile", "nix-conf-write", "storage", "caches", "monitor", "bench"] {
            symlink(binaries().join(tool), at("temp/nixpace").join(tool)).expect("a tool");
        }
        // This Nix, on a machine that gives 4 CPUs and 16 GiB of what it has.
        let tree = at("machine");
        quota(&tree);
        let seen = |arguments: &[&OsStr]| -> Value {
            let mut detect = machine.prepare(tool("detect"));
            let output = detect.arg("--quiet").args(arguments).output().expect("detect runs");
            serde_json::from_slice(&output.stdout).expect("a document")
        };
        let mut hardware = seen(&["--root".as_ref(), tree.as_os_str()]);
        hardware["nix"] = seen(&[])["nix"].take();
        fs::write(at("hardware.json"), hardware.to_string()).expect("written");
        let detect = format!("#!/bin/sh\ncat '{}'\n", at("hardware.json").display());
        let shim = at("temp/nixpace/detect");
        fs::write(&shim, detect).expect("written");
        fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).expect("executable");
        let known = [
            ("matrix.host", host),
            ("inputs.caches", caches),
            ("runner.os", "Linux"),
            ("runner.arch", "X64"),
            ("runner.temp", &at("temp").display().to_string()),
            ("hashFiles('**/flake.lock', '**/*.nix')", "0123"),
        ];
        let known = known.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let (variables, path, log) = (BTreeMap::new(), Vec::new(), String::new());
        Self { machine, folder, known, variables, path, log }
    }

    /// Do the job.
    pub(super) fn job(mut self) -> Ran {
        let workflow = yaml(&workspace().join(".github/workflows/performance-ci.yml"));
        self.steps(&workflow["jobs"]["host"]["steps"], "bash -e");
        let temp = self.folder.path().join("temp");
        let mut builds = Command::new(binaries().join("monitor"));
        builds.args(["builds", "--json", "--db"]).arg(temp.join("history.sqlite"));
        let builds = builds.output().expect("monitor runs");
        let read = |name: &str| fs::read_to_string(temp.join(name)).unwrap_or_default();
        assert!(read("report.html").contains("<html"), "no report: {}", self.log);
        let outputs = self.known.iter().filter_map(|(name, value)| {
            let (id, name) = name.strip_prefix("steps.")?.split_once(".outputs.")?;
            Some((format!("{id}.{name}"), value.clone()))
        });
        Ran {
            outputs: outputs.collect(),
            summary: read("summary"),
            builds: serde_json::from_slice(&builds.stdout).expect("JSON"),
            system: temp.join("system"),
            log: self.log,
            variables: self.variables,
            _folder: self.folder,
        }
    }

    fn steps(&mut self, steps: &Value, shell: &str) {
        for step in steps.as_array().expect("steps") {
            let condition = step["if"].as_str().unwrap_or("always()");
            if !self.holds(condition) {
                continue;
            }
            let id = step["id"].as_str().unwrap_or("-");
            let uses = step["uses"].as_str();
            match uses.map(|uses| uses.split('@').next().unwrap_or_default()) {
                None => self.run(step, id, shell),
                Some("./") => self.action(step, id),
                // The tools are there, and so is the checkout.
                Some("actions/cache") => self.know(id, "cache-hit", "true"),
                Some("cachix/install-nix-action") => self.path.push(self.machine.nix.bin.clone()),
                Some("nix-community/cache-nix-action") => {
                    assert!(
                        self.filled(&step["with"]["primary-key"]).starts_with("nix-Linux-X64-")
                    );
                }
                Some("actions/checkout" | "actions/upload-artifact") => (),
                Some(other) => panic!("{other}: not known here"),
            }
        }
    }

    /// The steps of our action.
    fn action(&mut self, step: &Value, id: &str) {
        let action = yaml(&workspace().join("action.yml"));
        let given = step["with"].clone();
        for (name, input) in action["inputs"].as_object().expect("inputs") {
            let value = given.get(name).unwrap_or(&input["default"]);
            let value = self.filled(value);
            self.known.insert(format!("inputs.{name}"), value);
        }
        for name in given.as_object().expect("inputs").keys() {
            assert!(!action["inputs"][name].is_null(), "{name}: no input of the action");
        }
        self.steps(&action["runs"]["steps"], "");
        for (name, output) in action["outputs"].as_object().expect("outputs") {
            let value = self.filled(&output["value"]);
            self.know(id, name, &value);
        }
    }

    fn know(&mut self, id: &str, output: &str, value: &str) {
        self.known.insert(format!("steps.{id}.outputs.{output}"), value.to_owned());
    }

    fn holds(&self, condition: &str) -> bool {
        let Some((name, value)) = condition.split_once(" != ") else {
            assert_eq!(condition, "always()", "not known here");
            return true;
        };
        let found = self.known.get(name).cloned().unwrap_or_default();
        found != value.trim_matches('\'')
    }

    /// A text with its expressions replaced.
    fn filled(&self, text: &Value) -> String {
        let mut rest = text.as_str().expect("text");
        let mut filled = String::new();
        while let Some((before, after)) = rest.split_once("${{ ") {
            let (name, after) = after.split_once(" }}").expect("an end");
            let value = self.known.get(name);
            filled.push_str(before);
            filled.push_str(value.unwrap_or_else(|| panic!("{name}: not known here")));
            rest = after;
        }
        filled + rest
    }

    fn run(&mut self, step: &Value, id: &str, shell: &str) {
        // What GitHub makes of `shell: bash`, and of none.
        let shell = match step["shell"].as_str() {
            Some("bash") => "bash --noprofile --norc -eo pipefail",
            None if !shell.is_empty() => shell,
            other => panic!("{other:?}: a step of an action names its shell"),
        };
        let temp = self.folder.path().join("temp");
        let script = temp.join("script.sh");
        fs::write(&script, step["run"].as_str().expect("a script")).expect("written");
        let mut command = Command::new("bash");
        command.args(shell.split(' ').skip(1)).arg(&script);
        let mut command = self.machine.prepare(command);
        let files =
            ["ENV", "PATH", "OUTPUT"].map(|name| (name, temp.join(format!("github-{name}"))));
        for (name, path) in &files {
            fs::write(path, "").expect("written");
            command.env(format!("GITHUB_{name}"), path);
        }
        command
            .env("GITHUB_STEP_SUMMARY", temp.join("summary"))
            .env("GITHUB_ACTION_PATH", workspace())
            .env("GITHUB_ACTIONS", "true")
            .env("RUNNER_TEMP", &temp)
            .env("CI", "true")
            .envs(&self.variables)
            .current_dir(self.folder.path().join("checkout"));
        let mut own: Vec<&Path> = self.path.iter().map(PathBuf::as_path).collect();
        own.reverse();
        command.env("PATH", crate::tools::path_with(&own));
        if let Some(variables) = step["env"].as_object() {
            for (name, value) in variables {
                command.env(name, self.filled(value));
            }
        }
        let output = command.output().expect("bash runs");
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        self.log.push_str(&format!("── {}\n{said}", step["name"]));
        assert!(output.status.success(), "{}: {}", step["name"], self.log);
        for (name, path) in files {
            let text = fs::read_to_string(path).expect("text");
            match name {
                "PATH" => self.path.extend(text.lines().map(PathBuf::from)),
                "ENV" => self.variables.extend(assigned(&text)),
                _ => assigned(&text).iter().for_each(|(name, value)| self.know(id, name, value)),
            }
        }
    }
}

/// What a file says that assigns values as GitHub's runner reads it: `NAME=VALUE`, or
/// `NAME<<END` with lines up to one that is `END`.
fn assigned(text: &str) -> Vec<(String, String)> {
    let mut assigned = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.contains("<<")) {
            assigned.push((name.to_owned(), value.to_owned()));
        } else if let Some((name, end)) = line.split_once("<<") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
            assigned.push((name.to_owned(), block.join("\n")));
        } else {
            panic!("{line:?}: assigns nothing");
        }
    }
    assigned
}

/// The tree of a machine under such a quota.
fn quota(tree: &Path) {
    let from = workspace().join("tests/fixtures/pod-quota-v2");
    let status = Command::new("cp").arg("-r").arg(from).arg(tree).status();
    assert!(status.is_ok_and(|status| status.success()), "no tree");
    let pods = tree.join("sys/fs/cgroup/kubepods.slice");
    for (file, text) in [
        ("cpu.max", "400000 100000\n"),
        ("memory.max", "17179869184\n"),
        ("pod1/cpu.max", "400000 100000\n"),
        ("pod1/memory.high", "max\n"),
        ("pod1/memory.max", "17179869184\n"),
    ] {
        fs::write(pods.join(file), text).expect("written");
    }
}
