//! Configurations of Nix, as people name them, and what Nix makes of them.
//!
//! **Invariant:** what is compared is what Nix runs with. A setting that it does not
//! know, or that the daemon would not take from this user, is refused; each value is
//! read back.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use detect::hardware::Hardware;
use detect::nix::without_login;
use detect::report::{Hint, Usage};
use profile::budget::budget;
use profile::form::{Form, render};
use profile::plan::{Plan, Tier, Workload};
use profile::{Options, tier, trust};

use crate::compared::Configuration;
use crate::nix::Shown;

/// A configuration as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// In these words.
    pub name: String,
    /// What it sets; `None` is Nix's own defaults.
    settings: Option<BTreeMap<String, String>>,
    /// Whether what this Nix does not know is left out, as Nix does with a warning.
    is_lenient: bool,
}

/// Read a configuration: `default`, `original`, `plan`, `name=value,…`, or a file
/// that is a plan or a nix.conf.
pub fn read(text: &str, hardware: &Hardware) -> Result<Wanted> {
    let name = text.to_owned();
    let strict =
        |settings| Wanted { name: name.clone(), settings: Some(settings), is_lenient: false };
    Ok(match text {
        "default" => Wanted { name, settings: None, is_lenient: false },
        "original" => Wanted { name, settings: Some(original(hardware)?), is_lenient: true },
        "plan" => strict(planned(&profile::run(hardware.clone(), &Options::default())?)?),
        _ if text.contains('=') => strict(overrides(text)?),
        _ => {
            let known = "a configuration is default, original, plan, NAME=VALUE,… or a file; what \
                         to build is named after both";
            strict(file(Path::new(text)).context(Hint::new(known)).context(name.clone())?)
        }
    })
}

fn file(path: &Path) -> Result<BTreeMap<String, String>> {
    let text = String::from_utf8(detect::stage::read_file(path)?)?;
    if text.trim_start().starts_with('{') {
        return planned(&detect::stage::parse(text.as_bytes())?);
    }
    conf(&text)
}

/// What a plan sets, after everything that guards what is written into a nix.conf.
fn planned(plan: &Plan) -> Result<BTreeMap<String, String>> {
    conf(&render(plan, Form::NixConf)?)
}

/// What a nix.conf sets, in the grammar that `detect::conf` describes.
fn conf(text: &str) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["include" | "!include", ..] => bail!("includes other files: name those"),
            [name, "=", value @ ..] => {
                let value = value.join(" ");
                let known: &mut String = settings.entry((*name).to_owned()).or_default();
                if base(name) == *name || known.is_empty() {
                    *known = value;
                } else {
                    *known = format!("{known} {value}");
                }
            }
            _ => bail!("neither a nix.conf nor a plan: {:?}", line.trim()),
        }
    }
    Ok(settings)
}

fn overrides(text: &str) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    for part in text.split(',') {
        let Some((name, value)) = part.split_once('=') else {
            bail!(Usage(format!("{part:?}: not NAME=VALUE")));
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if name.is_empty() || !name.chars().all(is_name) || value.contains(['\n', '#']) {
            bail!(Usage(format!("{part:?}: not NAME=VALUE")));
        }
        settings.insert(name.to_owned(), value.trim().to_owned());
    }
    Ok(settings)
}

/// What the original design sets on such a machine, but for what changes no build:
/// trusted users and experimental features.
fn original(hardware: &Hardware) -> Result<BTreeMap<String, String>> {
    let budget = budget(hardware, Workload::General, None);
    let Some(cpus) = budget.whole_cpus() else { bail!("original: unknown number of CPUs") };
    let cpus = cpus.get();
    // As it counts: rounded, where it says 16 GB and the kernel 15.6.
    let (width, substitutions, connections, optimise) =
        match tier::tier(budget.cpus, budget.memory_bytes) {
            Tier::HighPerformance => (cpus, 16, 50, true),
            Tier::Balanced => (cpus - 1, 8, 25, true),
            Tier::Conservative => ((cpus / 2).max(1), 4, 10, false),
        };
    let settings = [
        ("auto-optimise-store", optimise.to_string()),
        ("connect-timeout", "30".to_owned()),
        ("cores", width.to_string()),
        ("download-attempts", "3".to_owned()),
        ("http-connections", connections.to_string()),
        ("keep-derivations", "true".to_owned()),
        ("keep-outputs", "true".to_owned()),
        ("max-free", (3u64 << 30).to_string()),
        ("max-jobs", width.to_string()),
        ("max-substitution-jobs", substitutions.to_string()),
        ("min-free", (1u64 << 30).to_string()),
        ("parallel-builds", optimise.to_string()),
    ];
    Ok(settings.map(|(name, value)| (name.to_owned(), value)).into())
}

