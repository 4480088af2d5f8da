//! Metrics as others read them, and the service that writes them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::modules::value;
use crate::tools::{
    binaries, document, feed, has, is_root, missing, real_nix, skip, systemd_says, text, tool,
    workspace,
};

/// A machine's Nix: a store of paths of several kinds, and the log of a build.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("permissions");
        let database = folder.path().join("nix/db");
        fs::create_dir_all(&database).expect("folder");
        let tables = "create table ValidPaths (id integer primary key autoincrement not null, \
            path text unique not null, hash text not null, registrationTime integer not null, \
            deriver text, narSize integer, ultimate integer, sigs text, ca text);
            create table Refs (referrer integer, reference integer);
            create table DerivationOutputs (drv integer, id text, path text);
            insert into ValidPaths values \
              (1, '/nix/store/a-x.drv', '', 100, null, 10, null, null, 'text:sha256:x'), \
              (2, '/nix/store/b-x', '', 100, '/nix/store/a-x.drv', 20, 1, null, null), \
              (3, '/nix/store/c-y', '', 200, '/nix/store/a-y.drv', 60, null, 'cache\"\\-1:c2ln', null);";
        let connection = Connection::open(database.join("db.sqlite")).expect("open");
        connection.execute_batch(tables).expect("tables");
        let logs = folder.path().join("log/drvs/00");
        fs::create_dir_all(&logs).expect("folder");
        let name = format!("{}-hello-1.drv.bz2", "0".repeat(30));
        fs::write(logs.join(name), "").expect("a log");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn monitor(&self, arguments: &[&str]) -> Command {
        let mut command = tool("monitor");
        command
            .args(arguments)
            .env("NIX_STATE_DIR", self.path("nix"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("STATE_DIRECTORY", self.path("state"))
            .env("HOME", self.path("state"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.monitor(arguments).output().expect("monitor runs")
    }
}

/// The names of what was printed: of each sample, without its labels.
fn names(metrics: &str) -> BTreeSet<String> {
    let samples = metrics.lines().filter(|line| !line.starts_with('#'));
    samples.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[test]
fn metrics_are_what_prometheus_and_others_read() {
    let machine = Machine::new();
    document(&machine.run(&["snapshot"]));
    let file = machine.path("nixpace.prom");
    let name = file.to_str().expect("UTF-8");
    assert_eq!(document(&machine.run(&["metrics", "--textfile", name])), "");
    let textfile = fs::read_to_string(&file).expect("the file");
    let mode = fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "node_exporter is another user");
    assert!(textfile.ends_with('\n') && !textfile.contains("# EOF"), "{textfile}");
    for sample in [
        "nix_store_paths{origin=\"substituted\"} 1",
        "nix_store_registered_paths_total 3",
        "nix_substituted_nar_bytes_total{cache=\"cache\\\"\\\\-1\"} 60",
        "nix_builds_total{outcome=\"failed\"} 0",
    ] {
        assert!(textfile.lines().any(|line| line == sample), "{sample}:\n{textfile}");
    }
    let open_metrics = document(&machine.run(&["metrics"]));
    assert_eq!(names(&textfile), names(&open_metrics));

    if has(&["promtool"]) {
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]);
        let output = feed(promtool, textfile.as_bytes());
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success() && said.is_empty(), "promtool: {said}\n{textfile}");
    }
    let script = "import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    print(family.name, family.type, family.unit, len(family.samples))";
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let import = ["-c", "import prometheus_client.openmetrics.parser"];
        Command::new(python).args(import).output().is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        return missing("python3-prometheus-client is not installed");
    };
    let parse = |text: &str| {
        let mut python = Command::new(python);
        python.args(["-c", script]);
        feed(python, text.as_bytes())
    };
    let families = document(&parse(&open_metrics));
    for family in [
        "nix_builds counter  4",
        "nix_build_seconds histogram seconds 40",
        "nix_store_nar_bytes gauge bytes 3",
        "nix_perf_last_run_timestamp_seconds gauge seconds 1",
    ] {
        assert!(families.lines().any(|line| line == family), "{family}:\n{families}");
    }
    let cut = open_metrics.trim_end_matches("# EOF\n");
    assert!(!parse(cut).status.success(), "the parser would notice");
}

