//! narinfos as we read them, beside another reader of the same format, the crate
//! nix-narinfo: the two agree but for what is listed here, where we go by Nix.

use std::fs;
use std::path::Path;
use std::process::Command;

use caches::base64;
use caches::judge::judge;
use caches::key::{Keys, PublicKey, Signature};
use caches::narinfo::NarInfo;
use ed25519_dalek::{Signer, SigningKey};
use nix_narinfo::{NarInfo as Theirs, TrustedPublicKey};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::tools::{has, shared};

const STORE: &str = "/nix/store";

/// What a reader makes of a narinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Trusted,
    Untrusted,
    Refused,
}

use Read::{Refused, Trusted, Untrusted};

fn ours(text: &[u8], keys: &[String]) -> Read {
    let Ok(info) = NarInfo::parse(text, STORE) else { return Refused };
    let keys = keys.iter().map(|key| PublicKey::parse(key).expect(key));
    match judge(&info, &Keys::new(keys), STORE) {
        Err(_) => Refused,
        Ok(judged)
            if ["verified", "content-addressed"].contains(&caches::human::name(judged.verdict)) =>
        {
            Trusted
        }
        Ok(_) => Untrusted,
    }
}

fn theirs(text: &[u8], keys: &[String]) -> Read {
    let text = std::str::from_utf8(text).ok();
    let Some(info) = text.and_then(|text| text.parse::<Theirs>().ok()) else { return Refused };
    let keys: Vec<_> = keys.iter().map(|key| TrustedPublicKey::parse(key).expect(key)).collect();
    let store = info.store_dir();
    let is_trusted = info.has_valid_signature(store, &keys) || info.is_content_addressed(store);
    if is_trusted { Trusted } else { Untrusted }
}

/// What both read must also be the same.
fn compare(text: &[u8]) {
    let (Ok(ours), Ok(text)) = (NarInfo::parse(text, STORE), std::str::from_utf8(text)) else {
        return;
    };
    let Ok(theirs) = text.parse::<Theirs>() else { return };
    assert_eq!(ours.fingerprint(STORE), theirs.fingerprint(theirs.store_dir()), "{text}");
    assert_eq!(ours.url, theirs.url(), "{text}");
    assert_eq!(ours.compression, theirs.compression().as_str(), "{text}");
    let deriver = theirs.deriver().map(nix_derivation::StorePath::to_basename);
    assert_eq!(ours.deriver.map(|path| path.to_string()), deriver, "{text}");
    let hash = theirs.file_hash().map(nix_derivation::NixHash::to_nix_nixbase32_string);
    assert_eq!(ours.file_hash.map(|hash| hash.to_string()), hash, "{text}");
    // Nix cannot tell 0 from nothing said.
    let size = theirs.file_size().filter(|&size| size > 0);
    assert_eq!(ours.file_size_bytes, size, "{text}");
    assert_eq!(ours.signatures.len(), theirs.signatures().len(), "{text}");
    let address = theirs.content_address().map(nix_derivation::CAHash::to_nix_string);
    assert_eq!(ours.content_address.map(|address| address.to_string()), address, "{text}");
}

/// Fields of which there is one.
const SINGLE: [&str; 10] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "CA",
];

