use std::path::PathBuf;

use detect::hardware::{Hardware, Kind, Nix};
use detect::number::Cpus;
use proptest::prelude::*;
use serde_json::json;

use super::{Address, Host, read, render};
use crate::plan::{Plan, Setting, Value};
use crate::{Options, run};

fn machine(cpus: u32) -> Hardware {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.cpu.allowed = cpus.try_into().ok();
    hardware.cpu.usable = hardware.cpu.allowed.map(Cpus::from);
    hardware.memory.usable_bytes = (64 << 30).try_into().ok();
    hardware.memory.total_bytes = hardware.memory.usable_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware.environment.kvm = Some(false);
    hardware
}

fn host(address: &str, hardware: Hardware) -> Host {
    let plan = run(hardware, &Options::default()).expect("a plan");
    Host { address: Address::parse(address).expect(address), plan }
}

fn set(plan: &mut Plan, name: &str, words: &[&str]) {
    let value = Value::List(words.iter().map(ToString::to_string).collect());
    plan.settings.insert(name.to_owned(), Setting::new(value, "Because."));
}

/// Lines without comments, as columns.
fn columns(hosts: &[Host]) -> Vec<Vec<String>> {
    let text = render(hosts).expect("a list");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn features(host: Host) -> String {
    columns(&[host])[0][5].clone()
}

#[test]
fn a_list_says_why() {
    let hosts = [host("nix@small", machine(2)), host("ssh://big", machine(16))];
    let text = render(&hosts).expect("a list");
    assert_eq!(
        text,
        "# Written by nix-conf-write from each host's plan. Changes made here are lost.\n\
         # Columns: store, systems, ssh key, builds at once, speed, features.\n\
         \n\
         # At once: its max-jobs. Speed: 16.0 cores' worth of CPUs, 8.0 times the\n\
         # slowest host's.\n\
         ssh://big x86_64-linux - 6 8 benchmark,big-parallel,nixos-test\n\
         \n\
         # At once: its max-jobs. Speed: 2.0 cores' worth of CPUs, 1.0 times the\n\
         # slowest host's.\n\
         ssh-ng://nix@small x86_64-linux - 2 1 benchmark,big-parallel,nixos-test\n"
    );
    let [small, big] = hosts;
    assert_eq!(render(&[big, small]).expect("a list"), text, "in whichever order");
}

#[test]
fn no_comment_splits_a_line() {
    // Nix 2.8 and 2.26 look for `;` before they look for `#`.
    let text = render(&[host("alpha", machine(4))]).expect("a list");
    assert!(!text.contains(';') && text.matches('#').count() > 1, "{text}");
}

#[test]
fn addresses_are_plain_names() {
    for (text, uri) in [
        ("alpha", "ssh-ng://alpha"),
        ("nix-ssh@Alpha.example.org", "ssh-ng://nix-ssh@alpha.example.org"),
        ("ssh://127.0.0.1", "ssh://127.0.0.1"),
        ("ssh-ng://root@build_1", "ssh-ng://root@build_1"),
    ] {
        assert_eq!(Address::parse(text).expect(text).to_string(), uri);
    }
    for bad in [
        "",
        "@alpha",
        "root@",
        "-oProxyCommand=id",
        "-oProxyCommand@alpha",
        "root@-oProxyCommand",
        "ssh://-F",
        "root:secret@alpha",
        "alpha:2222",
        "[::1]",
        "alpha beta",
        "alpha;beta",
        "alpha#",
        "alpha\nbeta",
        "alpha?ssh-key=/root/.ssh/id",
        "alpha/?remote-program=id",
        "alpha/",
        "a@b@c",
        "@/etc/nix/machines",
        "daemon\0",
        "älpha",
        "file:///tmp/store",
        "https://alpha",
        "ssh://ssh://alpha",
    ] {
        assert!(Address::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let error = |change: fn(&mut Host)| {
        let mut host = host("alpha", machine(4));
        change(&mut host);
        format!("{:#}", render(&[host]).expect_err("an error"))
    };
    let no_system = error(|host| host.plan.hardware.system = None);
    assert_eq!(no_system, "ssh-ng://alpha: its plan does not say what system it is");
    let no_jobs = error(|host| drop(host.plan.settings.remove("max-jobs")));
    assert_eq!(no_jobs, "ssh-ng://alpha: its plan has no max-jobs");
    let no_cpus = error(|host| host.plan.profile.rule.cpus = None);
    assert_eq!(no_cpus, "ssh-ng://alpha: its plan does not say how many CPUs builds have");
    let refused = error(|host| set(&mut host.plan, "trusted-users", &["*"]));
    assert_eq!(
        refused,
        "ssh-ng://alpha: settings.trusted-users: refused: it decides who may do what"
    );
    let odd = error(|host| host.plan.hardware.system = Some("x86_64-linux - 99".to_owned()));
    assert!(odd.ends_with(r#""x86_64-linux - 99" is neither a system nor a feature"#), "{odd}");
}

#[test]
fn a_host_is_named_once() {
    let hosts = [host("root@alpha", machine(4)), host("ssh://ALPHA", machine(4))];
    let error = render(&hosts).expect_err("twice").to_string();
    assert_eq!(error, "alpha: named twice, which would double its builds");
}

#[test]
fn arguments_are_hosts_with_plans() {
    let error = |arguments: &[&str]| {
        let arguments: Vec<PathBuf> = arguments.iter().map(PathBuf::from).collect();
        let error = read(&arguments).expect_err("an error");
        (error.is::<detect::report::Usage>(), error.to_string())
    };
    let usage = |why: &str| (true, format!("--as machines: {why}"));
    assert_eq!(error(&[]), usage("name each host as HOST=PLAN"));
    assert_eq!(error(&["plan.json"]), usage("plan.json: not HOST=PLAN"));
    assert_eq!(error(&["a=-", "b=-"]), usage("stdin can be the plan of one host only"));
    assert!(error(&["a=no=such=file"]).1.starts_with("no=such=file"));
    let (is_usage, why) = error(&["a b=plan.json"]);
    assert!(is_usage && why.contains("not [user@]host"), "{why}");
}

#[test]
fn a_second_thread_and_a_slow_core_count_for_less() {
    let kind = |cpus: u32, cores: u32, speed: f64| Kind {
        cpus: cpus.try_into().expect("CPUs"),
        cores: cores.try_into().ok(),
        relative_speed: Cpus::new(speed),
    };
    let speed = |kinds: Vec<Kind>, cpus: u32| {
        let mut fast = machine(cpus);
        fast.cpu.kinds = kinds;
        columns(&[host("fast", fast), host("one", machine(1))])[0][4].clone()
    };
    assert_eq!(speed(Vec::new(), 32), "32");
    assert_eq!(speed(vec![kind(32, 32, 1.0)], 32), "32");
    assert_eq!(speed(vec![kind(32, 16, 1.0)], 32), "20", "16 × 1.22");
    assert_eq!(speed(vec![kind(16, 8, 1.0), kind(16, 16, 0.55)], 32), "19", "9.76 + 8.8");
    assert_eq!(speed(vec![kind(32, 16, 1.0)], 8), "5", "a quota of a quarter");
    assert_eq!(speed(vec![kind(4, 8, 1e6)], 4), "4", "more cores than CPUs");
}

#[test]
fn features_are_those_the_host_takes() {
    let known = |words: &[&str], isa_level: Option<&str>, kvm: Option<bool>| {
        let mut hardware = machine(4);
        hardware.environment.kvm = kvm;
        hardware.cpu.isa_level = isa_level.map(str::to_owned);
        let mut nix = Nix { version: Some("2.34.8".to_owned()), ..Nix::default() };
        nix.settings.insert("system-features".to_owned(), json!(words));
        hardware.nix = Some(nix);
        host("alpha", hardware)
    };
    let levels = &["gccarch-x86-64-v2", "gccarch-x86-64-v3", "gccarch-znver3", "uid-range"];
    let v2 = features(known(levels, Some("x86-64-v2"), None));
    assert_eq!(v2, "gccarch-x86-64-v2,gccarch-znver3", "what its CPU can run");
    let unknown = features(known(levels, None, None));
    assert_eq!(unknown, "gccarch-x86-64-v2,gccarch-x86-64-v3,gccarch-znver3");
    assert_eq!(features(known(&["kvm"], None, Some(false))), "-", "no device");
    assert_eq!(features(known(&["a"], None, Some(true))), "a,kvm", "the daemon may use it");

    let mut planned = known(&["benchmark"], Some("x86-64-v3"), Some(true));
    set(&mut planned.plan, "extra-system-features", &["gccarch-x86-64-v3"]);
    assert_eq!(features(planned.clone()), "benchmark,gccarch-x86-64-v3,kvm");
    set(&mut planned.plan, "system-features", &["big-parallel"]);
    assert_eq!(features(planned), "big-parallel,gccarch-x86-64-v3", "the plan decides");
}

#[test]
fn systems_are_those_the_host_builds_for() {
    let mut alpha = machine(4);
    let mut nix = Nix { version: Some("2.34.8".to_owned()), ..Nix::default() };
    nix.settings.insert("extra-platforms".to_owned(), json!(["i686-linux", 7]));
    alpha.nix = Some(nix);
    assert_eq!(columns(&[host("alpha", alpha)])[0][1], "i686-linux,x86_64-linux");
}

proptest! {
    #[test]
    fn every_line_has_six_columns(
        address in "(ssh://|file://)?([a-z.;# -]{1,5}@)?[A-Za-z0-9_:?-]{1,6}",
        words in prop::collection::vec("[a-z.;#, \\n-]{0,4}", 0..3),
        system in prop_oneof![Just("x86_64-linux".to_owned()), ".{0,8}"],
        cpus in 1_u32..,
    ) {
        let Ok(address) = Address::parse(&address) else { return Ok(()) };
        let mut hardware = machine(cpus);
        hardware.system = Some(system);
        let mut nix = Nix { version: Some("2.34.8".to_owned()), ..Nix::default() };
        nix.settings.insert("system-features".to_owned(), json!(words));
        hardware.nix = Some(nix);
        let plan = run(hardware, &Options::default()).expect("a plan");
        let hosts = [Host { address, plan }, host("slowest", machine(1))];
        let Ok(text) = render(&hosts) else { return Ok(()) };
        let lines: Vec<&str> =
            text.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).collect();
        prop_assert_eq!(lines.len(), 2, "{}", text);
        for line in lines {
            let columns: Vec<&str> = line.split_whitespace().collect();
            prop_assert_eq!(columns.len(), 6, "{}", line);
            prop_assert!(!line.contains([';', '#', '@']) || line.matches('@').count() == 1);
            prop_assert!(columns[3].parse::<u32>().is_ok_and(|jobs| jobs > 0), "{}", line);
            prop_assert!(columns[4].parse::<u32>().is_ok_and(|speed| speed > 0), "{}", line);
        }
    }
}
