//! `nix-conf-write`: Plan in, text for Nix out.

use std::process::ExitCode;

use anyhow::Result;
use detect::{arguments, stage};
use profile::cli::NixConfWriteCli;
use profile::{conf, install};

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: NixConfWriteCli = arguments::parse()?;
    cli.common.apply_color();
    if let Some(action) = cli.action()? {
        return install::run(action, &cli);
    }
    let plan = stage::read(cli.input.as_deref())?;
    stage::write_text(&conf::render(&plan, cli.form)?, &cli.common)
}
