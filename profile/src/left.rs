//! What a plan leaves alone, and why.
//!
//! Every setting and option that the facts behind this project name is either
//! in a plan or here: each has one row in a table, with the reason for which it
//! stays as it is wherever it is not planned.

mod table;

use crate::catalogue;
use crate::plan::Plan;
use crate::refuse;

/// What says something to Nix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// nix.conf.
    NixConf,
    /// A `NixOS` configuration.
    Nixos,
    /// A nix-darwin configuration.
    Darwin,
}

/// A setting or option that a plan leaves alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Its name.
    pub name: &'static str,
    /// What it is then, or that the target does not know it.
    pub default: String,
    /// Why it is not planned.
    pub why: &'static str,
}

/// What this plan leaves alone in one place; nothing where that place is not
/// the machine's.
pub fn left(plan: &Plan, place: Place) -> Vec<Left> {
    let system = plan.hardware.system.as_deref().unwrap_or_default();
    match place {
        Place::NixConf => {
            let rows = table::SETTINGS.iter().filter(|(name, _)| !is_planned(plan, name));
            rows.map(|&(name, why)| Left { name, default: default(plan, name), why }).collect()
        }
        Place::Nixos if !system.ends_with("-darwin") => options(plan, table::NIXOS),
        Place::Darwin if system.ends_with("-darwin") => options(plan, table::DARWIN),
        Place::Nixos | Place::Darwin => Vec::new(),
    }
}

/// A row for each option: its name, its default, and why to leave it.
type Options = &'static [(&'static str, &'static str, &'static str)];

fn options(plan: &Plan, rows: Options) -> Vec<Left> {
    let rows = rows
        .iter()
        .filter(|(path, ..)| !plan.nixos.contains_key(*path) && !plan.darwin.contains_key(*path));
    rows.map(|&(name, default, why)| Left { name, default: default.to_owned(), why }).collect()
}

fn is_planned(plan: &Plan, name: &str) -> bool {
    plan.settings.keys().any(|key| key == name || refuse::base(key) == Some(name))
}

fn default(plan: &Plan, name: &str) -> String {
    let release = plan.profile.target.release();
    let preset = release.and_then(|release| catalogue::find(name)?.default(release));
    preset.map_or_else(|| "not known".to_owned(), |preset| preset.to_string())
}

#[cfg(test)]
mod tests;
