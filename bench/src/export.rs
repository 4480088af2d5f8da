//! The forms that other tools read.
//!
//! Each consumer's own words: hyperfine's JSON is read by its plotting scripts and
//! by Bencher's `shell_hyperfine`, github-action-benchmark's by
//! `customSmallerIsBetter`, Bencher's Metric Format by `bencher run --adapter json`.

use anyhow::Result;
use clap::ValueEnum;
use detect::stage;
use serde_json::{Map, Value, json};

use crate::compared::{Compared, Measured, Series, change};
use crate::statistics::estimate;

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The whole document
    Json,
    /// A table for people
    Markdown,
    /// A line for each run
    Csv,
    /// What hyperfine 1.x exports
    Hyperfine,
    /// What hyperfine 2.x exports
    Hyperfine2,
    /// `customSmallerIsBetter` of github-action-benchmark
    GithubActionBenchmark,
    /// Bencher's Metric Format
    Bencher,
}

/// What can be written in every form.
#[derive(Clone, Copy, Debug)]
pub enum Document<'a> {
    /// Of `bench run`.
    Measured(&'a Measured),
    /// Of `bench compare`.
    Compared(&'a Compared),
}

impl Document<'_> {
    fn subject(&self) -> String {
        match self {
            Self::Measured(measured) => measured.subject.name.clone(),
            Self::Compared(compared) => compared.name(),
        }
    }

    /// The times of each configuration that has some.
    pub fn series(&self) -> Vec<Series> {
        let all = match self {
            Self::Measured(measured) => vec![measured.series()],
            Self::Compared(compared) => compared.series().to_vec(),
        };
        all.into_iter().filter(|series| !series.seconds.is_empty()).collect()
    }

    /// The document in a form.
    pub fn write(&self, form: Form) -> Result<String> {
        Ok(match form {
            Form::Json => match self {
                Self::Measured(measured) => stage::text(measured)?,
                Self::Compared(compared) => stage::text(compared)?,
            },
            Form::Markdown => self.markdown(),
            Form::Csv => self.csv(),
            Form::Hyperfine => stage::text(&self.hyperfine())?,
            Form::Hyperfine2 => stage::text(&self.hyperfine2())?,
            Form::GithubActionBenchmark => stage::text(&self.action())?,
            Form::Bencher => stage::text(&self.bencher())?,
        })
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "### {}\n\n| Configuration | Settings | Runs | Median | Mean ± σ | Range |\n\
             |:---|:---|---:|---:|---:|---:|\n",
            cell(&self.subject())
        );
        for series in self.series() {
            let (Some(median), Some((mean, deviation)), Some((least, most))) =
                (series.median(), series.mean(), series.range())
            else {
                continue;
            };
            let deviation = deviation.map_or_else(|| "?".to_owned(), |sigma| format!("{sigma:.3}"));
            text += &format!(
                "| {} | {} | {} | {median:.3} s | {mean:.3} ± {deviation} s | \
                 {least:.3}–{most:.3} s |\n",
                cell(&series.name),
                cell(&series.settings),
                series.seconds.len(),
            );
        }
        match self {
            Self::Measured(_) => {}
            Self::Compared(compared) => {
                text += &format!("\n**{}** (seed {})\n", cell(&compared.sentence()), compared.seed);
                if !compared.outliers.is_empty() {
                    let all: Vec<String> =
                        compared.outliers.iter().map(ToString::to_string).collect();
                    text += &format!("\nOutliers, which count: pairs {}\n", all.join(", "));
                }
                if let Some(cpu) = &compared.cpu {
                    let [value, low, high] =
                        [cpu.value, cpu.interval.low, cpu.interval.high].map(change);
                    text += &format!("\nCPU time: {value} ({low} to {high})\n");
                }
            }
        }
        text
    }

    fn csv(&self) -> String {
        let (runs, names) = match self {
            Self::Measured(measured) => (&measured.runs, [&measured.configuration.name; 2]),
            Self::Compared(compared) => (&compared.runs, [&compared.a.name, &compared.b.name]),
        };
        let mut text = "pair,side,configuration,seconds,wall_seconds,cpu_seconds,\
                        peak_memory_bytes,disturbed\n"
            .to_owned();
        for run in runs {
            let (side, name) = match run.side {
                crate::pairs::Side::A => ("a", names[0]),
                crate::pairs::Side::B => ("b", names[1]),
            };
            text += &format!(
                "{},{side},{},{},{},{},{},{}\n",
                run.pair,
                quoted(name),
                run.seconds,
                run.wall_seconds,
                run.cpu_seconds.map(|cpu| cpu.to_string()).unwrap_or_default(),
                run.peak_memory_bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
                run.disturbance.is_notable(),
            );
        }
        text
    }

    fn command(&self, series: &Series) -> String {
        format!("{}: {}", self.subject(), series.name)
    }

    /// `results[]{command, mean, stddev, median, user, system, min, max, times,
    /// exit_codes, parameters}`, all in seconds.
    fn hyperfine(&self) -> Value {
        let results = self.series().into_iter().filter_map(|series| {
            let ((mean, deviation), (least, most)) = (series.mean()?, series.range()?);
            // User and system time are not told apart: all of it is the user's.
            let cpu = series.cpu_seconds.as_ref().map(|cpu| cpu.iter().sum::<f64>());
            let count = f64::from(u32::try_from(series.seconds.len()).ok()?);
            Some(json!({
                "command": self.command(&series),
                "mean": mean,
                "stddev": deviation,
                "median": series.median(),
                "user": cpu.map_or(0.0, |sum| sum / count),
                "system": 0.0,
                "min": least,
                "max": most,
                "times": series.seconds,
                "exit_codes": vec![0; series.seconds.len()],
                "parameters": { "configuration": series.name },
            }))
        });
        json!({ "results": results.collect::<Vec<_>>() })
    }

    /// `schema_version` 2: each measurement a value with its unit.
    fn hyperfine2(&self) -> Value {
        let results = self.series().into_iter().filter_map(|series| {
            let ((mean, deviation), (least, most)) = (series.mean()?, series.range()?);
            let measurements = series.seconds.iter().enumerate().map(|(at, seconds)| {
                let mut all = Map::new();
                let mut add = |name: &str, value: Value, unit: &str| {
                    all.insert(name.to_owned(), json!({ "value": value, "unit": unit }));
                };
                add("time_wall_clock", json!(seconds), "second");
                if let Some(cpu) = &series.cpu_seconds {
                    add("time_cpu", json!(cpu[at]), "second");
                }
                if let Some(bytes) = &series.peak_memory_bytes {
                    add("memory_peak_resident", json!(bytes[at]), "byte");
                }
                all.insert("exit_code".to_owned(), json!(0));
                Value::Object(all)
            });
            Some(json!({
                "command": self.command(&series),
                "measurements": measurements.collect::<Vec<_>>(),
                "summary": { "time_wall_clock": {
                    "mean": mean, "stddev": deviation, "median": series.median(),
                    "min": least, "max": most, "unit": "second",
                } },
            }))
        });
        json!({
            "schema_version": 2,
            "primary_metric": "time_wall_clock",
            "results": results.collect::<Vec<_>>(),
        })
    }

    /// `[{name, unit, value, range, extra}]`.
    fn action(&self) -> Value {
        let each = self.series().into_iter().filter_map(|series| {
            let (_, deviation) = series.mean()?;
            let mut one = json!({
                "name": self.command(&series),
                "unit": "s",
                "value": series.median(),
                "extra": format!("{} runs; {}", series.seconds.len(), series.settings),
            });
            // Text, where there is one: a null would be shown as such.
            if let Some(sigma) = deviation {
                one["range"] = json!(format!("± {sigma:.3}"));
            }
            Some(one)
        });
        Value::Array(each.collect())
    }

    /// `{benchmark: {measure: {value, lower_value, upper_value}}}`; `latency` is in
    /// nanoseconds.
    fn bencher(&self) -> Value {
        const NANOSECONDS: f64 = 1e9;
        let mut all = Map::new();
        for series in self.series() {
            let Some(median) = series.median() else { continue };
            let found = estimate(&series.seconds);
            let [low, high] = [
                found.map_or(median, |found| found.interval.low),
                found.map_or(median, |found| found.interval.high),
            ];
            let latency = json!({
                "value": median * NANOSECONDS,
                "lower_value": low * NANOSECONDS,
                "upper_value": high * NANOSECONDS,
            });
            all.insert(self.command(&series), json!({ "latency": latency }));
        }
        Value::Object(all)
    }
}

