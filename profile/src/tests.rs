//! Whole plans, from Hardware to settings.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::{Hardware, Limits, Nix};
use detect::number::Cpus;
use detect::release::Release;
use detect::stage;

use crate::plan::{Plan, Tier, Value, Workload};
use crate::sizing::GIB;
use crate::{Options, run};

fn laptop() -> Hardware {
    let mut hardware = Hardware {
        system: Some("x86_64-linux".to_owned()),
        nix: Some(Nix { version: Some("2.34.9".to_owned()), ..Nix::default() }),
        ..Hardware::default()
    };
    hardware.cpu.allowed = NonZeroU32::new(8);
    hardware.cpu.usable = Cpus::new(8.0);
    hardware.memory.total_bytes = NonZeroU64::new(16 * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware.environment.laptop = Some(true);
    hardware
}

fn plan(hardware: Hardware, options: &Options) -> Plan {
    run(hardware, options).expect("a plan")
}

fn plan_for(version: &str) -> Plan {
    let options = Options { for_nix: Release::parse(version), ..Options::default() };
    plan(laptop(), &options)
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.notes.iter().map(|note| note.id.as_str()).collect()
}

#[test]
fn the_same_machine_gives_the_same_bytes_and_they_read_back() {
    let one = plan(laptop(), &Options::default());
    let text = stage::text(&one).expect("JSON");
    assert_eq!(text, stage::text(&plan(laptop(), &Options::default())).expect("JSON"));
    let read: Plan = stage::parse(text.as_bytes()).expect("parses");
    assert_eq!(read, one);
}

#[test]
fn reasons_name_their_numbers() {
    let plan = plan(laptop(), &Options::default());
    assert_eq!(plan.profile.tier, Tier::HighPerformance);
    assert_eq!(plan.profile.rule.policy.as_deref(), Some("memory-bound-2"));
    assert_eq!(plan.profile.rule.available_bytes, Some(13 * GIB));
    assert_eq!(plan.settings["max-jobs"].value, Value::Integer(2));
    assert_eq!(plan.settings["cores"].value, Value::Integer(5));
    assert_eq!(
        plan.settings["cores"].why,
        "16 GiB less 3 GiB for a desktop leaves 13 GiB; there is no swap, so all compilers \
         together must fit: 2 jobs of 5 cores leave 1.3 GiB to each"
    );
    assert_eq!(
        plan.settings["max-jobs"].why,
        "at most one for every 2 of 8 CPUs, and no more than memory carries with 5 cores each; \
         at least 2, so that no download waits for a build"
    );
}

#[test]
fn only_what_differs_from_the_target_s_default_is_planned() {
    let names = |version| {
        let plan = plan_for(version);
        plan.settings.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("2.34"), "cores max-jobs");
    assert_eq!(names("2.26.3"), "connect-timeout cores max-jobs");
    assert_eq!(names("2.8"), "connect-timeout cores log-lines max-jobs");
    assert_eq!(names("2.30.3"), "connect-timeout cores max-jobs");
    assert_eq!(names("lix-2.93"), "connect-timeout cores max-jobs");
    assert_eq!(names("lix-2.94"), "cores max-jobs");
    assert_eq!(names("1.11"), "", "it knew none of these names");
}

#[test]
fn swap_is_advised_where_it_helps() {
    let advised = |hardware: Hardware| {
        let plan = plan(hardware, &Options::default());
        let said = ids(&plan).contains(&"zram-advised");
        assert_eq!(said, plan.nixos.contains_key("zramSwap.enable"));
        said
    };
    assert!(advised(laptop()));
    let why = &plan_for("2.34").nixos["zramSwap.enable"].why;
    assert!(why.ends_with("may be 3 × 5 instead of 2 × 5"), "{why}");

    let mut hardware = laptop();
    hardware.memory.swap_bytes = Some(6 * GIB);
    assert!(!advised(hardware), "there is enough");
    let mut hardware = laptop();
    hardware.memory.swap_bytes = None;
    assert!(!advised(hardware), "there may be enough");
    let mut hardware = laptop();
    hardware.environment.container = Some("docker".to_owned());
    assert!(!advised(hardware), "the host's concern");
    let mut hardware = laptop();
    hardware.memory.limit_bytes = NonZeroU64::new(8 * GIB);
    assert!(!advised(hardware), "the limit may hold for swap");
    let mut hardware = laptop();
    hardware.system = Some("aarch64-darwin".to_owned());
    assert!(!advised(hardware));
}

#[test]
fn builds_yield_to_whoever_works_there() {
    let policy = |hardware, workload| {
        let options = Options { workload, ..Options::default() };
        let plan = plan(hardware, &options);
        plan.nixos["nix.daemonCPUSchedPolicy"].value.to_string()
    };
    let mut server = laptop();
    server.environment.laptop = None;
    assert_eq!(policy(laptop(), Workload::General), "idle");
    assert_eq!(policy(laptop(), Workload::Builder), "batch");
    assert_eq!(policy(server.clone(), Workload::General), "batch");
    assert_eq!(policy(server, Workload::Interactive), "idle");
    let mut mac = laptop();
    mac.system = Some("aarch64-darwin".to_owned());
    assert!(plan(mac, &Options::default()).nixos.is_empty());
}

#[test]
fn an_empty_document_gives_warnings_instead_of_guesses() {
    let plan = plan(Hardware::default(), &Options::default());
    assert_eq!(plan.profile.tier, Tier::Conservative);
    assert_eq!(plan.profile.rule.policy, None);
    assert!(plan.settings.is_empty(), "2.34 needs none of the others");
    assert_eq!(ids(&plan), ["nix-assumed", "jobs-not-planned"]);
    let text = &plan.notes[1].text;
    assert!(text.contains("the number of CPUs and the amount of memory"), "{text}");
}

#[test]
fn little_memory_is_said() {
    let options = Options { reserve_memory: Some(15 * GIB), ..Options::default() };
    let plan = plan(laptop(), &options);
    assert!(ids(&plan).contains(&"little-memory"));
    assert_eq!(plan.settings["cores"].value, Value::Integer(1));
    let options = Options { reserve_memory: Some(u64::MAX), ..Options::default() };
    let why = &run(laptop(), &options).expect("a plan").settings["cores"].why;
    assert!(why.contains("as asked for leaves less than 512 MiB"), "{why}");
}

#[test]
fn a_limit_on_detect_alone_is_said() {
    let mut hardware = laptop();
    hardware.daemon = Some(Limits::default());
    let quiet = plan(hardware.clone(), &Options::default());
    assert!(!ids(&quiet).contains(&"caller-limited"));
    hardware.cpu.quota = Cpus::new(2.0);
    let told = plan(hardware, &Options::default());
    assert!(ids(&told).contains(&"caller-limited"));
    assert_eq!(told.profile.rule.cpus, Some(2));
}
