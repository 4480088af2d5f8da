//! Laws of the documents, written down a second time and apart from the code
//! that keeps them.

use std::fmt::Debug;

use detect::hardware::Hardware;
use detect::number::Cpus;
use detect::stage;
use profile::form::{self, Form, render};
use profile::plan::{Cache, Plan, Value, Verdict};
use profile::{Options, run};
use serde::Serialize;
use serde::de::DeserializeOwned;

const GIB: u64 = 1 << 30;

/// What we write, we read, and it is the same.
pub fn round_trips<T>(document: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let text = stage::text(document).expect("a document has a text");
    let again: T = stage::parse(text.as_bytes()).expect("what we wrote we can read");
    assert_eq!(&again, document, "what we read is what we wrote");
}

/// A plan follows from any machine; it stays within its bounds and is written
/// whole.
pub fn plans(hardware: Hardware, options: &Options) -> Plan {
    let cpus = cpus(&hardware);
    let memory = memory(&hardware);
    let plan = run(hardware, options).expect("a plan follows from any machine");
    let number = |name: &str| match plan.settings.get(name).map(|setting| &setting.value) {
        Some(Value::Integer(number)) => Some(*number),
        Some(other) => panic!("{name} = {other}: no number"),
        None => None,
    };
    let sizes = number("max-jobs").zip(number("cores"));
    assert_eq!(plan.profile.rule.cpus.map(u64::from), cpus, "CPUs that some limit withholds");
    assert_eq!(plan.profile.rule.memory_bytes, memory, "memory that some limit withholds");
    if let Some((jobs, cores)) = sizes {
        let cpus = cpus.expect("sizes without CPUs");
        let memory = memory.expect("sizes without memory");
        assert!(cores >= 1 && cores <= cpus, "{cores} cores of {cpus} CPUs");
        let rule = &plan.profile.rule;
        let available = rule.available_bytes.expect("sizes without memory");
        assert!(available <= memory.max(GIB / 2), "more is available than there is");
        let policy = rule.policy.as_deref().expect("sizes without a rule");
        // With swap, one job more is for downloads.
        let spare = u64::from(policy.starts_with("swap-backed"));
        let most = (cpus.div_ceil(2) + spare).max(2);
        assert!(jobs >= 2 && jobs <= most, "{jobs} jobs on {cpus} CPUs");
        let gib = |of: u64| u128::from(of) * u128::from(GIB);
        if policy.starts_with("memory-bound") {
            let carried = u128::from(jobs) * gib(cores);
            assert!(available < 2 * GIB || carried <= available.into(), "{jobs} × {cores}");
        } else if policy.starts_with("swap-backed") {
            let swap = rule.swap_bytes.expect("backed by swap");
            let most = (available.saturating_add(swap) / GIB).max(2);
            assert!(jobs <= 24 && jobs <= most, "{jobs} jobs on {most} GiB");
        } else if policy.starts_with("throughput") {
            assert!(jobs == 2 || 7 * gib(jobs) <= 2 * u128::from(available), "{jobs} jobs");
        } else {
            assert!(policy.starts_with("few-big") && jobs <= 4, "{policy}: {jobs} jobs");
        }
    }
    for form in [Form::NixConf, Form::Nixos, Form::Darwin, Form::Env, Form::Github, Form::Systemd] {
        render(&plan, form).expect("what we plan we can write");
    }
    plan
}

/// The least number of CPUs that the document speaks of, a share as a whole one.
fn cpus(hardware: &Hardware) -> Option<u64> {
    let cpu = &hardware.cpu;
    let whole = |number: std::num::NonZeroU32| f64::from(number.get()).min(1e6);
    let own = [cpu.allowed.map(whole), cpu.online.map(whole), cpu.usable.map(Cpus::get)];
    let daemon = hardware.daemon.as_ref();
    let limits = [
        cpu.quota.map(Cpus::get),
        daemon.and_then(|daemon| daemon.quota.map(Cpus::get)),
        daemon.and_then(|daemon| daemon.allowed.map(whole)),
    ];
    own.iter().flatten().next()?;
    let least = own.into_iter().chain(limits).flatten().fold(f64::INFINITY, f64::min);
    // At most a million, by which a loop is no slower than the rest.
    (0..=1_000_000_u32).find(|cpus| f64::from(*cpus) >= least).map(u64::from)
}

