//! The forms that a plan can be written in, and what each can say.

use anyhow::{Result, bail};
use clap::ValueEnum;
use detect::hardware::{ConfOwner, Implementation, Note};
use detect::release::Release;

use crate::catalogue;
use crate::plan::{Plan, Setting, Source, Tier, Value, Workload};
use crate::{conf, costs, evaluation, github, guarded, module, refuse, systemd, trust};

/// One of them.
pub(crate) type Named<'a> = (&'a str, &'a Setting);

/// A form of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A nix.conf, with each reason as a comment
    #[default]
    NixConf,
    /// A module of `NixOS` that gives way to whatever else is configured
    Nixos,
    /// The same for nix-darwin
    Darwin,
    /// The value of the environment variable `NIX_CONFIG`
    Env,
    /// The same for all later steps of a GitHub job: append it to `$GITHUB_ENV`,
    /// or to `$GITHUB_OUTPUT` for install-nix-action
    Github,
    /// A drop-in for nix-daemon.service, which holds what nix.conf cannot say
    Systemd,
    /// An /etc/nix/machines, from the plans of the hosts to build on
    Machines,
    /// The flags of nix-fast-build: evaluators and builds that fit into memory together
    Flags,
    /// The flags of nix-eval-jobs, without builds beside it
    EvalFlags,
}

/// Write a plan as text; an error if any of it must not be written, whether or
/// not this form would say it.
pub fn render(plan: &Plan, form: Form) -> Result<String> {
    let release = refuse::check(plan)?;
    let (settings, options) = (settings(plan, form), options(plan, form));
    Ok(match form {
        Form::NixConf => conf::commented(&header(plan, release, ""), &settings),
        Form::Nixos | Form::Darwin => {
            let own = if form == Form::Nixos { " --as nixos" } else { " --as darwin" };
            let optimize = plan.optimize.as_ref();
            module::render(&header(plan, release, own), &settings, &options, optimize)
        }
        Form::Env => conf::bare(&settings),
        Form::Github => github::block(&conf::bare(&settings)),
        Form::Systemd => systemd::drop_in(&header(plan, release, " --as systemd"), plan),
        Form::Flags => evaluation::fast_build(plan),
        Form::EvalFlags => evaluation::eval_jobs(plan),
        Form::Machines => bail!("the list of machines takes the plan of each host"),
    })
}

fn header(plan: &Plan, release: Release, form: &str) -> String {
    let tier = match plan.profile.tier {
        Tier::HighPerformance => "high-performance",
        Tier::Balanced => "balanced",
        Tier::Conservative => "conservative",
    };
    let pipe = pipe(plan, release);
    format!(
        "Written by nix-conf-write for {release}, on a machine of the {tier} tier. Changes made \
         here are lost: run `{pipe} | nix-conf-write{form}` again instead."
    )
}

/// The stages that the plan went through, as far as they left something in it,
/// with what `profile` was told of the machine's use.
fn pipe(plan: &Plan, release: Release) -> String {
    let mut profile = "profile".to_owned();
    if let Some(word) = plan.profile.workload.to_possible_value()
        && plan.profile.workload != Workload::default()
    {
        profile.push_str(&format!(" --workload {}", word.get_name()));
    }
    if plan.profile.rule.policy == Some(guarded::policy()) {
        profile.push_str(" --guarded");
    }
    if plan.profile.rule.policy == Some(costs::policy()) {
        profile.push_str(" --costs FILE");
    }
    if plan.profile.target.source == Source::Requested {
        let (major, minor, patch) = release.version;
        let prefix = match release.implementation {
            Implementation::Nix => "",
            Implementation::Lix => "lix-",
            Implementation::Determinate => "determinate-",
        };
        profile.push_str(&format!(" --for-nix {prefix}{major}.{minor}.{patch}"));
    }
    if let Some(optimize) = &plan.optimize {
        let packages: Vec<String> = optimize.packages.clone().into();
        profile.push_str(&format!(" --optimize {}", packages.join(",")));
    }
    let decided = || plan.settings.values().chain(plan.nixos.values());
    let left = |stage: &&str| decided().any(|setting| setting.stage == *stage);
    let later = ["storage", "caches"].into_iter().filter(left);
    ["detect", &profile].into_iter().chain(later).collect::<Vec<_>>().join(" | ")
}