#[test]
fn a_textfile_is_one_that_node_exporter_reads_and_replaced_whole() {
    let machine = Machine::new();
    let output = machine.run(&["metrics", "--textfile", "nixpace.txt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("end in .prom"), "{}", text(&output.stderr));
    let folder = machine.path("metrics");
    fs::create_dir(&folder).expect("folder");
    let file = folder.join("nixpace.prom");
    fs::write(&file, "old\n").expect("file");
    let inode =
        |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).expect("there"));
    let before = inode(&file);
    document(&machine.run(&["metrics", "--textfile", file.to_str().expect("UTF-8")]));
    assert_ne!(inode(&file), before, "another file took its place");
    assert_eq!(fs::read_dir(&folder).expect("list").count(), 1, "and nothing is beside it");
}

#[test]
fn the_service_s_commands_need_no_rights() {
    if !is_root() {
        return skip("another user can only be had by root");
    }
    let machine = Machine::new();
    let state = machine.path("state");
    fs::create_dir(&state).expect("folder");
    std::os::unix::fs::chown(&state, Some(65534), Some(65534)).expect("given away");
    // Where that user may run it.
    let program = machine.path("monitor");
    fs::copy(binaries().join("monitor"), &program).expect("copied");
    let unit = fs::read_to_string(workspace().join("monitor/systemd/nixpace-monitor.service"));
    let unit = unit.expect("the unit");
    let commands: Vec<&str> =
        unit.lines().filter_map(|line| line.strip_prefix("ExecStart=monitor ")).collect();
    assert_eq!(commands.len(), 3, "{unit}");
    for _ in 0..2 {
        for command in &commands {
            let arguments = command.replace("/var/lib/nixpace", state.to_str().expect("UTF-8"));
            let mut command = Command::new(&program);
            command
                .args(arguments.split(' '))
                .env("NIX_STATE_DIR", machine.path("nix"))
                .env("NIX_LOG_DIR", machine.path("log"))
                .env("STATE_DIRECTORY", &state)
                .env("HOME", &state)
                .uid(65534)
                .gid(65534);
            document(&command.output().expect("it runs"));
        }
    }
    let metrics = fs::read_to_string(state.join("nixpace.prom")).expect("metrics");
    assert!(metrics.contains("nix_store_paths{origin=\"built\"} 1\n"), "{metrics}");
    assert!(state.join("history.sqlite").exists());
    let costs = fs::read_to_string(state.join("costs.json")).expect("costs");
    // How that build ended nobody knows, so it says nothing of costs.
    assert!(costs.contains("\"packages\": {}"), "{costs}");
}