/// Why the two may read a text differently; `None` where they may not.
fn known(text: &[u8]) -> Option<&'static str> {
    if text.len() > 1 << 20 {
        return Some("they read 1 MiB");
    }
    let Ok(text) = std::str::from_utf8(text) else { return Some("they read UTF-8 only") };
    if text.contains('\r') {
        return Some("they take CRLF");
    }
    let Some(text) = text.strip_suffix('\n') else {
        return Some("they take a last line without its end");
    };
    let mut seen = Vec::new();
    for line in text.split('\n') {
        if line.is_empty() {
            return Some("they take blank lines");
        }
        let Some((name, value)) = line.split_once(':') else {
            return Some("to them a line without a colon is an error of its own");
        };
        let Some(value) = value.strip_prefix(' ') else {
            return Some("they look at the byte after the colon");
        };
        if value.starts_with(char::is_whitespace) {
            return Some("they take more blanks after the colon");
        }
        if SINGLE.contains(&name) && seen.contains(&name) {
            return Some("they refuse a field that comes twice");
        }
        seen.push(name);
        let reason = match name {
            "References" if value.contains('/') => "they take references that are whole paths",
            "References" if value.contains(|c: char| c.is_ascii_whitespace() && c != ' ') => {
                "they take any blank between references"
            }
            "Deriver" if value.starts_with('/') => "they take a deriver that is a whole path",
            "StorePath" if value.contains("//") || value.contains("/.") || value.ends_with('/') => {
                "they take paths as they stand"
            }
            "CA" if value.is_empty() => "they refuse an empty CA",
            "Sig" => match Signature::parse(value) {
                None => "they pass over signatures that are none",
                Some(signature) if signature.bytes.len() != 64 => {
                    "they pass over signatures of a wrong length"
                }
                Some(signature) => {
                    let digits = base64::encode(&signature.bytes);
                    if value == format!("{}:{digits}", signature.name) {
                        continue;
                    }
                    "they read padded base64 only"
                }
            },
            _ => continue,
        };
        return Some(reason);
    }
    None
}

/// The other reader does as we do, or there is a reason that is known.
fn agree(name: &str, text: &[u8], keys: &[String]) -> Option<&'static str> {
    let (ours, theirs) = (ours(text, keys), theirs(text, keys));
    let reason = known(text);
    if reason.is_none() {
        assert_eq!(
            ours,
            theirs,
            "{name}: a difference that is not known:\n{}",
            String::from_utf8_lossy(text)
        );
        compare(text);
    }
    reason.filter(|_| ours != theirs)
}

fn keys_of(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("keys");
    let public = text.split("# secret").next().unwrap_or_default();
    public
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The narinfos of a folder, by name.
fn narinfos(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path());
    let files = files.filter(|file| file.extension().is_some_and(|kind| kind == "narinfo"));
    files.map(|file| (file.display().to_string(), fs::read(&file).expect("a file"))).collect()
}

#[test]
fn what_caches_really_serve_is_no_matter_of_opinion() {
    let (Some(folder), Some(keys)) = (shared("narinfo"), shared("keys.txt")) else { return };
    let keys = keys_of(&keys);
    let files = narinfos(&folder);
    assert!(files.len() > 50, "{}", files.len());
    let trusted = files.iter().filter(|(_, text)| ours(text, &keys) == Trusted).count();
    assert!(trusted > files.len() / 2, "{trusted}");
    for (name, text) in &files {
        assert_eq!(agree(name, text, &keys), None, "{name}");
        assert_eq!(known(text).filter(|_| ours(text, &keys) == Refused), None, "{name}");
    }
}

#[test]
fn edge_cases_differ_for_known_reasons_only() {
    let Some(folder) = shared("narinfo-edge") else { return };
    let keys = keys_of(&folder.join("keys.txt"));
    let files = narinfos(&folder);
    let differ = files.iter().filter_map(|(name, text)| agree(name, text, &keys)).count();
    // A third would be too many for a reader of the same format.
    assert!(differ > 0 && differ * 3 < files.len(), "{differ} of {}", files.len());
}

/// 978 narinfos that cache.nixos.org served, kept by tvix.
#[test]
fn a_thousand_real_narinfos_are_verified() {
    let Some(archive) = shared("narinfo/tvix-978.narinfo.zst") else { return };
    if !has(&["zstd"]) {
        return;
    }
    let output = Command::new("zstd").args(["-dcq"]).arg(&archive).output().expect("zstd runs");
    assert!(output.status.success(), "{}", archive.display());
    let text = String::from_utf8(output.stdout).expect("text");
    let keys = [profile::catalogue::CACHE_KEY.to_owned()];
    let records: Vec<&str> =
        text.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).collect();
    assert_eq!(records.len(), 978);
    for record in records {
        let record = format!("{record}\n");
        // Nix wants the blank that tools which trim lines take away.
        let record = record.replace("\nReferences:\n", "\nReferences: \n");
        assert_eq!(ours(record.as_bytes(), &keys), Trusted, "{record}");
        compare(record.as_bytes());
        let info = NarInfo::parse(record.as_bytes(), STORE).expect("a narinfo");
        let address = info.content_address.as_ref();
        assert!(address.is_none_or(|address| address.makes(&info, STORE)), "{record}");
    }
}

