//! Caches that only Nix speaks to: `ssh-ng://`, `ssh://`, `s3://`.
//!
//! The installed Nix asks, and we judge: what it prints of a path has all that a
//! signature signs.
//!
//! **Invariant:** an address, wherever it came from, makes Nix run nothing but
//! `ssh` to the host that it names.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::client::Trouble;
use crate::content::ContentAddress;
use crate::hash::Hash;
use crate::key::Signature;
use crate::narinfo::{LARGEST_BYTES, NarInfo};
use crate::path::StorePath;

/// Schemes that are asked, with the parameters that they may have. Others, like
/// `remote-program`, decide what is run.
const SCHEMES: [(&str, &[&str]); 3] =
    [("s3", &["region", "endpoint", "scheme", "profile"]), ("ssh", &[]), ("ssh-ng", &[])];

/// Parameters of every scheme, which only say when a cache is asked.
const COMMON: [&str; 2] = ["priority", "want-mass-query"];

/// No question of ours may be asked back on a terminal, nor wait for long.
const SSH: &str = "-oBatchMode=yes -oConnectTimeout=5";

/// The most that Nix may complain.
const LONGEST_ERROR: u64 = 64 << 10;

/// Let Nix ask a store for a path. `shown` is its address as people may see it.
pub(crate) async fn ask(
    address: &str,
    shown: &str,
    path: &StorePath,
    store_dir: &str,
    deadline: Instant,
) -> Result<(NarInfo, Duration), Trouble> {
    check(address).map_err(Trouble::Unreachable)?;
    let began = Instant::now();
    let full = format!("{store_dir}/{path}");
    let options = std::env::var("NIX_SSHOPTS").unwrap_or_default();
    let mut child = Command::new("nix")
        .args(["--extra-experimental-features", "nix-command"])
        // What Nix remembers is not what the cache has.
        .args(["--option", "narinfo-cache-positive-ttl", "0"])
        .args(["--option", "narinfo-cache-negative-ttl", "0"])
        .args(["--option", "connect-timeout", "5"])
        .args(["path-info", "--json", "--store", address, &full])
        .env("NIX_SSHOPTS", format!("{options} {SSH}").trim_start())
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| Trouble::Unreachable(format!("only Nix speaks this: nix: {error}")))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let run = async {
        let output =
            tokio::join!(all(stdout, LARGEST_BYTES as u64 * 2), all(stderr, LONGEST_ERROR));
        (child.wait().await, output)
    };
    let Ok((status, (output, errors))) = timeout_at(deadline, run).await else {
        return Err(Trouble::Silent(began.elapsed().as_secs()));
    };
    if !status.is_ok_and(|status| status.success()) {
        let error = complaint(&errors, address, shown);
        // 2.8 has no other way to say so.
        if error.contains("is not valid") {
            return Err(Trouble::Missing(404));
        }
        return Err(Trouble::Unreachable(error));
    }
    match parse(&output, path, &full, store_dir) {
        Ok(Some(info)) => Ok((info, began.elapsed())),
        Ok(None) => Err(Trouble::Missing(404)),
        Err(why) => Err(Trouble::Broken(why)),
    }
}

/// Whether an address may be given to Nix.
fn check(address: &str) -> Result<(), String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let scheme = SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme());
    let Some((_, parameters)) = scheme else {
        return Err(format!("{}:// is not asked", url.scheme()));
    };
    let user_and_host = format!("{}@{}", url.username(), url.host_str().unwrap_or_default());
    if user_and_host.split('@').any(|part| part.starts_with('-')) || url.host_str().is_none() {
        return Err("its host is none".to_owned());
    }
    let allowed = |name: &str| parameters.contains(&name) || COMMON.contains(&name);
    match url.query_pairs().find(|(name, _)| !allowed(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            Err(format!("it is not asked with the parameter {name:?}"))
        }
    }
}

async fn all(source: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(source) = source {
        // What came before an error says more than nothing.
        let _ = source.take(most).read_to_end(&mut text).await;
    }
    text
}

/// The last error that Nix printed, without what is nobody's business.
fn complaint(errors: &[u8], address: &str, shown: &str) -> String {
    let errors = String::from_utf8_lossy(errors).replace(address, shown);
    let mut lines = errors.lines().rev();
    let line = lines.find_map(|line| line.trim().strip_prefix("error:")).unwrap_or_default();
    let line: String = line.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    if line.is_empty() { "Nix failed, and did not say why".to_owned() } else { line }
}

