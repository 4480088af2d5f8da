//! A plan as a module in the Nix language, for `NixOS` or nix-darwin.
//!
//! It is laid out as nixfmt leaves it (Nix RFC 166), so that it can live among
//! files that a formatter checks.

use crate::form::Named;
use crate::overlay::{self, Optimize};
use crate::plan::{Setting, Value};
use crate::text::comment;

/// The widest line that nixfmt makes, without its indentation.
const WIDTH: usize = 100;

/// Lists that the module system fills itself, at the usual priority: a default
/// beside that would be dropped, while an addition is merged.
const FILLED: [&str; 3] = ["substituters", "systemd.tmpfiles.rules", "trusted-public-keys"];

/// An option of which `NixOS` has a default of its own, with which `mkDefault`
/// would be in conflict; ours wins over it and over nothing else.
const PRESET: &str = "nix.nrBuildUsers";

/// The text of a module that sets these, and builds some packages for the CPU.
pub(crate) fn render(
    header: &str,
    settings: &[Named],
    options: &[Named],
    optimize: Option<&Optimize>,
) -> String {
    let mut parts = Vec::new();
    if !settings.is_empty() {
        let bindings: Vec<String> =
            settings.iter().map(|(name, setting)| binding(4, name, setting)).collect();
        parts.push(format!("  nix.settings = {{\n{}  }};\n", bindings.join("\n")));
    }
    parts.extend(options.iter().map(|(path, setting)| binding(2, path, setting)));
    if let Some(optimize) = optimize {
        let mut part = String::new();
        comment(&mut part, 2, &optimize.why);
        let overlay = overlay::render(optimize, 4);
        part.push_str(&format!("  nixpkgs.overlays = [\n    {overlay}\n  ];\n"));
        parts.push(part);
    }
    let mut output = String::new();
    comment(&mut output, 0, header);
    output.push_str(&format!("{{ lib, ... }}:\n{{\n{}}}\n", parts.join("\n")));
    output
}

/// `name = value;` below its reason.
fn binding(indent: usize, name: &str, Setting { value, why, .. }: &Setting) -> String {
    let mut output = String::new();
    comment(&mut output, indent, why);
    let default = match name {
        PRESET => "lib.mkOverride 900 ",
        name if FILLED.contains(&name) => "",
        _ => "lib.mkDefault ",
    };
    let margin = " ".repeat(indent);
    let line = format!("{margin}{name} = {default}{};\n", literal(value));
    // nixfmt gives each word of a list a line, unless there is but one and it
    // fits; a single value stays beside its name, however long it is. (Not so
    // below some names of many parts; the values of those are never long.)
    match value {
        Value::List(words) if words.len() > 1 || line.trim().chars().count() > WIDTH => {
            let words = words.iter().map(|word| format!("{margin}  {}\n", string(word)));
            let words: String = words.collect();
            output.push_str(&format!("{margin}{name} = {default}[\n{words}{margin}];\n"));
        }
        _ => output.push_str(&line),
    }
    output
}

/// A value as the language has it, on one line.
fn literal(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => string(text),
        Value::List(words) => {
            let words: String = words.iter().map(|word| string(word) + " ").collect();
            format!("[ {words}]")
        }
    }
}

/// A string that stands for this text and for nothing else: without escapes,
/// `${` would make the evaluator look for a variable.
fn string(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#).replace("${", r"\${");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests;
