//! The forms besides nix.conf, read by what they are for: modules by Nix and
//! its formatter, the drop-in by systemd, the block by a runner of GitHub.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use detect::release::Release;
use profile::form::{Form, render};
use profile::plan::{Plan, Setting, Value};
use serde_json::json;

use crate::fixtures::machines;
use crate::tools::{
    RealNix, feed, has, is_root, missing, real_nix, skip, systemd_says, text, tool,
};

fn setting(value: Value) -> Setting {
    Setting { value, why: "Because.".to_owned(), stage: "test".to_owned() }
}

/// A plan whose texts are as hard to write as any that is let through.
fn hard(mut plan: Plan) -> Plan {
    let text = |text: &str| Value::Text(text.to_owned());
    let words = |words: &[&str]| Value::List(words.iter().map(ToString::to_string).collect());
    for (name, value) in [
        ("extra-system-features", words(&["${kvm}", "''", "\\", "\"", "$${x}"])),
        ("system-features", words(&[])),
        ("user-agent-suffix", text(r#"a ${b} ''c'' "d" \ \${e} $${f} \n $ é"#)),
    ] {
        plan.settings.insert(name.to_owned(), setting(value));
    }
    for (path, value) in [
        (r#"fileSystems."/nix/var/nix/builds".options"#, words(&["size=8G", "mode=0755"])),
        (r#"fileSystems."/nix/var/nix/builds".fsType"#, text("tmpfs")),
        ("nix.daemonIOSchedPriority", Value::Integer(7)),
        ("nix.gc.automatic", Value::Bool(true)),
        ("nix.gc.dates", text("weekly")),
        ("nix.gc.options", text("--delete-older-than 30d")),
        ("nix.optimise.dates", words(&["03:45"])),
        ("systemd.services.nix-daemon.serviceConfig.CPUWeight", Value::Integer(50)),
        ("systemd.services.nix-daemon.serviceConfig.MemoryHigh", text("80%")),
        ("systemd.services.nix-daemon.serviceConfig.MemoryMax", Value::Integer(1 << 33)),
        ("systemd.services.nix-daemon.serviceConfig.OOMPolicy", text("continue")),
        ("zramSwap.enable", Value::Bool(true)),
    ] {
        plan.nixos.insert(path.to_owned(), setting(value));
    }
    plan
}

/// A plan of every fixture for a release of Nix, by name.
fn plans(version: &str) -> Vec<(String, Plan)> {
    let options =
        profile::Options { for_nix: Release::parse(version), ..profile::Options::default() };
    let plan = |hardware| profile::run(hardware, &options).expect("a plan");
    let mut plans: Vec<_> =
        machines().into_iter().map(|(name, hardware)| (name, plan(hardware))).collect();
    plans.push(("hard".to_owned(), hard(plans[0].1.clone())));
    plans
}

/// Evaluate an expression to JSON.
fn evaluate(nix: &RealNix, file: &Path) -> serde_json::Value {
    let output = Command::new(nix.bin.join("nix-instantiate"))
        .args(["--eval", "--strict", "--json", "--store", "dummy://"])
        .arg(file)
        .env("NIX_CONF_DIR", "/nonexistent")
        .env("NIX_USER_CONF_FILES", "/dev/null")
        .env_remove("NIX_CONFIG")
        .env("HOME", file.parent().expect("folder"))
        .output()
        .expect("nix runs");
    assert!(output.status.success(), "Nix {}: {}", nix.version, text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A library of modules, as far as ours use it: what is a default is marked.
const LIBRARY: &str = "{ mkDefault = content: { default = content; }; }";

#[test]
fn modules_evaluate_to_the_plan() {
    for nix in real_nix() {
        let folder = tempfile::tempdir().expect("folder");
        let plans = plans(&nix.version);
        let mut modules = String::new();
        for (name, plan) in &plans {
            for (form, kind) in [(Form::Nixos, "nixos"), (Form::Darwin, "darwin")] {
                let text = render(plan, form).expect(name);
                let formatted = nixfmt_rs::format(&text).expect("it parses");
                assert_eq!(formatted, text, "{name}: another layout");
                fs::write(folder.path().join(format!("{name}.{kind}.nix")), text).expect("module");
                modules += &format!("\"{name}.{kind}\" = import ./{name}.{kind}.nix arguments;\n");
            }
        }
        let all = folder.path().join("all.nix");
        let arguments = format!("{{ lib = {LIBRARY}; config = {{ }}; pkgs = {{ }}; }}");
        fs::write(&all, format!("let arguments = {arguments}; in {{\n{modules}}}\n"))
            .expect("all.nix");

        let found = evaluate(&nix, &all);
        for (name, plan) in &plans {
            let what = format!("{name}, Nix {}", nix.version);
            let settings = plan.settings.iter();
            let settings =
                settings.map(|(name, setting)| (format!("nix.settings.{name}"), setting));
            let settings: BTreeMap<_, _> =
                settings.map(|(path, setting)| (path, json!(setting.value))).collect();
            assert_eq!(leaves(&found[format!("{name}.darwin")]), settings, "{what}");

            let options = plan.nixos.iter();
            let options = options.map(|(path, setting)| (path.clone(), json!(setting.value)));
            let all: BTreeMap<_, _> = settings.into_iter().chain(options).collect();
            assert_eq!(leaves(&found[format!("{name}.nixos")]), all, "{what}");
        }
    }
}

/// The values of a configuration, by option path.
fn leaves(configuration: &serde_json::Value) -> BTreeMap<String, serde_json::Value> {
    fn enter(
        path: &str,
        value: &serde_json::Value,
        leaves: &mut BTreeMap<String, serde_json::Value>,
    ) {
        let Some(inner) = value.as_object() else {
            panic!("{path} is no default: {value}");
        };
        if let Some(value) = inner.get("default") {
            leaves.insert(path.to_owned(), value.clone());
            return;
        }
        for (name, value) in inner {
            let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
            let name = if is_plain { name.clone() } else { format!("\"{name}\"") };
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            enter(&path, value, leaves);
        }
    }
    let mut found = BTreeMap::new();
    enter("", configuration, &mut found);
    found
}

/// Nix's own unit, as far as a drop-in could break it.
const UNIT: &str = "\
[Unit]
Description=Nix Daemon
[Service]
ExecStart=/bin/true
KillMode=process
LimitNOFILE=1048576
TasksMax=1048576
Delegate=yes
";

/// What systemd says of the unit with a drop-in.
fn judged(drop_in: &str) -> String {
    let folder = tempfile::tempdir().expect("folder");
    let unit = folder.path().join("nix-daemon.service");
    let drop_ins = folder.path().join("nix-daemon.service.d");
    fs::write(&unit, UNIT).expect("unit");
    fs::create_dir(&drop_ins).expect("folder");
    fs::write(drop_ins.join("nixpace.conf"), drop_in).expect("drop-in");
    systemd_says(&[unit])
}

#[test]
fn systemd_takes_the_drop_in_without_a_word() {
    if !has(&["systemd-analyze"]) {
        return;
    }
    for (name, plan) in plans("2.34") {
        let drop_in = render(&plan, Form::Systemd).expect(&name);
        assert_eq!(judged(&drop_in), "", "{name}:\n{drop_in}");
        let bad = judged(&format!("{drop_in}CPUSchedulingPolicy=never\n"));
        assert_ne!(bad, "", "what systemd does not know would be noticed");
    }
}

#[test]
fn the_build_directory_s_command_works() {
    if !has(&["systemd-tmpfiles"]) {
        return;
    }
    if !is_root() {
        skip("a directory of root's can only be made by root");
        return;
    }
    let (_, mut plan) = plans("2.34").remove(0);
    let path = Value::Text("/var/lib/nix-builds".to_owned());
    plan.settings.insert("build-dir".to_owned(), setting(path));
    let drop_in = render(&plan, Form::Systemd).expect("fine");
    let command = drop_in.lines().find_map(|line| line.strip_prefix("#   echo '"));
    let (entry, _) = command.expect("the command").split_once('\'').expect("an entry");

    let folder = tempfile::tempdir().expect("folder");
    let conf = folder.path().join("nixpace.conf");
    fs::write(&conf, format!("{entry}\n")).expect("conf");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("root");
    let output = Command::new("systemd-tmpfiles")
        .arg(format!("--root={}", root.display()))
        .arg("--create")
        .arg(&conf)
        .output()
        .expect("systemd-tmpfiles runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(root.join("var/lib/nix-builds").is_dir());
}

#[test]
fn github_s_block_is_the_value_that_nix_reads() {
    for (name, plan) in plans("2.34") {
        let block = render(&plan, Form::Github).expect(&name);
        // As the runner reads it: up to a line that is the delimiter.
        let (first, rest) = block.split_once('\n').expect("lines");
        let (variable, delimiter) = first.split_once("<<").expect("a block");
        let lines = rest.split_inclusive('\n');
        let value: String = lines.take_while(|line| line.trim_end() != delimiter).collect();
        assert_eq!(variable, "NIX_CONFIG", "{name}");
        assert_eq!(value, render(&plan, Form::Env).expect(&name), "{name}");
        assert_eq!(rest, format!("{value}{delimiter}\n"), "{name}: nothing follows");
    }
}

#[test]
fn a_plan_of_ten_megabytes_is_refused_and_nothing_written() {
    let (_, plan) = plans("2.34").remove(0);
    let long = Value::Text("x".repeat(10 << 20));
    let mut in_settings = plan.clone();
    in_settings.settings.insert("user-agent-suffix".to_owned(), setting(long.clone()));
    let mut in_options = plan.clone();
    in_options.nixos.insert("nix.gc.options".to_owned(), setting(long));
    let mut in_reason = plan;
    let why = "x".repeat(10 << 20);
    let cores = Setting { why, ..setting(Value::Integer(4)) };
    in_reason.settings.insert("cores".to_owned(), cores);

    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("nix.conf");
    fs::write(&file, "old\n").expect("file");
    for plan in [in_settings, in_options, in_reason] {
        let document = detect::stage::text(&plan).expect("text");
        for form in ["nix-conf", "nixos", "darwin", "env", "github", "systemd"] {
            let mut command = tool("nix-conf-write");
            command.args(["--as", form, "-o"]).arg(&file);
            let output = feed(command, document.as_bytes());
            let errors = text(&output.stderr);
            assert_eq!(output.status.code(), Some(1), "{form}: {errors:.300}");
            assert!(errors.starts_with("nix-conf-write: ") && errors.len() < 300, "{errors:.300}");
            assert_eq!(fs::read_to_string(&file).expect("file"), "old\n", "{form}");
        }
    }
}

/// A daemon with a store of its own, which trusts nobody but root.
pub(crate) struct Daemon<'a> {
    nix: &'a RealNix,
    /// All that it has.
    pub(crate) folder: tempfile::TempDir,
    child: Option<Child>,
}

impl<'a> Daemon<'a> {
    pub(crate) fn start(nix: &'a RealNix) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("permissions");
        // Without its state the daemon would take itself for a client.
        for name in ["var", "store", "home"] {
            fs::create_dir(folder.path().join(name)).expect("folder");
        }
        // Of a home that is another's, Nix takes none.
        let home = folder.path().join("home");
        std::os::unix::fs::chown(home, Some(65534), Some(65534)).expect("given away");
        let conf = "trusted-users = root\nbuild-users-group =\nsandbox = false\nsubstituters =\n";
        fs::write(folder.path().join("nix.conf"), conf).expect("nix.conf");
        let mut daemon = Self { nix, folder, child: None };
        let mut command = daemon.command("nix-daemon");
        command.env("NIX_CONF_DIR", daemon.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        daemon.child = Some(command.spawn().expect("the daemon starts"));
        let socket = daemon.folder.path().join("socket");
        for _ in 0..1000 {
            if socket.exists() {
                return daemon;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("Nix {}: the daemon does not listen", nix.version);
    }

    fn command(&self, program: &str) -> Command {
        // The wrapper replaces itself, so a kill reaches the program.
        self.prepare(Command::new(self.nix.bin.join(program)))
    }

    /// A command that finds its store and its socket.
    pub(crate) fn prepare(&self, mut command: Command) -> Command {
        let inside = |name: &str| self.folder.path().join(name);
        command
            .env("NIX_STORE_DIR", inside("store"))
            .env("NIX_STATE_DIR", inside("var"))
            .env("NIX_LOG_DIR", inside("log"))
            .env("NIX_DAEMON_SOCKET_PATH", inside("socket"))
            .env("HOME", self.folder.path())
            .env_remove("NIX_CONFIG");
        command
    }

    /// A command of a user without rights, who asks it.
    pub(crate) fn nobody(&self, command: Command) -> Command {
        let mut command = self.prepare(command);
        command
            .env("NIX_CONF_DIR", "/nonexistent")
            .env("HOME", self.folder.path().join("home"))
            .env("NIX_REMOTE", format!("unix://{}/socket", self.folder.path().display()))
            .stdin(Stdio::null())
            .uid(65534)
            .gid(65534);
        command
    }

    /// What a user without rights hears who asks it something with `config`.
    fn answer(&self, config: &str) -> String {
        let path = self.folder.path().join("store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-none");
        let mut command = self.nobody(Command::new(self.nix.bin.join("nix-store")));
        command.arg("--check-validity").arg(path).env("NIX_CONFIG", config);
        text(&command.output().expect("nix runs").stderr)
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn nix_daemon_ignores_nothing_of_an_untrusted_user_s_variable() {
    if !is_root() {
        skip("a daemon that trusts one user and not another needs root");
        return;
    }
    for nix in real_nix() {
        let (_, mut plan) = plans(&nix.version).remove(0);
        for (name, value) in [
            ("build-poll-interval", Value::Integer(3)),
            ("connect-timeout", Value::Integer(7)),
            ("fallback", Value::Bool(true)),
            ("http-connections", Value::Integer(50)),
            ("keep-failed", Value::Bool(true)),
            ("keep-going", Value::Bool(true)),
            ("log-lines", Value::Integer(50)),
            ("max-silent-time", Value::Integer(1800)),
            ("min-free", Value::Integer(1 << 30)),
            ("substitute", Value::Bool(false)),
            ("timeout", Value::Integer(7200)),
        ] {
            plan.settings.insert(name.to_owned(), setting(value));
        }
        let mut rendered = |trusted: bool| {
            let nix = plan.hardware.nix.get_or_insert_default();
            nix.trusted = Some(trusted);
            render(&plan, Form::Env).expect("fine")
        };
        let (all, some) = (rendered(true), rendered(false));
        assert!(all.contains("min-free") && some.contains("max-silent-time"), "{some}");

        let daemon = Daemon::start(&nix);
        let heard = daemon.answer(&some);
        if !heard.contains("is not valid") {
            missing(&format!("a user without rights cannot run Nix {}: {heard}", nix.version));
            continue;
        }
        assert!(!heard.contains("ignoring"), "Nix {}: {heard}", nix.version);
        // Nix 2.8 ignores the others in silence.
        let version = Release::parse(&nix.version).expect("a release");
        if version.has_nix(2, 20) {
            let heard = daemon.answer(&all);
            for name in ["min-free", "http-connections", "log-lines"] {
                let line = format!("ignoring the client-specified setting '{name}'");
                assert!(heard.contains(&line), "Nix {}: {heard}", nix.version);
            }
        }
    }
}