/// The least memory that the document speaks of.
fn memory(hardware: &Hardware) -> Option<u64> {
    let memory = &hardware.memory;
    let usable = memory.usable_bytes?.get();
    let total = memory
        .total_bytes
        .map(|total| total.get().saturating_sub(memory.huge_pages_bytes.unwrap_or(0)));
    let daemon = hardware.daemon.as_ref().and_then(|daemon| daemon.memory_limit_bytes);
    let limits = [total, memory.limit_bytes.map(u64::from), daemon.map(u64::from)];
    let least = limits.into_iter().flatten().fold(usable, u64::min);
    (least > 0).then_some(least)
}

/// Names that are never written (design, invariant 3), also with `extra-`, and
/// by their old names.
fn is_forbidden(name: &str) -> bool {
    let name = name.strip_prefix("extra-").unwrap_or(name);
    let listed = [
        "trusted-users",
        "allowed-users",
        "require-sigs",
        "build-use-chroot",
        "build-chroot-dirs",
        "accept-flake-config",
        "plugin-files",
        "secret-key-files",
        "signed-binary-caches",
        "binary-cache-secret-key-file",
        "include",
        "!include",
    ];
    listed.contains(&name)
        || name.contains("sandbox")
        || name.ends_with("-hook")
        || name.starts_with("fsync-")
}

/// What is written is the plan's settings, as Nix will read them, and comments.
pub fn is_only_settings(text: &str, plan: &Plan, form: Form) {
    let mut names = Vec::new();
    for line in text.split('\n') {
        assert!(!line.chars().any(char::is_control), "{line:?}: a control character");
        if line.is_empty() || (form == Form::NixConf && line.starts_with('#')) {
            continue;
        }
        assert!(!line.contains('#'), "{line:?}: a comment after a value");
        let (name, value) = line.split_once(" =").expect("NAME = VALUE");
        let setting = plan.settings.get(name).unwrap_or_else(|| panic!("{name}: not planned"));
        assert!(!is_forbidden(name), "{name}: forbidden");
        // Nix takes words between blanks and puts one space between them.
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        assert_eq!(words.join(" "), setting.value.to_string(), "{name}: not the value planned");
        if ["max-jobs", "cores"].contains(&name) {
            assert!(!["0", "auto"].contains(&value.trim()), "{line}: no bound");
        }
        if let Some(base) = name.strip_prefix("extra-") {
            assert!(!text.contains(&format!("\n{base} = ")) || names.contains(&base));
        }
        if ["substituters", "trusted-substituters"].contains(&name.trim_start_matches("extra-")) {
            for url in &words {
                assert!(is_proven(url, &plan.caches), "{url}: no proof");
            }
        }
        if name.ends_with("trusted-public-keys") {
            let proven = |key: &str| {
                key == profile::catalogue::CACHE_KEY
                    || verified(&plan.caches).any(|cache| cache.key.as_deref() == Some(key))
            };
            for key in &words {
                assert!(proven(key), "{key}: no proof");
            }
        }
        names.push(name);
    }
    let said = form::settings(plan, form).len();
    assert_eq!(names.len(), said, "each setting once, and nothing else");
}

fn verified(caches: &[Cache]) -> impl Iterator<Item = &Cache> {
    caches.iter().filter(|cache| cache.verdict == Some(Verdict::Verified) && cache.key.is_some())
}

fn is_proven(url: &str, caches: &[Cache]) -> bool {
    let plain = |url: &str| {
        let (place, rest) = url.split_once('?').unwrap_or((url, ""));
        assert!(rest.is_empty() || rest.starts_with("priority="), "{url}: a parameter");
        place.strip_suffix('/').unwrap_or(place).to_owned()
    };
    let place = plain(url);
    place == "https://cache.nixos.org"
        || verified(caches)
            .filter(|cache| !cache.url.contains('?') || cache.url.contains("?priority="))
            .any(|cache| plain(&cache.url) == place)
}
