//! Modules are the plan, in the Nix language, as its formatter leaves it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rnix::ast::{AttrSet, Entry, Expr, HasEntry, InterpolPart};
use rowan::ast::AstNode;

use super::render;
use crate::plan::{Setting, Value};

fn words(words: &[&str]) -> Value {
    Value::List(words.iter().map(ToString::to_string).collect())
}

#[test]
fn the_default_of_nixos_itself_gives_way() {
    let users = Setting::new(Value::Integer(64), "Because of the machine.");
    let text = render("A header.", &[], &[("nix.nrBuildUsers", &users)], None);
    assert!(text.contains("\n  nix.nrBuildUsers = lib.mkOverride 900 64;\n"), "{text}");
    assert_eq!(nixfmt_rs::format(&text).expect("parses"), text);
}

#[test]
fn a_module_says_what_and_why() {
    let cores = Setting::new(Value::Integer(4), "Because of the machine.");
    let keys = Setting::new(words(&["a-1:AAAA"]), "It is proven.");
    let policy = Setting::new(Value::Text("idle".to_owned()), "Somebody works there.");
    let settings = [("cores", &cores), ("trusted-public-keys", &keys)];
    let text = render("A header.", &settings, &[("nix.daemonCPUSchedPolicy", &policy)], None);
    let expected = r#"# A header.
{ lib, ... }:
{
  nix.settings = {
    # Because of the machine.
    cores = lib.mkDefault 4;

    # It is proven.
    trusted-public-keys = [ "a-1:AAAA" ];
  };

  # Somebody works there.
  nix.daemonCPUSchedPolicy = lib.mkDefault "idle";
}
"#;
    assert_eq!(text, expected);
}

/// The values that a module sets, by path, as another parser reads them.
fn read(text: &str) -> BTreeMap<String, Value> {
    let root = rnix::Root::parse(text).ok().unwrap_or_else(|error| panic!("{error}:\n{text}"));
    let Some(Expr::Lambda(module)) = root.expr() else { panic!("no function:\n{text}") };
    let Some(Expr::AttrSet(body)) = module.body() else { panic!("no set:\n{text}") };
    let mut values = BTreeMap::new();
    enter(&body, "", &mut values);
    values
}

fn enter(set: &AttrSet, above: &str, values: &mut BTreeMap<String, Value>) {
    for entry in set.entries() {
        let Entry::AttrpathValue(entry) = entry else { panic!("inherit") };
        let path = entry.attrpath().expect("a path").syntax().text().to_string();
        let path = format!("{above}{path}");
        match entry.value().expect("a value") {
            Expr::AttrSet(inner) => enter(&inner, &format!("{path}."), values),
            Expr::Apply(default) => {
                let function = default.lambda().expect("a function").syntax().text().to_string();
                assert_eq!(function, "lib.mkDefault", "{path}");
                values.insert(path, value(&default.argument().expect("an argument")));
            }
            plain => {
                values.insert(path, value(&plain));
            }
        }
    }
}

fn value(expr: &Expr) -> Value {
    match expr {
        Expr::Ident(name) => Value::Bool(name.syntax().text() == "true"),
        Expr::Literal(number) => {
            Value::Integer(number.syntax().text().to_string().parse().expect("a number"))
        }
        Expr::Str(_) => Value::Text(string(expr)),
        Expr::List(list) => Value::List(list.items().map(|item| string(&item)).collect()),
        other => panic!("{other:?}"),
    }
}

fn string(expr: &Expr) -> String {
    let Expr::Str(text) = expr else { panic!("{expr:?}") };
    match text.normalized_parts().as_slice() {
        [] => String::new(),
        [InterpolPart::Literal(text)] => text.clone(),
        parts => panic!("a variable in a string: {parts:?}"),
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"[$\{}\\"'a ]{0,8}"#,
        r"[^\p{Cc}\p{Zl}\p{Zp}]{0,20}",
        // Around the width where lists break.
        "[a-z]{50,110}",
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (0..=i64::MAX.unsigned_abs()).prop_map(Value::Integer),
        any_text().prop_map(Value::Text),
        prop::collection::vec(any_text(), 0..4).prop_map(Value::List),
    ]
}

fn any_settings(
    names: &'static [&'static str],
) -> impl Strategy<Value = Vec<(&'static str, Setting)>> {
    prop::sample::subsequence(names, 0..=names.len()).prop_flat_map(|names| {
        let setting =
            (any_value(), r"[^\p{Cc}]{0,200}").prop_map(|(value, why)| Setting::new(value, why));
        let settings = prop::collection::vec(setting, names.len());
        settings.prop_map(move |settings| names.iter().copied().zip(settings).collect())
    })
}

proptest! {
    #[test]
    fn another_parser_reads_the_plan_and_the_formatter_is_content(
        settings in any_settings(&[
            "build-dir", "cores", "extra-platforms", "http2", "system-features",
        ]),
        substituters in prop::collection::vec(any_text(), 0..4),
        options in any_settings(&[
            "nix.daemonCPUSchedPolicy",
            "zramSwap.enable",
        ]),
        mount in prop::collection::vec("[a-z]{1,12}=[0-9]{1,12}", 0..3),
        score in any::<u32>(),
        header in r"[^\p{Cc}]{1,100}",
    ) {
        // These are always lists.
        let substituters = Setting::new(Value::List(substituters), "because");
        let mut settings: Vec<_> =
            settings.iter().map(|(name, setting)| (*name, setting)).collect();
        settings.push(("substituters", &substituters));
        // Of values that have their bounds, so that no line gets long.
        let score = Setting::new(Value::Integer(score.into()), "because");
        let mount = Setting::new(Value::List(mount), "because");
        let mut options: Vec<_> = options.iter().map(|(path, setting)| (*path, setting)).collect();
        options.push((r#"fileSystems."/nix/var/nix/builds".options"#, &mount));
        options.push(("systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust", &score));
        let text = render(&header, &settings, &options, None);
        prop_assert_eq!(&nixfmt_rs::format(&text).expect("parses"), &text);
        let inner = settings.iter().map(|(name, setting)| (format!("nix.settings.{name}"), setting));
        let outer = options.iter().map(|(path, setting)| ((*path).to_owned(), setting));
        let planned = inner.chain(outer).map(|(path, setting)| (path, setting.value.clone()));
        prop_assert_eq!(read(&text), planned.collect::<BTreeMap<_, _>>());
    }
}
