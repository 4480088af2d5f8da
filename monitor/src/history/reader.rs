//! A history that is only read: also one of a service, which only it may write.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::database;
use rusqlite::Connection;

use super::schema;

/// A history that is only read.
#[derive(Clone, Debug)]
pub struct Reader {
    file: PathBuf,
}

impl Reader {
    /// The history in a file; `None` when nothing was ever recorded there.
    pub fn open(file: &Path) -> Result<Option<Self>> {
        match file.metadata() {
            Ok(found) if found.len() == 0 => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            found => found.with_context(|| file.display().to_string())?,
        };
        let version = database::read(file, |connection| Ok(schema::version(connection)))?;
        let version = version.with_context(|| file.display().to_string())?;
        Ok((version > 0).then(|| Self { file: file.to_owned() }))
    }

    /// Its file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// What a query gives, such as [`super::attempt::attempts`]: one transaction.
    pub fn ask<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        database::read(&self.file, query)
    }
}
