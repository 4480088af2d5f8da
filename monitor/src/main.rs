//! `monitor`: what Nix did and is doing, on stdout.

use std::process::ExitCode;

use detect::{arguments, stage};
use monitor::cli::Cli;

fn main() -> ExitCode {
    match arguments::parse().and_then(Cli::run) {
        // A wrapped command's own code is kept.
        Ok(code) => code,
        Err(error) => stage::exit(Err(error)),
    }
}
