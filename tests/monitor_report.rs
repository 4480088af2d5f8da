//! `monitor report`: what it shows, in a real browser too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use monitor::history::History;
use monitor::history::run::Run;
use monitor::recorded::{Build, Outcome, Phase, Recorded, Source, Substitution, Usage};
use serde_json::Value;

use crate::tools::{document, missing, text, tool, workspace};

/// Names that would do harm in a page if they were taken for markup.
const HOSTILE: &str = "<script>document.title='taken'</script>\"'><img src=x onerror=\"1\">";

/// A history as that of a machine in use for a month, until now.
fn history(folder: &Path) -> PathBuf {
    let file = folder.join("history.sqlite");
    let mut history = History::open(&file).expect("a history");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    for day in 0..30 {
        let started = now.as_secs_f64() - f64::from(day) * 86400.0 - 4000.0;
        let recorded = recorded(day);
        let exit_code = Some(i32::from(day % 9 == 0));
        let run = Run {
            started,
            ended: started + 300.0,
            command: vec!["nix".to_owned(), "build".to_owned(), format!(".#{HOSTILE}")],
            exit_code,
            nix_version: Some("2.34.8".to_owned()),
            jobs: Some(4),
            cores: Some(4),
            recorded,
            digest: None,
        };
        history.record(&run).expect("recorded");
    }
    file
}

fn recorded(day: u32) -> Recorded {
    let builds = (0..40).map(|number| {
        let wall = f64::from((number * 37 + day * 11) % 97 + 1).powi(2) / 120.0;
        let name = match number {
            7 => HOSTILE.to_owned(),
            _ => format!("package-with-a-long-name-{}-1.{day}", number % 23),
        };
        Build {
            drv: format!("/nix/store/{}-{name}.drv", "0".repeat(32)),
            outcome: match (number + day) % 20 {
                0 => Outcome::Failed,
                1 => Outcome::Cancelled,
                _ => Outcome::Built,
            },
            name,
            reason: None,
            machine: None,
            started_seconds: Some(f64::from(number) * 5.0),
            wall_seconds: (number != 3).then_some(wall),
            phases: ["unpackPhase", "buildPhase", "installPhase"]
                .map(|name| Phase { name: name.to_owned(), wall_seconds: Some(wall / 3.0) })
                .into(),
            usage: Some(Usage {
                cpu_seconds: wall * 2.0,
                peak_memory_bytes: Some(u64::from(number + 1) << 26),
                source: Source::Sampled,
            }),
        }
    });
    let substitutions = (0..25).map(|number| Substitution {
        path: format!("/nix/store/{}-fetched-{number}", "1".repeat(32)),
        cache: "https://cache.nixos.org".to_owned(),
        started_seconds: Some(f64::from(number % 7)),
        wall_seconds: Some(f64::from(number) / 3.0),
        downloaded_bytes: Some(1 << 20),
        nar_bytes: Some(1 << 22),
    });
    Recorded {
        version: detect::number::Version,
        builds: builds.collect(),
        substitutions: substitutions.collect(),
        waits: Vec::new(),
        downloaded_bytes: 25 << 20,
        unknown_events: 0,
        malformed_lines: 0,
    }
}

/// `monitor report` on a history, and on nothing of this machine's.
fn report(folder: &Path) -> Command {
    let mut command = tool("monitor");
    command
        .arg("report")
        .env("NIX_STATE_DIR", folder.join("nix"))
        .env("NIX_LOG_DIR", folder.join("log"))
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("HOME", folder);
    command
}

