//! What keeps a machine from fetching anything.

use detect::hardware::Nix;
use serde_json::Value;

use super::Cause;
use crate::key::PublicKey;

/// A setting that is on or off; `None` when Nix did not say.
pub(super) fn is_on(nix: Option<&Nix>, name: &str) -> Option<bool> {
    nix?.settings.get(name)?.as_bool()
}

/// What is in the way of every path.
pub fn obstacles(nix: Option<&Nix>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut add = |why: &str, fix: &str| {
        causes.push(Cause { why: why.to_owned(), fix: Some(fix.to_owned()) });
    };
    if is_on(nix, "substitute") == Some(false) {
        add("substitute = false: Nix asks no cache", "set substitute = true");
    }
    let list = |name: &str| nix.and_then(|nix| nix.settings.get(name)).and_then(Value::as_array);
    if list("substituters").is_some_and(Vec::is_empty) {
        add("substituters is empty: Nix asks no cache", "set substituters to the caches to ask");
    }
    let keys = list("trusted-public-keys").into_iter().flatten().filter_map(Value::as_str);
    for (index, key) in keys.enumerate() {
        // What it says is not repeated: it may be a secret.
        if let Err(why) = PublicKey::parse(key) {
            let number = index + 1;
            add(
                &format!("key {number} in trusted-public-keys is {why}: every Nix command ends"),
                &format!("take key {number} out of trusted-public-keys, or mend it"),
            );
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use detect::hardware::Nix;
    use serde_json::json;

    use super::obstacles;

    #[test]
    fn settings_that_forbid_everything() {
        assert_eq!(obstacles(None), []);
        let mut nix = Nix::default();
        nix.settings.insert("substitute".to_owned(), json!(false));
        nix.settings.insert("substituters".to_owned(), json!([]));
        nix.settings.insert("trusted-public-keys".to_owned(), json!(["a:SECRET"]));
        let found = obstacles(Some(&nix));
        assert_eq!(found.len(), 3);
        assert!(found[2].why.contains("key 1"), "{}", found[2].why);
        assert!(!found[2].why.contains("SECRET"));
    }
}
