//! When the lines of a recorded stream came, as a file beside it says.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};

/// Longer than any number of seconds.
const LONGEST_LINE: u64 = 64;

/// The times of a file, one a line.
pub(super) struct Times<R = BufReader<File>> {
    lines: R,
    line: String,
    broken: bool,
}

impl Times {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| path.display().to_string())?;
        Ok(Self::new(BufReader::new(file)))
    }
}

impl<R: BufRead> Times<R> {
    fn new(lines: R) -> Self {
        Self { lines, line: String::new(), broken: false }
    }

    /// The next line's time. After a line that is no time none is known, since it
    /// cannot be told which line the next one is for.
    pub(super) fn next(&mut self) -> Option<f64> {
        if self.broken {
            return None;
        }
        self.line.clear();
        let read = self.lines.by_ref().take(LONGEST_LINE).read_line(&mut self.line);
        let time = read.ok().and_then(|_| self.line.strip_suffix('\n')?.trim().parse().ok());
        let time = time.filter(|time: &f64| time.is_finite());
        self.broken = time.is_none();
        time
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn what_follows_a_broken_line_is_unknown() {
        let mut times = Times::new(&b"0.5\n1e1\nNaN\n2.0\n"[..]);
        let read: Vec<_> = (0..5).map(|_| times.next()).collect();
        assert_eq!(read, [Some(0.5), Some(10.0), None, None, None]);
    }

    #[test]
    fn a_line_without_end_is_no_time() {
        let mut times = Times::new(&b"0.5\n1."[..]);
        assert_eq!([times.next(), times.next()], [Some(0.5), None]);
    }
}
