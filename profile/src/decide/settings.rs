//! What goes into nix.conf.
//!
//! **Invariant:** a setting is planned only when the release knows it and its
//! default is another; `max-jobs` and `cores` also when it is the same, since
//! each relies on the other.

use detect::human::size;
use detect::release::Release;

use super::{Case, Settings};
use crate::catalogue::{self, Preset};
use crate::plan::{Setting, Value, Workload};
use crate::reason::reasons;
use crate::sizing::GIB;

/// Seconds to wait for a cache to answer, as Nix 2.32 does.
const CONNECT_TIMEOUT: u64 = 15;

/// Lines of a failed build's log to show, as Nix 2.20 does.
const LOG_LINES: u64 = 25;

/// Seconds without output after which a CI build counts as hung: twice what
/// quiet links of large programs take.
const CI_SILENCE: u64 = 3600;

/// Seconds after which a CI build is ended, before the 6 hours after which
/// hosted runners end the whole job and with it the log.
const CI_TIMEOUT: u64 = 4 * 3600;

/// Threads that ask caches for paths before Nix 2.35: what the original design
/// gave fast machines, and the least of what the facts found to help.
const CONNECTIONS: u64 = 50;

/// A link from which more connections can gain anything.
const FAST_LINK_MBPS: u32 = 1000;

/// A download's buffer where memory is plentiful, from Nix 2.24 to 2.32.
const DOWNLOAD_BUFFER: u64 = GIB / 4;

/// As many downloads run at once (`max-substitution-jobs`), and together they
/// may take this share of the memory that builds have.
const DOWNLOADS: u64 = 16;
const DOWNLOADS_SHARE: u64 = 8;

/// A store's file system that has room for what built what is installed: what
/// is sold as 512 GB, less what other partitions take.
const AMPLE_STORE: u64 = 400_000_000_000;

