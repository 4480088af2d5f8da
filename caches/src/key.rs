//! Public keys and signatures: `NAME:BASE64`.

use std::fmt;

use detect::nix::SECRET;
use ed25519_dalek::{Signature as Ed25519, VerifyingKey};

use crate::base64;

/// Bytes of a public key.
const KEY_SIZE: usize = 32;

/// Bytes of a secret key as Nix writes it: the seed and the public key.
const SECRET_SIZE: usize = 64;

/// What is wrong with such a key.
pub(crate) const IS_SECRET: &str = "a secret key: keep it to yourself, and give the public one";

/// A public key, as `trusted-public-keys` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name, which signatures repeat.
    pub name: String,
    bytes: [u8; KEY_SIZE],
    /// `None` where the bytes are no point on the curve: Nix takes such a key,
    /// and then nothing is signed by it.
    key: Option<VerifyingKey>,
}

/// A signature, as a narinfo has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key that is said to have made it.
    pub name: String,
    /// Its bytes, of which there may be too few or too many.
    pub bytes: Vec<u8>,
}

/// `NAME` and `BASE64`, split at the first colon.
fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, rest)| !name.is_empty() && !rest.is_empty())
}

impl PublicKey {
    /// A key by its text; what is wrong with it otherwise. One wrong key ends
    /// every Nix command that reads it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, digits)) = split(text) else {
            return Err("not of the form NAME:BASE64".to_owned());
        };
        if digits == SECRET {
            return Err(IS_SECRET.to_owned());
        }
        let Some(bytes) = base64::decode(digits) else {
            return Err("what follows its name is not base64".to_owned());
        };
        let size = bytes.len();
        let Ok(bytes) = <[u8; KEY_SIZE]>::try_from(bytes) else {
            return Err(match size {
                SECRET_SIZE => IS_SECRET,
                _ => "not the 32 bytes of a public key",
            }
            .to_owned());
        };
        let key = VerifyingKey::from_bytes(&bytes).ok();
        Ok(Self { name: name.to_owned(), bytes, key })
    }

    /// Whether this key signed these bytes. Strict: what some would accept and
    /// others would not is no signature (RFC 8032, §5.1.7; small orders refused).
    pub fn signed(&self, text: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Ed25519::from_bytes(signature);
        self.key.is_some_and(|key| key.verify_strict(text, &signature).is_ok())
    }

    /// Whether another key has the same bytes, whatever its name and digits.
    pub fn same_bytes(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }

    /// Whether anything can ever be signed by it.
    pub fn can_sign(&self) -> bool {
        self.key.is_some()
    }
}

/// As nix.conf has it.
impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, base64::encode(&self.bytes))
    }
}

impl Signature {
    /// A signature by its text; `None` if Nix 2.34 would refuse the narinfo for
    /// it, whoever it is by.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, digits) = split(text)?;
        Some(Self { name: name.to_owned(), bytes: base64::decode(digits)? })
    }
}

/// Keys by their names. Of two by one name Nix only ever uses the first.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<PublicKey>);

impl Keys {
    /// Take keys in the order in which they are configured.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        let mut taken = Self::default();
        taken.add(keys);
        taken
    }

    /// Take more keys, after those there are.
    pub fn add(&mut self, keys: impl IntoIterator<Item = PublicKey>) {
        for key in keys {
            if self.find(&key.name).is_none() {
                self.0.push(key);
            }
        }
    }

    /// The keys in use, in order.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    /// The key of this name.
    pub fn find(&self, name: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;

    use super::{Keys, PublicKey, Signature};
    use crate::base64;

    const CACHE: &str = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

    #[test]
    fn a_key_and_its_text() {
        let key = PublicKey::parse(CACHE).expect("a key");
        assert_eq!(key.name, "cache.nixos.org-1");
        assert_eq!(key.to_string(), CACHE);
        let unpadded = PublicKey::parse(CACHE.trim_end_matches('=')).expect("a key");
        assert_eq!(PublicKey::parse(&format!("{CACHE},")).expect("a key"), unpadded);
    }

    #[test]
    fn what_is_no_key() {
        let why = |text: &str| PublicKey::parse(text).expect_err(text);
        for text in ["", "a", ":AAAA", "a:", CACHE.split_once(':').expect("a colon").1] {
            assert_eq!(why(text), "not of the form NAME:BASE64", "{text}");
        }
        assert!(why("a:AAAA").contains("32 bytes"));
        assert!(why("a:!").contains("base64"));
        let secret = format!("a:{}", base64::encode(&[7; 64]));
        assert!(why(&secret).starts_with("a secret key"));
        assert!(!why(&secret).contains("BwcH"), "it stays secret");
    }

    #[test]
    fn the_first_key_of_a_name_is_the_one() {
        let second = CACHE.replace("6NCH", "7NCH");
        let keys = [CACHE, &second].map(|text| PublicKey::parse(text).expect(text));
        let found = Keys::new(keys.clone());
        assert_eq!(found.find("cache.nixos.org-1"), Some(&keys[0]));
        assert!(!keys[0].same_bytes(&keys[1]));
        assert_eq!(found.find("Cache.nixos.org-1"), None);
        assert!(keys[0].can_sign());
    }

    #[test]
    fn signs_and_does_not() {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let public = base64::encode(secret.verifying_key().as_bytes());
        let key = PublicKey::parse(&format!("a:{public}")).expect("a key");
        let mut signature = secret.sign(b"text").to_bytes();
        assert!(key.signed(b"text", &signature));
        assert!(!key.signed(b"texts", &signature));
        signature[0] ^= 1;
        assert!(!key.signed(b"text", &signature));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(a|é)?:?.*") {
            let _ = PublicKey::parse(&text);
            let _ = Signature::parse(&text);
        }
    }
}
