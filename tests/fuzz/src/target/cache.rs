//! Small texts about caches: the first byte says which one follows.

use caches::address::Address;
use caches::config::{Named, parse};
use caches::hash::Hash;
use caches::info::{CacheInfo, Priority};
use caches::key::{Keys, PublicKey, Signature};
use caches::netrc::Netrc;
use caches::path::StorePath;
use caches::{base64, hash};

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(bytes);
    match first {
        b'i' => info(bytes),
        b'k' => key(&text),
        b's' => signature(&text),
        b'h' => digest(&text),
        b'b' => digits(&text),
        b'n' => nix32(bytes),
        b'a' => address(&text),
        b'u' => named(&text),
        b't' => file(&text),
        b'p' => path(&text),
        b'l' => logins(&text),
        _ => {}
    }
}

/// nix-cache-info: nothing is an error, and a later line wins.
fn info(text: &[u8]) {
    let info = CacheInfo::parse(text);
    assert_eq!(info.priority.effective().is_none(), matches!(info.priority, Priority::Bad(_)));
    if text.len() < 1000 {
        let more = |line: &str| CacheInfo::parse(&[text, b"\n", line.as_bytes()].concat());
        assert_eq!(more(""), info);
        assert_eq!(more("no colon"), info);
        assert_eq!(
            more("Priority: 7"),
            CacheInfo { priority: Priority::Number(7), ..info.clone() }
        );
        assert!(more("WantMassQuery: 1").want_mass_query);
        let dir = more("StoreDir:\t/x \r").store_dir;
        assert_eq!(dir.as_deref(), Some("/x"));
    }
}

fn key(text: &str) {
    let Ok(key) = PublicKey::parse(text) else { return };
    let again = PublicKey::parse(&key.to_string()).expect("what we wrote");
    assert_eq!(again, key);
    assert!(key.same_bytes(&again) && !key.name.contains(':') && !key.name.is_empty());
    assert!(!key.signed(b"text", &[0; 64]), "no signature at all");
    let keys = Keys::new([key.clone(), again]);
    assert_eq!(keys.iter().count(), 1, "of two by one name the first");
    assert_eq!(keys.find(&key.name), Some(&key));
}

/// A netrc says who we are, and an error about one says nothing of it.
fn logins(text: &str) {
    match Netrc::parse(text) {
        Ok(netrc) => assert!(!format!("{netrc:?}").contains("password")),
        // A host may be named, and is what the user has to mend.
        Err(why) if why.ends_with(": no password") => {}
        Err(why) => {
            let mut secrets = text.split_whitespace().filter(|word| word.len() > 12);
            assert!(secrets.all(|word| !why.contains(word)), "{why}");
        }
    }
}

fn signature(text: &str) {
    let Some(signature) = Signature::parse(text) else { return };
    let again = format!("{}:{}=", signature.name, base64::encode(&signature.bytes));
    assert_eq!(Signature::parse(&again), Some(signature));
}

fn digest(text: &str) {
    let Some(hash) = Hash::parse(text) else { return };
    assert_eq!(hash.bytes.len(), hash.algorithm.size());
    let name = hash.algorithm.name();
    let digits = base64::encode(&hash.bytes);
    for text in [
        hash.to_string(),
        hash.base16(),
        hash.base16().replacen(name, "", 1).to_uppercase().replacen(':', &format!("{name}:"), 1),
        format!("{name}:{digits}"),
        format!("{name}-{digits}"),
    ] {
        assert_eq!(Hash::parse(&text).as_ref(), Some(&hash), "{text}");
    }
}

fn digits(text: &str) {
    let Some(bytes) = base64::decode(text) else { return };
    assert_eq!(base64::decode(&base64::encode(&bytes)), Some(bytes.clone()));
    assert_eq!(base64::decode(&format!("{text}=junk: \0")), Some(bytes.clone()));
    assert_eq!(base64::decode(&format!("\n{text}")), Some(bytes));
}

fn nix32(bytes: &[u8]) {
    let text = hash::nix32(bytes);
    assert_eq!(text.len(), (bytes.len() * 8).div_ceil(5));
    let Ok(bytes) = <[u8; 32]>::try_from(bytes) else { return };
    let hash = Hash::parse(&format!("sha256:{text}")).expect("what we wrote");
    assert_eq!(hash.bytes, bytes);
}

fn address(text: &str) {
    let Ok(address) = Address::parse(text) else { return };
    assert!(address.is_same(&address));
    // What is printed can be read, and has nothing left to hide.
    let shown = address.to_string();
    assert!(!shown.contains(char::is_control), "{shown:?}");
    let again = Address::parse(&shown).expect("what we wrote");
    assert_eq!(again.to_string(), shown);
}

fn named(text: &str) {
    let Ok(Named { cache, keys }) = Named::parse(text) else { return };
    let again = Named::parse(&format!("{cache}={}", keys[0])).expect("what we wrote");
    assert_eq!((again.cache.to_string(), again.keys), (cache.to_string(), keys));
}

fn file(text: &str) {
    let Ok(caches) = parse(text) else { return };
    let entry = |named: &Named| {
        let keys: Vec<String> =
            named.keys.iter().map(|key| format!("{:?}", key.to_string())).collect();
        format!("[[cache]]\nurl = {:?}\nkeys = [{}]\n", named.cache.to_string(), keys.join(", "))
    };
    let again = caches.iter().map(entry).collect::<String>();
    // Rust writes some characters otherwise than TOML does.
    let plain = |text: &str| text.bytes().all(|byte| (b' '..0x7f).contains(&byte) || byte == b'\n');
    if plain(&again) && !again.contains("\\u{") {
        assert_eq!(parse(&again).expect("what we wrote").len(), caches.len());
    }
}

fn path(text: &str) {
    if let Ok(path) = StorePath::parse(text) {
        assert_eq!(path.to_string(), text);
        assert_eq!(format!("{}-{}", path.hash(), path.name()), text);
        let whole = format!("/nix/store/{path}");
        assert_eq!(StorePath::parse_full(&whole, "/nix/store"), Ok(path));
    }
    if let Ok(path) = StorePath::parse_full(text, "/nix/store") {
        assert_eq!(StorePath::parse(&path.to_string()), Ok(path));
    }
}
