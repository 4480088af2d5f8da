//! Each way to say what is measured, on every real Nix: derivations, files, flakes,
//! evaluations and downloads, through a daemon that trusts us and one that does not.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{answer, bench, left, scratch};
use crate::forms::Daemon;
use crate::served::{Page, serve};
use crate::tools::{RealNix, is_root, missing, real_nix, skip, text};

/// A library that both need, and two builds of which one takes twice as long.
const BUILDS: &str = r#"
let
  build = name: needs: seconds: derivation {
    inherit name needs;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-euc" "PATH=/bin:/usr/bin; sleep ${seconds}; echo ${name} > $out" ];
  };
  library = build "library" [ ] "0.01";
in
{
  quick = build "quick" [ library ] "0.2";
  slow = build "slow" [ library ] "0.4";
}
"#;

/// A machine with one real Nix and a store that stays, where bench finds both.
struct Bed {
    nix: RealNix,
    folder: TempDir,
}

impl Bed {
    fn new(nix: RealNix) -> Self {
        let folder = scratch();
        fs::write(folder.path().join("builds.nix"), BUILDS).expect("written");
        let flake = format!(
            "{{ outputs = {{ self }}: {{ packages = builtins.mapAttrs (_: _: {}) \
             {{ x86_64-linux = 1; aarch64-linux = 1; }}; }}; }}",
            BUILDS.replace("builtins.currentSystem", "\"@system@\"")
        );
        let system = format!("{}-linux", std::env::consts::ARCH);
        fs::create_dir(folder.path().join("flake")).expect("folder");
        let flake = flake.replace("@system@", &system);
        fs::write(folder.path().join("flake/flake.nix"), flake).expect("written");
        Self { nix, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn prepare(&self, mut command: Command, config: &str) -> Command {
        for (name, folder) in [("STORE", "store"), ("STATE", "var"), ("LOG", "log")] {
            command.env(format!("NIX_{name}_DIR"), self.path(folder));
        }
        let config = format!("build-users-group =\nsandbox = false\nsubstituters =\n{config}");
        command
            .env("NIX_CONFIG", config)
            .env("NIX_CONF_DIR", "/nonexistent")
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path());
        command
    }

    /// What a program of Nix says that must succeed.
    fn says(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = self.prepare(Command::new(self.nix.bin.join(program)), "");
        let output = command.args(arguments).output().expect("nix runs");
        let errors = text(&output.stderr);
        assert!(output.status.success(), "Nix {}: {arguments:?}: {errors}", self.nix.version);
        text(&output.stdout).trim().to_owned()
    }

    fn bench(&self, arguments: &[&str], config: &str) -> Command {
        self.prepare(bench(&self.nix, self.folder.path(), arguments), config)
    }

    /// The document of a measurement that must succeed, of two runs or pairs.
    fn measured(&self, arguments: &[&str], config: &str) -> Value {
        let few = [arguments, &["--pairs", "2", "--min-pairs", "2", "--json"]].concat();
        let found = answer(&self.bench(&few, config).output().expect("it runs"));
        assert_eq!(left(self.folder.path()), [""; 0], "Nix {}", self.nix.version);
        found
    }
}

/// Every figure of a kind, of all runs.
fn all(document: &Value, field: &str) -> Vec<Value> {
    let runs = document["runs"].as_array().expect("runs");
    runs.iter().map(|run| run[field].clone()).collect()
}

#[test]
fn a_build_is_a_file_a_flake_or_a_derivation_on_every_nix() {
    for nix in real_nix() {
        let bed = Bed::new(nix);
        let what = format!("Nix {}", bed.nix.version);
        let is_one = |found: &Value| all(found, "builds").iter().all(|builds| *builds == json!(1));
        for name in [&["-f", "builds.nix", "-A", "quick"][..], &["./flake#quick"]] {
            let found = bed.measured(&[&["run"], name].concat(), "");
            assert_eq!(found["subject"]["method"], json!("check"), "{what}: {found}");
            assert!(is_one(&found), "{what}: {found}");
            let first = found["runs"][0]["seconds"].as_f64().expect("seconds");
            // It sleeps for 0.2 s, which all of Nix's run holds; its start may be heard of
            // a little late.
            let wall = found["runs"][0]["wall_seconds"].as_f64().expect("seconds");
            assert!(wall >= 0.2 && (0.15..20.0).contains(&first), "{what}: {first} of {wall}");
        }
        // Two derivations, one by the link that keeps it.
        let quick = bed.says("nix-instantiate", &["builds.nix", "-A", "quick"]);
        let link = ["builds.nix", "-A", "slow", "--indirect", "--add-root", "slow.drv"];
        bed.says("nix-instantiate", &link);
        let quick = quick.lines().next().expect("a path");
        let arguments = ["compare", quick, "slow.drv", "--pairs", "7", "--json"];
        let found = answer(&bed.bench(&arguments, "").output().expect("it runs"));
        assert_eq!(found["verdict"], json!("slower"), "{what}: {found}");
        assert!(is_one(&found), "{what}: {found}");
        assert_eq!(found["subject"]["drv"], json!(quick), "{what}");
        let other = found["other"]["drv"].as_str().expect("a derivation");
        assert!(other.ends_with("-slow.drv") && other.starts_with(&bed.path("store")), "{other}");
        for (arguments, code) in [
            (&["compare", quick, "plan"][..], 2),
            (&["compare", quick, "slow.drv", "hello"], 2),
            (&["compare", quick, "slow.drv", "--synthetic"], 2),
            (&["run", "none.drv"], 1),
        ] {
            let output = bed.bench(arguments, "").output().expect("it runs");
            assert_eq!(output.status.code(), Some(code), "{what}: {arguments:?}");
        }
    }
}

#[test]
fn evaluations_are_timed_on_every_nix() {
    for nix in real_nix() {
        let bed = Bed::new(nix);
        let what = format!("Nix {}", bed.nix.version);
        for name in [&["-f", "builds.nix", "-A", "quick"][..], &["./flake#quick"]] {
            let found = bed.measured(&[&["run", "--what", "eval"], name].concat(), "");
            assert_eq!(found["subject"]["method"], json!("evaluation"), "{what}: {found}");
            assert!(all(&found, "builds").iter().all(Value::is_null), "{what}: {found}");
            assert_eq!(all(&found, "seconds"), all(&found, "wall_seconds"), "{what}");
        }
        let drv = bed.says("nix-instantiate", &["builds.nix", "-A", "quick"]);
        let drv = drv.lines().next().expect("a path");
        let output = bed.bench(&["run", "--what", "eval", drv], "").output().expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{what}: it is evaluated already");
    }
}

#[test]
fn each_run_downloads_everything_again_on_every_nix() {
    for nix in real_nix() {
        let bed = Bed::new(nix);
        let what = format!("Nix {}", bed.nix.version);
        let path = bed.says("nix-build", &["--no-out-link", "builds.nix", "-A", "quick"]);
        let (secret, public) = (bed.path("secret"), bed.path("public"));
        bed.says("nix-store", &["--generate-binary-cache-key", "a-1", &secret, &public]);
        let to = format!("file://{}?secret-key={secret}", bed.path("cache"));
        let copy = ["--extra-experimental-features", "nix-command", "copy", "--to", &to, &path];
        bed.says("nix", &copy);
        let key = fs::read_to_string(&public).expect("a key");
        let with = |url: &str| format!("substituters = {url}\ntrusted-public-keys = {key}\n");

        // Every time all of it comes from the cache, its narinfo too.
        let (narinfos, nars) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (asked, sent, folder) = (narinfos.clone(), nars.clone(), bed.path("cache"));
        let cache = serve(Duration::ZERO, move |name| {
            let Ok(body) = fs::read(Path::new(&folder).join(name.trim_start_matches('/'))) else {
                return Page::status(404);
            };
            let counter = if name.starts_with("/nar/") { &sent } else { &asked };
            if name.ends_with(".narinfo") || name.starts_with("/nar/") {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            Page::ok(body)
        });
        let found = bed.measured(&["run", "--what", "fetch", &path], &with(&cache.url));
        assert_eq!(found["subject"]["method"], json!("fresh-download"), "{what}: {found}");
        let runs = found["runs"].as_array().expect("runs").len();
        assert_eq!(nars.load(Ordering::Relaxed), runs, "{what}");
        assert!(narinfos.load(Ordering::Relaxed) >= runs, "{what}");

        // Two settings that a daemon would not take are nothing to a store of our own.
        let file = with(&format!("file://{}", bed.path("cache")));
        let settings = ["http-connections=1", "http-connections=50"];
        let compare = [&["compare"], &settings[..], &[&path, "--what", "fetch"]].concat();
        let found = bed.measured(&compare, &file);
        assert_eq!(found["b"]["settings"], json!({"http-connections": "50"}), "{what}");

        // No proof, no path, or no such path: a failure, never a time.
        let unproven = file.replace(&key, "");
        let other = format!("{path}x");
        for (path, config) in [(&*path, &*unproven), (&*other, &*file), ("hello", &*file)] {
            let output = bed.bench(&["run", "--what", "fetch", path], config).output();
            assert_eq!(output.expect("it runs").status.code(), Some(1), "{what}: {path}");
            assert_eq!(left(bed.folder.path()), [""; 0], "{what}");
        }
    }
}

#[test]
fn what_a_daemon_would_ignore_is_refused() {
    if !is_root() {
        skip("a daemon that trusts one user and not another needs root");
        return;
    }
    for nix in real_nix() {
        let daemon = Daemon::start(&nix);
        let file = daemon.folder.path().join("builds.nix");
        fs::write(&file, BUILDS).expect("written");
        let file = file.to_str().expect("a path");
        let ask = |arguments: &[&str]| {
            let what = ["-f", file, "-A", "quick", "--pairs", "2", "--min-pairs", "2", "--json"];
            let arguments = [arguments, &what].concat();
            let command = bench(&nix, Path::new("/tmp"), &arguments);
            daemon.nobody(command).output().expect("it runs")
        };
        let output = ask(&["run", "--with", "cores=1"]);
        if !output.status.success() {
            let errors = text(&output.stderr);
            missing(&format!("a user without rights cannot run Nix {}: {errors}", nix.version));
            continue;
        }
        let found = answer(&output);
        assert!(all(&found, "cpu_seconds").iter().all(Value::is_null), "the daemon's: {found}");
        assert!(all(&found, "builds").iter().all(|builds| *builds == json!(1)), "{found}");
        let output = ask(&["compare", "default", "http-connections=50"]);
        assert_eq!(output.status.code(), Some(1), "Nix {}", nix.version);
        let errors = text(&output.stderr);
        let why = "http-connections: nix-daemon ignores it from this user";
        assert!(errors.contains(why), "Nix {}: {errors}", nix.version);
    }
}