/// The settings that a form says, as it orders them: what adds to a setting
/// follows what sets it, or Nix forgets the addition (NixOS/nix#9487).
pub fn settings(plan: &Plan, form: Form) -> Vec<(&str, &Setting)> {
    let named = plan.settings.iter().map(|(name, setting)| (name.as_str(), setting));
    let said = named.filter(|(name, _)| says(plan, form, name));
    let (additions, mut settings): (Vec<_>, Vec<_>) =
        said.partition(|(name, _)| refuse::base(name).is_some());
    settings.extend(additions);
    settings
}

fn says(plan: &Plan, form: Form, name: &str) -> bool {
    let own = refuse::base(name).unwrap_or(name);
    let platform = catalogue::find(own).and_then(|entry| entry.platform);
    match form {
        Form::NixConf => true,
        Form::Nixos => platform != Some("darwin"),
        Form::Darwin => platform != Some("linux"),
        Form::Env | Form::Github => !is_untrusted(plan) || trust::anyone_may_set(own),
        Form::Systemd | Form::Machines | Form::Flags | Form::EvalFlags => false,
    }
}

/// Whether the daemon would ignore most of what this user sets. It is not so
/// where nothing is known, since there may be no daemon.
fn is_untrusted(plan: &Plan) -> bool {
    plan.hardware.nix.as_ref().is_some_and(|nix| nix.trusted == Some(false))
}

/// The options beside nix.conf that a form says.
fn options(plan: &Plan, form: Form) -> Vec<Named<'_>> {
    let options = match form {
        Form::Nixos => &plan.nixos,
        Form::Darwin => &plan.darwin,
        _ => return Vec::new(),
    };
    options.iter().map(|(path, setting)| (path.as_str(), setting)).collect()
}

/// What the reader of this form should know, above all what it leaves out.
pub fn notes(plan: &Plan, form: Form) -> Vec<Note> {
    let mut notes = Vec::new();
    let said: Vec<&str> = settings(plan, form).iter().map(|(name, _)| *name).collect();
    let names = plan.settings.keys().map(String::as_str).filter(|name| !said.contains(name));
    let silent = names.collect::<Vec<_>>().join(", ");
    let owner = plan.hardware.nix.as_ref().and_then(|nix| nix.conf_owner);
    match form {
        Form::Env | Form::Github if !silent.is_empty() => notes.push(Note::warning(
            "not-trusted",
            format!("left out, since nix-daemon ignores them from this user: {silent}"),
        )),
        Form::Nixos | Form::Darwin if !silent.is_empty() => notes.push(Note::info(
            "not-known-there",
            format!("left out, since Nix does not know them there: {silent}"),
        )),
        Form::Darwin if owner == Some(ConfOwner::Determinate) => notes.push(Note::warning(
            "determinate",
            "Determinate Nix writes nix.conf here, and nix-darwin then has no nix.* options: put \
             --as nix-conf into nix.custom.conf instead",
        )),
        Form::Systemd => {
            let paths = plan.nixos.keys().filter(|path| !systemd::says(path));
            let paths: Vec<&str> = paths.map(String::as_str).collect();
            if !paths.is_empty() {
                let text = format!("left out, since no drop-in says it: {}", paths.join(", "));
                notes.push(Note::info("not-systemd", text));
            }
        }
        Form::Flags | Form::EvalFlags => notes = evaluation::notes(plan, form == Form::Flags),
        _ => (),
    }
    let service = plan.nixos.get(guarded::SERVICE).map(|setting| &setting.value);
    if matches!(form, Form::NixConf | Form::Env | Form::Github)
        && service == Some(&Value::Bool(true))
    {
        notes.push(guarded::needed());
    }
    notes
}

#[cfg(test)]
mod tests;
