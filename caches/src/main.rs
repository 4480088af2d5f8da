//! `caches`: asks binary caches, and proves what they say.

use std::process::ExitCode;

use caches::cli::Cli;
use detect::{arguments, stage};

fn main() -> ExitCode {
    stage::exit(arguments::parse().and_then(Cli::run))
}
