//! A plan for people: each setting, the default it replaces, and why.

use std::collections::BTreeMap;

use anstyle::Style;

use crate::catalogue;
use crate::plan::{Plan, Setting, Target};
use crate::text::wrap;

/// Narrower than this, a reason goes below its setting instead of beside it.
const LEAST_WHY: usize = 32;

/// Between columns.
const GAP: usize = 2;

/// A name, a value, a default and a reason.
type Row = [String; 4];

/// Columns of the terminal, as the shell says; 100 when it does not.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    let columns = columns.and_then(|columns| columns.parse().ok());
    columns.unwrap_or(100).clamp(40, 200)
}

/// A table of the settings and one of the `NixOS` options.
pub fn explain(plan: &Plan, width: usize) -> String {
    let target = &plan.profile.target;
    let rule = &plan.profile.rule;
    let nix = match target.release() {
        Some(release) => release.to_string(),
        None => target.version.clone(),
    };
    let head = match &rule.policy {
        Some(policy) => format!("For {nix}, by the rule {policy}: {}.", rule.text),
        None => format!("For {nix}; {}.", rule.text),
    };
    let mut text = wrap(&head, width).join("\n");
    text.push('\n');
    let settings = rows(&plan.settings, |name| default(name, target));
    text.push_str(&table(["setting", "value", "default", "why"], &settings, width));
    // NixOS has defaults of its own, which are not listed here.
    let options = rows(&plan.nixos, |_| String::new());
    text.push_str(&table(["NixOS option", "value", "", "why"], &options, width));
    text
}

fn rows(settings: &BTreeMap<String, Setting>, default: impl Fn(&str) -> String) -> Vec<Row> {
    let row = |(name, setting): (&String, &Setting)| {
        let Setting { value, why, .. } = setting;
        [name.clone(), value.to_string(), default(name), why.clone()]
    };
    settings.iter().map(row).collect()
}

/// What a setting is without the plan.
fn default(name: &str, target: &Target) -> String {
    let entry = catalogue::find(name.strip_prefix("extra-").unwrap_or(name));
    let preset = entry.and_then(|entry| entry.default(target.release()?));
    preset.map_or_else(|| "unknown".to_owned(), |preset| preset.to_string())
}

fn table(heads: [&str; 4], rows: &[Row], width: usize) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let widths = [0, 1, 2].map(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or(0)
    });
    let taken = line(heads, widths).chars().count();
    // Long names leave no room beside them.
    let beside = taken + LEAST_WHY <= width;
    let indent = if beside { taken } else { 2 * GAP };
    let widths = if beside { widths } else { widths.map(|width| width.min(1)) };
    let margin = " ".repeat(indent);
    let lines = rows.iter().map(|[name, value, default, why]| {
        let cells = line([name, value, default, ""], widths);
        let why = wrap(why, width - indent).join(&format!("\n{margin}"));
        if beside {
            format!("{cells}{why}\n")
        } else {
            format!("{}\n{margin}{why}\n", cells.trim_end())
        }
    });

    let head = line(heads, widths) + if beside { heads[3] } else { "" };
    let head = head.trim_end();
    let bold = Style::new().bold();
    format!("\n{bold}{head}{bold:#}\n") + &lines.collect::<String>()
}

/// The cells before the reason, each as wide as its column.
fn line(cells: [&str; 4], widths: [usize; 3]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.into_iter().zip(widths).filter(|(_, width)| *width > 0) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + GAP));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use detect::hardware::Hardware;

    use super::explain;
    use crate::plan::Plan;
    use crate::{Options, run};

    fn plan() -> Plan {
        let mut hardware = Hardware::default();
        hardware.cpu.allowed = NonZeroU32::new(8);
        hardware.memory.total_bytes = NonZeroU64::new(16 << 30);
        hardware.memory.usable_bytes = hardware.memory.total_bytes;
        hardware.memory.swap_bytes = Some(8 << 30);
        hardware.environment.laptop = Some(true);
        run(hardware, &Options::default()).expect("a plan")
    }

    #[test]
    fn says_what_each_setting_replaces_and_why() {
        let text = explain(&plan(), 80);
        let text = anstream::adapter::strip_str(&text).to_string();
        let expected = "\
setting   value  default  why
cores     4      0        16 GiB less 3 GiB for a desktop leaves 13 GiB, and 8
                          GiB of swap take the peaks: a core for every 3 GiB, up
                          to 8 CPUs
max-jobs  4      1        one for every 2 of 8 CPUs, since much of a build is
                          serial; at least 2, so that no download waits for a
                          build, and at most 16
";
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("For Nix 2.34.0, by the rule swap-backed-1: "), "{text}");
    }

    #[test]
    fn fits_any_terminal() {
        for width in 40..=200 {
            let text = explain(&plan(), width);
            let text = anstream::adapter::strip_str(&text).to_string();
            for line in text.lines() {
                // An option's name is not broken.
                let fits = line.chars().count() <= width || line.starts_with("systemd.services.");
                assert!(fits, "{width}: {line}");
            }
        }
    }
}
