//! Tables, which say in words what plots show.

use super::plot::share;
use super::text::escape;

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) struct Head {
    name: &'static str,
    class: &'static str,
}

/// A column of text.
pub(super) const fn words(name: &'static str) -> Head {
    Head { name, class: "words" }
}

/// A column of numbers.
pub(super) const fn number(name: &'static str) -> Head {
    Head { name, class: "number" }
}

/// The same; there is none where the screen is narrow.
pub(super) const fn extra(name: &'static str) -> Head {
    Head { name, class: "number wide" }
}

/// A column of bars, whose numbers are in another.
pub(super) const BAR: Head = Head { name: "", class: "bar" };

/// A table; `rows` are in HTML already.
pub(super) fn table(caption: &str, heads: &[Head], rows: &[Vec<String>]) -> String {
    let mut html = format!("<table><caption>{}</caption><thead><tr>", escape(caption));
    for Head { name, class } in heads {
        html += &match *name {
            "" => format!("<td class=\"{class}\"></td>"),
            name => format!("<th scope=\"col\" class=\"{class}\">{}</th>", escape(name)),
        };
    }
    html += "</tr></thead><tbody>\n";
    for row in rows {
        html += "<tr>";
        for (index, (Head { class, .. }, cell)) in heads.iter().zip(row).enumerate() {
            html += &match index {
                0 => format!("<th scope=\"row\" class=\"{class}\">{cell}</th>"),
                _ => format!("<td class=\"{class}\">{cell}</td>"),
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody></table>\n"
}

/// A bar: a part of the longest, from 0 to 1.
pub(super) fn bar(class: &str, part: f64) -> String {
    format!("<span class=\"{class}\" style=\"width:{}\"></span>", share(part))
}

/// A table that is there for who wants it.
pub(super) fn folded(table: &str) -> String {
    format!("<details><summary>As a table</summary><div class=\"scroll\">{table}</div></details>\n")
}

#[cfg(test)]
mod tests {
    use super::{BAR, bar, number, table, words};

    #[test]
    fn rows_and_columns_have_heads() {
        let rows = [vec!["hello".to_owned(), "3".to_owned(), bar("built", f64::NAN)]];
        let html = table("Times", &[words("Package"), number("Builds"), BAR], &rows);
        assert!(html.contains("<th scope=\"col\" class=\"number\">Builds</th>"), "{html}");
        assert!(html.contains("<th scope=\"row\" class=\"words\">hello</th>"), "{html}");
        assert!(html.contains("style=\"width:0.00%\""), "{html}");
    }
}
