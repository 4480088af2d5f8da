//! narinfo: what a cache says of a store path.
//!
//! Read by Nix's own rules, byte for byte (`NarInfo::NarInfo` in libstore's
//! nar-info.cc, the same from 2.8 to 2.34 but for signatures, where we follow
//! 2.34): what Nix would refuse is malformed, and what it would accept is not,
//! however it looks.

use std::collections::BTreeSet;
use std::fmt;

use crate::content::ContentAddress;
use crate::hash::Hash;
use crate::key::Signature;
use crate::path::StorePath;

/// The largest narinfo read. The largest known has 45,000 references in 1.8 MB.
pub const LARGEST_BYTES: usize = 4 << 20;

/// What a cache says of a store path. Only `path`, `nar_hash`, `nar_size_bytes`
/// and `references` are signed; nothing else is proven by a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NarInfo {
    /// The path.
    pub path: StorePath,
    /// Where its archive is, relative to the cache's root or absolute.
    pub url: String,
    /// How the archive is compressed; `bzip2` where it does not say.
    pub compression: String,
    /// Hash of the archive as it is served.
    pub file_hash: Option<Hash>,
    /// Size of the archive as it is served; `None` when it does not say or says 0.
    pub file_size_bytes: Option<u64>,
    /// Hash of the archive unpacked.
    pub nar_hash: Hash,
    /// Size of the archive unpacked, never 0.
    pub nar_size_bytes: u64,
    /// What the path needs at run time, in the order in which it is signed.
    pub references: BTreeSet<StorePath>,
    /// Whether they stood in that order and once each; other clients than Nix
    /// take them as they stand.
    pub is_sorted: bool,
    /// The derivation it was built by.
    pub deriver: Option<StorePath>,
    /// Who says so.
    pub signatures: Vec<Signature>,
    /// How its contents make its path.
    pub content_address: Option<ContentAddress>,
}

/// Why a text is no narinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1; `None` when something is missing as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "line {line}: {}", self.why),
            None => formatter.write_str(&self.why),
        }
    }
}

impl std::error::Error for Malformed {}

/// Fields as they come; those that must be there are checked at the end.
#[derive(Default)]
struct Fields {
    path: Option<StorePath>,
    url: String,
    compression: String,
    file_hash: Option<Hash>,
    file_size: u64,
    nar_hash: Option<Hash>,
    nar_size: u64,
    references: Vec<StorePath>,
    deriver: Option<StorePath>,
    signatures: Vec<Signature>,
    content_address: Option<ContentAddress>,
}

impl NarInfo {
    /// Read a narinfo of a store at this place.
    pub fn parse(text: &[u8], store_dir: &str) -> Result<Self, Malformed> {
        let missing = |why: &str| Malformed { line: None, why: why.to_owned() };
        if text.len() > LARGEST_BYTES {
            return Err(missing("larger than 4 MiB"));
        }
        let mut fields = Fields::default();
        let mut rest = text;
        let mut line = 1;
        while !rest.is_empty() {
            let corrupt = |why: String| Malformed { line: Some(line), why };
            // A name goes on over line ends up to the next colon, so that a line
            // without one spoils the next.
            let Some(colon) = rest.iter().position(|&byte| byte == b':') else {
                return Err(corrupt("no colon".to_owned()));
            };
            // The byte after the colon is not looked at, even if it ends the line.
            let value = rest.get(colon + 2..).unwrap_or_default();
            let Some(end) = value.iter().position(|&byte| byte == b'\n') else {
                return Err(corrupt("no newline at its end".to_owned()));
            };
            let text = String::from_utf8_lossy(&value[..end]);
            fields.set(&rest[..colon], &text, store_dir).map_err(corrupt)?;
            rest = &value[end + 1..];
            line += 1;
        }
        fields.finish().map_err(missing)
    }

