//! The builds that Determinate Nix says it is running: a file each in
//! `active-builds`, which it holds locked as long as that is true.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use super::worker::is_store_name;

/// Larger than what it writes about a build.
const LARGEST_BYTES: u64 = 64 << 10;

/// More builds than run at once.
const MOST_FILES: usize = 10_000;

/// What it says about a build.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// The derivation's `HASH-NAME.drv`.
    pub(super) derivation: String,
    pub(super) worker: u32,
    pub(super) client: Option<u32>,
    pub(super) builder: Option<u32>,
    pub(super) user: Option<u32>,
    pub(super) cgroup: Option<String>,
}

/// The builds of a state directory's `active-builds` whose files are locked.
pub(super) fn read(state: &Path, locked: &BTreeSet<u64>) -> Vec<Said> {
    let entries = fs::read_dir(state.join("active-builds")).into_iter().flatten().flatten();
    let said = entries.take(MOST_FILES).filter_map(|entry| {
        let file = File::open(entry.path()).ok()?;
        locked.contains(&file.metadata().ok()?.ino()).then_some(())?;
        let mut text = Vec::new();
        file.take(LARGEST_BYTES).read_to_end(&mut text).ok()?;
        parse(&text)
    });
    said.collect()
}

/// Parse a file. Fields may come and go (NixOS/nix#15979 is not yet merged), so
/// that what is missing is unknown.
fn parse(text: &[u8]) -> Option<Said> {
    let said: Value = serde_json::from_slice(text).ok()?;
    let number = |value: &Value| value.as_u64()?.try_into().ok();
    let derivation = said["derivation"].as_str()?;
    let derivation = derivation.rsplit_once('/').map_or(derivation, |(_, name)| name);
    let user = &said["mainUser"];
    Some(Said {
        derivation: Some(derivation).filter(|name| is_store_name(name))?.to_owned(),
        worker: number(&said["nixPid"])?,
        client: number(&said["clientPid"]),
        builder: number(&said["mainPid"]),
        user: number(user).or_else(|| number(&user["uid"])),
        cgroup: said["cgroup"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::{Said, parse};

    #[test]
    fn what_is_missing_is_unknown() {
        let derivation = "bbc3whrs7smbl8j4lvn7dm50p9035nk7-liba-1.0.drv";
        let text = format!(
            r#"{{"nixPid": 7, "clientPid": 6, "clientUid": 1000, "mainPid": 9, "startTime": 1,
                "mainUser": {{"uid": 999, "name": "nixbld1"}}, "cgroup": "/a", "x": [],
                "derivation": "{derivation}"}}"#
        );
        let expected = Said {
            derivation: derivation.to_owned(),
            worker: 7,
            client: Some(6),
            builder: Some(9),
            user: Some(999),
            cgroup: Some("/a".to_owned()),
        };
        assert_eq!(parse(text.as_bytes()), Some(expected.clone()));
        let text = format!(r#"{{"nixPid": 7, "derivation": "/nix/store/{derivation}"}}"#);
        let bare = Said { client: None, builder: None, user: None, cgroup: None, ..expected };
        assert_eq!(parse(text.as_bytes()), Some(bare));
        for text in ["", "7", r#"{"nixPid": 7, "derivation": "x"}"#, r#"{"nixPid": -1}"#] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
