//! Settings as text that Nix reads.

use crate::form::Named;
use crate::plan::Setting;
use crate::text::comment;

/// Settings, each below its reason.
pub(crate) fn commented(header: &str, settings: &[Named]) -> String {
    let mut output = String::new();
    comment(&mut output, 0, header);
    for (name, setting) in settings {
        output.push('\n');
        comment(&mut output, 0, &setting.why);
        output.push_str(&line(name, setting));
    }
    output
}

/// Settings alone.
pub(crate) fn bare(settings: &[Named]) -> String {
    settings.iter().map(|(name, setting)| line(name, setting)).collect()
}

fn line(name: &str, Setting { value, .. }: &Setting) -> String {
    format!("{}\n", format!("{name} = {value}").trim_end_matches(' '))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use detect::hardware::Hardware;
    use proptest::prelude::*;

    use crate::form::{Form, render};
    use crate::plan::{Plan, Setting, Value};
    use crate::{Options, run};

    fn plan(settings: Vec<(&str, Value)>) -> Plan {
        let mut plan = run(Hardware::default(), &Options::default()).expect("a plan");
        for (name, value) in settings {
            let setting = Setting::new(value, "Because of the machine.");
            plan.settings.insert(name.to_owned(), setting);
        }
        plan
    }

    fn words(words: &[&str]) -> Value {
        Value::List(words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_kind_of_value_has_its_text() {
        let plan = plan(vec![
            ("auto-optimise-store", Value::Bool(false)),
            ("build-dir", Value::Text("/var/builds".to_owned())),
            ("max-free", Value::Integer(i64::MAX.unsigned_abs())),
            ("system-features", words(&["kvm", "big-parallel"])),
            ("extra-platforms", words(&[])),
        ]);
        let text = render(&plan, Form::Env).expect("fine");
        assert_eq!(
            text,
            "auto-optimise-store = false\nbuild-dir = /var/builds\nextra-platforms =\n\
             max-free = 9223372036854775807\nsystem-features = kvm big-parallel\n"
        );
    }

    #[test]
    fn what_adds_follows_what_sets() {
        let plan = plan(vec![
            ("extra-system-features", words(&["kvm"])),
            ("system-features", words(&["benchmark"])),
        ]);
        let text = render(&plan, Form::Env).expect("fine");
        assert_eq!(text, "system-features = benchmark\nextra-system-features = kvm\n");
    }

    #[test]
    fn nix_conf_says_why() {
        let plan = plan(vec![("max-jobs", Value::Integer(4))]);
        let text = render(&plan, Form::NixConf).expect("fine");
        assert_eq!(
            text,
            "# Written by nix-conf-write for Nix 2.34.0, on a machine of the conservative\n\
             # tier. Changes made here are lost: run `detect | profile | nix-conf-write`\n\
             # again instead.\n\
             \n\
             # Because of the machine.\n\
             max-jobs = 4\n"
        );
        assert!(text.lines().all(|line| line.len() <= 78));
    }

    /// What Nix reads: `#` starts a comment anywhere, words are joined by a space.
    fn read(text: &str) -> BTreeMap<String, String> {
        let words = |line: &str| {
            let line = line.split('#').next().unwrap_or_default();
            line.split([' ', '\t', '\r'])
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let lines = text.lines().map(words).filter(|line| !line.is_empty());
        let setting = |line: String| {
            let (name, value) = line.split_once(" =").expect("a setting");
            (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        lines.map(setting).collect()
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof!["[ a#/\n\r\t\0=]{0,4}", "/[a ]{0,4}", any::<String>()];
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<u64>().prop_map(Value::Integer),
            text.clone().prop_map(Value::Text),
            prop::collection::vec(text, 0..3).prop_map(Value::List),
        ]
    }

    fn any_name() -> impl Strategy<Value = String> {
        let names = [
            "auto-optimise-store",
            "build-dir",
            "extra-system-features",
            "max-jobs",
            "system-features",
            "trusted-users",
            "user-agent-suffix",
        ];
        prop_oneof![
            9 => prop::sample::select(names.to_vec()).prop_map(str::to_owned),
            1 => any::<String>(),
        ]
    }

    proptest! {
        #[test]
        fn nix_reads_the_plan_and_nothing_else(
            settings in prop::collection::btree_map(any_name(), (any_value(), ".?[a\n=]?"), 0..3),
        ) {
            let mut plan = plan(Vec::new());
            for (name, (value, why)) in settings {
                plan.settings.insert(name, Setting::new(value, why));
            }
            for form in [Form::NixConf, Form::Env] {
                let Ok(text) = render(&plan, form) else { continue };
                let planned = plan.settings.iter();
                let planned = planned.map(|(name, setting)| (name.clone(), setting.value.to_string()));
                prop_assert_eq!(read(&text), planned.collect::<BTreeMap<_, _>>());
            }
        }
    }

    #[test]
    fn a_refusal_leaves_nothing_to_write() {
        let plan = plan(vec![("max-jobs", Value::Integer(4)), ("trusted-users", words(&["*"]))]);
        assert!(render(&plan, Form::NixConf).is_err());
    }
}
