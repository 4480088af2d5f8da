//! What a CI run costs with each kind of cache.
//!
//! Each run is one on a runner that was never used: an empty store, nothing
//! remembered, and a link to wherever caches are, with the delay and rate of one. What
//! is built is a project and its dependencies, as an earlier run has left them in the
//! cache: the same commit again, or another commit of the project alone.
//!
//! What is not simulated: what others do at the same link, limits on requests, and
//! caches that were thrown away.

mod graph;
pub mod server;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use detect::number::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interrupt::Interrupt;
use crate::link::slow;
use crate::nix::Nix;
use crate::sample::{How, run};
use crate::sampler::Sampler;
use crate::statistics::median;
use crate::store::{Store, copy, remove};
use server::{Server, get, put, serve};

/// The key that signs the caches.
const KEY: &str = "bench-ci-1";

/// What CI runs cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CiRuns {
    /// Version of this document's format.
    pub version: Version<1>,
    /// The Nix that ran.
    pub nix: Option<String>,
    /// The link and the graph.
    pub setting: Setting,
    /// By cache, unchanged before changed.
    pub rows: Vec<Row>,
}

/// The link to the cache, and what is built.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// To the cache and back.
    pub round_trip_seconds: f64,
    /// In each direction, all connections together.
    pub bytes_per_second: f64,
    /// Dependencies of the project.
    pub packages: u32,
    /// Each one's output.
    pub output_bytes: u64,
    /// Work of each, in units of some milliseconds.
    pub work: u32,
    /// Times that each was measured.
    pub runs: u32,
}

/// One cache and one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The cache.
    pub cache: Kind,
    /// Whether the project is another than the one in the cache.
    pub changed: bool,
    /// From an empty store to the end of the run: the median.
    pub seconds: f64,
    /// Of these, until Nix starts.
    pub restore_seconds: f64,
    /// Of these, Nix, with what it downloads.
    pub build_seconds: f64,
    /// Of these, after Nix: what is new goes into the cache.
    pub save_seconds: f64,
    /// Over the link to the runner.
    pub downloaded_bytes: u64,
    /// Over the link from it.
    pub uploaded_bytes: u64,
    /// Questions to the cache.
    pub requests: u64,
    /// Derivations that were built.
    pub built: u32,
}

/// A kind of cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Everything is built.
    None,
    /// One signed file for each path, as cachix, attic or a bucket serve them.
    BinaryCache,
    /// The same kept in the CI's own cache, as magic-nix-cache does: whatever is
    /// asked for is looked up there first, which is another round trip.
    PerPath,
    /// The whole store in one archive, as cache-nix-action keeps it.
    StoreArchive,
}

/// All of them.
pub const KINDS: [Kind; 4] = [Kind::None, Kind::PerPath, Kind::StoreArchive, Kind::BinaryCache];

/// What one run took.
#[derive(Clone, Copy, Debug, Default)]
struct Ran {
    restore: f64,
    build: f64,
    save: f64,
    downloaded: u64,
    uploaded: u64,
    requests: u64,
    built: u32,
}

/// A runner, with a store at the same path in each of its lives.
struct Runner<'a> {
    setting: Setting,
    store: Store,
    nix: Nix,
    sampler: Sampler,
    /// The public half of the key.
    public: String,
    interrupt: &'a Interrupt,
}

/// Measure each kind of cache with each input.
pub fn measure(
    setting: Setting,
    folder: &Path,
    interrupt: &Interrupt,
    done: &mut dyn FnMut(),
) -> Result<CiRuns> {
    let runner = Runner::new(setting, folder, interrupt)?;
    let mut rows = Vec::new();
    for kind in KINDS {
        runner.prepare(kind)?;
        for changed in [false, true] {
            let mut runs = Vec::new();
            for _ in 0..setting.runs {
                runs.push(runner.once(kind, changed)?);
                done();
            }
            rows.push(row(kind, changed, &runs));
        }
    }
    Ok(CiRuns { version: Version, nix: runner.nix.banner().ok(), setting, rows })
}

