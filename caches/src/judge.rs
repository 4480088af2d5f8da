//! Whether Nix would take a path from a cache, and why.

use profile::plan::Verdict;

use crate::key::{Keys, PublicKey};
use crate::narinfo::NarInfo;

/// Bytes of an Ed25519 signature.
const SIGNATURE_SIZE: usize = 64;

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
    for signature in &info.signatures {
        let Some(key) = keys.find(&signature.name) else { continue };
        let Ok(bytes) = <[u8; SIGNATURE_SIZE]>::try_from(signature.bytes.as_slice()) else {
            let (name, size) = (&signature.name, signature.bytes.len());
            return Err(format!("Sig by {name}: {size} bytes instead of {SIGNATURE_SIZE}"));
        };
        let kind = if key.signed(fingerprint.as_bytes(), &bytes) { &mut good } else { &mut bad };
        kind.get_or_insert(key);
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
    let claim = match &info.content_address {
        Some(address) if address.makes(info, store_dir) => {
            let why = "its contents make its path, so it needs no signature".to_owned();
            return judgement(Verdict::ContentAddressed, why);
        }
        Some(_) => "; it claims to be content-addressed, but its path is another",
        None => "",
    };
    if let Some(key) = bad {
        let why = format!(
            "the signature by {} is not by that key: the key was changed, or the narinfo was",
            key.name
        );
        return judgement(Verdict::BadSignature, why + claim);
    }
    let mut names: Vec<&str> =
        info.signatures.iter().map(|signature| signature.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return judgement(Verdict::Unsigned, format!("nobody signed it{claim}"));
    }
    judgement(Verdict::OtherKey, format!("signed by {} only{claim}", names.join(", ")))
}
