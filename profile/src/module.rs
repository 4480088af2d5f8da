//! A plan as a module in the Nix language, for `NixOS` or nix-darwin.
//!
//! It is laid out as nixfmt leaves it (Nix RFC 166), so that it can live among
//! files that a formatter checks.

use crate::form::Named;
use crate::plan::{Setting, Value};
use crate::text::comment;

/// The widest line that nixfmt makes.
const WIDTH: usize = 100;

/// Lists that the module system fills itself, at the usual priority: a default
/// beside that would be dropped, while an addition is merged.
const FILLED: [&str; 2] = ["substituters", "trusted-public-keys"];

/// The text of a module that sets these.
pub(crate) fn render(header: &str, settings: &[Named], options: &[Named]) -> String {
    let mut parts = Vec::new();
    if !settings.is_empty() {
        let bindings: Vec<String> =
            settings.iter().map(|(name, setting)| binding(4, name, setting)).collect();
        parts.push(format!("  nix.settings = {{\n{}  }};\n", bindings.join("\n")));
    }
    parts.extend(options.iter().map(|(path, setting)| binding(2, path, setting)));
    let mut output = String::new();
    comment(&mut output, 0, header);
    output.push_str(&format!("{{ lib, ... }}:\n{{\n{}}}\n", parts.join("\n")));
    output
}

/// `name = value;` below its reason.
fn binding(indent: usize, name: &str, Setting { value, why, .. }: &Setting) -> String {
    let mut output = String::new();
    comment(&mut output, indent, why);
    let default = if FILLED.contains(&name) { "" } else { "lib.mkDefault " };
    let start = format!("{:indent$}{name} = {default}", "");
    let literals = literals(value);
    let line = format!("{start}{};\n", literals.join(" "));
    // nixfmt keeps a list on the line of its name only when it has one word and
    // that fits; a single value stays there however long it is.
    let is_list = matches!(value, Value::List(words) if !words.is_empty());
    if is_list && (literals.len() > 3 || line.trim_end().chars().count() > WIDTH) {
        output.push_str(&format!("{start}[\n"));
        for word in &literals[1..literals.len() - 1] {
            output.push_str(&format!("{:indent$}  {word}\n", ""));
        }
        output.push_str(&format!("{:indent$}];\n", ""));
    } else {
        output.push_str(&line);
    }
    output
}

/// A value as literals of the language: one, or those of a list in brackets.
fn literals(value: &Value) -> Vec<String> {
    match value {
        Value::Bool(value) => vec![value.to_string()],
        Value::Integer(value) => vec![value.to_string()],
        Value::Text(text) => vec![string(text)],
        Value::List(words) => {
            let words = words.iter().map(|word| string(word));
            let brackets = |bracket: &str| std::iter::once(bracket.to_owned());
            brackets("[").chain(words).chain(brackets("]")).collect()
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