fn page(folder: &Path) -> PathBuf {
    let (db, html) = (history(folder), folder.join("report.html"));
    let output = report(folder).arg("--db").arg(db).arg("--html").arg(&html).output();
    let output = output.expect("monitor runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    html
}

/// A browser without a screen, by any of its names. `CHROME` names another.
fn browser() -> Option<PathBuf> {
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find =
        |name: &str| std::env::split_paths(&path).map(|at| at.join(name)).find(|at| at.is_file());
    let found =
        std::env::var_os("CHROME").map(PathBuf::from).or_else(|| names.into_iter().find_map(find));
    if found.is_none() {
        missing("no Chromium is installed (apt-get install chromium-headless-shell)");
    }
    found
}

/// What a browser makes of a page: its document at the end, and what it
/// complained of.
fn browse(browser: &Path, html: &Path, width: u32, scheme: Scheme) -> (String, String) {
    let folder = tempfile::tempdir().expect("folder");
    let output = Command::new(browser)
        // Root has no sandbox; and nothing foreign is run here.
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args([
            "--enable-logging=stderr",
            "--log-level=0",
            "--dump-dom",
            "--virtual-time-budget=5000",
        ])
        // No name is one that could be asked.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(format!("--window-size={width},844"))
        .arg(format!("--blink-settings=preferredColorScheme={}", scheme as u8))
        .arg(format!("file://{}", html.display()))
        .output()
        .expect("the browser runs");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let complaints = text(&output.stderr);
    let complaints = complaints.lines().filter(|line| line.contains("CONSOLE"));
    (text(&output.stdout), complaints.collect::<Vec<_>>().join("\n"))
}

/// Which colours a user likes, by Chromium's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scheme {
    Dark = 0,
    Light = 1,
}

/// What is measured in the page: written to an attribute of its root.
const MEASURE: &str = r#"<script>addEventListener("load", () => {
  const root = document.documentElement;
  const paper = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).map(Number);
  const ink = getComputedStyle(document.body).color.match(/[0-9.]+/g).map(Number);
  const wide = [...document.querySelectorAll("main *")].filter((element) => {
    const place = element.getBoundingClientRect();
    const hidden = element.closest("caption, details .scroll, .span");
    return !hidden && place.width > 0 && (place.right > root.clientWidth + 1 || place.left < -1);
  }).map((element) => element.outerHTML.slice(0, 80));
  const small = [...document.querySelectorAll("main text, main td, main th, main p, main li")]
    .filter((element) => parseFloat(getComputedStyle(element).fontSize) < 12).length;
  root.dataset.measured = JSON.stringify({
    title: document.title, paper, ink, wide, small,
    inner: innerWidth, scroll: root.scrollWidth, plots: document.querySelectorAll("svg.plot").length,
    tables: document.querySelectorAll("table").length,
    unnamed: [...document.querySelectorAll("svg[role=img]")].filter((plot) => plot
      .getAttribute("aria-labelledby").split(" ").some((id) => !document.getElementById(id))).length,
    repeated: [...document.querySelectorAll("[id]")].filter((one, _, all) =>
      all.some((other) => other !== one && other.id === one.id)).length,
    scripts: document.scripts.length, images: document.images.length,
    requests: performance.getEntriesByType("resource").length,
  });
});</script>"#;

fn measure(browser: &Path, html: &Path, width: u32, scheme: Scheme) -> Value {
    // The page lets no script run: what measures needs a page that does.
    let page = fs::read_to_string(html).expect("the page");
    let policy = page.find("<meta http-equiv=\"Content-Security-Policy\"").expect("a policy");
    let end = policy + page[policy..].find('>').expect("its end") + 1;
    let measured = html.with_file_name("measured.html");
    fs::write(&measured, format!("{}{MEASURE}{}", &page[..policy], &page[end..])).expect("written");
    let (dom, _) = browse(browser, &measured, width, scheme);
    let (_, found) = dom.split_once("data-measured=\"").expect("it was measured");
    let found = found.split('"').next().expect("an end").replace("&quot;", "\"");
    let found = found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&found).expect("JSON")
}

/// How light a colour is, from 0 to 1 (WCAG 2.2, "relative luminance").
fn light(color: &Value) -> f64 {
    let part = |index: usize| {
        let value = color[index].as_f64().expect("a number") / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2)
}