fn key() -> String {
    let secret = SigningKey::from_bytes(&[7; 32]);
    format!("own-1:{}", base64::encode(secret.verifying_key().as_bytes()))
}

/// The text with signatures of what it says, by keys of these names.
fn signed(text: &str, names: &[&str]) -> String {
    let info = NarInfo::parse(text.as_bytes(), STORE).expect(text);
    let sign =
        |seed: u8| SigningKey::from_bytes(&[seed; 32]).sign(info.fingerprint(STORE).as_bytes());
    let mut text = text.to_owned();
    for name in names {
        let seed = if *name == "own-1" { 7 } else { 8 };
        let signature = base64::encode(&sign(seed).to_bytes());
        text.push_str(&format!("Sig: {name}:{signature}\n"));
    }
    text
}

const TEXT: &str = "\
StorePath: /nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a
URL: nar/x.nar.xz
Compression: xz
FileHash: sha256:0k4g5xc97sj9ana6anjwibzx00wpszg959bxhbva99mwk4001dxf
FileSize: 100
NarHash: sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj
NarSize: 120
References: cm0mlfk05405kd64my5h93x7m2r677g4-r3 d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-r2
Deriver: ypixjs8i4qszk4qfa468j5ph8drkxb0q-d.drv
";

/// Every difference there is: a change, what we make of it as Nix does, and what
/// they do. One that goes away fails as one that comes does.
#[test]
fn every_known_difference_and_no_more() {
    let text = signed(TEXT, &["own-1"]);
    let keys = [key()];
    let change = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let reference = "d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-r2";
    let whole = format!("/nix/store/{reference}");
    let rows: [(String, Read, Read); 21] = [
        (text.clone(), Trusted, Trusted),
        (text.replace('\n', "\r\n"), Refused, Trusted),
        (text.trim_end().to_owned(), Refused, Trusted),
        (change("\nNarHash", "\n\nNarHash"), Refused, Trusted),
        (change("\nNarHash", "\nno colon\nNarHash"), Refused, Refused),
        (change("\nFileSize", "\nno colon\nFileSize"), Trusted, Refused),
        (change("NarSize: 120", "NarSize:x120"), Trusted, Refused),
        (change("NarSize: 120", "NarSize:120"), Untrusted, Trusted),
        (change("NarSize: 120", "NarSize:  120"), Refused, Trusted),
        (change("NarSize: 120", "NarSize: 7\nNarSize: 120"), Trusted, Refused),
        (change(reference, &whole), Refused, Trusted),
        (change(" d1hcb", "\td1hcb"), Refused, Trusted),
        (change("Deriver: ", "Deriver: /nix/store/"), Refused, Trusted),
        (change("StorePath: /nix/store", "StorePath: /nix//store"), Trusted, Refused),
        (change("Sig: ", "CA: \nSig: "), Trusted, Refused),
        (change("Sig: ", "Sig: junk\nSig: "), Refused, Trusted),
        (change("Sig: ", "Sig: other:!\nSig: "), Refused, Trusted),
        (change("Sig: ", "Sig: own-1:AAAA\nSig: "), Refused, Trusted),
        (text.replace("==", ""), Trusted, Untrusted),
        (change("URL: nar", &format!("URL: {}", "x".repeat(1 << 20))), Trusted, Refused),
        (change("Compression: xz\n", "Compression: xz\nX: y\n"), Trusted, Trusted),
    ];
    for (text, own, other) in &rows {
        let shown: String = text.chars().take(600).collect();
        assert_eq!(ours(text.as_bytes(), &keys), *own, "ours: {shown}");
        assert_eq!(theirs(text.as_bytes(), &keys), *other, "theirs: {shown}");
        assert_eq!(
            known(text.as_bytes()).is_some(),
            own != other || text.contains("no colon"),
            "{shown}"
        );
    }
}

