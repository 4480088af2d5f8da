//! A terminal that is looked at, and its keys.

use std::io::stdout;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anstream::{AutoStream, ColorChoice};
use anyhow::Result;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::draw::Shown;
use crate::active::Active;

/// How soon a signal is obeyed.
const SOON: Duration = Duration::from_millis(200);

/// What a key does.
enum Wish {
    Leave,
    Scroll(isize),
    Nothing,
}

/// Show what is built until somebody leaves.
pub(super) fn show(
    mut terminal: DefaultTerminal,
    every: Duration,
    mut look: impl FnMut() -> Active,
) -> Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&told))?;
    }
    let colour = AutoStream::choice(&stdout()) != ColorChoice::Never;
    let mut shown = Shown::new(colour);
    loop {
        let looked = Instant::now();
        shown.take(look(), looked);
        loop {
            terminal.draw(|frame| shown.draw(frame))?;
            let left = every.saturating_sub(looked.elapsed());
            if left.is_zero() {
                break;
            }
            let came = event::poll(left.min(SOON));
            if told.load(Ordering::Relaxed) {
                return Ok(());
            }
            if came? && let Event::Key(key) = event::read()? {
                match wish(key, terminal.size()?.height) {
                    Wish::Leave => return Ok(()),
                    Wish::Scroll(lines) => shown.scroll(lines),
                    Wish::Nothing => {}
                }
            }
        }
    }
}

fn wish(key: KeyEvent, height: u16) -> Wish {
    let page = isize::try_from(height / 2).unwrap_or(1);
    if key.kind == KeyEventKind::Release {
        return Wish::Nothing;
    }
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Wish::Leave,
        KeyCode::Char('q') | KeyCode::Esc => Wish::Leave,
        KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
        KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
        KeyCode::PageUp => Wish::Scroll(-page),
        KeyCode::PageDown | KeyCode::Char(' ') => Wish::Scroll(page),
        KeyCode::Home => Wish::Scroll(isize::MIN),
        KeyCode::End => Wish::Scroll(isize::MAX),
        _ => Wish::Nothing,
    }
}
