//! Secrets that somebody put into settings that everybody may see.

use std::collections::BTreeMap;

use serde_json::Value;

use super::SECRET;

/// Digits of a public key, 32 bytes, without the sign that fills them up.
const PUBLIC_KEY_DIGITS: usize = 43;

/// Settings with keys that are longer than any public one by their names alone,
/// and addresses without what they log in with.
pub(super) fn removed(mut settings: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    for name in ["substituters", "trusted-substituters"] {
        let Some(Value::Array(urls)) = settings.get_mut(name) else { continue };
        for url in urls {
            if let Some(shown) = url.as_str().and_then(without_login) {
                *url = shown.into();
            }
        }
    }
    if let Some(Value::Array(keys)) = settings.get_mut("trusted-public-keys") {
        for key in keys {
            let Some(text) = key.as_str() else { continue };
            let (name, digits) = text.split_once(':').unwrap_or(("", text));
            if is_secret(digits) {
                *key = format!("{name}:{SECRET}").into();
            }
        }
    }
    settings
}

/// Whether these are too many digits for a public key. Nix reads up to the first
/// `=`, so that keys with commas between them do for the first; but what follows
/// may still be another's secret.
fn is_secret(digits: &str) -> bool {
    let (read, rest) = digits.split_once('=').unwrap_or((digits, ""));
    let mut runs = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/');
    read.len() > PUBLIC_KEY_DIGITS || runs.any(|run| run.len() > PUBLIC_KEY_DIGITS)
}

/// An address without the password in it; without the user too where that may be
/// a token, which is anywhere but in `ssh://user@host`. `None` when it has neither.
pub fn without_login(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (login, _) = authority.rsplit_once('@')?;
    let after = &rest[login.len()..];
    match login.split_once(':') {
        Some((user, _)) => Some(format!("{scheme}://{user}:{SECRET}{after}")),
        None if scheme.starts_with("ssh") => None,
        None => Some(format!("{scheme}://{SECRET}{after}")),
    }
}

#[cfg(test)]
mod tests {
    use super::removed;

    #[test]
    fn a_secret_key_is_not_passed_on() {
        let public = "a-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
        let secret = "x".repeat(88);
        let (list, bad) = (format!("{public},{public}"), format!("{public},b-1:{secret}"));
        let keys = serde_json::json!([public, list, bad, format!("b-1:{secret}"), secret, 1]);
        let settings = [("trusted-public-keys".to_owned(), keys)].into();
        let found = removed(settings).remove("trusted-public-keys");
        let kept = serde_json::json!([public, list, "a-1:SECRET", "b-1:SECRET", ":SECRET", 1]);
        assert_eq!(found, Some(kept));
    }

    #[test]
    fn what_an_address_logs_in_with_is_not_passed_on() {
        let shown = |url: &str| {
            let settings = [("substituters".to_owned(), serde_json::json!([url]))].into();
            removed(settings).remove("substituters").expect("kept")[0].clone()
        };
        assert_eq!(shown("https://me:p@ss@a.example/x"), "https://me:SECRET@a.example/x");
        assert_eq!(shown("https://token@a.example"), "https://SECRET@a.example");
        for public in ["https://a.example/@x", "https://a.example?x=me:you@b", "ssh://me@a.example"]
        {
            assert_eq!(shown(public), public);
        }
    }
}
