//! What is never written, whoever put it into the plan.
//!
//! A plan may come from anywhere, and what is written from it is read by root.
//! So a setting is refused that gives rights, drops a check, runs a program or
//! risks the store; a cache or key without proof; a name that the target does
//! not know, since Nix would warn; an option of a module that no stage has need
//! of; and a value or reason that Nix would not read as the one value or comment
//! it looks like.

mod bounds;
pub mod build_dir;
pub(crate) mod options;
mod proof;

use anyhow::{Context, Result, bail};
use detect::release::Release;

use crate::catalogue::{self, Entry, Kind};
use crate::plan::{Plan, Setting, Value};

pub use proof::place;

/// Check a whole plan. The release it is for is the answer.
pub fn check(plan: &Plan) -> Result<Release> {
    let target = &plan.profile.target;
    bounds::check_short(&target.version).context("profile.target")?;
    if let Some(system) = &plan.hardware.system {
        bounds::check_short(system).context("hardware.system")?;
    }
    let release = target.release();
    let release =
        release.with_context(|| format!("profile.target: {:?} is no version", target.version))?;
    for (name, setting) in &plan.settings {
        bounds::check("settings", name, setting)?;
        check_setting(name, setting, plan, release).with_context(|| format!("settings.{name}"))?;
    }
    if let Some(optimize) = &plan.optimize {
        bounds::check_reason(&optimize.why).context("optimize")?;
    }
    options::check(plan)?;
    Ok(release)
}

/// The setting that `extra-NAME` adds to, if this is such a name.
pub(crate) fn base(name: &str) -> Option<&str> {
    match catalogue::find(name) {
        // `extra-platforms` is a setting of its own.
        Some(_) => None,
        None => name.strip_prefix("extra-"),
    }
}

fn check_setting(name: &str, setting: &Setting, plan: &Plan, release: Release) -> Result<()> {
    let entry = known(name, release)?;
    if let Some(platform) = entry.platform
        && let Some(system) = &plan.hardware.system
        && !system.ends_with(&format!("-{platform}"))
    {
        bail!("only known on {platform}, and this machine is {system}");
    }
    if let Some(feature) = entry.feature
        && !enables(plan, feature)
    {
        bail!("needs the experimental feature {feature}, which the plan does not turn on");
    }
    check_value(entry.kind, &setting.value)?;
    match (entry.name, &setting.value) {
        ("max-jobs" | "cores", Value::Integer(0)) => {
            bail!("0 leaves it to Nix, which knows no bounds: give the number")
        }
        ("substituters" | "trusted-substituters", Value::List(urls)) => {
            urls.iter().try_for_each(|url| proof::check_url(url, &plan.caches))
        }
        ("trusted-public-keys", Value::List(keys)) => {
            keys.iter().try_for_each(|key| proof::check_key(key, &plan.caches))
        }
        ("build-dir" | "temp-dir", Value::Text(path)) => {
            build_dir::check(path)?;
            check_text(path)
        }
        ("experimental-features", Value::List(features)) => {
            features.iter().try_for_each(|feature| {
                if !catalogue::has_feature(release, feature) {
                    bail!("{feature}: no feature of {release} that plans use");
                }
                Ok(())
            })
        }
        _ => Ok(()),
    }
}

/// The setting of this name, if it may be set in this release.
fn known(name: &str, release: Release) -> Result<&'static Entry> {
    let base = base(name);
    let own = base.unwrap_or(name);
    let entry = catalogue::find(own);
    let alias = catalogue::find_alias(own);
    if let Some(why) = entry.or(alias).and_then(|entry| forbidden(entry.name)) {
        bail!("refused: {why}");
    }
    let Some(entry) = entry.filter(|entry| entry.known(release)) else {
        match alias.filter(|entry| entry.known(release)) {
            Some(entry) => bail!("an old name in {release}: now {}", entry.name),
            None => bail!("unknown to {release}"),
        }
    };
    if base.is_some() && !entry.takes_extra() {
        bail!("unknown to {release}: nothing can be added to {own}");
    }
    Ok(entry)
}