fn row(cache: Kind, changed: bool, runs: &[Ran]) -> Row {
    let of = |figure: fn(&Ran) -> f64| {
        median(&runs.iter().map(figure).collect::<Vec<_>>()).unwrap_or_default()
    };
    let last = runs.last().copied().unwrap_or_default();
    Row {
        cache,
        changed,
        seconds: of(|ran| ran.restore + ran.build + ran.save),
        restore_seconds: of(|ran| ran.restore),
        build_seconds: of(|ran| ran.build),
        save_seconds: of(|ran| ran.save),
        downloaded_bytes: last.downloaded,
        uploaded_bytes: last.uploaded,
        requests: last.requests,
        built: last.built,
    }
}

impl<'a> Runner<'a> {
    fn new(setting: Setting, folder: &Path, interrupt: &'a Interrupt) -> Result<Self> {
        let mut store = Store::new(folder)?;
        graph::write(store.path())?;
        store.remember()?;
        let nix = store.nix().ended_by(interrupt);
        let [secret, public] =
            ["key", "key.pub"].map(|name| store.path().join(name).display().to_string());
        nix.ask("nix-store", &["--generate-binary-cache-key", KEY, &secret, &public], "")?;
        let public = std::fs::read_to_string(&public)?.trim().to_owned();
        let sampler = Sampler::default();
        Ok(Self { setting, store, nix, sampler, public, interrupt })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.store.path().join(name)
    }

    /// Leave in the cache what an earlier run of the first commit leaves there.
    fn prepare(&self, kind: Kind) -> Result<()> {
        self.store.reset()?;
        remove(&self.path("kept"))?;
        std::fs::create_dir(self.path("kept"))?;
        if kind == Kind::None {
            return Ok(());
        }
        let (_, output) = self.build(false, "")?;
        let direct = serve(&self.path("kept"), Duration::ZERO)?;
        self.save(kind, direct.port, &output)
    }

    /// One run on a fresh runner.
    fn once(&self, kind: Kind, changed: bool) -> Result<Ran> {
        self.store.reset()?;
        // What this run saves is not there for the next.
        remove(&self.path("served"))?;
        copy(&self.path("kept"), &self.path("served"))?;
        let round_trip = Duration::from_secs_f64(self.setting.round_trip_seconds);
        let lookup = if kind == Kind::PerPath { round_trip } else { Duration::ZERO };
        let server = serve(&self.path("served"), lookup)?;
        let port = slow(server.port, round_trip / 2, Some(self.setting.bytes_per_second))?;

        let began = Instant::now();
        if kind == Kind::StoreArchive {
            self.unpack(port)?;
        }
        let restore = began.elapsed().as_secs_f64();
        let settings = match kind {
            Kind::BinaryCache | Kind::PerPath => format!(
                "substitute = true\nsubstituters = http://127.0.0.1:{port}\n\
                 trusted-public-keys = {}\n",
                self.public
            ),
            Kind::None | Kind::StoreArchive => String::new(),
        };
        let began = Instant::now();
        let (count, output) = self.build(changed, &settings)?;
        let build = began.elapsed().as_secs_f64();
        let began = Instant::now();
        // What came from the cache is there already.
        if count > 0 && kind != Kind::None {
            self.save(kind, port, &output)?;
        }
        let save = began.elapsed().as_secs_f64();
        Ok(Ran { restore, build, save, built: count, ..traffic(&server) })
    }

