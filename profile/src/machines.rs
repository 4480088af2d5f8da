//! Several hosts' plans as the list of machines that Nix builds on.
//!
//! One line for each host, in the columns of `libstore/machines.cc`: store,
//! systems, SSH key, builds at once, speed, features. Nix sends a build to the
//! host with the least load for its speed, among those that take it and have a
//! slot left (`build-remote.cc`).
//!
//! **Invariant:** a host is sent only what its own Nix takes, since it refuses
//! the rest when it is too late to build elsewhere: its systems and features
//! are those of its plan and configuration, and a `gccarch-*` for which its CPU
//! is too old is left out even so.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use detect::report::Usage;
use detect::stage;

use crate::plan::{Plan, Value};
use crate::refuse;
use crate::text::comment;

/// What a second thread adds to a core: the mean of published builds of
/// Chromium, `QtWebEngine` and others with and without it.
const SECOND_THREAD: f64 = 0.22;

/// The features of a Nix that nobody told otherwise (`globals.cc`), but for
/// those that depend on the machine.
const FEATURES: [&str; 3] = ["benchmark", "big-parallel", "nixos-test"];

/// What `gccarch-x86-64-v3` and its like start with, and `isa_level` too.
const LEVEL: &str = "x86-64-v";

/// A host to build on.
#[derive(Clone, Debug)]
pub struct Host {
    /// How it is reached.
    pub address: Address,
    /// What it is and how it is set up.
    pub plan: Plan,
}

/// How a host is reached: `alpha`, `nix@alpha`, `ssh://alpha`.
///
/// `ssh-ng` where nothing is said: there the host's own `max-jobs` and `cores`
/// hold, and its log is seen while it builds. Nix hands the address to ssh as
/// an argument, and reads parameters behind `?` that run programs, so nothing
/// is taken but plain names; ports and keys belong into ssh's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    scheme: &'static str,
    user: Option<String>,
    host: String,
}

impl Address {
    /// Read an address as people write it.
    pub fn parse(text: &str) -> Result<Self> {
        let (scheme, place) = match text.split_once("://") {
            None => ("ssh-ng", text),
            Some(("ssh-ng", place)) => ("ssh-ng", place),
            Some(("ssh", place)) => ("ssh", place),
            Some(_) => bail!("{text:?}: neither ssh:// nor ssh-ng://"),
        };
        let (user, host) = match place.split_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, place),
        };
        // A first `-` would make it an option of ssh.
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        if !user.into_iter().chain([host]).all(is_name) {
            bail!(
                "{text:?}: not [user@]host in plain letters and digits (a port, a key or an IPv6 \
                 address needs a name in ssh's configuration)"
            );
        }
        Ok(Self { scheme, user: user.map(str::to_owned), host: host.to_ascii_lowercase() })
    }
}

/// As a store's URI.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            write!(formatter, "{user}@")?;
        }
        formatter.write_str(&self.host)
    }
}

/// Read the hosts that arguments name, each as `HOST=PLAN`.
pub fn read(arguments: &[PathBuf]) -> Result<Vec<Host>> {
    let usage = |why: &str| anyhow!(Usage(format!("--as machines: {why}")));
    let split = |argument: &PathBuf| {
        let bytes = argument.as_os_str().as_bytes();
        let end = bytes.iter().position(|byte| *byte == b'=');
        let end = end.ok_or_else(|| usage(&format!("{}: not HOST=PLAN", argument.display())))?;
        let address = Address::parse(&String::from_utf8_lossy(&bytes[..end]));
        let address = address.map_err(|error| usage(&error.to_string()))?;
        Ok((address, PathBuf::from(OsStr::from_bytes(&bytes[end + 1..]))))
    };
    let places: Vec<(Address, PathBuf)> = arguments.iter().map(split).collect::<Result<_>>()?;
    if places.is_empty() {
        return Err(usage("name each host as HOST=PLAN"));
    }
    if places.iter().filter(|(_, plan)| plan == Path::new("-")).count() > 1 {
        return Err(usage("stdin can be the plan of one host only"));
    }
    let read =
        |(address, plan): (Address, PathBuf)| Ok(Host { address, plan: stage::read(Some(&plan))? });
    places.into_iter().map(read).collect()
}

/// Write the list; an error if a plan must not be written, or says too little.
///
/// The speed is a whole number, since Nix 2.8 reads no other, and 1 for the
/// slowest host: what its CPUs do against the slowest host's, see `power`.
pub fn render(hosts: &[Host]) -> Result<String> {
    let mut hosts: Vec<&Host> = hosts.iter().collect();
    hosts.sort_by_key(|host| (&host.address.host, host.address.to_string()));
    let is_same = |pair: &&[&Host]| pair[0].address.host == pair[1].address.host;
    if let Some(twice) = hosts.windows(2).find(is_same) {
        bail!("{}: named twice, which would double its builds", twice[0].address.host);
    }
    let rows = hosts.iter().map(|host| row(host).context(host.address.to_string()));
    let rows: Vec<Row> = rows.collect::<Result<_>>()?;
    let slowest = rows.iter().map(|row| row.power).fold(f64::INFINITY, f64::min);

    let mut output = String::new();
    // Nix 2.8 and 2.26 split lines at `;` before they drop comments: none has one.
    comment(
        &mut output,
        0,
        "Written by nix-conf-write from each host's plan. Changes made here are lost. Columns: \
         store, systems, ssh key, builds at once, speed, features.",
    );
    for Row { address, systems, jobs, power, features } in rows {
        let times = power / slowest;
        output.push('\n');
        comment(
            &mut output,
            0,
            &format!(
                "At once: its max-jobs. Speed: {power:.1} cores' worth of CPUs, {times:.1} times \
                 the slowest host's."
            ),
        );
        let speed = whole(times);
        output.push_str(&format!("{address} {systems} - {jobs} {speed} {features}\n"));
    }
    Ok(output)
}

