//! Nix builds on the hosts of a list that we rendered, each as its plan says.
//!
//! A host here is an SSH server on loopback with mounts of its own: what it sees
//! as the Nix folder is its own store, and one of them sees an older CPU and may
//! use one only. What the hosts build tells where it was built.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use profile::plan::{Plan, Value};
use tempfile::TempDir;

use crate::tools::{
    RealNix, allowed_cpus, binaries, document, has, is_root, missing, path_with, real_nix, skip,
    text,
};

/// Mounts of its own for a host: its Nix folder where all have theirs, a home
/// with our key alone, and the CPU it is to see.
const ENTER: &str = r#"
    folder=$1 host=$2
    shift 2
    mount --bind "$folder/$host" "$folder/nix"
    mount --bind "$folder/passwd" /etc/passwd
    if [ -e "$folder/nix/cpuinfo" ]; then
        mount --bind "$folder/nix/cpuinfo" /proc/cpuinfo
    fi
    if [ -e "$folder/nix/cpus" ]; then
        exec taskset --cpu-list "$(cat "$folder/nix/cpus")" "$@"
    fi
    exec "$@"
"#;

/// What every host has in its nix.conf before we come.
const CONF: &str = "\
build-users-group =
sandbox = false
substitute = false
experimental-features = nix-command
!include nix.custom.conf
";

/// A graph for these hosts. `wave` waits for all of its members to run at once.
const GRAPH: &str = r#"
{ folder, wave, level }:
let
  build = name: features: script: builtins.derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    requiredSystemFeatures = features;
    args = [ "-euc" ''
      PATH=/bin:/usr/bin
      mkdir $out
      echo "$(cat ${folder}/nix/name) $NIX_BUILD_CORES" > $out/where
      ${script}
    '' ];
  };
  range = n: builtins.genList (i: toString (i + 1)) n;
  member = i: build "member-${i}" [ ] ''
    : > ${folder}/wave/${i}
    tries=0
    while [ "$(ls ${folder}/wave | wc -l)" -lt ${toString wave} ]; do
      tries=$((tries + 1))
      if [ $tries -gt 600 ]; then echo "the others never came"; exit 1; fi
      sleep 0.1
    done
    echo ${i} > $out/number
  '';
  members = map member (range wave);
  sum = name: features: inputs: build name features ''
    total=0
    for input in ${toString inputs}; do total=$((total + $(cat $input/number))); done
    echo $total > $out/number
  '';
  plain = sum "plain" [ ] members;
  parallel = sum "parallel" [ "big-parallel" ] members;
  modern = sum "modern" (if level == "" then [ "on-alpha" ] else [ "gccarch-${level}" ]) members;
  quiet = sum "quiet" [ "on-beta" ] members;
  second = sum "second" [ "on-alpha" "big-parallel" ] [ plain modern ];
  third = sum "third" [ "on-beta" ] [ parallel quiet ];
  all = [ plain parallel modern quiet second third ];
in
build "result" [ ] ''
  cat ${toString (map (input: "${input}/number") [ second third ])} > $out/number
  for input in ${toString (members ++ all)}; do
    echo "''${input#*-} $(cat $input/where)" >> $out/all
  done
''
"#;

/// Hosts that share a machine, and a Nix.
struct Hosts<'a> {
    folder: TempDir,
    nix: &'a RealNix,
    servers: Vec<Child>,
}

