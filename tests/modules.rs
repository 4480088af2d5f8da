//! What the Nix modules and the overlay are, to real Nix: evaluated
//! with as much of nixpkgs as they use, since none can be had here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use detect::stage;
use profile::overlay::{Packages, render};
use profile::plan::{Plan, Workload};
use serde_json::{Value, json};

use crate::fixtures::{fixtures, plan_for};
use crate::tools::{RealNix, feed, real_nix, text, tool, workspace};

/// What every expression here starts with.
const START: &str = "
    let
      lib = import (root + \"/tests/nix/lib.nix\");
      packages = import (root + \"/tests/nix/packages.nix\");
      system = stub: module: own: plan: (lib.evalModules {
        modules = [
          (root + stub)
          (root + module)
          { services.nixpace = { enable = true; inherit plan; }; }
        ] ++ own;
        specialArgs.pkgs.stdenv.hostPlatform.system = \"x86_64-linux\";
      }).config;
      nixos = system \"/tests/nix/nixos.nix\" \"/profile/module.nix\";
      darwin = system \"/tests/nix/darwin.nix\" \"/profile/darwin-module.nix\";
    in ";

fn evaluate(nix: &RealNix, expression: &str) -> Output {
    let home = tempfile::tempdir().expect("folder");
    Command::new(nix.bin.join("nix-instantiate"))
        .args(["--eval", "--strict", "--json", "--expr"])
        .arg(format!("let root = {}; in {START} {expression}", path(workspace())))
        .env("HOME", home.path())
        // Nothing is built or kept, so no store is needed.
        .env("NIX_REMOTE", "dummy://")
        .env_remove("NIX_CONFIG")
        .env_remove("NIX_PATH")
        .output()
        .expect("Nix runs")
}

/// What an expression is, by the lib and the stubs of tests/nix.
pub(crate) fn value(nix: &RealNix, expression: &str) -> Value {
    let output = evaluate(nix, expression);
    assert!(output.status.success(), "Nix {}: {}", nix.version, text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn error(nix: &RealNix, expression: &str) -> String {
    let output = evaluate(nix, expression);
    assert!(!output.status.success(), "Nix {}: {}", nix.version, text(&output.stdout));
    text(&output.stderr)
}

/// A path as a Nix expression.
fn path(path: &Path) -> String {
    format!("(/. + {:?})", path.to_str().expect("UTF-8"))
}

/// Plans in files, in the order they were added.
struct Plans {
    folder: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Plans {
    fn new() -> Self {
        // Real Nix sees /tmp and the workspace, wherever TMPDIR may be.
        Self { folder: tempfile::tempdir_in("/tmp").expect("folder"), paths: Vec::new() }
    }

    fn add(&mut self, plan: &Value) -> String {
        let file = self.folder.path().join(format!("{}.json", self.paths.len()));
        fs::write(&file, plan.to_string()).expect("written");
        self.paths.push(file.clone());
        path(&file)
    }
}

/// The plan for one of the fixtures, as JSON to be changed.
fn laptop() -> Value {
    let tree = workspace().join("tests/fixtures/laptop-hybrid-luks-btrfs");
    serde_json::to_value(plan_for(&tree, &profile::Options::default())).expect("JSON")
}

fn changed(mut plan: Value, pointer: &str, name: &str, value: &Value) -> Value {
    let map = plan.pointer_mut(pointer).expect(pointer).as_object_mut().expect("a map");
    map.insert(name.to_owned(), value.clone());
    plan
}

fn setting(value: impl Into<Value>) -> Value {
    json!({ "value": value.into(), "why": "", "stage": "test" })
}

/// The value of an option, some of whose components may be quoted.
pub(crate) fn option<'a>(config: &'a Value, path: &str) -> &'a Value {
    let mut quoted = false;
    let is_end = |c: char| {
        quoted ^= c == '"';
        c == '.' && !quoted
    };
    path.split(is_end).fold(config, |config, name| &config[name.trim_matches('"')])
}

const CONFIG: &str = "{
  inherit (config) boot fileSystems nix warnings zramSwap;
  services.nixpace.guard.enable = config.services.nixpace.guard.enable;
  systemd = { inherit (config.systemd) services tmpfiles timers; };
}";

#[test]
fn a_module_sets_what_the_plan_says() {
    for nix in real_nix() {
        let mut plans = Plans::new();
        let mut wanted = Vec::new();
        let mut list = String::new();
        for tree in fixtures() {
            for workload in [Workload::General, Workload::Interactive, Workload::Builder] {
                let options = profile::Options {
                    workload,
                    for_nix: detect::release::Release::parse(&nix.version),
                    ..profile::Options::default()
                };
                let plan = plan_for(&tree, &options);
                list += &plans.add(&serde_json::to_value(&plan).expect("JSON"));
                list += " ";
                wanted.push(plan);
            }
        }
        let one = |module: &str, config: &str| {
            let each =
                format!("map (plan: let config = {module} [ ] plan; in {config}) [ {list} ]");
            let configs = value(&nix, &each);
            assert_eq!(configs.as_array().map(Vec::len), Some(wanted.len()));
            configs
        };
        let (nixos, darwin) = (one("nixos", CONFIG), one("darwin", "config.nix.settings"));
        for (index, plan) in wanted.iter().enumerate() {
            for (name, setting) in &plan.settings {
                let value = serde_json::to_value(&setting.value).expect("JSON");
                assert_eq!(nixos[index]["nix"]["settings"][name], value, "{name}");
                assert_eq!(darwin[index][name], value, "{name}");
            }
            assert_eq!(
                darwin[index].as_object().map(serde_json::Map::len),
                Some(plan.settings.len())
            );
            for (path, setting) in &plan.nixos {
                let value = serde_json::to_value(&setting.value).expect("JSON");
                assert_eq!(option(&nixos[index], path), &value, "{path}");
            }
            assert_eq!(nixos[index]["warnings"], json!([]));
        }
    }
}

#[test]
fn a_plan_of_everything_gets_into_its_places() {
    let mut plan = laptop();
    for (path, value) in [
        ("fileSystems.\"/nix/var/nix/builds\".fsType", json!("tmpfs")),
        ("fileSystems.\"/nix/var/nix/builds\".options", json!(["size=50%", "mode=0755"])),
        ("nix.gc.dates", json!("Sun *-*-* 03:15:00")),
        ("nix.gc.options", json!("--delete-older-than 30d")),
        ("nix.optimise.dates", json!(["weekly"])),
        ("boot.tmp.tmpfsSize", json!("50%")),
        ("services.nixpace.guard.enable", json!(true)),
        // NixOS has a default of its own, at the priority of ours.
        ("nix.nrBuildUsers", json!(64)),
    ] {
        plan = changed(plan, "/nixos", path, &setting(value));
    }
    let cache = json!({
        "url": "https://a.example/", "key": "a-1:AA==", "verdict": "verified",
        "priority": 40, "latency_seconds": 0.1,
    });
    plan["caches"] = json!([cache]);
    let urls = json!(["https://a.example?priority=30", "https://cache.nixos.org/"]);
    plan = changed(plan, "/settings", "substituters", &setting(urls));
    plan = changed(plan, "/settings", "trusted-public-keys", &setting(json!(["a-1:AA=="])));
    plan = changed(plan, "/settings", "extra-system-features", &setting(json!(["big"])));
    let mut plans = Plans::new();
    let file = plans.add(&plan);
    for nix in real_nix() {
        let config = value(&nix, &format!("let config = nixos [ ] {file}; in {CONFIG}"));
        for (path, setting) in plan["nixos"].as_object().expect("a map") {
            assert_eq!(option(&config, path), &setting["value"], "{path}");
        }
        let settings = &config["nix"]["settings"];
        // NixOS adds its own to these, which would win over a default.
        let has = |name: &str, word: &str| {
            settings[name].as_array().is_some_and(|words| words.contains(&json!(word)))
        };
        assert!(has("substituters", "https://a.example?priority=30"), "{settings}");
        assert!(has("trusted-public-keys", "a-1:AA=="), "{settings}");
        assert_eq!(settings["trusted-users"], json!(["root"]));
        assert_eq!(settings["extra-system-features"], json!(["big"]));
    }
}

#[test]
fn what_the_user_says_wins() {
    let mut plans = Plans::new();
    let file = plans.add(&laptop());
    let other = plans.add(&changed(laptop(), "/hardware", "system", &json!("aarch64-linux")));
    for nix in real_nix() {
        let own = "{ nix.settings.cores = 3; nix.daemonCPUSchedPolicy = \"other\"; }";
        let config = format!("let config = nixos [ {own} ] {file}; in {CONFIG}");
        let config = value(&nix, &config);
        assert_eq!(config["nix"]["settings"]["cores"], json!(3));
        assert_eq!(config["nix"]["settings"]["max-jobs"], json!(3), "the plan's");
        assert_eq!(config["nix"]["daemonCPUSchedPolicy"], json!("other"));

        let off = "{ services.nixpace = { enable = lib.mkForce false; }; }";
        let config = format!("(nixos [ {off} ] \"/nowhere\").nix.settings ? cores");
        assert_eq!(value(&nix, &config), json!(false), "not even read");
        let determinate = "{ nix.enable = false; }";
        let config = format!("(darwin [ {determinate} ] {file}).nix.settings");
        assert_eq!(value(&nix, &config), json!({}), "nix.conf is another's");

        let warnings = value(&nix, &format!("(nixos [ ] {other}).warnings"));
        let warning = warnings[0].as_str().expect("a warning");
        assert!(warning.ends_with("is a plan for aarch64-linux, and this is x86_64-linux"));
    }
}

#[test]
fn a_plan_that_asks_for_more_is_refused_whole() {
    let urls = |url: &str| setting(json!([url]));
    let mut cases = Vec::new();
    let mut refused = |map: &str, name: &str, value: Value, why: &str| {
        cases.push((changed(laptop(), map, name, &value), format!("{name}: {why}")));
    };
    for name in
        ["trusted-users", "extra-trusted-users", "post-build-hook", "sandbox", "fsync-metadata"]
    {
        refused("/settings", name, setting(json!(["root"])), "no plan may set this");
    }
    for path in ["nix.settings.trusted-users", "users.users.root.password", "nix.gc", "bootx"] {
        refused("/nixos", path, setting("x"), "no plan may set this");
    }
    for value in ["4\ntrusted-users = *", "4 # more", "$(id)", "; id", "\u{1}"] {
        refused("/settings", "cores", setting(value), "its value is not plain");
        refused("/nixos", "nix.gc.options", setting(value), "its value is not plain");
    }
    refused("/nixos", "boot.tmp.a..b", setting(true), "no plan may set this");
    refused("/nixos", "boot.tmp.\"a\"b", setting(true), "no plan may set this");
    refused("/settings", "cores", setting(json!({"_type": "override"})), "its value is not plain");
    for (map, name, value) in [
        ("/settings", "max-jobs", json!(0)),
        ("/settings", "cores", json!("auto")),
        ("/settings", "build-dir", json!("/home")),
        ("/nixos", "nix.gc.options", json!("-d")),
        ("/nixos", "nix.gc.options", json!("--delete-older-than 30d --delete-old")),
        ("/nixos", "systemd.tmpfiles.rules", json!(["f+ /etc/cron.d/x 0644 root root - x"])),
        ("/nixos", "systemd.tmpfiles.rules", json!(["d /nix-builds 0755 root root 7d"])),
        ("/nixos", "fileSystems.\"/nix/var/nix/b\".device", json!("/dev/sda1")),
        ("/nixos", "fileSystems.\"/nix/var/nix/b\".options", json!(["mode=1777"])),
        ("/nixos", "systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust", json!(-1000)),
    ] {
        refused(map, name, setting(value), "no plan may give it this value");
    }
    for url in ["https://b.example", "https://cache.nixos.org?trusted=1", "http://cache.nixos.org"]
    {
        refused("/settings", "substituters", urls(url), "no proof for a cache or key");
        refused("/settings", "trusted-substituters", urls(url), "no proof for a cache or key");
        refused("/settings", "extra-substituters", urls(url), "no proof for a cache or key");
    }
    refused("/settings", "extra-trusted-public-keys", urls("a:A"), "no proof for a cache or key");
    let plan_of = |arch: &str, name: &str| {
        changed(laptop(), "", "optimize", &json!({"arch": arch, "packages": [name], "why": ""}))
    };
    for (arch, name) in [("x86-64-v3", "${x}"), ("x86-64-v3", "gccStdenv"), ("native", "hello")] {
        cases.push((plan_of(arch, name), "optimize: no plain names".to_owned()));
    }
    cases.push((changed(laptop(), "", "version", &json!(2)), "version 2, but 1".to_owned()));

    let mut plans = Plans::new();
    let cases: Vec<(String, String)> =
        cases.into_iter().map(|(plan, why)| (plans.add(&plan), why)).collect();
    let nix = real_nix();
    for (index, (file, why)) in cases.iter().enumerate() {
        // Any of them refuses any; one each is enough.
        let Some(nix) = nix.get(index % nix.len().max(1)) else { return };
        let error = error(nix, &format!("(nixos [ ] {file}).nix.settings.max-jobs"));
        assert!(error.contains(why), "Nix {}: {why}: {error}", nix.version);
    }
    let files: Vec<&str> = cases.iter().map(|(file, _)| file.as_str()).collect();
    let list = files.join(" ");
    for nix in nix {
        let each = format!(
            "map (plan: (builtins.tryEval (darwin [ ] plan).nix.settings).success) [ {list} ]"
        );
        assert_eq!(value(&nix, &each), json!(vec![false; cases.len()]), "Nix {}", nix.version);
    }
}

#[test]
fn only_named_packages_change() {
    let names = ["plain", "serial", "in-env", "beside"];
    let packages = Packages::try_from(names.map(str::to_owned).to_vec()).expect("names");
    let options = profile::Options { optimize: Some(packages), ..profile::Options::default() };
    let tree = workspace().join("tests/fixtures/laptop-hybrid-luks-btrfs");
    let plan = plan_for(&tree, &options);
    let rendered = render(plan.optimize.as_ref().expect("asked for"), 4);
    // As a form of a plan would have it, by whose formatting it should be.
    let module = format!("{{\n  nixpkgs.overlays = [\n    {rendered}\n  ];\n}}\n");
    assert_eq!(nixfmt_rs::format(&module).expect("parses"), module);
    let mut plans = Plans::new();
    let file = plans.add(&serde_json::to_value(&plan).expect("JSON"));
    for nix in real_nix() {
        let overlays = [
            rendered.clone(),
            format!("builtins.head (nixos [ ] {file}).nixpkgs.overlays"),
            format!("builtins.head (darwin [ ] {file}).nixpkgs.overlays"),
        ];
        for overlay in overlays {
            let found = value(
                &nix,
                &format!(
                    "let
                      without = packages.extend (_: _: {{ }});
                      with_ = packages.extend ({overlay});
                      same = name: without.${{name}}.drvPath == with_.${{name}}.drvPath;
                      show = name: {{
                        flags = with_.${{name}}.NIX_CFLAGS_COMPILE_BEFORE;
                        others = with_.${{name}}.NIX_CFLAGS_COMPILE or null;
                        parallel = with_.${{name}}.enableParallelBuilding;
                      }};
                    in {{
                      names = builtins.attrNames with_ == builtins.attrNames without;
                      same = lib.genAttrs [ \"plain\" \"serial\" \"in-env\" \"beside\" \"user\" \"other\" ] same;
                      flags = lib.genAttrs [ \"plain\" \"serial\" \"in-env\" \"beside\" ] show;
                    }}"
                ),
            );
            assert_eq!(found["names"], json!(true));
            // What uses one of them changes with it: the price that is stated.
            let same = json!({
                "plain": false, "serial": false, "in-env": false, "beside": false,
                "user": false, "other": true,
            });
            assert_eq!(found["same"], same, "Nix {}", nix.version);
            let shown = |flags: &str, others: Option<&str>, parallel: bool| json!({ "flags": flags, "others": others, "parallel": parallel });
            let flags = json!({
                "plain": shown("-march=x86-64-v3", None, true),
                "serial": shown("-march=x86-64-v3", None, false),
                "in-env": shown("-march=x86-64-v3 -I/a", Some("-O1"), true),
                "beside": shown("-march=x86-64-v3 -I/a -I/b", Some("-O1"), true),
            });
            assert_eq!(found["flags"], flags, "Nix {}", nix.version);
        }
        let overlay = |name: &str| {
            let overlay = "import (root + \"/profile/optimize.nix\")";
            format!(
                "(packages.extend ({overlay} {{ arch = \"x86-64-v3\"; packages = [ \"{name}\" ]; }})).{name}.drvPath"
            )
        };
        assert!(error(&nix, &overlay("typo")).contains("nixpkgs has no typo"));
        assert!(error(&nix, &overlay("no-package")).contains("no package that can be changed"));
    }
}

#[test]
fn the_command_line_takes_packages_by_name() {
    let profile = |arguments: &[&str]| {
        let mut command = tool("profile");
        command.arg("-q").args(arguments);
        let tree = workspace().join("tests/fixtures/laptop-hybrid-luks-btrfs.json");
        feed(command, &fs::read(tree).expect("a document"))
    };
    let output = profile(&["--optimize", "zlib,hello", "--optimize", "zlib"]);
    let plan: Plan = stage::parse(&output.stdout).expect("a plan");
    let packages = plan.optimize.expect("asked for").packages;
    assert_eq!(Vec::from(packages), ["hello", "zlib"]);
    for bad in ["python3Packages.numpy", "stdenv", "a b", ""] {
        let output = profile(&["--optimize", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}: {}", text(&output.stderr));
    }
}
