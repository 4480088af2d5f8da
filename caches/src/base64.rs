//! Base64 as Nix reads it, which is more than RFC 4648 allows.
//!
//! Source: `base64Decode` in Nix's libutil, the same in 2.8, 2.26 and 2.34 (held
//! by the edge cases that those were asked about).

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes a text stands for: it ends at the first `=`, whatever follows;
/// newlines count for nothing, and bits that make no whole byte are dropped.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.split('=').next()?;
    let mut digits: Vec<u8> = text.bytes().filter(|&byte| byte != b'\n').collect();
    if digits.len() % 4 == 1 {
        // Six bits at the end make no byte, but must be a digit all the same.
        let last = digits.pop()?;
        ENGINE.decode([last, b'A']).ok()?;
    }
    ENGINE.decode(digits).ok()
}

/// The text for some bytes, padded.
pub fn encode(bytes: &[u8]) -> String {
    ENGINE.encode(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{decode, encode};

    #[test]
    fn more_is_read_than_is_written() {
        for text in ["Zm9v", "Zm\n9v", "Zm9v=junk,", "Zm9v====", "Zm9vA"] {
            assert_eq!(decode(text).as_deref(), Some(&b"foo"[..]), "{text}");
        }
        assert_eq!(decode("Zm8").as_deref(), Some(&b"fo"[..]), "no padding");
        assert_eq!(decode("Zm9=").as_deref(), Some(&b"fo"[..]), "bits left over");
        assert_eq!(decode("=").as_deref(), Some(&b""[..]));
        for bad in ["Zm 9v", "Zm9v!", "Zm_v", "Zm9v\r", "Zm9v!=", "Zm9v-"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = decode(&text);
        }
    }
}