    /// Build a commit: how many derivations were built, and the project.
    fn build(&self, changed: bool, settings: &str) -> Result<(u32, String)> {
        let input = if changed { "another" } else { "first" };
        let Setting { packages, output_bytes, work, .. } = self.setting;
        let link = self.path("result");
        let link = link.display().to_string();
        let file = self.path("graph.nix").display().to_string();
        let mut command = self.nix.command("nix-build", settings);
        command.args([&file, "--out-link", &link, "--argstr", "input", input]);
        for (name, value) in
            [("packages", packages.into()), ("kib", output_bytes >> 10), ("work", work.into())]
        {
            command.args(["--arg", name, &value.to_string()]);
        }
        let how = How { events: true, ..How::default() };
        match run(&mut command, how, &self.sampler, self.interrupt)? {
            Some(sample) => Ok((sample.builds, std::fs::read_link(link)?.display().to_string())),
            None => bail!("interrupted"),
        }
    }

    /// Put what is new into the cache.
    fn save(&self, kind: Kind, port: u16, output: &str) -> Result<()> {
        if kind == Kind::StoreArchive {
            let archive = self.path("tmp/saved.tar");
            self.tar(&["--create", "--file"], &archive, &["store", "var"])?;
            put(port, "store.tar", &archive).context("the archive")?;
            return Ok(());
        }
        let secret = self.path("key").display().to_string();
        // Nix's default, xz, costs more time than it saves bytes.
        let to = format!("http://127.0.0.1:{port}?secret-key={secret}&compression=zstd");
        let arguments =
            ["--extra-experimental-features", "nix-command", "copy", "--to", &to, output];
        self.nix.ask("nix", &arguments, "").map(drop)
    }

    /// Have the archive, and in the store what is in it.
    fn unpack(&self, port: u16) -> Result<()> {
        let archive = self.path("tmp/store.tar");
        get(port, "store.tar", &archive).context("the archive")?;
        self.tar(&["--extract", "--file"], &archive, &[])
    }

    /// tar, with the compression that CI caches use.
    fn tar(&self, what: &[&str], archive: &Path, paths: &[&str]) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.arg("--zstd").args(what).arg(archive).arg("--directory").arg(self.store.path());
        let output = tar.args(paths).output().context("tar")?;
        if !output.status.success() {
            // What went wrong comes first, as that there is no zstd, and then what follows.
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!("{}", errors.lines().next().unwrap_or("tar: it does not say why"));
        }
        Ok(())
    }
}

fn traffic(server: &Server) -> Ran {
    let of = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    Ran {
        downloaded: of(&server.traffic.sent_bytes),
        uploaded: of(&server.traffic.received_bytes),
        requests: of(&server.traffic.requests),
        ..Ran::default()
    }
}

impl CiRuns {
    /// A table for people.
    pub fn table(&self) -> String {
        let mut text =
            "| Cache | Input | Time | until Nix | Nix | saving | down | up | requests | \
                        built |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n"
                .to_owned();
        for row in &self.rows {
            text.push_str(&format!(
                "| {} | {} | {:.1} s | {:.1} s | {:.1} s | {:.1} s | {} | {} | {} | {} |\n",
                name(row.cache),
                if row.changed { "changed" } else { "unchanged" },
                row.seconds,
                row.restore_seconds,
                row.build_seconds,
                row.save_seconds,
                mib(row.downloaded_bytes),
                mib(row.uploaded_bytes),
                row.requests,
                row.built,
            ));
        }
        text
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::None => "none",
        Kind::BinaryCache => "binary cache",
        Kind::PerPath => "path by path",
        Kind::StoreArchive => "store archive",
    }
}

#[expect(clippy::cast_precision_loss, reason = "a tenth of a MiB is shown")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::{Kind, Ran, row};

    #[test]
    fn a_row_has_the_median_of_the_whole() {
        let ran = |build| Ran { restore: 1.0, build, save: 0.5, built: 3, ..Ran::default() };
        let row = row(Kind::StoreArchive, true, &[ran(9.0), ran(2.0), ran(3.0)]);
        assert!((row.seconds - 4.5).abs() < 1e-9, "{row:?}");
        assert_eq!(row.built, 3);
    }
}
