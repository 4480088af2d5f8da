//! A plan for people: each setting, the default it replaces, and why; and what
//! it leaves alone.

use std::collections::BTreeMap;

use anstyle::Style;
use rustix::termios::tcgetwinsize;

use crate::catalogue;
use crate::left::{Left, Place, left};
use crate::plan::{Plan, Profile, Setting, Target};
use crate::refuse;
use crate::text::wrap;

/// Narrower than this, a reason goes below its setting instead of beside it.
const LEAST_WHY: usize = 32;

/// Widest default shown of what is left alone.
const MOST_DEFAULT: usize = 14;

/// Between columns.
const GAP: usize = 2;

/// A name, two cells beside it, and a reason.
type Row = [String; 4];

/// Columns of the terminal, as its user or it says; 100 where there is none.
pub fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let terminal = || tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    // A terminal that knows no size says 0.
    let columns = asked.or_else(terminal).filter(|&columns| columns > 0);
    columns.unwrap_or(100).clamp(40, 200)
}

/// What `--explain` prints, and with `--all`.
pub fn whole(plan: &Plan, all: bool, width: usize) -> String {
    let left = if all { left_alone(plan, width) } else { String::new() };
    explain(plan, width) + &left
}

/// The rule applied, a table of the settings and one of the `NixOS` options.
pub fn explain(plan: &Plan, width: usize) -> String {
    let default = |name: &str, value: String| [value, default(name, &plan.profile.target)];
    head(plan, width)
        + &table(["setting", "value", "default", "why"], &rows(&plan.settings, default), width)
        + &options(plan, width)
}

/// What the plan leaves alone, and why: all else that says something to Nix about
/// how fast it builds.
pub fn left_alone(plan: &Plan, width: usize) -> String {
    let places = [
        (Place::NixConf, "left alone"),
        (Place::Nixos, "NixOS option left alone"),
        (Place::Darwin, "nix-darwin option left alone"),
    ];
    let tables = places.map(|(place, head)| {
        let row =
            |left: Left| [left.name.into(), cut(left.default), String::new(), left.why.into()];
        let rows: Vec<Row> = left(plan, place).into_iter().map(row).collect();
        table([head, "default", "", "why"], &rows, width)
    });
    tables.concat()
}

/// A default no wider than most are, so that a single key does not push every
/// reason off the screen.
fn cut(default: String) -> String {
    if default.chars().count() <= MOST_DEFAULT {
        return default;
    }
    default.chars().take(MOST_DEFAULT - 1).chain(['…']).collect()
}

/// The same as [`explain`], with what each setting is on this machine now: `old → new`.
pub fn changes(plan: &Plan, width: usize) -> String {
    let change =
        |name: &str, value: String| [format!("{} → {value}", now(name, plan)), String::new()];
    head(plan, width)
        + &table(["setting", "old → new", "", "why"], &rows(&plan.settings, change), width)
        + &options(plan, width)
}

fn head(plan: &Plan, width: usize) -> String {
    let Profile { target, rule, .. } = &plan.profile;
    let nix = match target.release() {
        Some(release) => release.to_string(),
        None => target.version.clone(),
    };
    let head = match &rule.policy {
        Some(policy) => format!("For {nix}, by the rule {policy}"),
        None => format!("For {nix}, by {}", rule.text),
    };
    wrap(&head, width).join("\n") + "\n"
}

/// `NixOS` and nix-darwin have defaults of their own, which are not listed here.
fn options(plan: &Plan, width: usize) -> String {
    let table = |head, options| {
        let rows = rows(options, |_, value| [value, String::new()]);
        table([head, "value", "", "why"], &rows, width)
    };
    table("NixOS option", &plan.nixos) + &table("nix-darwin option", &plan.darwin)
}

/// A row for each setting; `cells` makes the two in the middle from its name
/// and its value.
fn rows(
    settings: &BTreeMap<String, Setting>,
    cells: impl Fn(&str, String) -> [String; 2],
) -> Vec<Row> {
    let row = |(name, setting): (&String, &Setting)| {
        let [second, third] = cells(name, setting.value.to_string());
        [name.clone(), second, third, setting.why.clone()]
    };
    settings.iter().map(row).collect()
}

