//! Running builds, looked at again and again: `monitor active --watch`.

use std::io::{IsTerminal, stdout};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use detect::arguments::Common;
use detect::stage;

use crate::active::{Looker, table};
use crate::estimate::Estimates;

mod draw;
mod screen;

/// Begin at the top left, and leave nothing of what was there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show what is built until nobody looks any more: on a terminal as a screen, or
/// else as one table after the other; with `json`, a document on each line.
pub fn watch(every: Duration, json: bool, mut estimates: Estimates, common: &Common) -> Result<()> {
    let mut looker = Looker::live();
    let mut look = || {
        let mut active = looker.look(SystemTime::now());
        estimates.tell(&mut active);
        active
    };
    let is_dumb = std::env::var_os("TERM").is_none_or(|name| name.is_empty() || name == "dumb");
    let is_screen = stdout().is_terminal() && !is_dumb;
    if is_screen
        && !json
        && let Ok(terminal) = ratatui::try_init()
    {
        let result = screen::show(terminal, every, look);
        // Whatever happened, the terminal is as it was; a panic sees to that itself.
        ratatui::restore();
        return result;
    }
    loop {
        let active = look();
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
