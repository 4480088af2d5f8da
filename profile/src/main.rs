//! `profile`: Hardware in, Plan out.

use std::process::ExitCode;

use anyhow::Result;
use detect::{arguments, stage};
use profile::cli::ProfileCli;
use profile::explain;

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: ProfileCli = arguments::parse()?;
    cli.common.apply_color();
    let options = cli.options()?;
    let plan = profile::run(stage::read(cli.input.as_deref())?, &options)?;
    if cli.explain {
        stage::write_human(&explain::whole(&plan, cli.all, explain::width()), &cli.common)?;
    } else {
        stage::write(&plan, &cli.common)?;
    }
    cli.common.tell(&plan.notes);
    Ok(())
}
