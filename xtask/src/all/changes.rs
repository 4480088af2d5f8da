//! What a plan changes for the Nix that is installed.

use detect::release::Release;
use profile::catalogue;
use profile::plan::Plan;
use serde_json::Value;

/// One line for each setting, from what it is to what is planned. Nothing when
/// no Nix is here, since there is nothing to change.
pub(super) fn describe(plan: &Plan) -> String {
    let Some(nix) = &plan.hardware.nix else { return String::new() };
    let release = plan.profile.target.release();
    let width = plan.settings.keys().map(String::len).max().unwrap_or_default();
    let lines = plan.settings.iter().map(|(name, setting)| {
        let new = setting.value.to_string();
        let line = match nix.settings.get(name).map(text) {
            Some(old) if old == new => format!("{old}, as it is"),
            Some(old) => format!("{old} → {new}"),
            None => format!("{} (default) → {new}", default(name, release)),
        };
        format!("  {name:width$}  {line}\n")
    });
    match lines.collect::<String>() {
        lines if lines.is_empty() => lines,
        lines => format!("\nOn this machine\n{lines}"),
    }
}

fn default(name: &str, release: Option<Release>) -> String {
    let entry = catalogue::find(name.strip_prefix("extra-").unwrap_or(name));
    let default = entry.zip(release).and_then(|(entry, release)| entry.default(release));
    default.map_or_else(|| "unknown".to_owned(), |default| default.to_string())
}

/// A value that Nix printed as JSON, as nix.conf has it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(words) => words.iter().map(text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use detect::hardware::{Hardware, Nix};
    use profile::plan::{Plan, Setting, Value};
    use serde_json::json;

    use super::describe;

    fn plan(nix: Option<Nix>) -> Plan {
        let hardware = Hardware { nix, ..Hardware::default() };
        let mut plan = profile::run(hardware, &profile::Options::default()).expect("a plan");
        let words = Value::List(vec!["kvm".to_owned(), "benchmark".to_owned()]);
        let settings = [
            ("cores", Value::Integer(2)),
            ("http-connections", Value::Integer(25)),
            ("max-jobs", Value::Integer(4)),
            ("system-features", words),
        ];
        plan.settings = settings
            .map(|(name, value)| {
                let setting = Setting { value, why: String::new(), stage: String::new() };
                (name.to_owned(), setting)
            })
            .into();
        plan
    }

    #[test]
    fn what_is_and_what_will_be() {
        let mut nix = Nix { version: Some("2.34.8".to_owned()), ..Nix::default() };
        nix.settings.insert("cores".to_owned(), json!(0));
        nix.settings.insert("http-connections".to_owned(), json!(25));
        nix.settings.insert("system-features".to_owned(), json!(["kvm"]));
        assert_eq!(
            describe(&plan(Some(nix))),
            "\nOn this machine\n\
             \x20 cores             0 → 2\n\
             \x20 http-connections  25, as it is\n\
             \x20 max-jobs          1 (default) → 4\n\
             \x20 system-features   kvm → kvm benchmark\n"
        );
    }

    #[test]
    fn without_nix_nothing_changes() {
        assert_eq!(describe(&plan(None)), "");
    }
}
