//! `caches inspect`: what narinfo files prove, without a network.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use profile::plan::Verdict;
use serde::Serialize;

use crate::judge::{Judgement, judge};
use crate::key::Keys;
use crate::narinfo::{LARGEST_BYTES, NarInfo};

/// What a file proves: one JSON object on a line of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// The verdict.
    pub verdict: Inspected,
    /// Why, on one line.
    pub why: String,
}

/// A verdict on a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Inspected {
    /// It is a narinfo.
    Read(Verdict),
    /// Nix would refuse it.
    Malformed(Malformed),
}

/// The verdict `malformed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Malformed {
    /// Nix would refuse it.
    Malformed,
}

impl Finding {
    /// Whether Nix would take the path.
    pub fn is_trusted(&self) -> bool {
        use Inspected::Read;
        matches!(self.verdict, Read(Verdict::Verified | Verdict::ContentAddressed))
    }
}

/// Judge the text of a narinfo.
pub fn inspect(file: &str, text: &[u8], keys: &Keys, store_dir: &str) -> Finding {
    let judged = NarInfo::parse(text, store_dir)
        .map_err(|malformed| malformed.to_string())
        .and_then(|info| judge(&info, keys, store_dir));
    let (verdict, why) = match judged {
        Ok(Judgement { verdict, why, .. }) => (Inspected::Read(verdict), why),
        Err(why) => (Inspected::Malformed(Malformed::Malformed), why),
    };
    Finding { file: file.to_owned(), verdict, why: why.replace(char::is_control, " ") }
}

/// The text of a file, and no more than shows that it is too large.
pub fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST_BYTES as u64 + 1).read_to_end(&mut text)?;
    Ok(text)
}
