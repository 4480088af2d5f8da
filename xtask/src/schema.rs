//! The schemas of the documents, made from their types, and what the Nix modules
//! may set and the page of settings, made from the tables.

use std::path::Path;

use anyhow::Result;
use bench::calibrate::Calibrated;
use bench::ci::CiRuns;
use bench::compared::Compared;
use bench::gate::Gated;
use bench::simulate::Simulated;
use bench::sweep::Swept;
use caches::benched::Benchmark;
use caches::covered::Coverage;
use caches::verified::Verified;
use caches::why::Why;
use detect::hardware::Hardware;
use detect::report::Hint;
use detect::stage;
use monitor::active::Active;
use monitor::builds::Builds;
use monitor::recorded::Recorded;
use monitor::status::Status;
use profile::costs::Costs;
use profile::plan::Plan;
use schemars::schema_for;
use storage::check::Report;
use storage::roots::Roots;

use crate::generated::ensure_contents;
use crate::settings;

/// Write every schema beside the crate that emits the document; with `check`,
/// only say whether they are up to date.
pub(crate) fn run(check: bool) -> Result<()> {
    let schemas = [
        ("bench/calibrated.schema.json", schema_for!(Calibrated)),
        ("bench/ci.schema.json", schema_for!(CiRuns)),
        ("bench/gated.schema.json", schema_for!(Gated)),
        ("bench/measured.schema.json", schema_for!(bench::compared::Measured)),
        ("bench/schema.json", schema_for!(Compared)),
        ("bench/simulated.schema.json", schema_for!(Simulated)),
        ("bench/swept.schema.json", schema_for!(Swept)),
        ("caches/bench.schema.json", schema_for!(Benchmark)),
        ("caches/coverage.schema.json", schema_for!(Coverage)),
        ("caches/schema.json", schema_for!(Verified)),
        ("caches/why.schema.json", schema_for!(Why)),
        ("detect/schema.json", schema_for!(Hardware)),
        ("monitor/active.schema.json", schema_for!(Active)),
        ("monitor/builds.schema.json", schema_for!(Builds)),
        ("monitor/report.schema.json", schema_for!(monitor::report::Report)),
        ("monitor/schema.json", schema_for!(Recorded)),
        ("monitor/status.schema.json", schema_for!(Status)),
        ("profile/costs.schema.json", schema_for!(Costs)),
        ("profile/schema.json", schema_for!(Plan)),
        ("storage/measure.schema.json", schema_for!(storage::measure::Measured)),
        ("storage/roots.schema.json", schema_for!(Roots)),
        ("storage/schema.json", schema_for!(Report)),
        ("xtask/ci-lint.schema.json", schema_for!(crate::lint::Linted)),
    ];
    let mut files = vec![("profile/allowed.json", stage::text(&profile::allowed::allowed())?)];
    files.push(("docs/settings.md", settings::page()?));
    for (path, schema) in schemas {
        files.push((path, stage::text(&schema)?));
    }
    for (path, text) in files {
        ensure_contents(Path::new(path), &text, check).map_err(|error| {
            if check { error.context(Hint::new("run cargo xtask schema")) } else { error }
        })?;
    }
    Ok(())
}
