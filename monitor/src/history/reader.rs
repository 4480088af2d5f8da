//! A history that is only read: also one of a service, which only it may write.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use detect::database;
use rusqlite::Connection;

use super::schema;

/// A history that is only read.
#[derive(Debug)]
pub enum Reader {
    /// One in a file.
    File(PathBuf),
    /// One that was made of what Nix left, and goes away with us.
    Memory(Connection),
}

impl Reader {
    /// The history in a file; `None` when nothing was ever recorded there.
    pub fn open(file: &Path) -> Result<Option<Self>> {
        match file.metadata() {
            Ok(found) if found.len() == 0 => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.with_context(|| file.display().to_string())?,
        };
        let version = database::read(file, |connection| Ok(schema::version(connection)))?;
        let version = version.with_context(|| file.display().to_string())?;
        Ok((version > 0).then(|| Self::File(file.to_owned())))
    }

    /// Where what it says is from.
    pub fn source(&self) -> String {
        match self {
            Self::File(file) => file.display().to_string(),
            Self::Memory(_) => "logs of builds".to_owned(),
        }
    }

    /// What a query gives, such as [`super::attempt::attempts`]: one transaction.
    pub fn ask<T>(&self, query: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        match self {
            Self::File(file) => database::read(file, query),
            Self::Memory(connection) => Ok(query(connection)?),
        }
    }
}
