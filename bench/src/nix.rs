//! The Nix that is measured: how its programs are called, and what it makes of
//! settings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use detect::answer::Answer;
use detect::report::Hint;
use serde_json::Value;

use crate::interrupt::Interrupt;

/// A way to call Nix.
#[derive(Clone, Debug, Default)]
pub struct Nix {
    environment: Vec<(&'static str, OsString)>,
    /// Settings that the way needs, below those of a configuration.
    base: &'static str,
    /// What ends it.
    interrupt: Interrupt,
}

/// What a store of our own needs, whoever we are: no daemon, no build users, and
/// nothing from elsewhere. Such a store is at a path of its own, so nothing that is
/// built there can be mistaken for something of the machine's.
const PRIVATE: &str = "build-users-group =\nsandbox = false\nsubstitute = false\n\
                       substituters =\nbuilders =\npost-build-hook =\ngc-reserved-space = 0\n";

/// The machine's store is measured without downloads, and without what others hang
/// on each build.
const MACHINE: &str = "substitute = false\npost-build-hook =\nbuilders =\n";

impl Nix {
    /// Nix as it is on this machine.
    pub fn of_machine() -> Self {
        Self { base: MACHINE, ..Self::default() }
    }

    /// Nix as it is on this machine, with nothing added.
    pub fn untouched() -> Self {
        Self::default()
    }

    /// The machine's Nix, with its caches and keys but no memory of what they have.
    pub fn fetching(folder: &Path) -> Self {
        let of = |name: &str| folder.join(name).into_os_string();
        let environment = vec![
            ("XDG_CACHE_HOME", of("cache")),
            // Which comes before the other since 2.25.
            ("NIX_CACHE_HOME", of("cache")),
            ("TMPDIR", of("tmp")),
        ];
        // A path that no cache has is a failure here, not a build.
        Self { environment, base: "max-jobs = 0\nbuilders =\n", ..Self::default() }
    }

    /// Nix with a store of its own in a folder, and no configuration but ours.
    pub fn in_folder(folder: &Path) -> Self {
        let of = |name: &str| folder.join(name).into_os_string();
        let environment = vec![
            ("NIX_STORE_DIR", of("store")),
            ("NIX_STATE_DIR", of("var")),
            ("NIX_LOG_DIR", of("log")),
            ("NIX_CONF_DIR", "/nonexistent".into()),
            ("NIX_USER_CONF_FILES", OsString::new()),
            ("NIX_REMOTE", OsString::new()),
            ("XDG_CACHE_HOME", of("cache")),
            ("NIX_CACHE_HOME", of("cache")),
            ("HOME", of("home")),
            ("TMPDIR", of("tmp")),
        ];
        Self { environment, base: PRIVATE, ..Self::default() }
    }

    /// The same, ended by a wish to stop.
    #[must_use]
    pub fn ended_by(mut self, interrupt: &Interrupt) -> Self {
        self.interrupt = interrupt.clone();
        self
    }

    /// One of Nix's programs, with more settings.
    pub fn command(&self, program: &str, settings: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // What the caller has set there holds for the machine's store, not for ours.
        let is_private = self.environment.iter().any(|(name, _)| *name == "NIX_STORE_DIR");
        let own = std::env::var("NIX_CONFIG").ok().filter(|_| !is_private).unwrap_or_default();
        command.env("NIX_CONFIG", format!("{own}\n{}{settings}", self.base));
        command.env("NO_COLOR", "1");
        command
    }

