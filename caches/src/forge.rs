//! Caches made up for tests and measurements: narinfos signed by a key of ours.

use ed25519_dalek::{Signer, SigningKey};

use crate::base64;
use crate::hash::{Hash, nix32};
use crate::narinfo::NarInfo;
use crate::path::StorePath;

/// Bytes of the hash in a store path.
const PATH_HASH: usize = 20;

/// A key that signs whatever it is asked to.
#[derive(Debug)]
pub struct Forge {
    name: String,
    key: SigningKey,
}

/// A narinfo that a forge made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forged {
    /// The path it is for.
    pub path: StorePath,
    /// Its text.
    pub text: String,
}

impl Forge {
    /// A key by its name, always the same for the same name.
    pub fn new(name: &str) -> Self {
        let hash = Hash::sha256(name.as_bytes()).bytes;
        let mut seed = [0; 32];
        seed.copy_from_slice(&hash);
        Self { name: name.to_owned(), key: SigningKey::from_bytes(&seed) }
    }

    /// The key to trust, as nix.conf has it.
    pub fn key(&self) -> String {
        format!("{}:{}", self.name, base64::encode(self.key.verifying_key().as_bytes()))
    }

    /// The path of this number.
    ///
    /// # Panics
    ///
    /// Never: the digits of a hash are those of a store path.
    #[expect(clippy::expect_used, reason = "only tests call it")]
    pub fn path(number: usize) -> StorePath {
        let hash = Hash::sha256(format!("path {number}").as_bytes()).bytes;
        let name = format!("{}-forged-{number}", nix32(&hash[..PATH_HASH]));
        StorePath::parse(&name).expect("a store path")
    }

    /// A signed narinfo for the path of this number, which needs those of these
    /// numbers; with its size as it is served, if it is to say one.
    ///
    /// # Panics
    ///
    /// Never: what is written here is a narinfo.
    #[expect(clippy::expect_used, reason = "only tests call it")]
    pub fn narinfo(&self, number: usize, needs: &[usize], file_size: Option<u64>) -> Forged {
        let path = Self::path(number);
        let nar_hash = Hash::sha256(format!("archive {number}").as_bytes());
        let references: Vec<String> =
            needs.iter().map(|&need| Self::path(need).to_string()).collect();
        let size = file_size.map_or(String::new(), |size| format!("FileSize: {size}\n"));
        let text = format!(
            "StorePath: /nix/store/{path}\nURL: nar/{}.nar.xz\nCompression: xz\n{size}\
             NarHash: {nar_hash}\nNarSize: 1000\nReferences: {}\n",
            path.hash(),
            references.join(" "),
        );
        let info = NarInfo::parse(text.as_bytes(), "/nix/store").expect("a narinfo");
        let signature = self.key.sign(info.fingerprint("/nix/store").as_bytes());
        let signature = base64::encode(&signature.to_bytes());
        Forged { path, text: format!("{text}Sig: {}:{signature}\n", self.name) }
    }
}

#[cfg(test)]
mod tests {
    use profile::plan::Verdict;

    use super::Forge;
    use crate::judge::judge;
    use crate::key::{Keys, PublicKey};
    use crate::narinfo::NarInfo;

    #[test]
    fn what_is_forged_verifies() {
        let forge = Forge::new("forge-1");
        let keys = |forge: &Forge| Keys::new(PublicKey::parse(&forge.key()));
        let forged = forge.narinfo(7, &[1, 7], Some(100));
        let info = NarInfo::parse(forged.text.as_bytes(), "/nix/store").expect("a narinfo");
        assert_eq!((info.path.clone(), info.references.len()), (forged.path, 2));
        let verdict = |keys: &Keys| judge(&info, keys, "/nix/store").expect("a verdict").verdict;
        assert_eq!(verdict(&keys(&forge)), Verdict::Verified);
        assert_eq!(verdict(&keys(&Forge::new("forge-2"))), Verdict::OtherKey);
    }
}
