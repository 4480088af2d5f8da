//! Running builds, looked at again and again: `monitor active --watch`.

use std::io::{IsTerminal, stdout};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use detect::arguments::Common;
use detect::stage;

use crate::active::{Looker, table};

/// Begin at the top left, and leave nothing of what was there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show what is built until nobody looks any more: a table that takes the place
/// of the one before, or with `json` a document on each line.
pub fn watch(every: Duration, json: bool, common: &Common) -> Result<()> {
    let mut looker = Looker::live();
    let is_screen = stdout().is_terminal();
    loop {
        let active = looker.look(SystemTime::now());
        let text = if json {
            format!("{}\n", serde_json::to_string(&active)?)
        } else {
            let clear = if is_screen { CLEAR } else { "" };
            format!("{clear}{}", table::table(&active))
        };
        stage::write_text(&text, common)?;
        thread::sleep(every);
    }
}
