//! The graph that CI runs build.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Put the expression into a folder, as `graph.nix`.
pub(super) fn write(folder: &Path) -> Result<()> {
    for (name, text) in
        [("graph.nix", include_str!("graph.nix")), ("build.sh", include_str!("build.sh"))]
    {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