/// What a line says of a host.
struct Row {
    address: Address,
    systems: String,
    jobs: u64,
    power: f64,
    features: String,
}

fn row(Host { address, plan }: &Host) -> Result<Row> {
    refuse::check(plan)?;
    let Some(Value::Integer(jobs)) = value(plan, "max-jobs") else {
        bail!("its plan has no max-jobs");
    };
    let cpus = plan.profile.rule.cpus.filter(|cpus| *cpus > 0);
    let cpus = cpus.context("its plan does not say how many CPUs builds have")?;
    Ok(Row {
        address: address.clone(),
        systems: words(&systems(plan)?)?,
        jobs: *jobs,
        power: power(plan, cpus),
        features: words(&features(plan))?,
    })
}

/// What the CPUs that builds have do, in cores of the host's fastest kind that
/// run one thread each: CPUs × the mean over all kinds of relative speed ×
/// (cores + 0.22 × other threads) ÷ CPUs. How fast one host's core is against
/// another's no document says.
fn power(plan: &Plan, cpus: u32) -> f64 {
    let (mut all, mut done) = (0.0, 0.0);
    for kind in &plan.hardware.cpu.kinds {
        let cpus = f64::from(kind.cpus.get());
        let cores = kind.cores.map_or(cpus, |cores| f64::from(cores.get()).min(cpus));
        let speed = kind.relative_speed.map_or(1.0, |speed| speed.get().min(1.0));
        all += cpus;
        done += speed * (cores + SECOND_THREAD * (cpus - cores));
    }
    let mean = if all > 0.0 { done / all } else { 1.0 };
    f64::from(cpus) * mean
}

/// A whole number from 1 up, as near as there is.
fn whole(number: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at least 1, and a cast stops at the largest number there is"
    )]
    let whole = number.round().max(1.0) as u32;
    whole
}

/// The host's own system, and those its Nix also builds for.
fn systems(plan: &Plan) -> Result<BTreeSet<String>> {
    let own = plan.hardware.system.clone().context("its plan does not say what system it is")?;
    let mut systems = found(plan, "extra-platforms").unwrap_or_default();
    systems.insert(own);
    Ok(systems)
}

/// What the host's Nix takes that not every machine can build.
fn features(plan: &Plan) -> BTreeSet<String> {
    let hardware = &plan.hardware;
    let mut features = found(plan, "system-features")
        .unwrap_or_else(|| FEATURES.iter().map(ToString::to_string).collect());
    // The daemon may open the device where the user who looked may not.
    if hardware.environment.kvm == Some(true) && value(plan, "system-features").is_none() {
        features.insert("kvm".to_owned());
    }
    if let Some(Value::List(more)) = value(plan, "extra-system-features") {
        features.extend(more.iter().cloned());
    }
    let level = |text: &str| text.strip_prefix(LEVEL)?.parse::<u32>().ok();
    let own = hardware.cpu.isa_level.as_deref().and_then(level);
    features.retain(|feature| match feature.as_str() {
        "kvm" => hardware.environment.kvm != Some(false),
        // Every Nix on Linux claims it, and fails unless it uses cgroups.
        "uid-range" => false,
        _ => match (feature.strip_prefix("gccarch-").and_then(level), own) {
            (Some(asked), Some(own)) => asked <= own,
            _ => true,
        },
    });
    features
}

/// The words a setting will have: as planned, else as the host's Nix says now.
fn found(plan: &Plan, name: &str) -> Option<BTreeSet<String>> {
    if let Some(Value::List(words)) = value(plan, name) {
        return Some(words.iter().cloned().collect());
    }
    let found = plan.hardware.nix.as_ref()?.settings.get(name)?.as_array()?;
    Some(found.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect())
}

fn value<'a>(plan: &'a Plan, name: &str) -> Option<&'a Value> {
    plan.settings.get(name).map(|setting| &setting.value)
}

/// Words as a column.
fn words(words: &BTreeSet<String>) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    if let Some(bad) = words.iter().find(|word| word.is_empty() || !word.chars().all(is_plain)) {
        bail!("{bad:?} is neither a system nor a feature");
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // A column of its own is `-` where there is nothing to say.
    Ok(if words.is_empty() { "-".to_owned() } else { words.join(",") })
}

#[cfg(test)]
mod tests;