/// Every name that a plan may set in some release, sorted.
pub(crate) fn settable() -> Vec<String> {
    let entries = catalogue::all().iter().filter(|entry| forbidden(entry.name).is_none());
    let names = entries.flat_map(|entry| {
        let extra = entry.takes_extra().then(|| format!("extra-{}", entry.name));
        extra.into_iter().chain([entry.name.to_owned()])
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// Why no plan may set this.
fn forbidden(name: &str) -> Option<&'static str> {
    Some(match name {
        "allow-new-privileges"
        | "allowed-users"
        | "build-users-group"
        | "filter-syscalls"
        | "require-drop-supplementary-groups"
        | "trusted-users" => "it decides who may do what",
        "id-count" | "start-id" => "it decides as whom builds run",
        "access-tokens" | "netrc-file" => "it holds credentials",
        "accept-flake-config"
        | "allow-unsafe-native-code-during-evaluation"
        | "allowed-uris"
        | "deprecated-features"
        | "eval-profile-file"
        | "flake-registry"
        | "json-log-path"
        | "nix-path"
        | "pure-eval"
        | "repl-overlays"
        | "restrict-eval"
        | "trust-tarballs-from-git-forges"
        | "upgrade-nix-store-path-url" => "it decides what code is run, or what it may do",
        // A builder is trusted with whatever it sends back; `machines` files are
        // where an administrator names those he trusts.
        "builders" => "it decides whose builds are trusted",
        "hashed-mirrors" | "require-sigs" | "secret-key-files" | "ssl-cert-file" => {
            "it decides whose signatures and servers are trusted"
        }
        "bash-prompt"
        | "bash-prompt-prefix"
        | "bash-prompt-suffix"
        | "build-hook-kill-timeout"
        | "external-builders"
        | "pasta-path"
        | "plugin-files" => "it runs programs",
        name if name.ends_with("-hook") => "it runs programs",
        "allowed-impure-host-deps" | "impure-env" => "it opens the sandbox",
        name if name.contains("sandbox") => "it opens the sandbox",
        "allow-symlinked-store"
        | "ignored-acls"
        | "store"
        | "sync-before-registering"
        | "use-case-hack"
        | "use-sqlite-wal" => "it decides whether the store is sound",
        name if name.starts_with("fsync-") => "it decides whether the store is sound",
        _ => return None,
    })
}

fn enables(plan: &Plan, feature: &str) -> bool {
    ["experimental-features", "extra-experimental-features"]
        .iter()
        .filter_map(|name| plan.settings.get(*name))
        .any(|setting| match &setting.value {
            Value::List(words) => words.iter().any(|word| word == feature),
            _ => false,
        })
}

/// Whether Nix would read the value as what it is.
fn check_value(kind: Kind, value: &Value) -> Result<()> {
    match (kind, value) {
        (Kind::Jobs, Value::Text(text)) if text == "auto" => {
            bail!("auto counts CPUs that a quota or affinity withholds: give the number")
        }
        (Kind::Bool, Value::Bool(_)) => Ok(()),
        (Kind::Number | Kind::Jobs, Value::Integer(number)) => at_most(*number, u32::MAX.into()),
        (Kind::Large, Value::Integer(number)) => at_most(*number, i64::MAX.unsigned_abs()),
        (Kind::Text, Value::Text(text)) => check_text(text),
        (Kind::Path, Value::Text(path)) => {
            if !path.starts_with('/') {
                bail!("{path:?} is no absolute path");
            }
            check_text(path)
        }
        (Kind::Choice(words), Value::Text(word)) => {
            if !words.contains(&word.as_str()) {
                bail!("{word:?} is none of {}", words.join(", "));
            }
            Ok(())
        }
        (Kind::Words, Value::List(words)) => words.iter().try_for_each(|word| {
            if word.is_empty() || word.contains(char::is_whitespace) {
                bail!("{word:?} is no single word");
            }
            check_text(word)
        }),
        (kind, value) => bail!("{} is not {}", bounds::shown(value), expected(kind)),
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "true or false",
        Kind::Number | Kind::Large | Kind::Jobs => "a number",
        Kind::Text => "text",
        Kind::Path => "a path",
        Kind::Choice(_) => "a word",
        Kind::Words => "a list",
    }
}

fn at_most(number: u64, most: u64) -> Result<()> {
    if number > most {
        bail!("{number} is more than {most}, the most Nix takes");
    }
    Ok(())
}

/// Nix knows neither quotes nor escapes: `#` starts a comment anywhere, and
/// words are joined by one space.
fn check_text(text: &str) -> Result<()> {
    if text.chars().any(char::is_control) {
        bail!("has a control character");
    }
    if text.contains('#') {
        bail!("{text:?}: Nix reads what follows # as a comment");
    }
    if !text.is_empty() && text.split(' ').any(str::is_empty) {
        bail!("{text:?}: Nix does not keep spaces at its ends or in a row");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
