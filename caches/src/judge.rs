//! Whether Nix would take a path from a cache, and why.

use profile::plan::Verdict;

use crate::key::{Keys, PublicKey};
use crate::narinfo::NarInfo;

/// Bytes of an Ed25519 signature.
const SIGNATURE_SIZE: usize = 64;

/// Signers that are named.
const MOST_SIGNERS: usize = 16;

/// A verdict with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, on one line.
    pub why: String,
    /// The key that signed, where one did.
    pub key: Option<PublicKey>,
}

/// Judge what a narinfo proves, by these keys; an error for what Nix refuses
/// with one, whoever else signed.
pub fn judge(info: &NarInfo, keys: &Keys, store_dir: &str) -> Result<Judgement, String> {
    let fingerprint = info.fingerprint(store_dir);
    let mut good = None;
    let mut bad = None;
    let mut wrong = None;
    for signature in &info.signatures {
        let Some(key) = keys.find(&signature.name) else { continue };
        let Ok(bytes) = <[u8; SIGNATURE_SIZE]>::try_from(signature.bytes.as_slice()) else {
            let (name, size) = (&key.name, signature.bytes.len());
            wrong = Some(format!("Sig by {name}: {size} bytes instead of {SIGNATURE_SIZE}"));
            continue;
        };
        let kind = if key.signed(fingerprint.as_bytes(), &bytes) { &mut good } else { &mut bad };
        kind.get_or_insert(key);
    }
    let is_made = || info.content_address.as_ref().map(|address| address.makes(info, store_dir));
    // Nix looks at signatures only where contents do not make the path.
    if let Some(wrong) = wrong
        && is_made() != Some(true)
    {
        return Err(wrong);
    }
    let judgement = |verdict, why: String| Ok(Judgement { verdict, why, key: None });
    if let Some(key) = good {
        let order = if info.is_sorted {
            ""
        } else {
            "; its references are not sorted, which other clients than Nix do not forgive"
        };
        let why = format!("signed by {}{order}", key.name);
        return Ok(Judgement { verdict: Verdict::Verified, why, key: Some(key.clone()) });
    }
    let claim = match is_made() {
        Some(true) => {
            let why = "its contents make its path, so it needs no signature".to_owned();
            return judgement(Verdict::ContentAddressed, why);
        }
        Some(false) => "; it claims to be content-addressed, but its path is another",
        None => "",
    };
    if let Some(key) = bad {
        let why = format!(
            "the signature by {} is not by that key: the key was changed, or the narinfo was",
            key.name
        );
        return judgement(Verdict::BadSignature, why + claim);
    }
    let names = signers(info);
    if names.is_empty() {
        return judgement(Verdict::Unsigned, format!("nobody signed it{claim}"));
    }
    let more = if info.signatures.len() > MOST_SIGNERS { " and others" } else { "" };
    judgement(Verdict::OtherKey, format!("signed by {}{more} only{claim}", names.join(", ")))
}

/// The names of those who are said to have signed, each once, for people to read:
/// what a cache makes them is neither endless nor anything to a terminal.
pub fn signers(info: &NarInfo) -> Vec<String> {
    let plain = |name: &str| name.chars().filter(|c| !c.is_control()).take(120).collect();
    let names = info.signatures.iter().map(|signature| plain(&signature.name));
    let mut names: Vec<String> = names.take(MOST_SIGNERS).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use profile::plan::Verdict;

    use super::{judge, signers};
    use crate::base64;
    use crate::content::made;
    use crate::key::{Keys, PublicKey};
    use crate::narinfo::NarInfo;

    fn info(text: &str) -> NarInfo {
        NarInfo::parse(text.as_bytes(), "/nix/store").expect(text)
    }

    #[test]
    fn what_its_contents_make_needs_no_signature_however_wrong() {
        let key = PublicKey::parse(&format!("a:{}", base64::encode(&[1; 32])));
        let keys = Keys::new(key);
        let text = made("x") + "Sig: a:AAAA\n";
        let judged = judge(&info(&text), &keys, "/nix/store").expect("Nix takes it");
        assert_eq!(judged.verdict, Verdict::ContentAddressed);
        let other = text.replace("-x\n", "-y\n");
        let why = judge(&info(&other), &keys, "/nix/store").expect_err("Nix refuses it");
        assert_eq!(why, "Sig by a: 3 bytes instead of 64");
    }

    #[test]
    fn what_signers_are_called_is_bounded_and_plain() {
        let mut text = made("x").replace("-x\n", "-y\n");
        text += &format!("Sig: \u{1b}[2Jb{}:AAAA\n", "x".repeat(1 << 20));
        for number in 0..100 {
            text += &format!("Sig: {number}:AAAA\n");
        }
        let info = info(&text);
        assert_eq!(signers(&info).len(), 16);
        let judged = judge(&info, &Keys::default(), "/nix/store").expect("a judgement");
        assert_eq!(judged.verdict, Verdict::OtherKey);
        assert!(judged.why.len() < 500 && !judged.why.contains(char::is_control), "{}", judged.why);
        assert!(judged.why.contains("[2Jb") && judged.why.contains(" and others only"));
    }
}