/// What Nix printed of a path: in a list up to 2.18, in a map since; nothing
/// when the store does not have it.
fn parse(
    text: &[u8],
    path: &StorePath,
    full: &str,
    store_dir: &str,
) -> Result<Option<NarInfo>, String> {
    let found: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let found = match &found {
        Value::Array(list) => list.iter().find(|found| found["path"] == full),
        Value::Object(map) => map.get(full).or_else(|| map.get(&path.to_string())),
        _ => None,
    };
    let Some(found) = found else { return Err(format!("nothing is said of {path}")) };
    if found.is_null() || found["valid"] == false {
        return Ok(None);
    }
    let texts = |name: &str| -> Result<Vec<&str>, String> {
        match &found[name] {
            Value::Null => Ok(Vec::new()),
            Value::Array(words) => {
                let words = words.iter().map(|word| word.as_str());
                words.collect::<Option<_>>().ok_or_else(|| format!("{name}: no list of words"))
            }
            _ => Err(format!("{name}: no list")),
        }
    };
    let reference = |text: &str| {
        if text.starts_with('/') {
            StorePath::parse_full(text, store_dir)
        } else {
            StorePath::parse(text)
        }
    };
    let references = texts("references")?.into_iter().map(reference).collect::<Result<_, _>>()?;
    let signatures = texts("signatures")?.into_iter();
    let signatures = signatures.map(Signature::parse).collect::<Option<_>>();
    let content_address = match &found["ca"] {
        Value::String(text) => ContentAddress::parse_optional(text).ok_or("ca: none")?,
        _ => None,
    };
    Ok(Some(NarInfo {
        path: path.clone(),
        url: String::new(),
        compression: "none".to_owned(),
        file_hash: None,
        file_size_bytes: None,
        nar_hash: found["narHash"].as_str().and_then(Hash::parse).ok_or("narHash: no hash")?,
        nar_size_bytes: found["narSize"].as_u64().ok_or("narSize: no size")?,
        references,
        // Nix sorts them itself.
        is_sorted: true,
        deriver: None,
        signatures: signatures.ok_or("signatures: not of the form NAME:BASE64")?,
        content_address,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{check, complaint, parse};
    use crate::path::StorePath;

    const NAME: &str = "ibzx00wpszg959bxhbva99mwk4001dxf-a";
    const HASH: &str = "sha256-8p5xZKCwQ7ZX6DRQ0kSkNXJFUYtJvTq3rOBD8yOM3XE=";

    fn read(text: &str) -> Result<Option<String>, String> {
        let path = StorePath::parse(NAME).expect(NAME);
        let found = parse(text.as_bytes(), &path, &format!("/nix/store/{NAME}"), "/nix/store");
        found.map(|info| info.map(|info| info.fingerprint("/nix/store")))
    }

    #[test]
    fn each_release_says_it_in_its_own_way() {
        let facts = format!(r#""narHash": "{HASH}", "narSize": 120, "signatures": ["a:AAAA"]"#);
        let full = format!("/nix/store/{NAME}");
        let old = read(&format!(r#"[{{"path": "{full}", {facts}, "references": ["{full}"]}}]"#));
        let map = read(&format!(r#"{{"{full}": {{{facts}, "references": ["{full}"]}}}}"#));
        let new = read(&format!(r#"{{"{NAME}": {{{facts}, "references": ["{NAME}"]}}}}"#));
        let found = old.expect("a path").expect("known");
        assert!(found.ends_with(&format!(";120;{full}")), "{found}");
        assert_eq!(map, Ok(Some(found.clone())));
        assert_eq!(new, Ok(Some(found)));
        assert_eq!(read(&format!(r#"[{{"path": "{full}", "valid": false}}]"#)), Ok(None));
        assert_eq!(read(&format!(r#"{{"{full}": null}}"#)), Ok(None));
        for bad in ["", "1", "[]", "{}", &format!(r#"{{"{full}": {{}}}}"#)] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_nix_is_asked_for() {
        for good in [
            "ssh-ng://me@host",
            "ssh://host",
            "ssh-ng://host?priority=5",
            "s3://bucket?region=eu-west-1&endpoint=a.example&scheme=https&profile=me",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "ssh-ng://host?remote-program=sh",
            "ssh-ng://-oProxyCommand=x",
            "ssh://-a@host",
            "ssh-ng://host?ssh-key=/etc/shadow",
            "unix:///run/socket",
            "local://",
            "dummy://",
            "ssh-ng://",
            "s3://b?secret-key=/root/key",
            "s3://b?log-compression=xz",
            "x",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn complaints_are_short_and_hold_no_secret() {
        let address = "s3://bucket?profile=secret";
        let errors = format!("warning: x\nerror: \n   error: {address}: AccessDenied\x1b[0m\n");
        let found = complaint(errors.as_bytes(), address, "s3://bucket");
        assert_eq!(found, "s3://bucket: AccessDenied[0m");
        assert!(complaint(b"", address, "").starts_with("Nix failed"));
        assert_eq!(
            complaint(format!("error: {}", "x".repeat(999)).as_bytes(), "a", "b").len(),
            200
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[{]?.*", address in "(ssh|s3)://.*") {
            let _ = read(&text);
            let _ = check(&address);
        }
    }
}
