//! Hashes, in each of the four ways that Nix writes them.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::base64;

/// Nix's 32 digits: no E, O, T and U.
const NIX32: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// What made a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, of content from long ago.
    Md5,
    /// SHA-1, of content from long ago.
    Sha1,
    /// SHA-256: everything Nix makes.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// A hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash {
    /// What made it.
    pub algorithm: Algorithm,
    /// As many bytes as the algorithm gives.
    pub bytes: Vec<u8>,
}

impl Algorithm {
    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha256" => Self::Sha256,
            "sha512" => Self::Sha512,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes of its hashes.
    pub fn size(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl Hash {
    /// The SHA-256 of some bytes.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self { algorithm: Algorithm::Sha256, bytes: Sha256::digest(bytes).to_vec() }
    }

    /// A hash with its algorithm before it: `sha256:…` in any digits, told apart
    /// by their number, or `sha256-…` in base64 (SRI).
    pub fn parse(text: &str) -> Option<Self> {
        // Nix looks for a colon first, wherever it is.
        if let Some((algorithm, digits)) = text.split_once(':') {
            return Self::parse_digits(Algorithm::parse(algorithm)?, digits);
        }
        let (algorithm, digits) = text.split_once('-')?;
        let algorithm = Algorithm::parse(algorithm)?;
        Self::of(algorithm, base64::decode(digits)?)
    }

    /// The digits of a hash by this algorithm.
    pub fn parse_digits(algorithm: Algorithm, digits: &str) -> Option<Self> {
        let size = algorithm.size();
        let bytes = match digits.len() {
            length if length == size * 2 => base16(digits)?,
            length if length == nix32_length(size) => from_nix32(digits)?,
            length if length == size.div_ceil(3) * 4 => base64::decode(digits)?,
            _ => return None,
        };
        Self::of(algorithm, bytes)
    }

    fn of(algorithm: Algorithm, bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() == algorithm.size()).then_some(Self { algorithm, bytes })
    }

    /// `sha256:` and two digits for each byte.
    pub fn base16(&self) -> String {
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
        let digits = self.bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
        format!("{}:{}", self.algorithm.name(), digits.collect::<String>())
    }
}

/// `sha256:` and Nix's digits, as Nix signs it.
impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm.name(), nix32(&self.bytes))
    }
}

fn base16(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks_exact(2);
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Digits for so many bytes, 5 bits each.
fn nix32_length(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Bytes in Nix's base 32: the last byte's lowest bits come last.
pub fn nix32(bytes: &[u8]) -> String {
    let digit = |index: usize| {
        let (byte, shift) = (index * 5 / 8, index * 5 % 8);
        let low = u16::from(bytes[byte]);
        let high = u16::from(bytes.get(byte + 1).copied().unwrap_or(0));
        char::from(NIX32[usize::from((high << 8 | low) >> shift & 31)])
    };
    (0..nix32_length(bytes.len())).rev().map(digit).collect()
}

/// The bytes that Nix's base 32 stands for; `None` if a digit is none of its, or
/// if bits are set that no byte has.
fn from_nix32(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0_u8; digits.len() * 5 / 8];
    for (index, digit) in digits.bytes().rev().enumerate() {
        let value = u16::try_from(NIX32.iter().position(|&known| known == digit)?).ok()?;
        let (byte, shift) = (index * 5 / 8, index * 5 % 8);
        let [low, high] = (value << shift).to_le_bytes();
        *bytes.get_mut(byte)? |= low;
        match bytes.get_mut(byte + 1) {
            Some(next) => *next |= high,
            None if high != 0 => return None,
            None => {}
        }
    }
    Some(bytes)
}

/// Whether a byte is one of Nix's 32 digits.
pub(crate) fn is_nix32(byte: u8) -> bool {
    NIX32.contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Algorithm, Hash, from_nix32, nix32};

    /// From the Nix manual: `nix-hash --flat --type sha256` of a file `test`.
    const BASE16: &str = "sha256:f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2";
    const SRI: &str = "sha256-8sobtsfpB9Btr+Roflefznazfk6Tt2BQItpS5szCb9I=";
    const NIX32: &str = "sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj";

    #[test]
    fn four_ways_to_write_one_hash() {
        let hash = Hash::sha256(b"test\n");
        let base64 = SRI.replacen('-', ":", 1);
        for text in [BASE16, &BASE16.replace("sha256:f2", "sha256:F2"), SRI, NIX32, &base64] {
            assert_eq!(Hash::parse(text).as_ref(), Some(&hash), "{text}");
        }
        assert_eq!(hash.to_string(), NIX32);
        assert_eq!(hash.base16(), BASE16);
    }

    #[test]
    fn what_is_no_hash() {
        let digits = NIX32.strip_prefix("sha256:").expect("the prefix");
        for text in [
            digits,
            "",
            "sha256:",
            "sha257:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj",
            "sha256:1lkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjp",
            "sha256:elkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj",
            "sha256:zlkgqb6fclns49861dwk9rzb6xnfkxbpws74mxnx01z9qyv1pjpj",
            "sha256-8sobtsfpB9Btr+Roflefznazfk6Tt2BQItpS5szCbw==",
            "sha256:é2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da52e6ccc26fd2",
        ] {
            assert_eq!(Hash::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nix32_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(from_nix32(&nix32(&bytes)), Some(bytes));
        }

        #[test]
        fn every_algorithm_round_trips(bytes in prop::collection::vec(any::<u8>(), 64)) {
            for algorithm in
                [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
            {
                let hash = Hash { algorithm, bytes: bytes[..algorithm.size()].to_vec() };
                prop_assert_eq!(Hash::parse(&hash.to_string()), Some(hash.clone()));
                prop_assert_eq!(Hash::parse(&hash.base16()), Some(hash));
            }
        }

        #[test]
        fn never_panics(text in "(sha256|sha1|md5)[:-].*") {
            let _ = Hash::parse(&text);
        }
    }
}
