//! What all trials start from: our programs, and documents they made undisturbed.

use std::cell::{Cell, OnceCell};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::child::{self, Ended};
use crate::command;
use crate::speed::made_up;

/// A machine that stays as it is while it is looked at.
const MACHINE: &str = "tests/fixtures/pod-quota-v2";

/// A stage of the pipe, and what it makes of its input.
pub(super) struct Stage {
    pub(super) tool: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) input: Vec<u8>,
    pub(super) output: Vec<u8>,
}

/// A place for trials.
pub(super) struct Arena {
    programs: PathBuf,
    folder: TempDir,
    pub(super) stages: Vec<Stage>,
    /// A history of some builds, and of 10,000, once they are made.
    pub(super) small: OnceCell<PathBuf>,
    pub(super) big: OnceCell<PathBuf>,
    /// The state of a Nix with 1,000,000 paths, once it is made.
    pub(super) store: OnceCell<PathBuf>,
    peak: Cell<u64>,
}

impl Arena {
    /// Make the documents.
    pub(super) fn new() -> Result<Self> {
        let programs = command::ours()?;
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("nixpace-torture-").tempdir_in(base)?;
        let mut arena = Self {
            programs,
            folder,
            stages: Vec::new(),
            small: OnceCell::new(),
            big: OnceCell::new(),
            store: OnceCell::new(),
            peak: Cell::new(0),
        };
        made_up::store(&arena.nix(), 1)?;
        let mut input = Vec::new();
        let machine = fs::canonicalize(MACHINE).context(MACHINE)?;
        let root = format!("--root={}", machine.display());
        for (tool, arguments) in [
            ("detect", vec![root]),
            ("profile", vec![]),
            ("storage", vec![]),
            ("caches", vec!["--offline".to_owned()]),
            ("nix-conf-write", vec![]),
        ] {
            let stage = Stage { tool, arguments, input, output: Vec::new() };
            let ended = arena.run(&mut arena.command(&stage), &stage.input)?;
            input = ended.whole(tool)?;
            arena.stages.push(Stage { output: input.clone(), ..stage });
        }
        Ok(arena)
    }

    /// A folder for one trial.
    pub(super) fn folder(&self) -> Result<TempDir> {
        tempfile::tempdir_in(self.folder.path()).context("temporary folder")
    }

    /// The folder of everything.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The state of a Nix that has done next to nothing.
    pub(super) fn nix(&self) -> PathBuf {
        self.path().join("nix")
    }

    /// One of our programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A tool as it is run in trials: nothing of this user's is read or written.
    pub(super) fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        command.env("HOME", self.path()).env("XDG_STATE_HOME", self.path());
        command.env_remove("RUST_BACKTRACE").current_dir(self.path());
        command
    }

    /// A stage's tool, with its arguments.
    pub(super) fn command(&self, stage: &Stage) -> Command {
        let mut command = self.tool(stage.tool);
        command.arg("--quiet").args(&stage.arguments);
        command
    }

    /// Run a command to its end.
    pub(super) fn run(&self, command: &mut Command, input: &[u8]) -> Result<Ended> {
        self.meddle(command, input, usize::MAX, |_, _| {})
    }

    /// Run a command that gets and gives so many bytes at a time, and do something
    /// to it meanwhile.
    pub(super) fn meddle(
        &self,
        command: &mut Command,
        input: &[u8],
        chunk: usize,
        what: impl FnMut(&mut std::process::Child, std::time::Duration),
    ) -> Result<Ended> {
        let ended = child::run(command, input, chunk, what)
            .with_context(|| command.get_program().display().to_string())?;
        self.peak.set(self.peak.get().max(ended.peak_bytes));
        Ok(ended)
    }

    /// Most memory of any child since it was forgotten.
    pub(super) fn peak(&self) -> u64 {
        self.peak.get()
    }

    /// Begin anew.
    pub(super) fn forget_peak(&self) {
        self.peak.set(0);
    }

    /// Whether mounts can be made that nobody else sees.
    pub(super) fn may_mount() -> bool {
        command::succeeds(Command::new("unshare").args(["--mount", "true"]))
    }
}
