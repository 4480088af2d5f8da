//! `bench`: whether builds got faster.

use std::process::ExitCode;

use bench::cli::Cli;
use detect::{arguments, stage};

fn main() -> ExitCode {
    stage::exit(arguments::parse().and_then(Cli::run))
}
