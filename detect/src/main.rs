//! `detect`: looks at the machine and prints what it is.

use std::process::ExitCode;

use anyhow::{Context, Result};
use detect::cli::Cli;
use detect::root::Root;
use detect::{arguments, stage};

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: Cli = arguments::parse()?;
    cli.common.apply_color();
    let root = match &cli.root {
        Some(path) => Root::captured(path).with_context(|| path.display().to_string())?,
        None => Root::live(),
    };
    let hardware = detect::run(&root, &cli.options());
    stage::write(&hardware, &cli.common)?;
    cli.common.tell(&hardware.notes);
    Ok(())
}
