//! What share of some paths each cache has, and all of them together.
//!
//! **Invariant:** a path counts as covered only when Nix would take it from
//! there: its narinfo is one, is for that path, and is signed by a trusted key
//! or needs no signature.

use anstyle::{AnsiColor, Style};
use detect::number::Version;
use schemars::JsonSchema;
use serde::Serialize;

/// What share of some paths each cache has.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Coverage {
    /// Version of this document's format.
    pub version: Version<1>,
    /// Paths that were asked for.
    pub paths: usize,
    /// Whether these are all that was meant: what a path needs is unknown when it
    /// is in no cache and not in the store.
    pub is_complete: bool,
    /// Each cache, in the order in which they were asked.
    pub caches: Vec<Share>,
    /// All caches together.
    pub union: Union,
    /// Paths that no cache has.
    pub missing: Vec<String>,
}

/// What one cache has.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Share {
    /// Where it is, without credentials.
    pub url: String,
    /// Paths that Nix would take from it.
    pub covered: usize,
    /// Paths that only this one of the caches covers.
    pub unique: usize,
    /// Paths that it has, but that Nix would not take: no trusted key signed them.
    pub untrusted: usize,
    /// Paths that it has not.
    pub missing: usize,
    /// Paths that it gave no answer for.
    pub failed: usize,
    /// What is wrong with it, or with the first path that is not to be trusted.
    pub why: Option<String>,
    /// To download of it.
    pub download: Size,
    /// To download of it that only it has.
    pub unique_download: Size,
    /// Questions asked, repeated ones too.
    pub requests: usize,
    /// From the first question to the last answer.
    pub elapsed_seconds: f64,
}

/// What all caches have together.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Union {
    /// Paths that Nix would take from one of them.
    pub covered: usize,
    /// To download, each path from the first cache that covers it.
    pub download: Size,
    /// What that is unpacked.
    pub nar_bytes: u64,
}

/// Bytes of which some may not be known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Size {
    /// The bytes that are known.
    pub bytes: u64,
    /// Whether the size of some path is missing, so that it is more than this.
    pub is_least: bool,
}

impl Size {
    fn add(&mut self, bytes: Option<u64>) {
        match bytes {
            Some(bytes) => self.bytes = self.bytes.saturating_add(bytes),
            None => self.is_least = true,
        }
    }
}

/// What a cache said of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cell {
    /// Nothing.
    #[default]
    Failed,
    /// It has it not.
    Missing,
    /// It has it, and Nix would not take it.
    Untrusted,
    /// Nix would take it, and has to download so much, if it says how much.
    Covered(Option<u64>),
}

/// What is known of a cache besides its paths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Where it is, without credentials.
    pub url: String,
    /// By path.
    pub cells: Vec<Cell>,
    /// What is wrong with it.
    pub why: Option<String>,
    /// Questions asked.
    pub requests: usize,
    /// From the first question to the last answer.
    pub elapsed_seconds: f64,
}

impl Coverage {
    /// Sum up what each cache said of each path, and how large it is unpacked.
    pub fn new(paths: &[String], rows: &[Row], nar_bytes: &[u64], is_complete: bool) -> Self {
        let cell = |row: &Row, path: usize| row.cells.get(path).copied().unwrap_or_default();
        let mut shares: Vec<Share> = rows.iter().map(Share::new).collect();
        let mut union = Union { covered: 0, download: Size::default(), nar_bytes: 0 };
        let mut missing = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            let mut covering = Vec::new();
            for (row, share) in rows.iter().zip(&mut shares).enumerate() {
                let (row, (cells, share)) = (row, share);
                match cell(cells, index) {
                    Cell::Failed => share.failed += 1,
                    Cell::Missing => share.missing += 1,
                    Cell::Untrusted => share.untrusted += 1,
                    Cell::Covered(bytes) => {
                        share.covered += 1;
                        share.download.add(bytes);
                        covering.push((row, bytes));
                    }
                }
            }
            let Some(&(first, bytes)) = covering.first() else {
                missing.push(path.clone());
                continue;
            };
            union.covered += 1;
            union.download.add(bytes);
            let unpacked = nar_bytes.get(index).copied().unwrap_or(0);
            union.nar_bytes = union.nar_bytes.saturating_add(unpacked);
            if covering.len() == 1 {
                shares[first].unique += 1;
                shares[first].unique_download.add(bytes);
            }
        }
        Self { version: Version, paths: paths.len(), is_complete, caches: shares, union, missing }
    }

    /// For people: each cache, all together, and perhaps what is missing.
    pub fn table(&self, with_missing: bool) -> String {
        let mut text = String::new();
        let bold = Style::new().bold();
        for share in &self.caches {
            text += &format!("{bold}{}{bold:#}\n", share.url);
            text += &format!(
                "  {} covered ({} of {})",
                self.percent(share.covered),
                share.covered,
                self.paths
            );
            text += &format!(", {} in no other cache\n", share.unique);
            if share.covered > 0 {
                text += &format!("  {} to download", share.download);
                text += &format!(", {} of it in no other cache\n", share.unique_download);
            }
            let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
            if share.untrusted > 0 {
                text += &format!(
                    "  {red}{} there, but not signed by a trusted key{red:#}\n",
                    share.untrusted
                );
            }
            if share.failed > 0 {
                text += &format!("  {red}{} without an answer{red:#}\n", share.failed);
            }
            if let Some(why) = &share.why {
                text += &format!("  {why}\n");
            }
            #[expect(clippy::cast_precision_loss, reason = "a rate, for people")]
            let rate = share.requests as f64 / share.elapsed_seconds.max(1e-6);
            text += &format!(
                "  {} requests in {:.2} s, {rate:.0} a second\n",
                share.requests, share.elapsed_seconds
            );
        }
        let color = if self.is_covered() { AnsiColor::Green } else { AnsiColor::Yellow };
        let color = Style::new().bold().fg_color(Some(color.into()));
        let Union { covered, download, nar_bytes } = self.union;
        text += &format!("{color}{} covered by all together{color:#}", self.percent(covered));
        text += &format!(" ({covered} of {}): {download} to download, ", self.paths);
        text += &format!("{} unpacked\n", mebibytes(nar_bytes));
        if !self.is_complete {
            text += "  at least: what the missing paths need is not known\n";
        }
        if with_missing {
            for path in &self.missing {
                text += &format!("  missing: {path}\n");
            }
        }
        text
    }

    /// What is wrong with the paths that no cache covers. What a cache gave no answer
    /// for, it may have.
    pub fn fault(&self) -> String {
        match self.caches.iter().filter(|share| share.failed > 0).count() {
            0 => "are in no cache".to_owned(),
            failed => format!(
                "are to be had from no cache ({failed} of the caches did not answer for all)"
            ),
        }
    }

    /// Whether Nix has to build none of the paths.
    pub fn is_covered(&self) -> bool {
        self.union.covered == self.paths
    }

    /// Rounded down, so that only all of it is 100 %.
    fn percent(&self, count: usize) -> String {
        let tenths = (count * 1000).checked_div(self.paths).unwrap_or(1000);
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

impl Share {
    fn new(row: &Row) -> Self {
        Self {
            url: row.url.clone(),
            covered: 0,
            unique: 0,
            untrusted: 0,
            missing: 0,
            failed: 0,
            why: row.why.clone(),
            download: Size::default(),
            unique_download: Size::default(),
            requests: row.requests,
            elapsed_seconds: row.elapsed_seconds,
        }
    }
}

/// In MiB, as `guix weather` says it.
impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let least = if self.is_least { "at least " } else { "" };
        write!(formatter, "{least}{}", mebibytes(self.bytes))
    }
}

