use proptest::prelude::*;

use super::Derivation;

const STORE: &str = "/nix/store";

/// As Nix 2.34 writes one, but for its paths.
const TEXT: &str = r#"Derive([("dev","/nix/store/7wqvam7q71nwabdbv5ql08nx2ymyyznw-multi-dev","",""),("out","/nix/store/lfsjv6aqprf6xkx39dsr281v2k99i0rq-multi","","")],[("/nix/store/k8961q0ljcgy40i9gd86vjy6lwys61fn-a.drv",["out"])],[],"x86_64-linux","/bin/sh",["-c","echo \"x\ty\\\" > $out"],[("allowSubstitutes",""),("nl","a\nb\rc\"d\\e"),("preferLocalBuild","1"),("system","x86_64-linux")])"#;

fn parse(text: &str) -> Result<Derivation, String> {
    Derivation::parse(text.as_bytes(), STORE)
}

#[test]
fn what_it_makes_and_by_what() {
    let derivation = parse(TEXT).expect("a derivation");
    let outputs: Vec<(&str, String)> = derivation
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), output.path.as_ref().expect("a path").to_string()))
        .collect();
    assert_eq!(outputs[0], ("dev", "7wqvam7q71nwabdbv5ql08nx2ymyyznw-multi-dev".to_owned()));
    assert_eq!(outputs[1], ("out", "lfsjv6aqprf6xkx39dsr281v2k99i0rq-multi".to_owned()));
    assert_eq!(derivation.platform, "x86_64-linux");
    assert_eq!(derivation.environment["nl"], "a\nb\rc\"d\\e");
    assert!(!derivation.allows_substitutes());
    assert!(derivation.prefers_local_build());
}

#[test]
fn attributes_as_nix_reads_them() {
    let with = |pairs: &str| {
        let text = format!("Derive([],[],[],\"x\",\"\",[],[{pairs}])");
        parse(&text).expect(&text)
    };
    assert!(with("").allows_substitutes());
    assert!(!with("").prefers_local_build());
    assert!(with(r#"("allowSubstitutes","1")"#).allows_substitutes());
    assert!(!with(r#"("allowSubstitutes","true")"#).allows_substitutes());
    let json = r#"("__json","{\"allowSubstitutes\":false}"),("allowSubstitutes","1")"#;
    assert!(!with(json).allows_substitutes());
    assert!(with(r#"("__json","{}"),("allowSubstitutes","")"#).allows_substitutes());
    assert!(with(r#"("__json","junk")"#).allows_substitutes());
}

#[test]
fn where_contents_decide_there_is_no_path() {
    let text = r#"Derive([("out","","r:sha256","")],[],[],"x","/bin/sh",[],[])"#;
    assert_eq!(parse(text).expect("a derivation").outputs[0].path, None);
    let dynamic = r#"DrvWithVersion("xp-dyn-drv",[],[("/nix/store/k8961q0ljcgy40i9gd86vjy6lwys61fn-a.drv",([],[("out",["out"])]))],[],"x","/bin/sh",[],[])"#;
    assert_eq!(parse(dynamic).expect("a derivation").platform, "x");
    assert!(parse(&dynamic.replace("xp-dyn", "xp-new")).is_err());
}

#[test]
fn what_is_none() {
    for text in ["", "x", "Derive", "Derive(", "Derive()", "Derive([])", "DrvWithVersion()"] {
        assert!(parse(text).is_err(), "{text}");
    }
    assert_eq!(
        parse(&format!("{TEXT}\n")),
        Err(format!("no derivation from byte {} on", TEXT.len()))
    );
    assert!(parse(&TEXT.replace("/nix/store/7w", "/gnu/store/7w")).is_err());
    assert!(parse(&TEXT.replace(r#"("nl","#, r#"("nl","","#)).is_err());
    assert!(parse(&TEXT.replace(r#""x86_64-linux","/bin"#, r#"[],"/bin"#)).is_err());
    for end in 0..TEXT.len() {
        assert!(parse(&TEXT[..end]).is_err(), "{end}");
    }
    assert!(parse(&format!("Derive({}", "[".repeat(1 << 20))).is_err(), "deep");
    assert!(Derivation::parse(&vec![b'x'; super::LARGEST_BYTES + 1], STORE).is_err());
}

fn quoted(text: &str) -> String {
    let mut quoted = "\"".to_owned();
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '"' | '\\' => quoted.extend(['\\', character]),
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

proptest! {
    #[test]
    fn environments_round_trip(
        environment in prop::collection::btree_map("(?s).{0,9}", "(?s).{0,99}", 0..9)
    ) {
        let pairs: Vec<String> = environment
            .iter()
            .map(|(name, value)| format!("({},{})", quoted(name), quoted(value)))
            .collect();
        let text = format!("Derive([],[],[],\"x\",\"\",[],[{}])", pairs.join(","));
        prop_assert_eq!(parse(&text).expect("a derivation").environment, environment);
    }

    #[test]
    fn never_panics(
        at in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..9),
        skip in 0_usize..9,
    ) {
        let at = at.index(TEXT.len());
        let mut text = TEXT.as_bytes()[..at].to_vec();
        text.extend(junk);
        text.extend(TEXT.as_bytes().iter().skip(at + skip));
        let _ = Derivation::parse(&text, STORE);
    }
}
