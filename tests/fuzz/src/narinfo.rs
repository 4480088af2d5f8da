//! narinfos as Nix would write them, and keys to sign them with.

use caches::base64;
use caches::key::{PublicKey, Signature};
use caches::narinfo::NarInfo;
use ed25519_dalek::{Signer, SigningKey};

/// The store that they are of.
pub const STORE: &str = "/nix/store";

/// A narinfo in the order and the digits in which Nix writes it.
pub fn written(info: &NarInfo) -> String {
    let mut text = format!("StorePath: {STORE}/{}\nURL: {}\n", info.path, info.url);
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name}: {value}\n"));
    line("Compression", &info.compression);
    if let Some(hash) = &info.file_hash {
        line("FileHash", &hash.to_string());
    }
    if let Some(size) = info.file_size_bytes {
        line("FileSize", &size.to_string());
    }
    line("NarHash", &info.nar_hash.to_string());
    line("NarSize", &info.nar_size_bytes.to_string());
    let references: Vec<String> = info.references.iter().map(ToString::to_string).collect();
    line("References", &references.join(" "));
    if let Some(deriver) = &info.deriver {
        line("Deriver", &deriver.to_string());
    }
    for Signature { name, bytes } in &info.signatures {
        // Of no bytes at all there would be nothing to write.
        let digits = if bytes.is_empty() { "=".to_owned() } else { base64::encode(bytes) };
        line("Sig", &format!("{name}:{digits}"));
    }
    if let Some(address) = &info.content_address {
        line("CA", &address.to_string());
    }
    text
}

/// A secret key, the same each time.
fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

/// A key's public half, by any name.
pub fn key(name: &str, seed: u8) -> PublicKey {
    let public = base64::encode(secret(seed).verifying_key().as_bytes());
    PublicKey::parse(&format!("{name}:{public}")).expect("a key")
}

/// A signature by the key `a`.
pub fn sign(text: &str, seed: u8) -> Signature {
    let bytes = secret(seed).sign(text.as_bytes()).to_bytes().to_vec();
    Signature { name: "a".to_owned(), bytes }
}

/// Keys by the names of those that signed, to have each signature looked at.
pub fn keys(info: &NarInfo) -> Vec<PublicKey> {
    let names = info.signatures.iter().map(|signature| signature.name.as_str());
    names.map(|name| key(name, 1)).collect()
}