    /// What a signature signs.
    pub fn fingerprint(&self, store_dir: &str) -> String {
        let references = self.references.iter().map(|path| format!("{store_dir}/{path}"));
        format!(
            "1;{store_dir}/{};{};{};{}",
            self.path,
            self.nar_hash,
            self.nar_size_bytes,
            references.collect::<Vec<_>>().join(",")
        )
    }
}

impl Fields {
    /// Take one field. Of most a later one replaces an earlier one.
    fn set(&mut self, name: &[u8], value: &str, store_dir: &str) -> Result<(), String> {
        match name {
            b"StorePath" => self.path = Some(StorePath::parse_full(value, store_dir)?),
            b"URL" => value.clone_into(&mut self.url),
            b"Compression" => value.clone_into(&mut self.compression),
            b"FileHash" => self.file_hash = Some(hash(value, "FileHash")?),
            b"FileSize" => self.file_size = size(value, "FileSize")?,
            b"NarHash" => self.nar_hash = Some(hash(value, "NarHash")?),
            b"NarSize" => self.nar_size = size(value, "NarSize")?,
            b"References" => {
                if !self.references.is_empty() {
                    return Err("a second References".to_owned());
                }
                let words = value.split(' ').filter(|word| !word.is_empty());
                self.references = words.map(StorePath::parse).collect::<Result<_, _>>()?;
            }
            b"Deriver" if value == "unknown-deriver" => {}
            b"Deriver" => self.deriver = Some(StorePath::parse(value)?),
            b"Sig" => match Signature::parse(value) {
                Some(signature) => self.signatures.push(signature),
                None => return Err("Sig: not of the form NAME:BASE64".to_owned()),
            },
            b"CA" => {
                if self.content_address.is_some() {
                    return Err("a second CA".to_owned());
                }
                self.content_address = ContentAddress::parse_optional(value)
                    .ok_or_else(|| "CA: no content address".to_owned())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<NarInfo, &'static str> {
        if self.url.is_empty() {
            return Err("URL: missing");
        }
        if self.nar_size == 0 {
            return Err("NarSize: missing");
        }
        Ok(NarInfo {
            path: self.path.ok_or("StorePath: missing")?,
            url: self.url,
            compression: match self.compression.as_str() {
                "" => "bzip2".to_owned(),
                _ => self.compression,
            },
            file_hash: self.file_hash,
            file_size_bytes: (self.file_size > 0).then_some(self.file_size),
            nar_hash: self.nar_hash.ok_or("NarHash: missing")?,
            nar_size_bytes: self.nar_size,
            is_sorted: self.references.is_sorted_by(|a, b| a < b),
            references: self.references.into_iter().collect(),
            deriver: self.deriver,
            signatures: self.signatures,
            content_address: self.content_address,
        })
    }
}

fn hash(text: &str, name: &str) -> Result<Hash, String> {
    Hash::parse(text).ok_or_else(|| format!("{name}: no hash"))
}

/// Digits, perhaps with a plus before them.
fn size(text: &str, name: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{name}: no size"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::NarInfo;

    const TEXT: &str = "\
StorePath: /nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a
URL: nar/x.nar.xz
Compression: xz
FileSize: 100
NarHash: sha256:0k4g5xc97sj9ana6anjwibzx00wpszg959bxhbva99mwk4001dxf
NarSize: 120
References: d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-r2 cm0mlfk05405kd64my5h93x7m2r677g4-r3
Sig: a:AAAA
";

    fn parse(text: &str) -> Result<NarInfo, String> {
        NarInfo::parse(text.as_bytes(), "/nix/store").map_err(|error| error.to_string())
    }

    fn why(from: &str, to: &str) -> String {
        assert!(TEXT.contains(from), "{from}");
        parse(&TEXT.replacen(from, to, 1)).expect_err(to)
    }

    #[test]
    fn what_is_signed() {
        let info = parse(TEXT).expect("a narinfo");
        assert!(!info.is_sorted);
        assert_eq!(
            info.fingerprint("/nix/store"),
            "1;/nix/store/ibzx00wpszg959bxhbva99mwk4001dxf-a;\
             sha256:0k4g5xc97sj9ana6anjwibzx00wpszg959bxhbva99mwk4001dxf;120;\
             /nix/store/cm0mlfk05405kd64my5h93x7m2r677g4-r3,\
             /nix/store/d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-r2"
        );
        let alone = TEXT.replace(
            " d1hcb8w319vv6r4vk2j22wlmmw0zsxyv-r2 cm0mlfk05405kd64my5h93x7m2r677g4-r3",
            " ",
        );
        let alone = parse(&alone).expect("a narinfo");
        assert!(alone.fingerprint("/nix/store").ends_with(";120;"));
    }

    #[test]
    fn what_nix_takes_however_it_looks() {
        for (from, to) in [
            ("NarSize: 120", "NarSize:x0120"),
            ("NarSize: 120", "NarSize: +120"),
            ("Compression: xz\n", ""),
            ("Compression: xz", "Compression: nonsense"),
            ("FileSize", "Filesize"),
            ("Compression: xz", "Compression: xz\nDeriver: unknown-deriver"),
            ("References: d1", "References:   d1"),
            ("NarSize", "CA: \nNarSize"),
            ("StorePath: /", "StorePath: /nix/../"),
        ] {
            assert!(TEXT.contains(from), "{from}");
            let info = parse(&TEXT.replacen(from, to, 1)).expect(to);
            assert_eq!(info.nar_size_bytes, 120);
        }
        let twice = format!("{TEXT}NarSize: 7\n");
        assert_eq!(parse(&twice).expect("the last one").nar_size_bytes, 7);
        let unset = TEXT.replace("Compression: xz\n", "");
        assert_eq!(parse(&unset).expect("the default").compression, "bzip2");
    }

    #[test]
    fn what_nix_refuses() {
        assert_eq!(parse(""), Err("URL: missing".to_owned()));
        assert_eq!(why("NarSize: 120", "NarSize:\n"), "line 6: NarSize: no size");
        assert_eq!(why("NarSize: 120", "NarSize:  120"), "line 6: NarSize: no size");
        assert_eq!(why("NarSize: 120", "NarSize: 120\r"), "line 6: NarSize: no size");
        assert_eq!(why("NarSize: 120", "NarSize: 0"), "NarSize: missing");
        assert_eq!(why("NarSize: 120", "NarSize: -1"), "line 6: NarSize: no size");
        assert_eq!(why("NarHash", "\nNarHash"), "NarHash: missing", "a blank line");
        assert_eq!(why("URL", "\u{feff}URL"), "URL: missing");
        assert_eq!(why("Sig: a:AAAA\n", "Sig: a:AAAA"), "line 8: no newline at its end");
        assert_eq!(why("Sig: a:AAAA\n", "<html>"), "line 8: no colon");
        assert_eq!(why("AAAA", "A A"), "line 8: Sig: not of the form NAME:BASE64");
        assert_eq!(why("Sig: a:AAAA", "Sig: "), "line 8: Sig: not of the form NAME:BASE64");
        assert_eq!(why("/nix/", "/gnu/").split(' ').next(), Some("line"));
        let twice = why("Sig", "References: cm0mlfk05405kd64my5h93x7m2r677g4-r3\nSig");
        assert_eq!(twice, "line 8: a second References");
        let large = TEXT.replace("xz", &"x".repeat(4 << 20));
        assert_eq!(parse(&large).expect_err("large"), "larger than 4 MiB");
    }

    proptest! {
        #[test]
        fn never_panics(
            at in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..9),
            skip in 0_usize..9,
        ) {
            let at = at.index(TEXT.len());
            let mut text = TEXT.as_bytes()[..at].to_vec();
            text.extend(junk);
            text.extend(TEXT.as_bytes().iter().skip(at + skip));
            if let Ok(info) = NarInfo::parse(&text, "/nix/store") {
                let _ = info.fingerprint("/nix/store");
            }
        }
    }
}