/// What a setting is without the plan.
fn default(name: &str, target: &Target) -> String {
    let entry = catalogue::find(refuse::base(name).unwrap_or(name));
    let preset = entry.and_then(|entry| entry.default(target.release()?));
    preset.map_or_else(|| "unknown".to_owned(), |preset| preset.to_string())
}

/// What a setting is on this machine: as its Nix says, or without one, what the
/// planned Nix would take.
fn now(name: &str, plan: &Plan) -> String {
    let name = refuse::base(name).unwrap_or(name);
    let set = plan.hardware.nix.as_ref().and_then(|nix| nix.settings.get(name));
    set.map_or_else(|| default(name, &plan.profile.target), as_text)
}

/// A value that Nix printed as JSON, as nix.conf has it.
fn as_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(words) => words.iter().map(as_text).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

fn table(heads: [&str; 4], rows: &[Row], width: usize) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let widths = [0, 1, 2].map(|column| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or(0)
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

    use super::{changes, explain, left_alone};
    use crate::plan::{Plan, Setting, Value};
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
cores     5      0        16 GiB less 3 GiB for a desktop leaves 13 GiB, and 8
                          GiB of swap take the peaks: a core for every 2.5 GiB,
                          up to 8 CPUs
max-jobs  3      1        one for every 8 GiB of memory and swap, which the
                          largest links take, but no more than one for every 2
                          of 8 CPUs, since much of a build is serial, and one
                          for downloads; 2 to 24 in any case
";
        assert!(text.contains(expected), "{text}");
        assert!(text.starts_with("For Nix 2.34.0, by the rule swap-backed-2\n"), "{text}");
    }

    #[test]
    fn says_what_is_left_alone_and_why() {
        let text = left_alone(&plan(), 100);
        let text = anstream::adapter::strip_str(&text).to_string();
        let row = |name: &str| {
            let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
            line.unwrap_or_else(|| panic!("{name}: {text}"))
        };
        assert!(text.starts_with("\nleft alone  "), "{text}");
        assert!(row("http2").contains(" true "), "{text}");
        assert!(row("parallel-builds").contains(" not known "), "{text}");
        assert!(text.contains("\nNixOS option left alone"), "{text}");
        assert!(!text.contains("\nmax-jobs "), "planned: {text}");
        assert!(!text.contains("nix-darwin option"), "{text}");
    }

    #[test]
    fn changes_start_from_what_is_set() {
        let mut plan = plan();
        let mut nix = detect::hardware::Nix::default();
        nix.settings.insert("cores".to_owned(), serde_json::json!(2));
        plan.hardware.nix = Some(nix);
        let text = anstream::adapter::strip_str(&changes(&plan, 100)).to_string();
        assert!(text.contains("\ncores     2 → 5      16 GiB less"), "{text}");
        assert!(text.contains("\nmax-jobs  1 → 3      one for every"), "not set: the default");
    }

    #[test]
    fn what_adds_starts_from_what_it_adds_to() {
        let mut plan = plan();
        let mut nix = detect::hardware::Nix::default();
        nix.settings
            .insert("substituters".to_owned(), serde_json::json!(["https://a", "file:///b"]));
        nix.settings.insert("extra-platforms".to_owned(), serde_json::json!(["i686-linux"]));
        plan.hardware.nix = Some(nix);
        for name in ["extra-substituters", "extra-platforms"] {
            let setting = Setting::new(Value::List(vec!["x".to_owned()]), "because");
            plan.settings.insert(name.to_owned(), setting);
        }
        let text = anstream::adapter::strip_str(&changes(&plan, 100)).to_string();
        assert!(text.contains("\nextra-substituters  https://a file:///b → x "), "{text}");
        assert!(text.contains("\nextra-platforms     i686-linux → x "), "{text}");
    }

    #[test]
    fn fits_any_terminal() {
        let plan = plan();
        for width in 40..=200 {
            let text = explain(&plan, width) + &left_alone(&plan, width);
            let text = anstream::adapter::strip_str(&text).to_string();
            for line in text.lines() {
                // A name and its default are not broken.
                let cells = line.split("  ").filter(|cell| !cell.is_empty());
                let is_name = !line.starts_with(' ') && cells.count() <= 2;
                let fits = line.chars().count() <= width || is_name;
                assert!(fits, "{width}: {line}");
            }
        }
    }
}
