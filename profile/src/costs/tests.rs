//! Records, good and bad, and what is planned by them.

use std::fmt::Write;
use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::Hardware;
use detect::number::Cpus;
use detect::stage;

use super::Costs;
use crate::plan::{Plan, Value};
use crate::sizing::GIB;
use crate::{Options, run};

fn machine() -> Hardware {
    let mut hardware = Hardware::default();
    hardware.cpu.allowed = NonZeroU32::new(16);
    hardware.cpu.usable = Cpus::new(16.0);
    hardware.cpu.cores = NonZeroU32::new(8);
    hardware.memory.total_bytes = NonZeroU64::new(32 * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware
}

fn costs(packages: &str) -> Costs {
    let text = format!(r#"{{"version":1,"packages":{{{packages}}}}}"#);
    stage::parse(text.as_bytes()).expect("costs")
}

/// So many packages that all cost the same.
fn alike(count: u32, cost: &str) -> Costs {
    let mut packages = String::new();
    for number in 0..count {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(packages, r#"{comma}"package{number}":{{"builds":1,{cost}}}"#);
    }
    costs(&packages)
}

fn plan(costs: Costs) -> Plan {
    run(machine(), &Options { costs: Some(costs), ..Options::default() }).expect("a plan")
}

fn by_rule() -> Plan {
    run(machine(), &Options::default()).expect("a plan")
}

fn decided(plan: &Plan) -> (u64, u64) {
    let number = |name: &str| match plan.settings[name].value {
        Value::Integer(number) => number,
        _ => panic!("{name} is a number"),
    };
    (number("max-jobs"), number("cores"))
}

fn note<'a>(plan: &'a Plan, id: &str) -> &'a str {
    let found = plan.notes.iter().find(|note| note.id == id);
    &found.unwrap_or_else(|| panic!("{id}: {:?}", plan.notes)).text
}

const SERIAL: &str = r#""wall_seconds":60,"cpu_seconds":60,"parallelism":1,
    "peak_memory_bytes":104857600,"base_memory_bytes":null,"slot_memory_bytes":null,"width":1"#;

#[test]
fn many_small_serial_builds_get_many_jobs() {
    let plan = plan(alike(100, SERIAL));
    let (jobs, _) = decided(&plan);
    assert!(jobs >= 12, "{jobs}: the rule says 4");
    assert_eq!(plan.profile.rule.policy.as_deref(), Some("recorded-2"));
    let why = &plan.settings["max-jobs"].why;
    assert!(why.starts_with("simulated on 100 builds of 100 packages recorded"), "{why}");
    assert!(why.ends_with("by the rule memory-bound-2"), "{why}");
    let said = note(&plan, "costs-used");
    assert!(said.ends_with("cores instead of 4 × 7 by memory-bound-2"), "{said}");
}

#[test]
fn memory_seen_is_kept_free() {
    // 10 GiB each, with what may come on top: two fit into 29 GiB, three do not.
    let heavy = SERIAL.replace("104857600", "10737418240");
    let plan = plan(alike(40, &heavy));
    assert_eq!(decided(&plan).0, 2, "{:?}", plan.notes);
    // Nothing fits: said, and the rule stands.
    let plan = self::plan(alike(40, &SERIAL.replace("104857600", "42949672960")));
    assert!(note(&plan, "costs-do-not-fit").contains("in 29 GiB"));
    assert_eq!(plan.profile.rule.policy.as_deref(), Some("memory-bound-2"));
}

#[test]
fn a_thin_record_or_a_small_gain_leaves_the_rule() {
    let thin = plan(alike(19, SERIAL));
    assert!(note(&thin, "costs-not-used").contains("19 builds are recorded"));
    assert_eq!(decided(&thin), decided(&by_rule()));
}

#[test]
fn a_guard_goes_before_a_record() {
    let options = |costs, guarded| Options { costs, guarded, ..Options::default() };
    let record = || Some(alike(100, SERIAL));
    let mut linux = machine();
    linux.system = Some("x86_64-linux".to_owned());
    let both = run(linux.clone(), &options(record(), true)).expect("a plan");
    let guarded = run(linux, &options(None, true)).expect("a plan");
    assert_eq!(decided(&both), decided(&guarded));
    assert!(note(&both, "costs-not-used").contains("for a guard"));
    // Where there is no guard, the record decides.
    let mut mac = machine();
    mac.system = Some("aarch64-darwin".to_owned());
    let plan = run(mac, &options(record(), true)).expect("a plan");
    assert!(note(&plan, "costs-used").contains("recorded builds"));
}

#[test]
fn needs_hold_builds_back() {
    let mut chain = String::new();
    for number in 0..30 {
        let comma = if number == 0 { "" } else { "," };
        let need = if number == 0 { "glibc".to_owned() } else { format!("p{}", number - 1) };
        let _ = write!(chain, r#"{comma}"p{number}":{{"builds":2,{SERIAL},"needs":["{need}"]}}"#);
    }
    let plan = plan(costs(&chain));
    // One after the other, whatever the jobs: nothing to gain.
    assert_eq!(decided(&plan), decided(&by_rule()));
    assert!(note(&plan, "costs-not-used").contains("1800 s instead of 1800 s"));
}

#[test]
fn what_is_no_record_is_refused_in_a_line() {
    let refused = |packages: &str| {
        let text = format!(r#"{{"version":1,"packages":{{{packages}}}}}"#);
        let error = stage::parse::<Costs>(text.as_bytes()).and_then(|costs| {
            run(machine(), &Options { costs: Some(costs), ..Options::default() })
        });
        let error = format!("{:#}", error.expect_err(packages));
        assert!(!error.contains('\n'), "{error}");
        error
    };
    let cost = |from: &str, to: &str| format!(r#""a":{{"builds":1,{}}}"#, SERIAL.replace(from, to));
    for (packages, why) in [
        (cost("\"wall_seconds\":60", "\"wall_seconds\":-1"), "\"a\": wall_seconds of -1"),
        (cost("\"cpu_seconds\":60", "\"cpu_seconds\":1e300"), "cpu_seconds of 1000"),
        (cost("\"cpu_seconds\":60", "\"cpu_seconds\":1e999"), "number out of range"),
        (cost("104857600", "18446744073709551615"), "peak_memory_bytes, in GiB,"),
        (cost("\"width\":1", "\"with\":1"), "unknown field `with`"),
        (format!(r#""a":{{"builds":0,{SERIAL}}}"#), "nonzero"),
        (format!(r#""a":{{"builds":1,{SERIAL},"needs":["a"]}}"#), "\"a\": needs itself"),
        (format!(r#""":{{"builds":1,{SERIAL}}}"#), "not a package's name"),
        (format!(r#""a\n":{{"builds":1,{SERIAL}}}"#), "\"a\\n\": not a package's name"),
    ] {
        let error = refused(&packages);
        assert!(error.contains(why), "{error}");
    }
    let many = alike(10_001, SERIAL);
    assert!(run(machine(), &Options { costs: Some(many), ..Options::default() }).is_err());
}

#[test]
fn the_largest_record_is_planned() {
    let mut hardware = machine();
    hardware.cpu.allowed = NonZeroU32::new(1000);
    hardware.cpu.usable = Cpus::new(1000.0);
    hardware.memory.total_bytes = NonZeroU64::new(4096 * GIB);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    let costs = Some(alike(10_000, SERIAL));
    let plan = run(hardware, &Options { costs, ..Options::default() }).expect("a plan");
    assert!(decided(&plan).0 > 100);
}