impl<'a> Hosts<'a> {
    fn new(nix: &'a RealNix) -> Self {
        // Memory is quick, and real Nix sees these folders inside its tree.
        let base = ["/dev/shm", "/tmp"].iter().map(Path::new).find(|base| base.is_dir());
        let folder = tempfile::tempdir_in(base.expect("a folder")).expect("folder");
        let hosts = Self { folder, nix, servers: Vec::new() };
        for name in ["nix", "bin", "wave", "home/.ssh"] {
            fs::create_dir_all(hosts.path(name)).expect(name);
        }
        let home = hosts.path("home").display().to_string();
        hosts.write("passwd", &format!("root:x:0:0:root:{home}:/bin/sh\n"));
        hosts.write("graph.nix", GRAPH);
        // The tree of a real Nix has no ssh: leave it for this machine's.
        let ssh = format!(
            "#!/bin/sh\nexec nsenter --target {} --mount --root ssh \"$@\"\n",
            std::process::id()
        );
        hosts.write("bin/ssh", &ssh);
        run(Command::new("chmod").arg("755").arg(hosts.path("bin/ssh")));
        run(Command::new("chmod").args(["-R", "go=", &home]));
        let key = hosts.path("key");
        run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
        fs::copy(hosts.path("key.pub"), hosts.path("home/.ssh/authorized_keys")).expect("key");
        hosts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect(name);
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    /// Have a host, with these lines in its nix.conf besides what all have.
    fn add(&self, host: &str, conf: &str) {
        fs::create_dir_all(self.path(host).join("etc")).expect(host);
        self.write(&format!("{host}/name"), host);
        self.write(&format!("{host}/etc/nix.conf"), &format!("{CONF}{conf}"));
    }

    /// A command on a host, which ends with this test, whatever becomes of it.
    fn on(&self, host: &str, command: &[&str]) -> Command {
        let nix = self.path("nix");
        let path = path_with(&[binaries(), &self.nix.bin, &self.path("bin")]);
        let mut on = Command::new("setpriv");
        on.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-euc", ENTER, "sh"])
            .arg(self.folder.path())
            .arg(host)
            .args(command)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .env("PATH", &path)
            .env("HOST_PATH", &path)
            .env("HOME", self.path("home"))
            .env("NIX_SSHOPTS", format!("-F {}", self.path("ssh_config").display()))
            .env("NIX_STORE_DIR", nix.join("store"))
            .env("NIX_STATE_DIR", nix.join("var/nix"))
            .env("NIX_LOG_DIR", nix.join("var/log/nix"))
            .env("NIX_CONF_DIR", nix.join("etc"))
            .env("NIX_USER_CONF_FILES", "")
            .env_remove("NIX_CONFIG")
            .env_remove("NIX_REMOTE");
        on
    }

    /// Detect a host, plan it, and set it up as planned.
    fn set_up(&self, host: &str) -> Plan {
        let script = format!(
            "set -euo pipefail
             detect -q | profile -q --workload builder > {host}.json
             nix-conf-write -q {host}.json -o {host}/etc/nix.custom.conf"
        );
        document(&self.on(host, &["bash", "-c", &script]).output().expect("runs"));
        detect::stage::parse(self.read(&format!("{host}.json")).as_bytes()).expect("a plan")
    }

    /// Let hosts be reached by their names.
    fn serve(&mut self, hosts: &[&str]) {
        let mut config = String::new();
        for host in hosts {
            let key = self.path(host).join("hostkey");
            run(Command::new("dropbearkey").args(["-t", "ed25519", "-f"]).arg(&key));
            let free = TcpListener::bind("127.0.0.1:0").expect("a port");
            let port = free.local_addr().expect("a port").port();
            drop(free);
            config += &format!("Host {host}\n  Port {port}\n");
            let (address, key) = (format!("127.0.0.1:{port}"), key.display().to_string());
            let pid = self.path(host).join("pid").display().to_string();
            // In the foreground, for our key alone, with our environment; but it
            // gives every session a PATH of its own.
            let session = r#"PATH=$HOST_PATH; eval "$SSH_ORIGINAL_COMMAND""#;
            let server = ["dropbear", "-F", "-E", "-e", "-m", "-s", "-j", "-k", "-c", session];
            let server = [&server[..], &["-p", &address, "-r", &key, "-P", &pid]].concat();
            let log = fs::File::create(self.path(host).join("log")).expect("log");
            let server = self.on(host, &server).stderr(log).spawn();
            self.servers.push(server.expect("unshare runs"));
        }
        let folder = self.folder.path().display();
        config += &format!(
            "Host *\n  HostName 127.0.0.1\n  User root\n  IdentityFile {folder}/key\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known_hosts\n  \
             StrictHostKeyChecking accept-new\n  BatchMode yes\n  ConnectionAttempts 30\n"
        );
        self.write("ssh_config", &config);
    }

    /// What went wrong, with all there is to know of it.
    fn report(&self, output: &Output) -> String {
        let logs = ["alpha", "beta"].map(|host| self.read(&format!("{host}/log")));
        format!(
            "Nix {}: {}\n{}\n{}",
            self.nix.version,
            text(&output.stderr),
            self.read("client/etc/machines"),
            logs.join("\n")
        )
    }
}

impl Drop for Hosts<'_> {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn run(command: &mut Command) {
    document(&command.output().expect("runs"));
}

fn number(plan: &Plan, name: &str) -> u64 {
    match plan.settings.get(name).map(|setting| &setting.value) {
        Some(Value::Integer(number)) => *number,
        other => panic!("{name}: {other:?}"),
    }
}

/// This machine's CPU as an older one, which `detect` finds at a lower level.
fn older(cpuinfo: &str) -> String {
    let is_new = |flag: &&str| ["avx2", "avx512f", "sse4_2"].contains(flag);
    let older = |line: &str| {
        let flags = line.split(' ').filter(|flag| !is_new(flag));
        flags.collect::<Vec<_>>().join(" ") + "\n"
    };
    cpuinfo.lines().map(older).collect()
}

