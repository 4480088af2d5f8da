//! Reports for people.

use anstyle::{AnsiColor, Style};
use profile::plan::Verdict;

use crate::verify::Report;

/// What a verdict is called.
pub fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Verified => "verified",
        Verdict::OtherKey => "other-key",
        Verdict::BadSignature => "bad-signature",
        Verdict::Unsigned => "unsigned",
        Verdict::ContentAddressed => "content-addressed",
        Verdict::Unverified => "unverified",
    }
}

/// Two lines for each cache: what it is worth, and why.
pub fn table(reports: &[Report]) -> String {
    if reports.is_empty() {
        return "no caches\n".to_owned();
    }
    let width = reports.iter().map(|report| report.url.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for report in reports {
        let color = match report.verdict {
            Verdict::Verified => AnsiColor::Green,
            Verdict::ContentAddressed | Verdict::Unverified => AnsiColor::Yellow,
            _ => AnsiColor::Red,
        };
        let style = Style::new().fg_color(Some(color.into()));
        let mut facts = Vec::new();
        if let Some(seconds) = report.latency_seconds {
            facts.push(format!("{:.0} ms", seconds * 1000.0));
        }
        if let Some(priority) = report.priority {
            facts.push(format!("priority {priority}"));
        }
        if let Some(archive) = &report.archive {
            let seconds = archive.elapsed_seconds;
            facts.push(format!("{} archive checked in {seconds:.1} s", archive.compression));
        }
        let verdict = name(report.verdict);
        let url = &report.url;
        text.push_str(&format!("{url:width$}  {style}{verdict}{style:#}  {}", facts.join(", ")));
        text.truncate(text.trim_end().len());
        text.push_str(&format!("\n    {}\n", report.why));
        for finding in &report.findings {
            text.push_str(&format!("    {finding}\n"));
        }
    }
    text
}