/// Who takes the settings.
#[derive(Clone, Copy, Debug)]
pub struct Taker<'a> {
    /// What Nix's settings are without any of ours.
    pub shown: &'a Shown,
    /// Whether nix-daemon would ignore most of what this user sets.
    pub is_untrusted: bool,
}

impl Wanted {
    /// Nix as it is set.
    pub fn nothing(name: &str) -> Self {
        Self { name: name.to_owned(), settings: Some(BTreeMap::new()), is_lenient: false }
    }

    /// What it sets something to.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }

    /// What it sets.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.settings.iter().flatten().map(|(name, _)| name)
    }

    /// What Nix is to be told for it; its defaults, of what the other one sets, and of
    /// jobs and cores at least, which nearly every machine sets.
    pub fn resolve(&self, other: &Self, taker: Taker) -> Result<BTreeMap<String, String>> {
        let mut settings = BTreeMap::new();
        let Some(own) = &self.settings else {
            let sizes = ["cores", "max-jobs"].map(str::to_owned);
            for name in other.names().chain(&sizes) {
                if let Some(value) = taker.shown.default(base(name)) {
                    settings.insert(base(name).to_owned(), value);
                }
            }
            return Ok(settings);
        };
        for (name, value) in own {
            if !taker.shown.knows(base(name)) {
                if self.is_lenient {
                    continue;
                }
                bail!("{}: {name}: not a setting of this Nix", self.name);
            }
            if taker.is_untrusted && !trust::anyone_may_set(name) {
                let error =
                    anyhow::anyhow!("{}: {name}: nix-daemon ignores it from this user", self.name);
                return Err(error.context(Hint::new("run as root, or as a trusted user")));
            }
            settings.insert(name.clone(), value.clone());
        }
        Ok(settings)
    }
}

/// The lines that tell Nix so.
pub fn lines(settings: &BTreeMap<String, String>) -> String {
    // What adds to a setting follows what sets it, or Nix forgets it (NixOS/nix#9487).
    let (additions, plain): (Vec<_>, Vec<_>) =
        settings.iter().partition(|(name, _)| base(name) != name.as_str());
    let mut text = String::new();
    for (name, value) in plain.into_iter().chain(additions) {
        text += &format!("{name} = {value}\n");
    }
    text
}

/// A setting as everybody may see it: results are shared, secrets are not.
pub(crate) fn shown(name: &str, value: &str) -> String {
    if name.ends_with("access-tokens") {
        return format!("{name} = …");
    }
    let plain = |word: &str| without_login(word).unwrap_or_else(|| word.to_owned());
    let words: Vec<String> = value.split(' ').map(plain).collect();
    format!("{name} = {}", words.join(" "))
}

/// What Nix made of settings, or why they would not be what is measured.
pub fn read_back(
    name: &str,
    settings: BTreeMap<String, String>,
    shown: &Shown,
) -> Result<Configuration> {
    for (setting, value) in &settings {
        if let Some(complaint) = shown.complaint(setting) {
            bail!("{name}: {complaint}");
        }
        let found = shown.value(base(setting)).unwrap_or_default();
        ensure!(
            agrees(setting, value, &found),
            "{name}: {setting} = {value}: Nix makes {found:?} of it"
        );
    }
    Ok(Configuration { name: name.to_owned(), settings })
}

/// The setting that `extra-NAME` adds to.
fn base(name: &str) -> &str {
    match name.strip_prefix("extra-") {
        Some(base) if name != "extra-platforms" => base,
        _ => name,
    }
}

