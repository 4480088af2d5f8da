//! The options of `NixOS` and nix-darwin that plans may set.
//!
//! Any option of a module may give rights or run programs, and new ones come
//! with every release; so here, unlike for the settings of Nix, only what is
//! listed passes, and only with values that its row allows.

use anyhow::{Context, Result, bail};

use super::bounds;
use super::build_dir::BUILD_DIRS;
use crate::plan::{Plan, Setting, Value};

/// What values an option takes.
#[derive(Clone, Copy)]
enum Takes {
    Bool,
    Number(u64, u64),
    /// A number, `infinity`, or one in percent or with K, M, G or T.
    Size,
    Choice(&'static [&'static str]),
    /// A calendar event of systemd, or several.
    Calendar,
    /// A span of time of systemd.
    Span,
    /// What nix-collect-garbage is called with, by a shell.
    GcOptions,
    /// Options of a tmpfs.
    Mount,
    /// Entries of tmpfiles.d that make the build directory, if `storage` plans it.
    Tmpfiles,
}

use Takes::{Bool, Calendar, Choice, GcOptions, Mount, Number, Size, Span, Tmpfiles};

type Table = &'static [(&'static str, Takes)];

const TMPFS: Takes = Choice(&["tmpfs"]);
const WEIGHT: Takes = Number(1, 10_000);

