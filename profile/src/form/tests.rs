//! What each form says, and what it says of what it leaves out.

use detect::hardware::{ConfOwner, Hardware, Nix};
use detect::release::Release;

use super::{Form, notes, render, settings};
use crate::plan::{Plan, Setting, Value, Workload};
use crate::{Options, run};

const FORMS: [Form; 6] =
    [Form::NixConf, Form::Nixos, Form::Darwin, Form::Env, Form::Github, Form::Systemd];

fn plan(system: &str, nix: Nix) -> Plan {
    let hardware =
        Hardware { system: Some(system.to_owned()), nix: Some(nix), ..Hardware::default() };
    let options = Options { for_nix: Release::parse("2.34.8"), ..Options::default() };
    let mut plan = run(hardware, &options).expect("a plan");
    let words = |words: &[&str]| Value::List(words.iter().map(ToString::to_string).collect());
    for (name, value) in [
        ("cores", Value::Integer(4)),
        ("extra-experimental-features", words(&["cgroups"])),
        ("extra-system-features", words(&["kvm"])),
        ("fallback", Value::Bool(true)),
        ("min-free", Value::Integer(1 << 30)),
        ("system-features", words(&["benchmark"])),
    ] {
        plan.settings.insert(name.to_owned(), Setting::new(value, "because"));
    }
    if system.ends_with("-linux") {
        let cgroups = Setting::new(Value::Bool(true), "because");
        plan.settings.insert("use-cgroups".to_owned(), cgroups);
    }
    plan
}

fn said(plan: &Plan, form: Form) -> String {
    settings(plan, form).iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_untrusted_user_is_told_what_the_daemon_would_ignore() {
    let untrusted = plan("x86_64-linux", Nix { trusted: Some(false), ..Nix::default() });
    for form in [Form::Env, Form::Github] {
        assert_eq!(said(&untrusted, form), "cores fallback extra-experimental-features");
        let notes = notes(&untrusted, form);
        assert_eq!(notes[0].id, "not-trusted");
        let names = "extra-system-features, min-free, system-features, use-cgroups";
        assert!(notes[0].text.ends_with(names), "{}", notes[0].text);
    }
    let text = render(&untrusted, Form::Env).expect("fine");
    assert_eq!(text, "cores = 4\nfallback = true\nextra-experimental-features = cgroups\n");

    assert!(said(&untrusted, Form::NixConf).contains("min-free"), "root writes that");
    for trusted in [None, Some(true)] {
        let plan = plan("x86_64-linux", Nix { trusted, ..Nix::default() });
        assert!(said(&plan, Form::Env).contains("min-free"), "{trusted:?}");
        assert_eq!(notes(&plan, Form::Env), [], "{trusted:?}");
    }
}

#[test]
fn what_only_linux_knows_is_left_out_on_macs() {
    let plan = plan("x86_64-linux", Nix::default());
    assert!(said(&plan, Form::Nixos).contains("use-cgroups"));
    assert!(!said(&plan, Form::Darwin).contains("use-cgroups"));
    assert!(notes(&plan, Form::Darwin)[0].text.ends_with("them there: use-cgroups"));
    let text = render(&plan, Form::Darwin).expect("fine");
    assert!(text.contains("cores = lib.mkDefault 4;"), "{text}");
    assert!(!text.contains("daemonCPUSchedPolicy"), "nix-darwin has no such option: {text}");
    let text = render(&plan, Form::Nixos).expect("fine");
    assert!(text.contains("nix.daemonCPUSchedPolicy = lib.mkDefault \"batch\";"), "{text}");
}

#[test]
fn the_header_says_what_profile_was_told() {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.cpu.allowed = 8.try_into().ok();
    hardware.memory.usable_bytes = (16_u64 << 30).try_into().ok();
    let said = |workload, guarded| {
        let options = Options { workload, guarded, ..Options::default() };
        let plan = run(hardware.clone(), &options).expect("a plan");
        header(&plan)
    };
    let plain = said(Workload::General, false);
    assert!(plain.contains("run `detect | profile | nix-conf-write` again"), "{plain}");
    let both = said(Workload::Builder, true);
    assert!(both.contains("`detect | profile --workload builder --guarded | nix-"), "{both}");

    let options = Options { for_nix: Release::parse("lix-2.93"), ..Options::default() };
    let mut planned = run(hardware.clone(), &options).expect("a plan");
    assert!(header(&planned).contains("profile --for-nix lix-2.93.0 | nix-"));
    planned.profile.rule.policy = Some(crate::costs::policy());
    assert!(header(&planned).contains("profile --costs FILE --for-nix lix-2.93.0 |"));
}

/// The first comment, on one line.
fn header(plan: &Plan) -> String {
    let text = render(plan, Form::NixConf).expect("fine");
    text.lines().map_while(|line| line.strip_prefix("# ")).collect::<Vec<_>>().join(" ")
}

#[test]
fn whoever_puts_a_guarded_plan_in_force_is_told_of_the_guard() {
    let mut hardware = Hardware { system: Some("x86_64-linux".to_owned()), ..Hardware::default() };
    hardware.cpu.allowed = 8.try_into().ok();
    hardware.memory.usable_bytes = (16_u64 << 30).try_into().ok();
    for guarded in [true, false] {
        let options = Options { guarded, ..Options::default() };
        let plan = run(hardware.clone(), &options).expect("a plan");
        for form in [Form::NixConf, Form::Env, Form::Github] {
            let is_told = notes(&plan, form).iter().any(|note| note.id == "guard-needed");
            assert_eq!(is_told, guarded, "{form:?}");
        }
        assert!(notes(&plan, Form::Nixos).is_empty(), "it brings the service");
    }
}

#[test]
fn determinate_nix_leaves_nothing_to_nix_darwin() {
    let nix = Nix { conf_owner: Some(ConfOwner::Determinate), ..Nix::default() };
    let plan = plan("aarch64-darwin", nix);
    assert_eq!(notes(&plan, Form::Darwin)[0].id, "determinate");
    assert_eq!(notes(&plan, Form::NixConf), []);
}

#[test]
fn a_github_block_holds_the_settings_and_ends() {
    let plan = plan("x86_64-linux", Nix::default());
    let config = render(&plan, Form::Env).expect("fine");
    let block = render(&plan, Form::Github).expect("fine");
    let (first, rest) = block.split_once('\n').expect("lines");
    let (name, end) = first.split_once("<<").expect("a block");
    assert_eq!(name, "NIX_CONFIG");
    assert_eq!(rest.strip_suffix(&format!("{end}\n")), Some(config.as_str()));
    assert!(config.lines().all(|line| line.contains(" =") && line != end));
}

#[test]
fn a_plan_is_refused_in_every_form_or_in_none() {
    let mut plan = plan("x86_64-linux", Nix::default());
    for form in FORMS {
        render(&plan, form).expect("fine");
    }
    let evil = Setting::new(Value::Text("*".to_owned()), "because");
    plan.nixos.insert("nix.settings.trusted-users".to_owned(), evil);
    for form in FORMS {
        let error = format!("{:#}", render(&plan, form).expect_err("an option that gives rights"));
        assert!(error.starts_with("nixos.nix.settings.trusted-users: refused: "), "{error}");
    }
}
