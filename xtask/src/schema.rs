//! The schemas of the documents, made from their types.

use std::path::Path;

use anyhow::Result;
use caches::why::Why;
use detect::hardware::Hardware;
use detect::report::Hint;
use detect::stage;
use profile::plan::Plan;
use schemars::{Schema, schema_for};

use crate::generated::ensure_contents;

/// Write every schema beside the crate that emits the document; with `check`,
/// only say whether they are up to date.
pub(crate) fn run(check: bool) -> Result<()> {
    let schemas: [(&str, Schema); 3] = [
        ("caches/why.schema.json", schema_for!(Why)),
        ("detect/schema.json", schema_for!(Hardware)),
        ("profile/schema.json", schema_for!(Plan)),
    ];
    for (path, schema) in schemas {
        ensure_contents(Path::new(path), &stage::text(&schema)?, check).map_err(|error| {
            if check { error.context(Hint::new("run cargo xtask schema")) } else { error }
        })?;
    }
    Ok(())
}
