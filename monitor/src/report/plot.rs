//! Plots as SVG that is as wide as its place, with text that stays as large as
//! it is: across, places are shares of the width; down, they are pixels.

use super::axis::{Scale, Tick};
use super::text::escape;

/// A plot and what it is called.
pub(super) struct Plot<'a> {
    /// Its name in the page, for those who are told of it.
    pub(super) id: &'a str,
    /// What it shows.
    pub(super) title: &'a str,
    /// What there is to see in it, in a sentence.
    pub(super) description: &'a str,
    /// How high it is without its lower axis, in pixels.
    pub(super) height: f64,
}

/// How high the labels below are.
const BELOW: f64 = 26.0;

/// Room above, for half a label.
const ABOVE: f64 = 8.0;

impl Plot<'_> {
    /// A plot: its axes behind its content.
    pub(super) fn draw(&self, across: &[Tick], up: &[Tick], content: &str) -> String {
        let Self { id, title, description, height } = self;
        let (title, description) = (escape(title), escape(description));
        let total = height + BELOW;
        let mut svg = format!(
            "<svg class=\"plot\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\" \
             width=\"100%\" height=\"{total}\">\
             <title id=\"{id}-title\">{title}</title><desc id=\"{id}-desc\">{description}</desc>\n"
        );
        for Tick { at, label } in up {
            let y = down(*at, *height);
            svg += &format!(
                "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>\
                 <text class=\"tick\" x=\"-8\" y=\"{y}\" dy=\".32em\" text-anchor=\"end\">{}</text>\n",
                escape(label)
            );
        }
        svg += content;
        let bottom = down(0.0, *height);
        svg += &format!(
            "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{bottom}\" y2=\"{bottom}\"/>\n"
        );
        for (index, Tick { at, label }) in across.iter().enumerate() {
            let (x, y) = (share(*at), height + 18.0);
            // Every other one goes where the screen is narrow.
            let class = if index % 2 == 0 { "tick" } else { "tick odd" };
            svg += &format!(
                "<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{bottom}\" y2=\"{}\"/>\
                 <text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{}</text>\n",
                height + 4.0,
                escape(label)
            );
        }
        svg + "</svg>\n"
    }
}

/// A column of parts on top of each other.
pub(super) struct Column {
    /// Where it begins and ends, from 0 to 1.
    pub(super) from: f64,
    /// Where it ends.
    pub(super) until: f64,
    /// What it is.
    pub(super) label: String,
    /// Its parts from below: how they look, and how much they are.
    pub(super) parts: Vec<(&'static str, f64)>,
}

/// Columns beside each other.
pub(super) fn columns(columns: &[Column], scale: Scale, height: f64) -> String {
    let mut svg = String::new();
    for column in columns {
        let width = column.until - column.from;
        // A gap between them, be they ever so many.
        let (x, width) = (share(column.from + width * 0.08), share(width * 0.84));
        svg += &format!("<g><title>{}</title>", escape(&column.label));
        let mut below = 0.0;
        for (class, amount) in &column.parts {
            let (top, bottom) = (scale.at(below + amount), scale.at(below));
            below += amount;
            // What is there is seen.
            let pixels =
                if *amount > 0.0 { ((top - bottom) * (height - ABOVE)).max(1.5) } else { continue };
            let y = down(bottom, height) - pixels;
            svg += &format!(
                "<rect class=\"{class}\" x=\"{x}\" width=\"{width}\" y=\"{y:.1}\" height=\"{pixels:.1}\"/>"
            );
        }
        svg += "</g>\n";
    }
    svg
}

/// A mark at a place, both from 0 to 1: shape and colour say what it is.
pub(super) fn mark(kind: &str, across: f64, up: f64, height: f64, label: &str) -> String {
    format!(
        "<use class=\"{kind}\" href=\"#mark-{kind}\" x=\"{}\" y=\"{}\"><title>{}</title></use>\n",
        share(across),
        down(up, height),
        escape(label)
    )
}

/// The marks, drawn nowhere yet.
pub(super) const MARKS: &str = "\
<svg width=\"0\" height=\"0\" class=\"defs\" aria-hidden=\"true\"><defs>\
<circle id=\"mark-built\" r=\"3.2\"/>\
<path id=\"mark-failed\" d=\"M-4-4 4 4M-4 4 4-4\"/>\
<path id=\"mark-cancelled\" d=\"M0-4.5 4.5 0 0 4.5-4.5 0Z\"/>\
<circle id=\"mark-unknown\" r=\"3.2\"/>\
</defs></svg>\n";

/// What the looks mean, in words: class and name, as marks or as areas.
pub(super) fn legend(entries: &[(&str, &str)], as_marks: bool) -> String {
    let mut html = "<ul class=\"legend\">".to_owned();
    for (class, name) in entries {
        let sample = if as_marks {
            format!("<use class=\"{class}\" href=\"#mark-{class}\" x=\"7\" y=\"7\"/>")
        } else {
            format!("<rect class=\"{class}\" x=\"1\" y=\"1\" width=\"12\" height=\"12\"/>")
        };
        html += &format!(
            "<li><svg width=\"14\" height=\"14\" aria-hidden=\"true\">{sample}</svg>{}</li>",
            escape(name)
        );
    }
    html + "</ul>\n"
}

/// A share of the width. What is no share is none of it.
pub(super) fn share(at: f64) -> String {
    let at = if at.is_finite() { at.clamp(0.0, 1.0) } else { 0.0 };
    format!("{:.2}%", at * 100.0)
}

/// Pixels from above.
fn down(at: f64, height: f64) -> f64 {
    ((height - at * (height - ABOVE)) * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::{Column, Plot, columns, legend};
    use crate::report::axis::Scale;

    #[test]
    fn what_is_there_is_seen_and_what_is_not_is_not() {
        let parts = vec![("built", 1000.0), ("failed", 0.001), ("cancelled", 0.0)];
        let column = Column { from: 0.0, until: 0.5, label: "<1 Nov>".to_owned(), parts };
        let svg = columns(&[column], Scale::between(0.0, 1000.0), 100.0);
        assert_eq!(svg.matches("<rect").count(), 2, "{svg}");
        assert!(svg.contains("<title>&lt;1 Nov&gt;</title>"), "{svg}");
        assert!(svg.contains("height=\"1.5\""), "{svg}");
    }

    #[test]
    fn a_plot_says_what_it_is() {
        let plot = Plot { id: "a", title: "A & B", description: "Up.", height: 100.0 };
        let svg = plot.draw(&[], &[], "");
        assert!(svg.contains("role=\"img\" aria-labelledby=\"a-title a-desc\""), "{svg}");
        assert!(svg.contains("<title id=\"a-title\">A &amp; B</title>"), "{svg}");
        assert!(legend(&[("built", "built")], true).contains("#mark-built"));
    }
}