/// Whether a value is what Nix says it has.
fn agrees(name: &str, asked: &str, found: &str) -> bool {
    let words = |text: &str| {
        let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        words.sort_unstable();
        words
    };
    if base(name) != name {
        let found = words(found);
        return words(asked).iter().all(|word| found.contains(word));
    }
    let same = match asked {
        "yes" => found == "true" || found == "yes",
        "no" => found == "false" || found == "no",
        // Both stand for the number of CPUs, which older releases show.
        "auto" | "0" => found == asked || found.parse::<u32>().is_ok(),
        _ => words(asked) == words(found),
    };
    // 1G and its like.
    let has_unit = asked.ends_with(|unit: char| "kKmMgGtT".contains(unit));
    same || (has_unit && found.parse::<u64>().is_ok())
}

#[cfg(test)]
mod tests {
    use detect::hardware::Hardware;
    use detect::number::Cpus;

    use super::{agrees, conf, lines, overrides, read, shown};

    fn machine(cpus: u32, gib: u64) -> Hardware {
        let mut hardware = Hardware::default();
        hardware.cpu.usable =
            cpus.try_into().ok().map(|cpus: std::num::NonZeroU32| Cpus::from(cpus));
        hardware.memory.usable_bytes = (gib << 30).try_into().ok();
        hardware
    }

    #[test]
    fn the_original_designs_tiers() {
        for (cpus, gib, jobs, connections) in
            [(2, 24, "1", "10"), (1, 1, "1", "10"), (4, 8, "3", "25"), (16, 32, "16", "50")]
        {
            let wanted = read("original", &machine(cpus, gib)).expect("known");
            let settings = wanted.settings.expect("settings");
            assert_eq!(settings["max-jobs"], jobs, "{cpus} CPUs");
            assert_eq!(settings["cores"], jobs);
            assert_eq!(settings["http-connections"], connections);
        }
    }

    #[test]
    fn overrides_and_files_are_read() {
        let found = overrides("max-jobs=4,cores=2").expect("settings");
        assert_eq!(found["max-jobs"], "4");
        for bad in ["a", "=1", "a b=1", "cores=1,", "cores=1\nx=2", "cores=1#"] {
            assert!(overrides(bad).is_err(), "{bad:?}");
        }
        let found = conf("# a\nmax-jobs = auto # b\n\nsubstituters = a  b\n").expect("settings");
        assert_eq!((found["max-jobs"].as_str(), found["substituters"].as_str()), ("auto", "a b"));
        assert!(conf("include x\n").is_err() && conf("[section]\n").is_err());
        assert!(read("/nonexistent/plan.json", &machine(2, 8)).is_err());
    }

    #[test]
    fn what_adds_follows_what_it_adds_to() {
        let text = "extra-system-features = a\nsystem-features = b\nextra-system-features = c\n";
        let found = conf(text).expect("settings");
        assert_eq!(lines(&found), "system-features = b\nextra-system-features = a c\n");
        let again = conf("cores = 1\ncores = 2\n").expect("settings");
        assert_eq!(lines(&again), "cores = 2\n", "the last one counts");
    }

    #[test]
    fn results_hold_no_secrets() {
        for name in ["access-tokens", "extra-access-tokens"] {
            assert_eq!(shown(name, "github.com=ghp_x"), format!("{name} = …"));
        }
        let caches = shown("substituters", "https://me:secret@a.example https://b.example");
        assert!(caches.ends_with("@a.example https://b.example"), "{caches}");
        assert!(!caches.contains("secret"), "{caches}");
        assert_eq!(shown("cores", "2"), "cores = 2");
    }

    #[test]
    fn what_nix_has_must_be_what_was_asked() {
        for (name, asked, found) in [
            ("cores", "2", "2"),
            ("cores", "0", "8"),
            ("max-jobs", "auto", "8"),
            ("fallback", "yes", "true"),
            ("min-free", "1G", "1073741824"),
            ("substituters", "a b", "b a"),
            ("extra-substituters", "c", "a b c"),
        ] {
            assert!(agrees(name, asked, found), "{name} = {asked}: {found}");
        }
        for (name, asked, found) in
            [("cores", "2", "3"), ("fallback", "yes", "false"), ("extra-substituters", "c", "a")]
        {
            assert!(!agrees(name, asked, found), "{name} = {asked}: {found}");
        }
    }
}
