//! `detect`: looks at the machine and prints what it is.

use std::process::ExitCode;

use anyhow::Result;
use detect::cli::Cli;
use detect::{arguments, human, stage};

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: Cli = arguments::parse()?;
    cli.common.apply_color();
    let hardware = cli.look()?;
    if cli.human {
        return stage::write_human(&human::screen(&hardware), &cli.common);
    }
    stage::write(&hardware, &cli.common)?;
    // They are in the document, and every container has some.
    if cli.common.verbose {
        cli.common.tell(&hardware.notes);
    }
    Ok(())
}