#[test]
fn nix_builds_on_the_hosts_of_our_list() {
    let programs =
        ["dropbear", "dropbearkey", "nsenter", "setpriv", "ssh", "ssh-keygen", "taskset"];
    if !is_root() {
        skip("hosts with mounts of their own need root");
        return;
    }
    if !has(&programs) {
        return;
    }
    let apart = Command::new("unshare").args(["--mount", "true"]).status();
    if !apart.is_ok_and(|status| status.success()) {
        missing("root may not have mounts of its own here");
        return;
    }
    for nix in real_nix() {
        across_two_hosts(&nix);
    }
}

fn across_two_hosts(nix: &RealNix) {
    let mut hosts = Hosts::new(nix);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").expect("cpuinfo");
    let levels = "extra-system-features = gccarch-x86-64-v2 gccarch-x86-64-v3 gccarch-x86-64-v4";
    hosts.add("client", "max-jobs = 0\n");
    hosts.add("alpha", &format!("{levels} on-alpha\n"));
    hosts.add("beta", &format!("{levels} on-beta\n"));
    let last = allowed_cpus().iter().last().expect("a CPU").to_string();
    hosts.write("beta/cpus", &last);
    hosts.write("beta/cpuinfo", &older(&cpuinfo));

    let plans = ["alpha", "beta"].map(|host| hosts.set_up(host));
    let [alpha, beta] = &plans;
    assert_eq!(beta.hardware.cpu.allowed.map(u32::from), Some(1), "another machine than alpha");
    let write = ["nix-conf-write", "-q", "--as", "machines", "-o", "client/etc/machines"];
    let write = [&write[..], &["ssh://beta=beta.json", "alpha=alpha.json"]].concat();
    document(&hosts.on("client", &write).output().expect("runs"));
    hosts.serve(&["alpha", "beta"]);

    let jobs = plans.each_ref().map(|plan| number(plan, "max-jobs"));
    let wave = jobs.iter().sum::<u64>();
    let level = alpha.hardware.cpu.isa_level.clone().filter(|level| level != "x86-64-v1");
    if level.is_none() {
        skip("this CPU is at no level that another could be below");
    }
    assert!(level.is_none() || beta.hardware.cpu.isa_level < level, "an older CPU than alpha's");
    let graph = format!(
        "import ./graph.nix {{ folder = \"{}\"; wave = {wave}; level = \"{}\"; }}\n",
        hosts.folder.path().display(),
        level.as_deref().unwrap_or("")
    );
    hosts.write("default.nix", &graph);
    let build = ["timeout", "120", "nix-build", "default.nix", "-o", "result"];

    let alone = hosts.on("client", &[&build[..], &["--builders", ""]].concat()).output();
    let alone = alone.expect("runs");
    assert!(!alone.status.success(), "without hosts nothing can be built");

    let output = hosts.on("client", &build).output().expect("runs");
    assert!(output.status.success(), "{}", hosts.report(&output));
    assert!(!text(&output.stderr).contains("warning"), "{}", hosts.report(&output));
    let result = fs::read_link(hosts.path("result")).expect("a link");
    let result = hosts.path("client").join(result.strip_prefix(hosts.path("nix")).expect("inside"));

    // Right: every member counts once in each of two sums of two.
    let sum = wave * (wave + 1);
    let found = fs::read_to_string(result.join("number")).expect("a number");
    assert_eq!(found, format!("{sum}\n{sum}\n"), "{}", hosts.report(&output));

    let all = fs::read_to_string(result.join("all")).expect("a list");
    let places: Vec<Vec<&str>> = all.lines().map(|line| line.split(' ').collect()).collect();
    let report = format!("{all}{}", hosts.report(&output));
    assert_eq!(places.len() as u64, wave + 6, "{report}");
    let on = |host: &str, member: &str| {
        places.iter().filter(|row| row[0].starts_with(member) && row[1] == host).count() as u64
    };
    // The wave ran at once: that takes every slot of both.
    assert_eq!([on("alpha", "member-"), on("beta", "member-")], jobs, "{report}");
    for (name, host) in
        [("modern", "alpha"), ("second", "alpha"), ("quiet", "beta"), ("third", "beta")]
    {
        assert_eq!(on(host, name), 1, "{name} belongs on {host}: {report}");
    }
    for row in &places {
        let plan = if row[1] == "alpha" { alpha } else { beta };
        assert_eq!(row[2], number(plan, "cores").to_string(), "its plan's cores: {report}");
    }
}