#[test]
fn a_browser_shows_the_page_in_any_width_and_colours_without_a_word() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let html = page(folder.path());
    for width in [360, 390, 800, 1400] {
        for scheme in [Scheme::Light, Scheme::Dark] {
            let (dom, complaints) = browse(&browser, &html, width, scheme);
            assert_eq!(complaints, "", "{width} {scheme:?}");
            assert!(dom.contains("What Nix built"));

            let found = measure(&browser, &html, width, scheme);
            assert_eq!(found["inner"], width, "{found}");
            assert_eq!(found["scroll"], width, "it scrolls sideways: {found}");
            assert_eq!(found["wide"], serde_json::json!([]), "{width}: something is cut off");
            assert_eq!(found["small"], 0, "{width}: text too small to read");
            let [paper, ink] = [light(&found["paper"]), light(&found["ink"])];
            assert_eq!(scheme == Scheme::Light, paper > ink, "{scheme:?}: {found}");
            let contrast = (paper.max(ink) + 0.05) / (paper.min(ink) + 0.05);
            assert!(contrast >= 7.0, "{scheme:?}: {contrast}");
            // Days, builds and the last run: this history knows of no paths.
            assert_eq!(found["plots"], 3, "{found}");
            assert!(found["tables"].as_u64() >= Some(5), "{found}");
            for none in ["unnamed", "repeated", "images", "requests"] {
                assert_eq!(found[none], 0, "{none}: {found}");
            }
            assert_eq!(found["scripts"], 1, "the one that measures");
            assert!(found["title"].as_str().expect("text").starts_with("Nix builds until "));
        }
    }
}

#[test]
fn a_history_of_nothing_makes_a_page_that_says_what_to_do() {
    let folder = tempfile::tempdir().expect("folder");
    let output = report(folder.path()).output().expect("monitor runs");
    let html = document(&output);
    assert!(html.contains("class=\"missing\""), "{html}");
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"));
    if let Some(browser) = browser() {
        let file = folder.path().join("report.html");
        fs::write(&file, html).expect("written");
        let (_, complaints) = browse(&browser, &file, 390, Scheme::Dark);
        assert_eq!(complaints, "");
        assert_eq!(measure(&browser, &file, 390, Scheme::Dark)["scroll"], 390);
    }
}

#[test]
fn the_document_is_what_its_schema_says() {
    let folder = tempfile::tempdir().expect("folder");
    let db = history(folder.path());
    let output = report(folder.path()).arg("--json").arg("--db").arg(&db).output();
    let found: Value = serde_json::from_str(&document(&output.expect("runs"))).expect("JSON");
    let schema = fs::read_to_string(workspace().join("monitor/report.schema.json"));
    let schema = serde_json::from_str(&schema.expect("a schema")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = schema.iter_errors(&found).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(found["builds"]["found"].as_array().map(Vec::len), Some(1200));
    assert_eq!(found["last_run"]["found"]["recorded"]["builds"].as_array().map(Vec::len), Some(40));
    assert!(found["store"]["why"].is_string(), "there is no database of Nix's: {}", found["store"]);

    let output = report(folder.path()).args(["--json", "--since", "36h", "--db"]).arg(&db).output();
    let found: Value = serde_json::from_str(&document(&output.expect("runs"))).expect("JSON");
    assert_eq!(found["builds"]["found"].as_array().map(Vec::len), Some(80), "two days");
}

#[test]
fn other_readers_read_the_table() {
    let folder = tempfile::tempdir().expect("folder");
    let db = history(folder.path());
    let output = report(folder.path()).arg("--csv").arg("--db").arg(&db).output();
    let csv = document(&output.expect("monitor runs"));
    assert!(
        csv.lines().count() > 1200 && csv.split("\r\n").count() == 1202,
        "RFC 4180 ends lines so"
    );
    let file = folder.path().join("builds.csv");
    fs::write(&file, csv).expect("written");
    let script = "import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8'), strict=True))
print(json.dumps(rows))";
    if !crate::tools::has(&["python3"]) {
        return;
    }
    let python = Command::new("python3").args(["-c", script]).arg(&file).output().expect("python3");
    let rows: Value = serde_json::from_str(&document(&python)).expect("JSON");
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 1200);
    assert!(rows.iter().any(|row| row["name"] == HOSTILE), "what a name is, it stays");
    for row in rows {
        assert_eq!(row.as_object().map(serde_json::Map::len), Some(10), "{row}");
        assert!(["built", "failed", "cancelled"].contains(&row["outcome"].as_str().expect("text")));
    }
}
