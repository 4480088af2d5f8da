//! `nix-conf-write`: Plan in, text for Nix out.

use std::process::ExitCode;

use anyhow::Result;
use detect::{arguments, stage};
use profile::cli::NixConfWriteCli;
use profile::form;

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: NixConfWriteCli = arguments::parse()?;
    cli.common.apply_color();
    let plan = stage::read(cli.input.as_deref())?;
    stage::write_text(&form::render(&plan, cli.form)?, &cli.common)?;
    cli.common.tell(&form::notes(&plan, cli.form));
    Ok(())
}
