//! What the files say, or would say.

use std::path::Path;

use anyhow::{Result, anyhow};
use detect::report::Hint;

use super::folder::Folder;
use super::include::{self, Include, OURS};
use super::proof::Texts;
use super::{change, folder};

/// A file's name, and its text if there is one.
type Conf = (&'static str, Option<Vec<u8>>);

/// The files as they are, or as they would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// nix.conf, where it is not the host.
    main: Option<Conf>,
    /// The file that has, or would have, the line.
    host: Conf,
    /// Our file.
    pub(super) ours: Option<Vec<u8>>,
}

impl State {
    /// Read the files.
    pub(super) fn read(folder: &Folder) -> Result<Self> {
        let read = |name| folder.read(name).map(|text| (name, text));
        let main = (folder.host != folder::MAIN).then(|| read(folder::MAIN)).transpose()?;
        Ok(Self { main, host: read(folder.host)?, ours: folder.read(OURS)? })
    }

    /// The same with our file as given, and the line.
    pub(super) fn with(&self, folder: &Folder, ours: &[u8]) -> Result<Self> {
        if let Some((name, text)) = &self.main
            && lines(text.as_deref(), folder.path(), self.host.0).next().is_none()
        {
            let (path, host) = (folder.file(name), self.host.0);
            let why =
                anyhow!("{}: does not include {host}, as Determinate Nix has it", path.display());
            let hint = format!("put the line !include {host} at its end");
            return Err(why.context(Hint::new(&hint)));
        }
        let mut next = Self { ours: Some(ours.to_owned()), ..self.clone() };
        if self.included(folder).next().is_none() {
            next.host.1 = Some(include::add(self.host()));
        }
        Ok(next)
    }

    /// The same without our file and our line.
    pub(super) fn without(&self) -> Self {
        let host = (self.host.0, self.host().and_then(include::remove));
        Self { host, ours: None, ..self.clone() }
    }

    /// The text that has, or would have, the line.
    pub(super) fn host(&self) -> Option<&[u8]> {
        self.host.1.as_deref()
    }

    /// What includes our file, by whatever line.
    fn included(&self, folder: &Folder) -> impl Iterator<Item = (&Conf, Include<'_>)> {
        let confs = self.main.iter().chain([&self.host]);
        confs.flat_map(|conf| {
            lines(conf.1.as_deref(), folder.path(), OURS).map(move |include| (conf, include))
        })
    }

    /// Whether our file is included.
    pub(super) fn is_included(&self, folder: &Folder) -> bool {
        self.included(folder).next().is_some()
    }

    /// Where our file must be there for Nix to start.
    pub(super) fn needs(&self, folder: &Folder) -> Option<String> {
        let mut required = self.included(folder).filter(|(_, include)| include.required);
        let ((name, _), include) = required.next()?;
        Some(format!("{} line {}", folder.file(name).display(), include.line))
    }

    /// Our settings that Nix reads: none, if nothing includes them.
    pub(super) fn in_force(&self, folder: &Folder) -> &[u8] {
        match &self.ours {
            Some(ours) if self.is_included(folder) => ours,
            _ => b"",
        }
    }

    /// What Nix is to read.
    pub(super) fn texts(&self) -> Texts<'_> {
        let confs = self.main.iter().chain([&self.host]);
        let confs = confs.filter_map(|(name, text)| Some((*name, text.as_deref()?)));
        confs.chain(self.ours.iter().map(|text| (OURS, text.as_slice()))).collect()
    }

    /// The last line after our file is included that undoes what it says of a
    /// setting.
    pub(super) fn overrider(&self, folder: &Folder, name: &str) -> Option<String> {
        let ((file, text), include) = self.included(folder).last()?;
        let (line, _) = change::settings(text.as_deref()?)
            .filter(|(line, setting)| *line > include.line && setting.overrides(name))
            .last()?;
        Some(format!("{} line {line}", folder.file(file).display()))
    }
}

/// The includes of a text that lead to a file beside it.
fn lines<'a>(
    text: Option<&'a [u8]>,
    folder: &Path,
    name: &str,
) -> impl Iterator<Item = Include<'a>> {
    include::of(text.unwrap_or_default(), folder, name)
}
