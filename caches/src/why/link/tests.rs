use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use profile::plan::Verdict;

use super::{About, Answer, Conclusion, Outcome, Trust, about, answer, conclude, duration};
use crate::address::Address;
use crate::base64;
use crate::client::Client;
use crate::key::{Keys, PublicKey};
use crate::narinfo::NarInfo;
use crate::verify::Question;

const TEXT: &str = "\
StorePath: /nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a
URL: nar/x.nar.xz
NarHash: sha256:0k4g5xc97sj9ana6anjwibzx00wpszg959bxhbva99mwk4001dxf
NarSize: 120
References: \n";

fn key(name: &str, seed: u8) -> PublicKey {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let public = base64::encode(secret.verifying_key().as_bytes());
    PublicKey::parse(&format!("{name}:{public}")).expect("a key")
}

fn info(signers: &[(&str, u8)]) -> NarInfo {
    let parse = |text: &str| NarInfo::parse(text.as_bytes(), "/nix/store").expect("a narinfo");
    let print = parse(TEXT).fingerprint("/nix/store");
    let mut text = TEXT.to_owned();
    for (name, seed) in signers {
        let signature = SigningKey::from_bytes(&[*seed; 32]).sign(print.as_bytes());
        text.push_str(&format!("Sig: {name}:{}\n", base64::encode(&signature.to_bytes())));
    }
    parse(&text)
}

fn question(url: &str, keys: &[PublicKey], is_configured: bool) -> Question {
    let cache = Address::parse(url).expect("an address");
    Question { cache, keys: Keys::new(keys.iter().cloned()), is_configured, is_named: false }
}

fn trust(keys: &[PublicKey]) -> Trust {
    Trust { keys: keys.to_vec(), takes_all: false, store_dir: "/nix/store".to_owned() }
}

fn of(signers: &[(&str, u8)], question: &Question, trust: &Trust) -> Conclusion {
    conclude(&Answer::Found(Box::new(info(signers))), question, trust, &[])
}

fn fix(conclusion: &Conclusion) -> &str {
    conclusion.fix.as_deref().unwrap_or_default()
}

#[test]
fn a_key_that_is_trusted() {
    let keys = [key("a", 1)];
    let asked = question("https://a.example", &keys, true);
    let found = of(&[("b", 2), ("a", 1)], &asked, &trust(&keys));
    assert_eq!((found.outcome, found.verdict), (Outcome::Usable, Some(Verdict::Verified)));
    assert_eq!(found.fix, None);
    let named = question("https://a.example", &keys, false);
    let found = of(&[("a", 1)], &named, &trust(&keys));
    assert_eq!(found.outcome, Outcome::NotConfigured);
    assert_eq!(fix(&found), "add https://a.example to extra-substituters");
}

#[test]
fn keys_that_are_not() {
    let asked = question("https://a.example", &[], true);
    let found = of(&[], &asked, &trust(&[key("a", 1)]));
    assert_eq!((found.outcome, found.verdict), (Outcome::Untrusted, Some(Verdict::Unsigned)));
    assert!(fix(&found).contains("nix store sign"), "{}", fix(&found));

    let found = of(&[("b", 2)], &asked, &trust(&[key("a", 1)]));
    assert_eq!(found.verdict, Some(Verdict::OtherKey));
    assert!(fix(&found).starts_with("if you trust b's key, get it from its owner, not from"));
    assert!(!fix(&found).contains(&key("b", 2).to_string()), "nobody named it");

    let found = of(&[("a", 2)], &asked, &trust(&[key("a", 1)]));
    assert_eq!(found.verdict, Some(Verdict::BadSignature));
    assert!(fix(&found).starts_with("compare the key"), "{}", fix(&found));
}

#[test]
fn the_second_key_of_a_name_is_the_right_one() {
    let asked = question("https://a.example", &[], true);
    let found = of(&[("a", 2)], &asked, &trust(&[key("a", 1), key("a", 2)]));
    assert_eq!(found.outcome, Outcome::Untrusted);
    assert!(fix(&found).contains("two keys named a"), "{}", fix(&found));
}

#[test]
fn a_key_that_the_user_named_may_be_named() {
    let own = key("b", 2);
    let asked = question("https://a.example", &[key("a", 1), own.clone()], true);
    let found = of(&[("b", 2)], &asked, &trust(&[key("a", 1)]));
    assert_eq!(found.outcome, Outcome::Untrusted);
    let expected = format!("you named its key: add {own} to extra-trusted-public-keys");
    assert_eq!(fix(&found), expected);
}

#[test]
fn a_key_that_another_by_its_name_hides() {
    let own = key("a", 2);
    let asked = question("https://a.example", std::slice::from_ref(&own), false);
    let found = of(&[("a", 2)], &asked, &trust(&[key("a", 1)]));
    assert_eq!(found.verdict, Some(Verdict::BadSignature));
    let fix = fix(&found);
    assert!(fix.ends_with(&format!("take that one out, and add {own} instead")), "{fix}");
}

#[test]
fn settings_that_take_all() {
    for value in ["1", "true", "yes"] {
        let asked = question(&format!("https://a.example/?trusted={value}"), &[], true);
        let found = of(&[], &asked, &trust(&[]));
        assert_eq!((found.outcome, found.verdict), (Outcome::Usable, Some(Verdict::Unsigned)));
        assert!(found.why.contains("?trusted=1"), "{}", found.why);
    }
    let asked = question("https://a.example/?trusted=0", &[], true);
    assert_eq!(of(&[], &asked, &trust(&[])).outcome, Outcome::Untrusted);
    let all = Trust { takes_all: true, ..trust(&[]) };
    let found = of(&[], &question("https://a.example", &[], true), &all);
    assert!(found.why.contains("require-sigs = false"), "{}", found.why);
}

#[test]
fn a_signature_that_nix_refuses_with_an_error() {
    let text = format!("{TEXT}Sig: a:AAAA\n");
    let info = NarInfo::parse(text.as_bytes(), "/nix/store").expect("a narinfo");
    let asked = question("https://a.example", &[], true);
    let found = conclude(&Answer::Found(Box::new(info)), &asked, &trust(&[key("a", 1)]), &[]);
    assert_eq!((found.outcome, found.verdict), (Outcome::Malformed, None));
}

/// A listener that answers nothing, and what comes of asking it with so many
/// seconds left.
fn silent(seconds: u64) -> (About, Answer) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let cache = Address::parse(&url).expect("an address");
    let path = info(&[]).path;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let client = Client::new(Duration::from_secs(seconds)).expect("a client");
        tokio::join!(
            about(&client, &cache, "/nix/store"),
            answer(&client, &cache, &path, "/nix/store")
        )
    })
}

#[test]
fn our_own_lack_of_time_is_nobodys_fault() {
    let (about, answer) = silent(1);
    let About::Not(Outcome::Unknown, why) = about else { panic!("{about:?}") };
    assert!(why.ends_with("--timeout gives more"), "{why}");
    let Answer::Not(Outcome::Unknown, why) = answer else { panic!("{answer:?}") };
    assert!(why.ends_with("--timeout gives more"), "{why}");
}

#[test]
fn times_as_people_say_them() {
    let said = [0, 119, 120, 3600, 7200, 172_799, 172_800].map(duration);
    assert_eq!(said, ["0 s", "119 s", "2 min", "60 min", "2 h", "48 h", "2 days"]);
}
