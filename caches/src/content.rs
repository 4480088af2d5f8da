//! Paths that need no signature, since their contents make their name.
//!
//! Source: the Nix manual, "Store path specification"; libstore's
//! `makeFixedOutputPath` and `makeTextPath`.

use std::fmt;

use crate::hash::{Algorithm, Hash, nix32};
use crate::narinfo::NarInfo;

/// How contents make a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentAddress {
    method: Method,
    hash: Hash,
}

/// What was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// A text with references, such as a derivation.
    Text,
    /// A file.
    Flat,
    /// An archive.
    Recursive,
    /// A git tree.
    Git,
}

impl ContentAddress {
    /// Read the value of `CA`; `None` if it is none. An empty one says nothing.
    #[expect(clippy::option_option, reason = "nothing said and nothing understood differ")]
    pub(crate) fn parse_optional(text: &str) -> Option<Option<Self>> {
        if text.is_empty() {
            return Some(None);
        }
        let (method, hash) = match text.split_once(':')? {
            ("text", hash) => (Method::Text, hash),
            ("fixed", hash) => match hash.split_once(':')? {
                ("r", hash) => (Method::Recursive, hash),
                ("git", hash) => (Method::Git, hash),
                _ => (Method::Flat, hash),
            },
            _ => return None,
        };
        let (algorithm, digits) = hash.split_once(':')?;
        let hash = Hash::parse_digits(Algorithm::parse(algorithm)?, digits)?;
        if method == Method::Text && hash.algorithm != Algorithm::Sha256 {
            return None;
        }
        Some(Some(Self { method, hash }))
    }

    /// Whether contents with this address and these references have this path.
    pub fn makes(&self, info: &NarInfo, store_dir: &str) -> bool {
        let own = info.references.contains(&info.path);
        let mut others = String::new();
        for path in info.references.iter().filter(|path| **path != info.path) {
            others.push_str(&format!(":{store_dir}/{path}"));
        }
        let name = info.path.name();
        let made = match (self.method, self.hash.algorithm) {
            (Method::Text, _) if own => return false,
            (Method::Text, _) => make(&format!("text{others}"), &self.hash, store_dir, name),
            (Method::Recursive, Algorithm::Sha256) => {
                let own = if own { ":self" } else { "" };
                make(&format!("source{others}{own}"), &self.hash, store_dir, name)
            }
            _ if own || !others.is_empty() => return false,
            (method, _) => {
                let method = match method {
                    Method::Recursive => "r:",
                    Method::Git => "git:",
                    Method::Text | Method::Flat => "",
                };
                let inner = format!("fixed:out:{method}{}:", self.hash.base16());
                make("output:out", &Hash::sha256(inner.as_bytes()), store_dir, name)
            }
        };
        made == info.path.hash()
    }
}

/// As narinfos have it.
impl fmt::Display for ContentAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Text => "text:",
            Method::Flat => "fixed:",
            Method::Recursive => "fixed:r:",
            Method::Git => "fixed:git:",
        };
        write!(formatter, "{method}{}", self.hash)
    }
}

/// The hash in a store path: SHA-256 folded to 160 bits.
fn make(kind: &str, hash: &Hash, store_dir: &str, name: &str) -> String {
    let text = format!("{kind}:{}:{store_dir}:{name}", hash.base16());
    let mut folded = [0_u8; 20];
    for (index, byte) in Hash::sha256(text.as_bytes()).bytes.into_iter().enumerate() {
        folded[index % folded.len()] ^= byte;
    }
    nix32(&folded)
}

/// A narinfo, for tests, of a path that its contents make.
#[cfg(test)]
pub(crate) fn made(name: &str) -> String {
    let hash = Hash::sha256(name.as_bytes());
    let path = make("text", &hash, "/nix/store", name);
    format!(
        "StorePath: /nix/store/{path}-{name}\nURL: nar/x.nar\nNarHash: {hash}\nNarSize: 120\n\
         References: \nCA: text:{hash}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::ContentAddress;

    const SHA256: &str = "sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj";

    #[test]
    fn reads_every_kind() {
        assert_eq!(ContentAddress::parse_optional(""), Some(None));
        for kind in ["text:", "fixed:", "fixed:r:", "fixed:git:"] {
            let text = format!("{kind}{SHA256}");
            let address = ContentAddress::parse_optional(&text).expect(&text).expect(&text);
            assert_eq!(address.to_string(), text);
        }
        for bad in ["x", "text:", "nar:sha256:x", "fixed:x:sha256:0", "fixed:r:sha256-abc"] {
            assert_eq!(ContentAddress::parse_optional(bad), None, "{bad}");
        }
    }
}
