//! Metrics as text, in the two formats that Prometheus reads.
//!
//! Sources: Prometheus' "Exposition formats" (text format 0.0.4) and the
//! `OpenMetrics` specification, version 1.0.

use std::fmt::Write;

use super::family::{Family, Kind, Sample};

/// The text format, which `node_exporter`'s textfile collector reads.
pub fn prometheus(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let kind = match family.kind {
            // This format has no such kind.
            Kind::Info | Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        // Here a family is called as its samples are.
        let suffix = match family.kind {
            Kind::Info => "_info",
            Kind::Counter => "_total",
            _ => "",
        };
        let name = format!("{}{suffix}", family.name);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {}", escape(family.help));
        let _ = writeln!(text, "# TYPE {name} {kind}");
        add_samples(&mut text, family);
    }
    text
}

/// `OpenMetrics`.
pub fn open_metrics(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families {
        let kind = match family.kind {
            Kind::Info => "info",
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        let name = family.name;
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if let Some(unit) = family.unit {
            let _ = writeln!(text, "# UNIT {name} {unit}");
        }
        let _ = writeln!(text, "# HELP {name} {}", escape(family.help));
        add_samples(&mut text, family);
    }
    text + "# EOF\n"
}

fn add_samples(text: &mut String, family: &Family) {
    for Sample { suffix, labels, value } in &family.samples {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
        let labels = match labels.as_slice() {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(text, "{}{suffix}{labels} {value}", family.name);
    }
}

/// The same in both formats, but that the older one has quotes in helps as they
/// are: ours have none.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
