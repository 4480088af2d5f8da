//! The closed loop: build, see what it cost, plan by that, and keep the plan only if it
//! is proven faster.
//!
//! **Invariant:** it changes nothing but the files below `target/nixpace/tune`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use bench::compared::Compared;
use bench::statistics::Verdict;
use bench::store::Store;
use bench::synthetic::{self, Scale, Shape};
use clap::Args;
use detect::arguments::Common;
use detect::{file, stage};
use profile::plan::Plan;

use crate::command;

/// Where everything goes that is tried.
const FOLDER: &str = "target/nixpace/tune";

/// So often is the workload built, so that enough builds are recorded to plan by; in
/// every other round with one core, to see what each core adds.
const ROUNDS: u32 = 4;

/// What to tune for.
#[derive(Args, Debug)]
pub(crate) struct Tune {
    /// What the graph of builds looks like
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,

    /// How much work it is
    #[arg(long, value_enum, default_value_t)]
    scale: Scale,

    /// Most pairs to compare
    #[arg(long, default_value_t = 40)]
    pairs: u16,

    /// The plan to be better than, instead of this machine's plain one
    #[arg(long, value_name = "PLAN", value_parser = crate::absolute)]
    against: Option<PathBuf>,
}

impl Tune {
    /// Go round once.
    pub(crate) fn run(&self) -> Result<()> {
        command::build_ours()?;
        let folder = Path::new(FOLDER);
        let against: Option<Plan> = self.against.as_deref().map(read).transpose()?;
        // Of an earlier time, in which something else may have been built.
        if folder.exists() {
            fs::remove_dir_all(folder).context(FOLDER)?;
        }
        fs::create_dir_all(folder).context(FOLDER)?;
        let at = |name: &str| folder.join(name);

        say_to(&at("hardware.json"), &mut tool("detect")?)?;
        let hardware = at("hardware.json");
        match against {
            Some(plan) => file::replace(&at("plain.json"), stage::text(&plan)?.as_bytes())?,
            None => say_to(&at("plain.json"), tool("profile")?.arg(&hardware))?,
        }
        self.record(&at("history.sqlite"))?;
        let mut costs = tool("monitor")?;
        costs.args(["costs", "--db"]).arg(at("history.sqlite"));
        say_to(&at("costs.json"), &mut costs)?;
        let mut profile = tool("profile")?;
        profile.arg("--costs").arg(at("costs.json")).arg(&hardware);
        say_to(&at("tuned.json"), &mut profile)?;

        let [plain, tuned] = [read(&at("plain.json"))?, read(&at("tuned.json"))?];
        let (kept, why) = if sizes(&plain) == sizes(&tuned) {
            (&plain, "what builds cost leads to the same jobs and cores".to_owned())
        } else {
            let compared =
                self.compare(&at("plain.json"), &at("tuned.json"), &at("compared.json"))?;
            let is_kept = compared.verdict == Verdict::Faster;
            (if is_kept { &tuned } else { &plain }, compared.sentence())
        };
        file::replace(&at("best.json"), stage::text(kept)?.as_bytes())?;
        let text = format!(
            "# Tuning for synthetic {}, {}\n\n| Plan | Jobs × cores |\n|---|---|\n\
             | plain | {} |\n| by what builds cost | {} |\n\n{why}\n\nKept: {}, in {FOLDER}/best.json\n\n{}\n",
            synthetic::name(&self.shape),
            synthetic::name(&self.scale),
            sizes(&plain),
            sizes(&tuned),
            sizes(kept),
            notes(&tuned),
        );
        file::replace(&at("tried.md"), text.as_bytes())?;
        stage::write_human(&text, &Common::default())
    }

    /// Build under the eyes of `monitor`, until there is enough to plan by.
    fn record(&self, history: &Path) -> Result<()> {
        let history = std::path::absolute(history)?;
        let monitor = tool("monitor")?.get_program().to_owned();
        let monitor = monitor.to_str().context("a path that is no text")?;
        for round in 0..ROUNDS {
            let store = Store::new(&env::temp_dir().canonicalize()?)?;
            let graph = synthetic::write(store.path())?;
            let cores = if round % 2 == 0 { "" } else { "cores = 1\n" };
            let mut command = store.nix().command(monitor, cores);
            command.args(["run", "--quiet", "--db"]).arg(&history).args(["--", "nix-build"]);
            command.args(["--no-out-link", &graph, "--argstr", "shape"]);
            command.arg(synthetic::name(&self.shape)).args(["--argstr", "scale"]);
            command.arg(synthetic::name(&self.scale));
            command::output(&mut command)?;
        }
        Ok(())
    }

    fn compare(&self, plain: &Path, tuned: &Path, into: &Path) -> Result<Compared> {
        let mut bench = tool("bench")?;
        bench.arg("compare").args([plain, tuned]).args(["--quiet", "--synthetic", "--shape"]);
        bench.arg(synthetic::name(&self.shape)).args(["--scale", &synthetic::name(&self.scale)]);
        bench.args(["--pairs", &self.pairs.to_string(), "-o"]).arg(into);
        command::output(&mut bench)?;
        read(into)
    }
}

/// One of our own tools.
fn tool(name: &str) -> Result<Command> {
    Ok(Command::new(command::ours()?.join(name)))
}

fn say_to(path: &Path, command: &mut Command) -> Result<()> {
    file::replace(path, command::output(command)?.as_bytes())
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let name = || path.display().to_string();
    stage::parse(&stage::read_file(path).with_context(name)?).with_context(name)
}

/// `4 × 2`.
fn sizes(plan: &Plan) -> String {
    let of = |name: &str| {
        let value = plan.settings.get(name).map(|setting| &setting.value);
        value.map_or("?".to_owned(), |value| match value {
            profile::plan::Value::Integer(value) => value.to_string(),
            _ => "?".to_owned(),
        })
    };
    format!("{} × {}", of("max-jobs"), of("cores"))
}

/// What the plan says about recorded builds.
fn notes(plan: &Plan) -> String {
    let said = plan.notes.iter().filter(|note| note.id.starts_with("costs"));
    said.flat_map(|note| [note.text.as_str(), ".\n"]).collect()
}