/// A name, what it is set to, and why.
type Decision = (&'static str, Value, String);

/// What goes into nix.conf of this release.
pub(crate) fn settings(case: &Case) -> Settings {
    let mut settings = sizes(case);
    let decisions = [
        connect_timeout(case),
        log_lines(case),
        hung(case),
        endless(case),
        allow_substitutes(case),
        connections(case),
        download_buffer(case),
        keep_outputs(case),
        builders(case),
    ];
    for (name, value, why) in decisions.into_iter().flatten() {
        // What is not known has no default, and what is one needs no line.
        if default(name, case.release).is_some_and(|preset| !is(preset, &value))
            && !is_more(case, name, &value)
        {
            settings.insert(name.to_owned(), Setting::new(value, why));
        }
    }
    settings
}

fn default(name: &str, release: Release) -> Option<Preset> {
    catalogue::find(name)?.default(release)
}

/// Whether the machine is set to more of what is planned to be more.
fn is_more(case: &Case, name: &str, value: &Value) -> bool {
    const RAISED: [&str; 3] = ["download-buffer-size", "http-connections", "log-lines"];
    let nix = case.hardware.nix.as_ref();
    let now = nix.and_then(|nix| nix.settings.get(name)?.as_u64());
    RAISED.contains(&name)
        && matches!((now, value), (Some(now), Value::Integer(value)) if now > *value)
}

fn is(preset: Preset, value: &Value) -> bool {
    match (preset, value) {
        (Preset::Number(preset), Value::Integer(value)) => preset == *value,
        (Preset::Bool(preset), Value::Bool(value)) => preset == *value,
        _ => false,
    }
}

fn sizes(case: &Case) -> Settings {
    let Some((rule, sizes)) = case.budget.sizes() else { return Settings::new() };
    let reasons = reasons(case.budget, rule, sizes);
    [("max-jobs", sizes.jobs, reasons.jobs), ("cores", sizes.cores, reasons.cores)]
        .into_iter()
        .filter(|(name, ..)| default(name, case.release).is_some())
        .map(|(name, number, why)| {
            (name.to_owned(), Setting::new(Value::Integer(number.into()), why))
        })
        .collect()
}

fn connect_timeout(case: &Case) -> Option<Decision> {
    let name = "connect-timeout";
    let Preset::Number(seconds) = default(name, case.release)? else { return None };
    let why = match seconds {
        0 => format!(
            "without it, a cache that does not answer holds everything up for minutes; \
             {CONNECT_TIMEOUT} s, the default since Nix 2.32, still lets a second name \
             server answer"
        ),
        _ => format!(
            "{seconds} s give up before a second name server can answer \
             (NixOS/nix 13985); {CONNECT_TIMEOUT} s are the default since Nix 2.32"
        ),
    };
    Some((name, Value::Integer(CONNECT_TIMEOUT), why))
}

fn log_lines(case: &Case) -> Option<Decision> {
    let name = "log-lines";
    let Preset::Number(lines) = default(name, case.release)? else { return None };
    let why = format!(
        "{lines} lines of a failed build's log often end before its cause; {LOG_LINES} are the \
         default since Nix 2.20"
    );
    Some((name, Value::Integer(LOG_LINES), why))
}

fn hung(case: &Case) -> Option<Decision> {
    let minutes = CI_SILENCE / 60;
    let why = format!(
        "a build that prints nothing for {minutes} minutes hangs: without a limit it holds the \
         runner until CI ends the whole job, and nothing says which build it was"
    );
    case.is_ci().then_some(("max-silent-time", Value::Integer(CI_SILENCE), why))
}

fn endless(case: &Case) -> Option<Decision> {
    let hours = CI_TIMEOUT / 3600;
    let why = format!(
        "{hours} hours end a build that never ends, and name it, before hosted runners end the \
         whole job after 6"
    );
    case.is_ci().then_some(("timeout", Value::Integer(CI_TIMEOUT), why))
}

fn allow_substitutes(case: &Case) -> Option<Decision> {
    let why = "a CI runner starts with little in its store: to fetch even what is quick to \
               build saves it from fetching what that is built with";
    case.is_ci().then(|| ("always-allow-substitutes", Value::Bool(true), why.to_owned()))
}

/// Until 2.35, `http-connections` is also the number of threads that ask caches
/// for paths (`queryMissing`): 800 paths took 38 s with 8 and 1.9 s with 100
/// (NixOS/nix#5118). With one cache, 25 suffice; a slow or a radio link only
/// suffers from more.
fn connections(case: &Case) -> Option<Decision> {
    let network = &case.hardware.network;
    let link = network.link_speed_mbps?.get();
    let caches = case.hardware.nix.as_ref()?.settings.get("substituters")?.as_array()?.len();
    let is_threads = case.release.has_nix(2, 5)
        && !case.release.has_nix(2, 35)
        && case.release.implementation != detect::hardware::Implementation::Lix;
    let is_fast = link >= FAST_LINK_MBPS && network.wireless != Some(true);
    let why = format!(
        "each of {caches} caches is asked for every missing path, by as many threads as this \
         until Nix 2.35, and a link of {link} Mbit/s carries {CONNECTIONS}"
    );
    (is_threads && is_fast && caches >= 2).then_some((
        "http-connections",
        Value::Integer(CONNECTIONS),
        why,
    ))
}

/// From 2.24 to 2.32 a full buffer stalls its download and warns; since 2.33
/// "no longer recommended to increase it" (release notes), and lower by default.
fn download_buffer(case: &Case) -> Option<Decision> {
    let name = "download-buffer-size";
    let Preset::Number(now) = default(name, case.release)? else { return None };
    let available = case.budget.available_bytes()?;
    let fits = DOWNLOADS * DOWNLOAD_BUFFER <= available / DOWNLOADS_SHARE;
    let why = format!(
        "until Nix 2.33 a download stalls when {} are not unpacked yet; {DOWNLOADS} downloads of \
         {} are within an eighth of the {} that builds have",
        size(now),
        size(DOWNLOAD_BUFFER),
        size(available)
    );
    (fits && !case.release.has_nix(2, 33)).then_some((name, Value::Integer(DOWNLOAD_BUFFER), why))
}

fn keep_outputs(case: &Case) -> Option<Decision> {
    let store = case.store_bytes()?;
    let why = format!(
        "who works here builds again what is installed: garbage collection then keeps its \
         compilers and sources, for which a file system of {} has room",
        size(store)
    );
    (case.workload == Workload::Interactive && store >= AMPLE_STORE).then_some((
        "keep-outputs",
        Value::Bool(true),
        why,
    ))
}

/// Only where there are builders: `NixOS` sets none unless it has distributed
/// builds; elsewhere the default names a file that need not exist.
fn builders(case: &Case) -> Option<Decision> {
    let nix = case.hardware.nix.as_ref()?;
    let builders = nix.settings.get("builders")?.as_str()?.trim();
    let is_nixos = nix.conf_owner == Some(detect::hardware::ConfOwner::Nixos);
    let exist = !builders.is_empty() && (is_nixos || builders != "@/etc/nix/machines");
    let why = "there are remote builders: they fetch from caches themselves what those have, \
               instead of waiting for this machine to upload it";
    exist.then(|| ("builders-use-substitutes", Value::Bool(true), why.to_owned()))
}

#[cfg(test)]
mod tests;