#[test]
fn systemd_takes_the_units_and_finds_them_safe() {
    if !has(&["systemd-analyze"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let names = ["nixpace-monitor.service", "nixpace-guard.service", "nixpace-monitor.timer"];
    let units = names.map(|name| {
        let unit = fs::read_to_string(workspace().join("monitor/systemd").join(name));
        // It must be there for systemd to be content.
        let program = binaries().join("monitor");
        let unit = unit.expect(name).replace("=monitor ", &format!("={} ", program.display()));
        let file = folder.path().join(name);
        fs::write(&file, unit).expect("written");
        file
    });
    let analyze = |arguments: &[&str], units: &[PathBuf]| {
        Command::new("systemd-analyze").args(arguments).args(units).output().expect("it runs")
    };
    assert_eq!(systemd_says(&units), "");
    // In tenths; 4.9 is the last that is called OK. The guard is root, as it has
    // to be.
    for (threshold, unit) in [("--threshold=20", 0), ("--threshold=25", 1)] {
        let arguments = ["security", "--offline=true", threshold];
        let output = analyze(&arguments, &units[unit..=unit]);
        assert!(output.status.success(), "{}", text(&output.stdout));
    }
    let bad =
        fs::read_to_string(&units[0]).expect("unit").replace("ProtectHome=yes", "ProtectHome=?");
    fs::write(&units[0], bad).expect("written");
    assert_ne!(systemd_says(&units), "", "it would be noticed");
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let machine = Machine::new();
    document(&machine.run(&["snapshot"]));
    let mut names = names(&document(&machine.run(&["metrics"])));
    // Nix need not be installed here, nor need a guard have run.
    names.insert("nix_info".to_owned());
    let guard = ["holds_total", "freezes_total", "stopped_seconds_total"].into_iter();
    let guard = guard.chain(["stopped", "spared_bytes", "running"]);
    names.extend(guard.map(|name| format!("nix_guard_{name}")));
    let dashboard = fs::read_to_string(workspace().join("monitor/dashboard.json"));
    let dashboard: Value = serde_json::from_str(&dashboard.expect("there")).expect("JSON");
    let (mut asked, mut rules) = (BTreeSet::new(), Vec::new());
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().expect("targets") {
            let query = target["expr"].as_str().expect("a query");
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            asked.extend(words.filter(|word| word.starts_with("nix_")).map(str::to_owned));
            // As Grafana would fill it in.
            let query = query.replace("$__rate_interval", "5m").replace("$__range", "30d");
            rules.push(json!({ "record": "a", "expr": query }));
        }
    }
    if has(&["promtool"]) {
        let file = machine.path("rules.yml");
        let rules = json!({ "groups": [{ "name": "a", "rules": rules }] });
        fs::write(&file, rules.to_string()).expect("written");
        let output = Command::new("promtool").args(["check", "rules"]).arg(file).output();
        let output = output.expect("promtool runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert!(asked.is_subset(&names), "{:?}", asked.difference(&names));
    let unused: Vec<_> = names.difference(&asked).collect();
    assert!(unused.is_empty(), "nobody sees {unused:?}");
}

#[test]
fn nixos_starts_the_timer_when_it_is_asked_to() {
    let system = "
        monitor = own: (lib.evalModules {
          modules = [
            (root + \"/tests/nix/nixos.nix\")
            (root + \"/monitor/module.nix\")
            { options.environment.other = lib.mkOption { default = 0; }; }
            own
          ];
          specialArgs.pkgs.nixpace = { outPath = \"/nixpace\"; };
        }).config;
        shown = config: {
          inherit (config.systemd) timers services;
          inherit (config) users;
          packages = map (package: package.outPath) config.systemd.packages;
          programs = map (package: package.outPath) config.environment.systemPackages;
        };";
    for nix in real_nix() {
        let found = value(
            &nix,
            &format!(
                "let {system} in {{
                  off = shown (monitor {{ }});
                  on = shown (monitor {{ services.nixpace.monitor = {{ enable = true; dates = \"daily\"; }}; }});
                }}"
            ),
        );
        assert_eq!(found["off"]["packages"], json!([]), "Nix {}", nix.version);
        assert_eq!(found["off"]["timers"], json!({}), "Nix {}", nix.version);
        let on = &found["on"];
        assert_eq!([&on["packages"], &on["programs"]], [&json!(["/nixpace"]); 2]);
        let timer = &on["timers"]["nixpace-monitor"];
        assert_eq!(timer["wantedBy"], json!(["timers.target"]));
        assert_eq!(timer["timerConfig"]["OnCalendar"], json!(["", "daily"]));
        // Whom the unit names.
        let unit = fs::read_to_string(workspace().join("monitor/systemd/nixpace-monitor.service"));
        assert!(unit.expect("the unit").contains("\nUser=nixpace\n"));
        assert_eq!(on["users"]["users"]["nixpace"]["isSystemUser"], json!(true));
        assert_eq!(on["users"]["users"]["nixpace"]["group"], json!("nixpace"));
        assert_eq!(on["users"]["groups"]["nixpace"], json!({}));
    }
}

#[test]
fn nixos_starts_the_guard_when_it_is_asked_to() {
    let system = "
        guard = own: (lib.evalModules {
          modules = [
            (root + \"/tests/nix/nixos.nix\")
            (root + \"/monitor/guard-module.nix\")
            own
          ];
          specialArgs.pkgs.nixpace = { outPath = \"/nixpace\"; };
        }).config;
        shown = config: {
          inherit (config.systemd) services;
          packages = map (package: package.outPath) config.systemd.packages;
        };";
    for nix in real_nix() {
        let found = value(
            &nix,
            &format!(
                "let {system} in {{
                  off = shown (guard {{ }});
                  on = shown (guard {{ services.nixpace.guard.enable = true; }});
                }}"
            ),
        );
        assert_eq!(found["off"], json!({ "packages": [], "services": {} }), "Nix {}", nix.version);
        let service = &found["on"]["services"]["nixpace-guard"];
        assert_eq!(found["on"]["packages"], json!(["/nixpace"]), "Nix {}", nix.version);
        assert_eq!(service["wantedBy"], json!(["multi-user.target"]));
        assert_eq!(service["path"], json!(["/nix-itself"]));
    }
    let unit = fs::read_to_string(workspace().join("monitor/systemd/nixpace-guard.service"));
    let unit = unit.expect("the unit");
    assert!(unit.contains("\nExecStopPost=monitor guard --thaw\n"), "{unit}");
}
