//! The flake and all Nix files: what they offer, and how they look.

use std::fs;
use std::path::Path;
use std::process::Command;

use detect::release::Release;
use serde_json::{Value, json};

use crate::fixtures::{expect, plan_for};
use crate::modules::value;
use crate::tools::{real_nix, text, workspace};

const SYSTEMS: [&str; 4] = ["aarch64-darwin", "aarch64-linux", "x86_64-darwin", "x86_64-linux"];
const PROGRAMS: [&str; 7] =
    ["bench", "caches", "detect", "monitor", "nix-conf-write", "profile", "storage"];

fn sorted(names: &[&str], more: &[&str]) -> Value {
    let mut all = [names, more].concat();
    all.sort_unstable();
    json!(all)
}

#[test]
fn the_flake_offers_everything_on_every_system() {
    for nix in real_nix() {
        let found = value(
            &nix,
            "let
              flake = import (root + \"/flake.nix\");
              nixpkgs = import (root + \"/tests/nix/nixpkgs.nix\");
              self = flake.outputs { inherit self nixpkgs; } // { outPath = root; };
              names = builtins.mapAttrs (_: builtins.attrNames);
              linux = self.packages.x86_64-linux;
            in {
              outputs = builtins.attrNames self;
              inputs = builtins.attrNames flake.inputs;
              packages = names self.packages;
              apps = names self.apps;
              checks = names self.checks;
              formatter = builtins.attrNames self.formatter;
              devShells = names self.devShells;
              main = builtins.mapAttrs (_: package: package.meta.mainProgram) linux;
              one = builtins.attrNames (builtins.listToAttrs (map (package: {
                name = builtins.unsafeDiscardStringContext package.drvPath;
                value = null;
              }) (builtins.attrValues linux)));
              version = linux.default.version;
              apps_run = lib.mapAttrsToList (_: app: baseNameOf app.program) self.apps.x86_64-linux;
              overlay = builtins.attrNames (self.overlays.default nixpkgs.legacyPackages.x86_64-linux { });
              follows = lib.mapAttrsToList (_: checks: checks.darwin-module.name) self.checks;
              nixos = self.checks.x86_64-linux.nixos-module.name;
              shell = self.devShells.aarch64-darwin.default.name;
              modules = map builtins.pathExists (builtins.attrValues self.nixosModules ++ [ self.darwinModules.default ]);
            }",
        );
        let everywhere = |value: Value| {
            let each = SYSTEMS.map(|system| (system.to_owned(), value.clone()));
            Value::Object(each.into_iter().collect())
        };
        assert_eq!(found["packages"], everywhere(sorted(&PROGRAMS, &["default", "nixpace"])));
        assert_eq!(found["apps"], everywhere(sorted(&PROGRAMS, &["default"])));
        assert_eq!(found["formatter"], json!(SYSTEMS));
        assert_eq!(found["devShells"], everywhere(json!(["default"])));
        for system in SYSTEMS {
            let nixos: &[&str] = if system.ends_with("-linux") { &["nixos-module"] } else { &[] };
            let checks = sorted(&["darwin-module", "formatting", "package"], nixos);
            assert_eq!(found["checks"][system], checks);
        }
        assert_eq!(found["inputs"], json!(["nixpkgs"]));
        for program in PROGRAMS {
            assert_eq!(found["main"][program], json!(program));
        }
        assert_eq!(found["one"].as_array().map(Vec::len), Some(1), "one build for all");
        assert_eq!(found["version"], json!(env!("CARGO_PKG_VERSION")));
        assert_eq!(
            found["apps_run"],
            json!([
                "bench",
                "caches",
                "detect",
                "detect",
                "monitor",
                "nix-conf-write",
                "profile",
                "storage"
            ])
        );
        assert_eq!(found["overlay"], json!(["nixpace"]));
        assert_eq!(found["follows"], json!(vec!["follows-the-plan"; 4]));
        assert_eq!(found["nixos"], json!("follows-the-plan"));
        assert_eq!(found["shell"], json!("shell"));
        assert_eq!(found["modules"], json!([true, true, true, true, true]));
        let outputs = found["outputs"].as_array().expect("names");
        for name in ["nixosModules", "darwinModules", "overlays"] {
            assert!(outputs.contains(&json!(name)), "{name}");
        }
    }
}

/// Make flakes of as much of nixpkgs as ours uses, and of our Nix files alone:
/// what Nix copies to its store each time is then small.
fn flakes(folder: &Path) -> [String; 2] {
    let copy = |what: &[&str], into: &str| {
        let into = folder.join(into);
        fs::create_dir(&into).expect("folder");
        let list = "git ls-files -z --cached --others --exclude-standard -- \"$@\" |
            xargs -0 cp --parents --target-directory=\"$0\"";
        let mut command = Command::new("bash");
        command.args(["-euo", "pipefail", "-c", list]).arg(&into).args(what);
        let status = command.current_dir(workspace()).status();
        assert!(status.is_ok_and(|status| status.success()));
        format!("path:{}", into.display())
    };
    let nixpkgs = copy(&["tests/nix/*.nix"], "nixpkgs");
    let outputs = "{ outputs = _: import ./tests/nix/nixpkgs.nix; }\n";
    fs::write(folder.join("nixpkgs/flake.nix"), outputs).expect("written");
    [nixpkgs, copy(&["*.nix", "*.json", "*.toml", "*.lock", "tests/main.rs", "xtask"], "nixpace")]
}

#[test]
fn nix_shows_the_flake() {
    for nix in real_nix() {
        let folder = tempfile::tempdir_in("/tmp").expect("folder");
        let [nixpkgs, own] = flakes(folder.path());
        let output = Command::new(nix.bin.join("nix"))
            .args(["--extra-experimental-features", "nix-command flakes", "flake", "show"])
            .args(["--json", "--no-write-lock-file", "--override-input", "nixpkgs"])
            .args([nixpkgs, own])
            .env("HOME", folder.path())
            .env("NIX_REMOTE", format!("local?root={}", folder.path().join("root").display()))
            .env_remove("NIX_CONFIG")
            .output()
            .expect("Nix runs");
        // Nix leaves its store unwritable.
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(folder.path()).status();
        let errors = text(&output.stderr);
        assert!(output.status.success(), "Nix {}: {errors}", nix.version);
        let shown: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(shown["apps"]["x86_64-linux"]["default"]["type"], json!("app"), "{shown}");
        assert_eq!(shown["nixosModules"]["default"]["type"], json!("nixos-module"), "{shown}");
        assert_eq!(shown["overlays"]["default"]["type"], json!("nixpkgs-overlay"), "{shown}");
    }
}

#[test]
fn the_package_has_every_program() {
    // Programs of the crates that are tools, as cargo knows them.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut programs = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let targets = package["targets"].as_array().expect("targets").iter();
        let is_program = |target: &&Value| target["kind"] == json!(["bin"]);
        let names = targets.filter(is_program).filter_map(|target| target["name"].as_str());
        programs.extend(names.filter(|name| *name != "xtask").map(str::to_owned));
    }
    programs.sort_unstable();
    assert_eq!(programs, PROGRAMS, "package.nix and this test name them");
}

#[test]
fn the_plan_that_the_flake_checks_is_that_of_a_fixture() {
    let tree = workspace().join("tests/fixtures/laptop-hybrid-luks-btrfs");
    let options =
        profile::Options { for_nix: Release::parse("2.34.9"), ..profile::Options::default() };
    let plan = detect::stage::text(&plan_for(&tree, &options)).expect("JSON");
    expect(&workspace().join("tests/nix/plan"), "json", &plan);
}

#[test]
fn nix_files_are_formatted_and_parse() {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.nix"])
        .current_dir(workspace())
        .output()
        .expect("git runs");
    let list = text(&list.stdout);
    let files: Vec<_> = list.lines().map(|name| workspace().join(name)).collect();
    assert!(files.len() >= 10, "{list}");
    for file in &files {
        let source = fs::read_to_string(file).expect("text");
        let formatted = nixfmt_rs::format(&source).expect("parses");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(file, &formatted).expect("written");
            continue;
        }
        assert_eq!(source, formatted, "{} (UPDATE=1 formats it)", file.display());
    }
    for nix in real_nix() {
        let parse = Command::new(nix.bin.join("nix-instantiate"))
            .arg("--parse")
            .args(&files)
            .env("NIX_REMOTE", "dummy://")
            .output()
            .expect("Nix runs");
        assert!(parse.status.success(), "Nix {}: {}", nix.version, text(&parse.stderr));
    }
}
