//! What is measured, and how precisely.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use crate::compared::What;
use crate::pairs::Rules;
use crate::random;
use crate::subject::{Source, Wish};
use crate::synthetic::{Scale, Shape};

/// What is measured.
#[derive(Args, Debug)]
pub struct Work {
    /// An expression in a file
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["installable", "synthetic"])]
    pub file: Option<PathBuf>,

    /// An attribute of it
    #[arg(short = 'A', long, value_name = "ATTR", requires = "file")]
    pub attr: Option<String>,

    /// A graph of builds that needs nothing but Nix
    #[arg(long, conflicts_with = "installable")]
    pub synthetic: bool,

    /// What the graph looks like
    #[arg(long, value_name = "SHAPE", value_enum, default_value_t, requires = "synthetic")]
    pub shape: Shape,

    /// How much work it is
    #[arg(long, value_name = "SCALE", value_enum, default_value_t, requires = "synthetic")]
    pub scale: Scale,

    /// Build all of the file's graph in a store of its own, empty before each run,
    /// instead of the last derivation alone in the machine's store
    #[arg(long, requires = "file")]
    pub fresh: bool,

    /// Which part of Nix's work
    #[arg(long, value_name = "PART", value_enum, default_value_t)]
    pub what: What,

    /// Where a store of its own is to be, instead of in the temporary folder
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

impl Work {
    /// What to make ready.
    pub fn wish(&self, installable: Option<&str>) -> Result<Wish> {
        let source = match (&self.file, self.synthetic) {
            (Some(path), _) => Source::File(path.clone(), self.attr.clone()),
            (None, true) => Source::Synthetic(self.shape, self.scale),
            (None, false) => Source::installable(installable.unwrap_or("hello")),
        };
        // The real path: Nix refuses a store below a link.
        let folder = self.folder.clone().unwrap_or_else(std::env::temp_dir);
        let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
        Ok(Wish { source, what: self.what, is_fresh: self.fresh, folder })
    }

    /// How much work a synthetic graph is.
    pub fn scale(&self) -> Option<Scale> {
        self.synthetic.then_some(self.scale)
    }
}

/// How precisely.
#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "each is a flag's name")]
pub struct Precision {
    /// Half the width of the interval that is good enough
    #[arg(long, value_name = "SHARE", default_value = "2%", value_parser = share)]
    pub precision: f64,

    /// Fewest pairs, or runs
    #[arg(long, value_name = "N", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u16).range(2..=500))]
    pub min_pairs: u16,

    /// When to stop at the latest
    #[command(flatten)]
    pub most: Most,
}

/// When to stop at the latest.
#[derive(Args, Debug)]
pub struct Most {
    /// Most pairs, or runs
    #[arg(long, value_name = "N", default_value_t = 40)]
    #[arg(value_parser = clap::value_parser!(u16).range(2..=500))]
    pub pairs: u16,

    /// Seconds after which no more are begun: 600, or what the scale needs
    #[arg(long, value_name = "SECONDS")]
    pub time: Option<u64>,

    /// What the random order comes from, to have the same again
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

impl Precision {
    /// When enough has been measured.
    pub fn rules(&self, scale: Option<Scale>) -> Rules {
        let rules = self.most.rules(scale);
        Rules { precision: self.precision, least_pairs: self.min_pairs.into(), ..rules }
    }
}

impl Most {
    /// The same, however precise it is.
    pub fn rules(&self, scale: Option<Scale>) -> Rules {
        let rules = Rules::default();
        let seconds = self.time.or_else(|| scale.map(Scale::time_seconds));
        Rules {
            most_pairs: self.pairs.into(),
            time: seconds.map_or(rules.time, Duration::from_secs),
            ..rules
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(random::seed)
    }
}

/// A share of something: `5%` or `0.05`.
pub(super) fn share(text: &str) -> std::result::Result<f64, &'static str> {
    const WRONG: &str = "not a share like 5% or 0.05";
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| WRONG);
    let share = match text.strip_suffix('%') {
        Some(percent) => number(percent)? / 100.0,
        None => number(text)?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_percents_or_parts() {
        assert_eq!((share("5%"), share("0.05"), share("0")), (Ok(0.05), Ok(0.05), Ok(0.0)));
        for bad in ["", "%", "5", "-1%", "nan", "five"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