/// Text in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace(char::is_control, " ").replace('|', "\\|")
}

/// Text in a field of CSV (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Document, Form};
    use crate::compared::tests::compared;

    fn write(form: Form) -> String {
        let compared = compared(&[2.0, 2.2, 2.1], &[1.0, 1.2, 1.1]);
        Document::Compared(&compared).write(form).expect("text")
    }

    fn parsed(form: Form) -> Value {
        serde_json::from_str(&write(form)).expect("JSON")
    }

    #[test]
    fn hyperfines_fields_are_all_there() {
        let found = parsed(Form::Hyperfine);
        let results = found["results"].as_array().expect("results");
        assert_eq!(results.len(), 2);
        assert_eq!(results[0]["command"], json!("synthetic mixed, small: default"));
        assert_eq!(results[1]["times"], json!([1.0, 1.2, 1.1]));
        for field in ["mean", "stddev", "median", "user", "system", "min", "max"] {
            assert!(results[0][field].is_f64(), "{field}");
        }
        assert_eq!(results[0]["exit_codes"], json!([0, 0, 0]));
        let found = parsed(Form::Hyperfine2);
        assert_eq!(found["schema_version"], json!(2));
        let measurement = &found["results"][0]["measurements"][1];
        assert_eq!(measurement["time_wall_clock"], json!({"value": 2.2, "unit": "second"}));
    }

    #[test]
    fn others_read_medians() {
        let found = parsed(Form::GithubActionBenchmark);
        assert_eq!(found[1]["value"], json!(1.1));
        assert_eq!(found[1]["unit"], json!("s"));
        assert_eq!(found[1]["range"], json!("± 0.100"));
        let found = parsed(Form::Bencher);
        let latency = &found["synthetic mixed, small: plan.json"]["latency"];
        let number = |name: &str| latency[name].as_f64().expect("a number");
        assert!((number("value") - 1.1e9).abs() < 1.0, "{latency}");
        assert!(number("lower_value") <= 1.1e9 && number("upper_value") >= 1.1e9, "{latency}");
    }

    #[test]
    fn people_read_tables() {
        let text = write(Form::Markdown);
        assert!(text.contains("| default | max-jobs = 1 | 3 | 2.100 s |"), "{text}");
        assert!(text.contains("**plan.json against default: faster"), "{text}");
        let text = write(Form::Csv);
        assert_eq!(text.lines().count(), 1 + 8, "with the pair that warms up");
        assert!(text.contains("\n1,b,plan.json,1,1.1,2,52428800,false\n"), "{text}");
    }

    #[test]
    fn names_stay_in_their_fields() {
        let mut compared = compared(&[2.0], &[1.0]);
        compared.a.name = "a|b,\"c\"\n".to_owned();
        let write = |form| Document::Compared(&compared).write(form).expect("text");
        assert!(write(Form::Csv).contains(",\"a|b,\"\"c\"\"\n\","));
        assert!(write(Form::Markdown).contains("| a\\|b,\"c\"  |"), "{}", write(Form::Markdown));
    }
}