/// Options of `NixOS`.
const NIXOS: Table = &[
    ("boot.tmp.cleanOnBoot", Bool),
    ("boot.tmp.tmpfsHugeMemoryPages", Choice(&["never", "always", "within_size", "advise"])),
    ("boot.tmp.tmpfsSize", Size),
    ("boot.tmp.useTmpfs", Bool),
    (r#"fileSystems."/nix/var/nix/b".device"#, TMPFS),
    (r#"fileSystems."/nix/var/nix/b".fsType"#, TMPFS),
    (r#"fileSystems."/nix/var/nix/b".options"#, Mount),
    (r#"fileSystems."/nix/var/nix/builds".device"#, TMPFS),
    (r#"fileSystems."/nix/var/nix/builds".fsType"#, TMPFS),
    (r#"fileSystems."/nix/var/nix/builds".options"#, Mount),
    ("nix.daemonCPUSchedPolicy", Choice(&["other", "batch", "idle"])),
    ("nix.daemonIOSchedClass", Choice(&["best-effort", "idle"])),
    ("nix.daemonIOSchedPriority", Number(0, 7)),
    ("nix.gc.automatic", Bool),
    ("nix.gc.dates", Calendar),
    ("nix.gc.options", GcOptions),
    ("nix.gc.persistent", Bool),
    ("nix.gc.randomizedDelaySec", Span),
    ("nix.nrBuildUsers", Number(1, 4096)),
    ("nix.optimise.automatic", Bool),
    ("nix.optimise.dates", Calendar),
    ("nix.optimise.persistent", Bool),
    ("nix.optimise.randomizedDelaySec", Span),
    (crate::guarded::SERVICE, Bool),
    ("systemd.services.nix-daemon.serviceConfig.CPUWeight", WEIGHT),
    ("systemd.services.nix-daemon.serviceConfig.IOWeight", WEIGHT),
    ("systemd.services.nix-daemon.serviceConfig.LimitNOFILE", Number(1024, 1 << 30)),
    ("systemd.services.nix-daemon.serviceConfig.MemoryHigh", Size),
    ("systemd.services.nix-daemon.serviceConfig.MemoryMax", Size),
    ("systemd.services.nix-daemon.serviceConfig.MemorySwapMax", Size),
    ("systemd.services.nix-daemon.serviceConfig.Nice", Number(0, 19)),
    ("systemd.services.nix-daemon.serviceConfig.OOMPolicy", Choice(&["continue", "stop", "kill"])),
    ("systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust", Number(0, 1000)),
    ("systemd.services.nix-daemon.serviceConfig.TasksMax", Size),
    ("systemd.tmpfiles.rules", Tmpfiles),
    ("zramSwap.algorithm", Choice(&["lz4", "lzo", "lzo-rle", "zstd"])),
    ("zramSwap.enable", Bool),
    ("zramSwap.memoryMax", Number(1, i64::MAX.unsigned_abs())),
    ("zramSwap.memoryPercent", Number(1, 400)),
    ("zramSwap.priority", Number(0, 32_767)),
];

/// Options of nix-darwin.
const DARWIN: Table = &[
    ("nix.daemonIOLowPriority", Bool),
    ("nix.daemonProcessType", Choice(&["Adaptive", "Background", "Interactive", "Standard"])),
    ("nix.gc.automatic", Bool),
    ("nix.gc.options", GcOptions),
    ("nix.optimise.automatic", Bool),
];

/// The options of `NixOS` and of nix-darwin that plans may set.
pub(crate) fn settable() -> [Vec<&'static str>; 2] {
    [NIXOS, DARWIN].map(|table| table.iter().map(|(option, _)| *option).collect())
}

/// Check the options that a plan sets, of either module system.
pub(super) fn check(plan: &Plan) -> Result<()> {
    let modules = [("nixos", NIXOS, &plan.nixos), ("darwin", DARWIN, &plan.darwin)];
    for (module, table, options) in modules {
        for (path, setting) in options {
            bounds::check(module, path, setting)?;
            check_option(table, path, setting, plan).with_context(|| format!("{module}.{path}"))?;
        }
    }
    Ok(())
}

fn check_option(table: Table, path: &str, setting: &Setting, plan: &Plan) -> Result<()> {
    match table.iter().find(|(option, _)| *option == path) {
        Some((_, takes)) => check_value(*takes, &setting.value, plan),
        None => bail!("refused: it is none of the options that plans may set"),
    }
}

fn check_value(takes: Takes, value: &Value, plan: &Plan) -> Result<()> {
    let each = |good: fn(&str) -> bool| match value {
        Value::Text(text) => good(text),
        Value::List(words) => words.iter().all(|word| good(word)),
        _ => false,
    };
    let one = |good: fn(&str) -> bool| matches!(value, Value::Text(text) if good(text));
    let good = match takes {
        Bool => matches!(value, Value::Bool(_)),
        Number(least, most) => matches!(value, Value::Integer(n) if (least..=most).contains(n)),
        Size => matches!(value, Value::Integer(1..=0x7fff_ffff_ffff_ffff)) || one(is_size),
        Choice(words) => matches!(value, Value::Text(word) if words.contains(&word.as_str())),
        Calendar => each(is_calendar),
        Span => one(is_span),
        GcOptions => one(is_gc_options),
        Mount => matches!(value, Value::List(words) if words.iter().all(|word| is_mount(word))),
        Tmpfiles => match (value, plan.settings.get("build-dir")) {
            (Value::List(rules), Some(Setting { value: Value::Text(path), .. }))
                if BUILD_DIRS.contains(&path.as_str()) =>
            {
                rules.iter().all(|rule| is_tmpfiles(rule, path))
            }
            _ => false,
        },
    };
    if !good {
        bail!("{} is no value that a plan may give it", bounds::shown(value));
    }
    Ok(())
}

fn is_number(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_size(text: &str) -> bool {
    text == "infinity" || is_number(text.strip_suffix(['%', 'K', 'M', 'G', 'T']).unwrap_or(text))
}

fn is_calendar(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || " *,-./:~".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '*') && text.chars().all(plain)
}

fn is_span(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == ' ')
}

/// A shell reads these, and what they delete is gone: only ages and amounts.
fn is_gc_options(text: &str) -> bool {
    let words: Vec<&str> = text.split(' ').collect();
    text.is_empty()
        || words.chunks(2).all(|pair| match pair {
            ["--delete-older-than", age] => age.strip_suffix('d').is_some_and(is_number),
            ["--max-freed", size] => {
                is_number(size.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(size))
            }
            _ => false,
        })
}

fn is_mount(word: &str) -> bool {
    match word.split_once('=') {
        None => ["defaults", "noatime", "nodev", "nosuid", "relatime"].contains(&word),
        Some(("mode", mode)) => ["755", "0755"].contains(&mode),
        Some(("nr_inodes" | "size", size)) => {
            let size = size.to_ascii_uppercase();
            size != "INFINITY" && is_size(&size)
        }
        Some(("huge", when)) => ["never", "always", "within_size", "advise"].contains(&when),
        Some(_) => false,
    }
}

/// `d PATH 0755 root root AGE`, of the directory that the plan lets builds run
/// in: what is older than that is deleted there.
fn is_tmpfiles(rule: &str, build_dir: &str) -> bool {
    let Some(age) = rule.strip_prefix(&format!("d {build_dir} 0755 root root ")) else {
        return false;
    };
    // At an age of 0, what a build still needs would be deleted.
    age == "-"
        || age.strip_suffix('d').is_some_and(|days| is_number(days) && !days.starts_with('0'))
}

#[cfg(test)]
mod tests;