/// Texts that no reader of the format should see differently.
fn narinfo() -> impl Strategy<Value = String> {
    let path = "[0-9a-df-np-sv-z]{32}-[A-Za-z0-9+_?=-][A-Za-z0-9+._?=-]{0,9}";
    let hash = "sha256:[01][0-9a-df-np-sv-z]{51}|sha256:[0-9a-fA-F]{64}|sha1:[0-9a-f]{40}";
    let reader = (
        path,
        prop::collection::vec(path, 0..6),
        prop::option::of(path),
        prop::option::of("none|xz|bzip2|zstd|br|lzip|gzip||new"),
        (prop::option::of(hash), hash),
        (
            prop::option::of("[+0]?[0-9]{1,12}"),
            prop_oneof![
                9 => "[+0]?[0-9]{1,12}",
                1 => "x|-1|99999999999999999999",
            ],
        ),
        prop_oneof![
            6 => Just(None),
            3 => "text:sha256:[01][0-9a-df-np-sv-z]{51}|fixed:(r:)?(sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40})"
                .prop_map(Some),
            1 => "junk|fixed:x".prop_map(Some),
        ],
        prop::collection::vec(prop::sample::select(vec!["own-1", "other-1"]), 0..3),
        prop_oneof![
            8 => Just(""),
            2 => prop::sample::select(&SINGLE[..]),
        ],
    );
    reader.prop_map(
        |(path, references, deriver, compression, hashes, sizes, address, names, left_out)| {
            let mut lines = vec![
                format!("StorePath: {STORE}/{path}"),
                "URL: nar/x.nar?hash=y".to_owned(),
                format!("NarHash: {}", hashes.1),
                format!("NarSize: {}", sizes.1),
                format!("References: {}", references.join(" ")),
                "System: x86_64-linux".to_owned(),
            ];
            lines.extend(compression.map(|name| format!("Compression: {name}")));
            lines.extend(hashes.0.map(|hash| format!("FileHash: {hash}")));
            lines.extend(sizes.0.map(|size| format!("FileSize: {size}")));
            lines.extend(deriver.map(|path| format!("Deriver: {path}")));
            lines.extend(address.map(|address| format!("CA: {address}")));
            let field = format!("{left_out}:");
            lines.retain(|line| left_out.is_empty() || !line.starts_with(&field));
            let text = lines.join("\n") + "\n";
            match NarInfo::parse(text.as_bytes(), STORE) {
                Ok(_) => signed(&text, &names),
                Err(_) => text,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn generated_narinfos_are_read_alike(text in narinfo()) {
        prop_assert_eq!(known(text.as_bytes()), None, "{}", text);
        agree("generated", text.as_bytes(), &[key()]);
    }

    #[test]
    fn damaged_narinfos_differ_for_known_reasons_only(
        at in any::<prop::sample::Index>(), skip in 0_usize..6,
        junk in prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b' '), Just(b':'), Just(b'/'), Just(b'='), Just(b'a'), any::<u8>(),
        ], 0..6),
    ) {
        let text = signed(TEXT, &["own-1", "other-1"]);
        let at = at.index(text.len());
        let mut damaged = text.as_bytes()[..at].to_vec();
        damaged.extend(junk);
        damaged.extend(text.as_bytes().iter().skip(at + skip));
        agree("damaged", &damaged, &[key()]);
    }
}

#[test]
fn generated_narinfos_are_of_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = [0; 3];
    for _ in 0..500 {
        let text = narinfo().new_tree(&mut runner).expect("a narinfo").current();
        seen[ours(text.as_bytes(), &[key()]) as usize] += 1;
    }
    assert!(seen.iter().all(|&count| count > 20), "{seen:?}");
}