fn mebibytes(bytes: u64) -> String {
    let tenths = u128::from(bytes) * 10 / (1 << 20);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::Cell::{Covered, Failed, Missing, Untrusted};
    use super::{Cell, Coverage, Row, Size};

    const MIB: u64 = 1 << 20;

    fn coverage(cells: &[&[Cell]]) -> Coverage {
        let rows: Vec<Row> = cells
            .iter()
            .enumerate()
            .map(|(index, cells)| Row {
                url: format!("https://{index}.example"),
                cells: cells.to_vec(),
                elapsed_seconds: 1.0,
                ..Row::default()
            })
            .collect();
        let paths: Vec<String> = (0..4).map(|path| format!("/nix/store/{path}")).collect();
        Coverage::new(&paths, &rows, &[MIB, MIB, MIB, MIB], true)
    }

    #[test]
    fn what_each_has_and_all_together() {
        let found = coverage(&[
            &[Covered(Some(MIB)), Covered(None), Missing, Untrusted],
            &[Covered(Some(2 * MIB)), Missing, Covered(Some(3 * MIB)), Failed],
        ]);
        let size = |bytes, is_least| Size { bytes, is_least };
        let [one, two] = &found.caches[..] else { panic!("two caches") };
        assert_eq!((one.covered, one.unique, one.untrusted, one.missing), (2, 1, 1, 1));
        assert_eq!((one.download, one.unique_download), (size(MIB, true), size(0, true)));
        assert_eq!((two.covered, two.unique, two.failed, two.missing), (2, 1, 1, 1));
        assert_eq!(
            (two.download, two.unique_download),
            (size(5 * MIB, false), size(3 * MIB, false))
        );
        assert_eq!((found.union.covered, found.union.nar_bytes), (3, 3 * MIB));
        assert_eq!(found.union.download, size(4 * MIB, true), "from the first that has it");
        assert_eq!(found.missing, ["/nix/store/3"]);
        assert!(!found.is_covered());
        let text = found.table(true);
        assert!(text.contains("75.0 %"), "{text}");
        assert!(text.contains("at least 4.0 MiB to download, 3.0 MiB unpacked"), "{text}");
        assert!(text.contains("missing: /nix/store/3"), "{text}");
        assert!(!found.table(false).contains("missing: "));
        let fault = "are to be had from no cache (1 of the caches did not answer for all)";
        assert_eq!(found.fault(), fault);
        assert_eq!(coverage(&[&[Missing; 4]]).fault(), "are in no cache");
    }

    #[test]
    fn only_all_is_a_hundred() {
        let all = coverage(&[&[Covered(None); 4]]);
        assert!(all.is_covered() && all.table(false).contains("100.0 %"));
        let paths: Vec<String> = (0..3000).map(|path| path.to_string()).collect();
        let mut cells = vec![Covered(Some(1)); 3000];
        cells[7] = Untrusted;
        let row = Row { cells, ..Row::default() };
        let found = Coverage::new(&paths, &[row], &[], true);
        assert!(found.table(false).contains("99.9 %"), "{}", found.table(false));
        let none = Coverage::new(&[], &[], &[], true);
        assert!(none.is_covered() && none.table(true).contains("100.0 %"));
    }

    #[test]
    fn no_answer_is_not_missing() {
        // A cache that was asked for less than all of it has not said no.
        let found = coverage(&[&[Missing, Missing]]);
        assert_eq!((found.caches[0].missing, found.caches[0].failed), (2, 2));
    }
}
