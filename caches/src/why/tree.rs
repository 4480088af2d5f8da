//! The chain, for people.

use anstyle::{AnsiColor, Style};

use super::link::Outcome;
use super::{Cause, Chain, Link, Why};

/// A tree: each path, what is in its way, and each cache.
pub(super) fn tree(why: &Why) -> String {
    let mut text = String::new();
    for note in &why.notes {
        text.push_str(&format!("{note}\n"));
    }
    for cause in &why.obstacles {
        add_cause(&mut text, "", cause);
    }
    for chain in &why.paths {
        add_chain(&mut text, chain);
    }
    text
}

fn add_chain(text: &mut String, chain: &Chain) {
    let output = chain.output.as_ref().map_or_else(String::new, |output| format!("^{output}"));
    text.push_str(&format!("{}{output}\n", chain.asked));
    if let Some(path) = chain.path.as_ref().filter(|path| **path != chain.asked) {
        text.push_str(&format!("│  {path}\n"));
    }
    for cause in &chain.obstacles {
        add_cause(text, "├─ ", cause);
    }
    for link in &chain.caches {
        add_link(text, link);
    }
    let style = color(chain.is_substitutable, AnsiColor::Red);
    let end = match (&chain.from, chain.is_in_store) {
        (Some(url), Some(true)) => format!("Nix has it, and could fetch it from {url}"),
        (Some(url), _) => format!("Nix would fetch it from {url}"),
        (None, Some(true)) => "Nix has it, and could not fetch it".to_owned(),
        (None, _) => "Nix would not fetch it".to_owned(),
    };
    text.push_str(&format!("╰─ {style}{end}{style:#}\n"));
}

fn add_cause(text: &mut String, before: &str, cause: &Cause) {
    let style = color(false, AnsiColor::Red);
    text.push_str(&format!("{before}{style}{}{style:#}\n", cause.why));
    let below = if before.is_empty() { "   " } else { "│  " };
    add_fix(text, below, cause.fix.as_ref());
}

fn add_link(text: &mut String, link: &Link) {
    let style = color(link.outcome == Outcome::Usable, AnsiColor::Yellow);
    let mut facts = vec![format!("{style}{}{style:#}", name(link.outcome))];
    if let Some(priority) = link.priority {
        facts.push(format!("priority {priority}"));
    }
    if !link.is_configured && link.outcome != Outcome::NotConfigured {
        facts.push("not asked by this machine's Nix".to_owned());
    }
    text.push_str(&format!("├─ {}  {}\n│  {}\n", link.url, facts.join(", "), link.why));
    add_fix(text, "│  ", link.fix.as_ref());
}

fn add_fix(text: &mut String, before: &str, fix: Option<&String>) {
    if let Some(fix) = fix {
        text.push_str(&format!("{before}→ {fix}\n"));
    }
}

fn color(is_good: bool, otherwise: AnsiColor) -> Style {
    let color = if is_good { AnsiColor::Green } else { otherwise };
    Style::new().fg_color(Some(color.into()))
}

/// What an outcome is called.
fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Usable => "has it",
        Outcome::NotConfigured => "has it, not asked by this machine's Nix",
        Outcome::RememberedMissing => "has it, remembered as missing",
        Outcome::RememberedUntrusted => "has it, remembered as untrusted",
        Outcome::Missing => "missing",
        Outcome::Untrusted => "untrusted",
        Outcome::OtherStore => "for another store",
        Outcome::Dead => "dead",
        Outcome::Failing => "failing",
        Outcome::Malformed => "malformed",
        Outcome::Fatal => "fatal",
        Outcome::Unknown => "unknown",
    }
}