    /// What a program of Nix prints, or why it fails.
    pub fn ask(&self, program: &str, arguments: &[&str], settings: &str) -> Result<String> {
        let what = || format!("{program} {}", arguments.join(" "));
        let mut command = self.command(program, settings);
        // A group of its own: what a terminal's Ctrl-C ends is ours to end.
        let child = command
            .args(arguments)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| Hint::new("install Nix, or put it on the PATH"))
            .with_context(|| program.to_owned())?;
        let guard = self.interrupt.guard(&child);
        let output = child.wait_with_output()?;
        drop(guard);
        ensure!(!self.interrupt.came(), "interrupted");
        if !output.status.success() {
            bail!("{}: {}", what(), why(&String::from_utf8_lossy(&output.stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// What it calls itself.
    pub fn banner(&self) -> Result<String> {
        let text = self.ask("nix", &["--version"], "")?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    /// Its settings, as it has them with `settings`.
    pub fn settings(&self, settings: &str) -> Result<Shown> {
        let mut command = self.command("nix", settings);
        // `config show` since 2.20, of which this stays an alias.
        let arguments = ["--extra-experimental-features", "nix-command", "show-config", "--json"];
        let heard = Answer::start(command.args(arguments)).and_then(Answer::hear);
        let Some(heard) = heard else { bail!("nix show-config: no answer") };
        ensure!(heard.succeeded, "nix show-config: {}", why(&heard.errors));
        let all = serde_json::from_str(&heard.text).context("nix show-config")?;
        Ok(Shown { all, errors: heard.errors })
    }
}

/// What Nix says its settings are.
#[derive(Clone, Debug)]
pub struct Shown {
    all: BTreeMap<String, Value>,
    errors: String,
}

impl Shown {
    /// Whether there is such a setting.
    pub fn knows(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// A setting's value, as nix.conf would say it.
    pub fn value(&self, name: &str) -> Option<String> {
        text(self.all.get(name)?.get("value")?)
    }

    /// Its default.
    pub fn default(&self, name: &str) -> Option<String> {
        text(self.all.get(name)?.get("defaultValue")?)
    }

    /// The line in which it complains of a setting.
    pub fn complaint(&self, name: &str) -> Option<&str> {
        let quoted = format!("'{name}'");
        self.errors.lines().find(|line| line.contains(&quoted)).map(str::trim)
    }
}

/// A value as nix.conf would say it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => Some(value.to_string()),
        Value::String(value) => Some(value.clone()),
        Value::Array(values) => {
            let words: Option<Vec<String>> = values.iter().map(text).collect();
            words.map(|words| words.join(" "))
        }
        Value::Object(_) | Value::Null => None,
    }
}

/// The last thing Nix said that sounds like a reason.
pub fn why(errors: &str) -> String {
    let lines = || errors.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| line.starts_with("error: ") || line.contains(" error: "));
    error.or_else(|| lines().next_back()).unwrap_or("it does not say why").to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::{Nix, Shown, text, why};

    #[test]
    fn values_are_as_nix_conf_has_them() {
        assert_eq!(text(&json!(true)).as_deref(), Some("true"));
        assert_eq!(text(&json!(4)).as_deref(), Some("4"));
        assert_eq!(text(&json!(["a", "b"])).as_deref(), Some("a b"));
        assert_eq!(text(&json!({})), None);
        let all = serde_json::from_value(json!({"cores": {"value": 2, "defaultValue": 0}}));
        let shown = Shown {
            all: all.expect("settings"),
            errors: "warning: unknown setting 'parallel-builds'\n".to_owned(),
        };
        assert_eq!(shown.default("cores").as_deref(), Some("0"));
        assert_eq!(
            shown.complaint("parallel-builds"),
            Some("warning: unknown setting 'parallel-builds'")
        );
        assert!(!shown.knows("parallel-builds"));
    }

    #[test]
    fn a_store_of_our_own_asks_nobody() {
        let nix = Nix::in_folder(Path::new("/t"));
        let command = nix.command("nix", "cores = 2\n");
        let config = command.get_envs().find(|(name, _)| *name == "NIX_CONFIG");
        let config = config.and_then(|(_, value)| value?.to_str()).expect("a config");
        for line in ["substitute = false", "builders =", "sandbox = false", "cores = 2"] {
            assert!(config.lines().any(|own| own == line), "{line}");
        }
    }

    #[test]
    fn the_reason_is_found_among_warnings() {
        assert_eq!(why("warning: a\nerror: b\nhint c\n"), "error: b");
        assert_eq!(why("a\nb\n\n"), "b");
        assert_eq!(why(""), "it does not say why");
    }
}
