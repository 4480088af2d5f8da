//! Where the history is.

use std::env;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use detect::report::Hint;

/// Which history.
#[derive(Args, Clone, Debug, Default)]
pub struct Place {
    /// The history; by default nixpace/history.sqlite where this user's programs
    /// keep their state, or the service's state directory
    #[arg(long = "db", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl Place {
    /// The file, whether or not it is there.
    pub fn find(&self) -> Result<PathBuf> {
        match &self.file {
            Some(file) => Ok(file.clone()),
            None => by_default(|name| env::var_os(name).map(PathBuf::from)),
        }
    }
}

/// Sources: systemd.exec(5) `StateDirectory=`, which may name several; the XDG
/// base directory specification, by which relative paths are none.
fn by_default(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    let first = |list: PathBuf| env::split_paths(&list).next();
    let whole = |path: &PathBuf| path.is_absolute();
    if let Some(folder) = variable("STATE_DIRECTORY").and_then(first).filter(whole) {
        return Ok(folder.join("history.sqlite"));
    }
    let state = variable("XDG_STATE_HOME").filter(whole);
    let home = || variable("HOME").filter(whole).map(|home| home.join(".local/state"));
    let state = state.or_else(home).context("history: no HOME to keep it in");
    let state = state.context(Hint::new("name a file with --db FILE"))?;
    Ok(state.join("nixpace/history.sqlite"))
}

/// Make the folder of a file. What is recorded are command lines and names of
/// what somebody builds: for others it is not.
pub(super) fn make_folder(file: &Path) -> Result<()> {
    let Some(folder) = file.parent().filter(|folder| *folder != Path::new("")) else {
        return Ok(());
    };
    if fs::metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::{by_default, make_folder};

    fn place(variables: &[(&str, &str)]) -> Option<PathBuf> {
        let find = |name: &str| variables.iter().find(|(key, _)| *key == name);
        by_default(|name| find(name).map(|(_, value)| PathBuf::from(value))).ok()
    }

    #[test]
    fn a_service_has_a_place_of_its_own() {
        let all = [("STATE_DIRECTORY", "/var/lib/a:/b"), ("XDG_STATE_HOME", "/s"), ("HOME", "/h")];
        assert_eq!(place(&all), Some("/var/lib/a/history.sqlite".into()));
        assert_eq!(place(&all[1..]), Some("/s/nixpace/history.sqlite".into()));
        assert_eq!(place(&all[2..]), Some("/h/.local/state/nixpace/history.sqlite".into()));
        assert_eq!(place(&[("XDG_STATE_HOME", "s")]), None);
        assert_eq!(place(&[("STATE_DIRECTORY", ""), ("HOME", "h")]), None);
    }

    #[test]
    fn the_folder_is_private_and_others_stay_as_they_are() {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("a/b/history.sqlite");
        make_folder(&file).expect("made");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode();
        let parent = file.parent().expect("a folder");
        assert_eq!(mode(parent) & 0o777, 0o700);
        std::fs::set_permissions(parent, PermissionsExt::from_mode(0o755)).expect("chmod");
        make_folder(&file).expect("there");
        assert_eq!(mode(parent) & 0o777, 0o755);
        make_folder("history.sqlite".as_ref()).expect("here");
    }
}
