//! What must not get through.

use detect::hardware::{Hardware, Implementation};

use super::check;
use crate::catalogue::CACHE_KEY;
use crate::overlay::{Arch, Optimize};
use crate::plan::{Cache, Plan, Setting, Target, Value, Verdict};
use crate::{Options, run};

fn empty() -> Plan {
    run(Hardware::default(), &Options::default()).expect("a plan")
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn words(words: &[&str]) -> Value {
    Value::List(words.iter().map(ToString::to_string).collect())
}

fn set(plan: &mut Plan, name: &str, value: Value) {
    let setting = Setting::new(value, "a reason");
    plan.settings.insert(name.to_owned(), setting);
}

fn aim(plan: &mut Plan, version: &str) {
    plan.profile.target.version = version.to_owned();
}

fn outcome(plan: &Plan) -> String {
    check(plan).map_or_else(|error| format!("{error:#}"), |_| String::new())
}

/// The error for one setting; nothing when it is fine.
fn judge(name: &str, value: Value) -> String {
    let mut plan = empty();
    set(&mut plan, name, value);
    outcome(&plan)
}

#[track_caller]
fn refused(name: &str, value: Value, why: &str) {
    let error = judge(name, value);
    let start = format!("settings.{name}: ");
    assert!(error.starts_with(&start) && error.contains(why), "{name}: {error:?}");
}

#[test]
fn what_gives_rights_or_drops_checks() {
    for (name, value) in [
        ("trusted-users", words(&["*"])),
        ("allowed-users", words(&["*"])),
        ("require-sigs", Value::Bool(false)),
        ("sandbox", text("false")),
        ("sandbox-paths", words(&["/"])),
        ("sandbox-fallback", Value::Bool(true)),
        ("sandbox-build-dir", text("/tmp")),
        ("sandbox-dev-shm-size", text("1%")),
        ("darwin-log-sandbox-violations", Value::Bool(true)),
        ("builtin-builder-sandbox-paths", words(&["/"])),
        ("accept-flake-config", Value::Bool(true)),
        ("pre-build-hook", text("/bin/sh")),
        ("post-build-hook", text("/bin/sh")),
        ("diff-hook", text("/bin/sh")),
        ("run-diff-hook", Value::Bool(true)),
        ("build-hook", words(&["/bin/sh"])),
        ("plugin-files", words(&["/tmp/evil.so"])),
        ("fsync-metadata", Value::Bool(false)),
        ("fsync-store-paths", Value::Bool(false)),
        ("build-users-group", text("users")),
        ("start-id", Value::Integer(0)),
        ("id-count", Value::Integer(1 << 31)),
        ("secret-key-files", words(&["/etc/key"])),
        ("netrc-file", text("/tmp/netrc")),
        ("access-tokens", words(&["github.com=x"])),
        ("allow-unsafe-native-code-during-evaluation", Value::Bool(true)),
        ("restrict-eval", Value::Bool(false)),
        ("pure-eval", Value::Bool(false)),
        ("use-sqlite-wal", Value::Bool(false)),
        ("filter-syscalls", Value::Bool(false)),
        ("allow-new-privileges", Value::Bool(true)),
        ("builders", text("ssh://evil")),
        ("external-builders", words(&["{}"])),
        // By their old names, and by what adds to them.
        ("build-use-sandbox", text("false")),
        ("build-use-chroot", text("false")),
        ("build-sandbox-paths", words(&["/"])),
        ("extra-trusted-users", words(&["*"])),
        ("extra-sandbox-paths", words(&["/"])),
        ("extra-build-chroot-dirs", words(&["/"])),
        ("extra-plugin-files", words(&["/tmp/evil.so"])),
    ] {
        refused(name, value, "refused: it ");
    }
}

#[test]
fn names_that_the_target_does_not_know() {
    refused("parallel-builds", Value::Integer(1), "unknown to Nix 2.34.0");
    refused("extra-max-jobs", Value::Integer(2), "nothing can be added to max-jobs");
    refused("extra-extra-substituters", words(&[]), "unknown to Nix");
    refused("eval-cores", Value::Integer(2), "unknown to Nix 2.34.0");
    refused("build-cores", Value::Integer(2), "an old name in Nix 2.34.0: now cores");
    refused("extra-binary-caches", words(&[]), "now substituters");
    refused("Max-Jobs", Value::Integer(2), "unknown");
    refused("", Value::Integer(2), "unknown");
    refused("include", text("/tmp/evil.conf"), "unknown");
    refused("max-jobs = 1\ntrusted-users", words(&["*"]), "unknown");

    let mut plan = empty();
    set(&mut plan, "build-dir", text("/var/builds"));
    assert_eq!(outcome(&plan), "");
    aim(&mut plan, "2.8");
    assert_eq!(outcome(&plan), "settings.build-dir: unknown to Nix 2.8.0");

    let mut plan = empty();
    set(&mut plan, "download-attempts", Value::Integer(3));
    assert_eq!(outcome(&plan), "");
    aim(&mut plan, "2.35");
    assert!(outcome(&plan).contains("now filetransfer-retry-attempts"));

    let mut plan = empty();
    set(&mut plan, "eval-cores", Value::Integer(2));
    plan.profile.target.implementation = Implementation::Determinate;
    assert_eq!(outcome(&plan), "");
}

#[test]
fn targets_that_are_no_version() {
    for version in ["", "latest", "2", "two.eight"] {
        let mut plan = empty();
        aim(&mut plan, version);
        let error = outcome(&plan);
        assert!(error.starts_with("profile.target: "), "{version}: {error}");
    }
    let mut plan = empty();
    plan.profile.target = Target {
        implementation: Implementation::Lix,
        version: "2.93.0".to_owned(),
        ..plan.profile.target
    };
    assert_eq!(check(&plan).expect("fine").to_string(), "Lix 2.93.0");
}

#[test]
fn settings_of_another_platform_or_feature() {
    let mut plan = empty();
    set(&mut plan, "use-cgroups", Value::Bool(true));
    assert!(outcome(&plan).contains("needs the experimental feature cgroups"));
    set(&mut plan, "extra-experimental-features", words(&["cgroups"]));
    assert_eq!(outcome(&plan), "");
    plan.hardware.system = Some("aarch64-darwin".to_owned());
    assert!(outcome(&plan).contains("only known on linux"));
    refused("experimental-features", words(&["no-such"]), "no-such");

    let mut plan = empty();
    set(&mut plan, "extra-experimental-features", words(&["cgroups"]));
    aim(&mut plan, "2.11");
    assert!(outcome(&plan).contains("cgroups: no feature of Nix 2.11.0"));
}

#[test]
fn a_reason_that_would_become_a_setting() {
    for why in ["x\ntrusted-users = *", "x\r", "nul\0", "\u{1b}[2J", "\u{85}"] {
        let mut plan = empty();
        set(&mut plan, "max-jobs", Value::Integer(2));
        plan.settings.get_mut("max-jobs").expect("there").why = why.to_owned();
        let error = outcome(&plan);
        assert_eq!(error, "settings.max-jobs: its reason has a control character");
    }
    let mut plan = empty();
    set(&mut plan, "max-jobs", Value::Integer(2));
    plan.settings.get_mut("max-jobs").expect("there").why = "# is fine here".to_owned();
    assert_eq!(outcome(&plan), "");
}

#[test]
fn values_that_nix_would_not_read_as_they_are() {
    for bad in ["a\nb", "a\rb", "a\0b", "a\tb", "a # b", "#", " a", "a ", "a  b"] {
        assert_ne!(judge("user-agent-suffix", text(bad)), "", "{bad:?}");
    }
    for good in ["", "a", "a b", "é"] {
        assert_eq!(judge("user-agent-suffix", text(good)), "", "{good:?}");
    }
    for bad in ["", " ", "a b", "a\nb", "a\u{a0}b", "a#b", "a\0"] {
        assert_ne!(judge("system-features", words(&[bad])), "", "{bad:?}");
    }
    assert_eq!(judge("system-features", words(&[])), "");
}

#[test]
fn values_of_the_wrong_kind() {
    refused("max-jobs", text("8"), "\"8\" is not a number");
    refused("max-jobs", Value::Bool(true), "is not a number");
    refused("max-jobs", text("auto"), "auto counts CPUs");
    refused("max-jobs", Value::Integer(0), "0 leaves it to Nix");
    refused("cores", Value::Integer(0), "0 leaves it to Nix");
    refused("cores", text("auto"), "is not a number");
    refused("cores", Value::Integer(1 << 32), "more than 4294967295");
    refused("min-free", Value::Integer(1 << 63), "more than 9223372036854775807");
    refused("fallback", text("true"), "is not true or false");
    refused("fallback", Value::Integer(1), "is not true or false");
    refused("substituters", text("https://cache.nixos.org"), "is not a list");
    refused("build-dir", text("builds"), "is no absolute path");
    refused("build-dir", words(&["/builds"]), "is not a path");
    refused("lint-url-literals", text("never"), "is none of ignore, warn, fatal");
    assert_eq!(judge("lint-url-literals", text("warn")), "");
}

fn cache(verdict: Option<Verdict>) -> Cache {
    Cache {
        url: "https://cache.example.org".to_owned(),
        key: Some("example-1:AAAA".to_owned()),
        verdict,
        priority: None,
        latency_seconds: None,
    }
}

/// The error for one cache named in the plan, when it was found to be so.
fn judge_cache(found: Option<Verdict>, name: &str, word: &str) -> String {
    let mut plan = empty();
    plan.caches.push(cache(found));
    set(&mut plan, name, words(&[word]));
    outcome(&plan)
}

#[test]
fn caches_and_keys_need_proof() {
    let (url, key) = ("https://cache.example.org", "example-1:AAAA");
    let ours = Some(Verdict::Verified);
    for name in ["substituters", "extra-substituters", "extra-trusted-substituters"] {
        assert_eq!(judge_cache(ours, name, url), "");
        for unproven in [
            None,
            Some(Verdict::OtherKey),
            Some(Verdict::BadSignature),
            Some(Verdict::Unsigned),
            Some(Verdict::ContentAddressed),
            Some(Verdict::Unverified),
        ] {
            let error = judge_cache(unproven, name, url);
            assert!(error.contains("no proof"), "{unproven:?}: {error}");
        }
    }
    for name in ["trusted-public-keys", "extra-trusted-public-keys"] {
        assert_eq!(judge_cache(ours, name, key), "");
        assert!(judge_cache(Some(Verdict::OtherKey), name, key).contains("no proof"));
        assert!(judge_cache(ours, name, "example-1:BBBB").contains("no proof"));
        assert_eq!(judge(name, words(&[CACHE_KEY])), "");
    }
    assert_eq!(judge("substituters", words(&["https://cache.nixos.org"])), "");
    assert_eq!(judge("substituters", words(&["https://cache.nixos.org/"])), "");
    assert!(judge("substituters", words(&["http://cache.nixos.org"])).contains("no proof"));

    let mut keyless = cache(ours);
    keyless.key = None;
    let mut plan = empty();
    plan.caches.push(keyless);
    set(&mut plan, "substituters", words(&[url]));
    assert!(outcome(&plan).contains("no proof"), "proof of which key?");
}

#[test]
fn a_cache_s_url_can_say_its_priority_and_nothing_else() {
    let ours = Some(Verdict::Verified);
    let judge = |url: &str| judge_cache(ours, "substituters", url);
    assert_eq!(judge("https://cache.example.org/?priority=10"), "");
    assert_eq!(judge("https://cache.example.org?priority=10"), "");
    for bad in [
        "https://cache.example.org?trusted=1",
        "https://cache.example.org?priority=1&trusted=1",
        "https://cache.example.org/other",
        "https://cache.example.org.evil.org",
        "https://cache.example.org:444",
        "https://cache.example.org:0",
        "https://user@cache.example.org",
        "https://",
        "cache.example.org",
        "daemon",
        "ssh://cache.example.org",
    ] {
        assert_ne!(judge(bad), "", "{bad}");
    }
}

#[test]
fn what_is_too_long_to_be_sane() {
    let long = "x".repeat(10 << 20);
    let list = |word: &str, count: usize| Value::List(vec![word.to_owned(); count]);
    let mut errors = vec![
        judge("user-agent-suffix", text(&long)),
        judge("user-agent-suffix", text(&long[..4097])),
        judge("build-dir", text(&long)),
        judge("no-such-setting", text(&long)),
        judge("substituters", words(&[&long])),
        judge("system-features", list("kvm", 1 << 20)),
        judge("system-features", list("kvm", 257)),
        judge(&long, Value::Bool(true)),
    ];
    let mut plan = empty();
    set(&mut plan, "max-jobs", Value::Integer(2));
    plan.settings.get_mut("max-jobs").expect("there").why.clone_from(&long);
    errors.push(outcome(&plan));
    let mut plan = empty();
    aim(&mut plan, &long);
    errors.push(outcome(&plan));
    let mut plan = empty();
    plan.hardware.system = Some(long.clone());
    errors.push(outcome(&plan));
    for value in [text(&long), list("x", 257)] {
        for path in ["nix.gc.options", "no.such.option"] {
            let mut plan = empty();
            plan.nixos.insert(path.to_owned(), Setting::new(value.clone(), "a reason"));
            errors.push(outcome(&plan));
        }
    }
    for (case, error) in errors.iter().enumerate() {
        assert!(error.contains("are more than "), "case {case}: {error:.300}");
        assert!(error.len() < 300, "case {case}: {error:.300}");
    }
    assert_eq!(judge("user-agent-suffix", text(&long[..4096])), "");
    assert_eq!(judge("system-features", list("kvm", 256)), "");
}

#[test]
fn a_reason_that_reads_as_something_else() {
    for why in ["\u{202e}sresu-detsurt", "x\u{2028}y", "\u{2066}x"] {
        let mut plan = empty();
        set(&mut plan, "max-jobs", Value::Integer(2));
        plan.settings.get_mut("max-jobs").expect("there").why = why.to_owned();
        assert!(outcome(&plan).contains("a control character"), "{why:?}");
        assert_eq!(of_packages(why), "optimize: its reason has a control character");
    }
    assert!(of_packages(&"x".repeat(4097)).contains("4097 bytes are more than 4096"));
    assert_eq!(of_packages("because"), "");
}

/// The error for the reason to build packages for this CPU.
fn of_packages(why: &str) -> String {
    let packages = vec!["hello".to_owned()].try_into().expect("a name");
    let optimize = Optimize { arch: Arch::V3, packages, why: why.to_owned() };
    outcome(&Plan { optimize: Some(optimize), ..empty() })
}

#[test]
fn builds_have_a_directory_of_their_own() {
    assert_eq!(judge("build-dir", text("/var/builds")), "");
    refused("build-dir", text("/var/lib"), "is no directory of its own for builds");
    assert!(judge("build-dir", text("/var/a # b")).contains("comment"));
    let mut plan = empty();
    plan.profile.target.implementation = Implementation::Lix;
    aim(&mut plan, "2.93.0");
    set(&mut plan, "temp-dir", text("/var/builds"));
    assert_eq!(outcome(&plan), "");
    set(&mut plan, "temp-dir", text("/var/lib"));
    assert!(outcome(&plan).starts_with("settings.temp-dir: refused"), "{}", outcome(&plan));
}
