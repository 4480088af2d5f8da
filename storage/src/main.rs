//! `storage`: Plan in, Plan out; or what of this machine will fail before it fails.

use std::process::ExitCode;

use anyhow::Result;
use detect::{arguments, stage};
use storage::cli::{Cli, Command};

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: Cli = arguments::parse()?;
    if let Some(Command::Check(check)) = &cli.command {
        return check.run();
    }
    cli.common.apply_color();
    let plan = storage::run(stage::read(cli.input.as_deref())?)?;
    stage::write(&plan, &cli.common)?;
    cli.common.tell(&plan.notes);
    Ok(())
}
