//! Names, levels, and what is said of them.

use detect::hardware::Hardware;
use proptest::prelude::*;

use super::{Arch, MOST_PACKAGES, Optimize, Packages, decide, package, render};
use crate::{Options, run};

fn packages(names: &[&str]) -> Result<Packages, String> {
    Packages::try_from(names.iter().map(ToString::to_string).collect::<Vec<_>>())
}

fn at_level(level: Option<&str>) -> Hardware {
    let mut hardware = Hardware::default();
    hardware.cpu.isa_level = level.map(str::to_owned);
    hardware
}

#[test]
fn names_are_those_of_packages() {
    for good in ["hello", "_7zz", "gtk4", "g++'", "x-y"] {
        assert_eq!(package(good).is_ok(), !good.contains('+'), "{good}");
    }
    for bad in ["", "7zip", "a b", "${x}", "a\"", "é", "-x", "a\n", &"a".repeat(129)] {
        assert!(package(bad).is_err(), "{bad:?}");
    }
    assert!(package("python3Packages.numpy").expect_err("a set").contains("top of nixpkgs"));
    for all in ["stdenv", "gccStdenv", "stdenvNoCC"] {
        assert!(package(all).expect_err(all).contains("every package"), "{all}");
    }
}

#[test]
fn packages_are_sorted_named_once_and_not_too_many() {
    let found = packages(&["zlib", "hello", "zlib"]).expect("fine");
    assert_eq!(Vec::from(found), ["hello", "zlib"]);
    assert!(packages(&[]).is_err());
    let many: Vec<String> = (0..=MOST_PACKAGES).map(|number| format!("p{number}")).collect();
    assert_eq!(Packages::try_from(many).expect_err("many"), "101 packages: at most 100");
    let long = "é".repeat(1 << 20);
    assert!(packages(&[&long]).is_err(), "hostile names are refused like others");
}

#[test]
fn a_plan_says_the_price_or_why_not() {
    let plan = |level| {
        let options = Options { optimize: packages(&["zlib", "hello"]).ok(), ..Options::default() };
        run(at_level(level), &options).expect("a plan")
    };
    let told = plan(Some("x86-64-v3"));
    let optimize = told.optimize.as_ref().expect("planned");
    assert_eq!(optimize.arch, Arch::V3);
    let note = told.notes.iter().find(|note| note.id == "optimize-price").expect("said");
    assert!(note.text.starts_with("hello, zlib: built here for x86-64-v3: no binary cache"));
    assert!(told.settings.keys().all(|name| !name.contains("system-features")), "none is required");

    for level in [None, Some("x86-64-v1"), Some("x86-64-v9")] {
        let plan = plan(level);
        assert_eq!(plan.optimize, None, "{level:?}");
        assert!(plan.notes.iter().any(|note| note.id == "optimize-not-planned"), "{level:?}");
    }
    let unasked = run(at_level(Some("x86-64-v3")), &Options::default()).expect("a plan");
    let text = detect::stage::text(&unasked).expect("JSON");
    assert!(!text.contains("optimize"), "a plan without it is what it was");
}

#[test]
fn a_plan_with_another_name_or_level_does_not_parse() {
    let good = r#"{"arch":"x86-64-v3","packages":["hello"],"why":""}"#;
    let parse = |json: &str| serde_json::from_str::<Optimize>(json);
    assert_eq!(serde_json::to_string(&parse(good).expect("parses")).expect("JSON"), good);
    for bad in ["hello\\\"; x", "stdenv", "a.b", "${builtins.currentSystem}"] {
        assert!(parse(&good.replace("hello", bad)).is_err(), "{bad}");
    }
    for bad in ["native", "x86-64-v1", "x86-64-v3 -fplugin=x"] {
        assert!(parse(&good.replace("x86-64-v3", bad)).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn only_names_get_into_the_text(names in prop::collection::vec(".{0,6}|[a-z'.-]{1,4}", 0..4)) {
        let Ok(packages) = Packages::try_from(names) else { return Ok(()) };
        let mut notes = Vec::new();
        let optimize = decide(&at_level(Some("x86-64-v2")), packages, &mut notes).expect("v2");
        let text = render(&optimize, 2);
        let (_, list) = text.split_once("packages = [\n").expect("a list");
        let plain = |c: char| c.is_ascii_alphanumeric() || "_'-\" \n];})".contains(c);
        prop_assert!(list.chars().all(plain), "{}", list);
    }
}
