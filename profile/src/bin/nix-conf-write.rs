//! `nix-conf-write`: Plan in, text for Nix out.

use std::process::ExitCode;

use anyhow::Result;
use detect::{arguments, stage};
use profile::cli::NixConfWriteCli;
use profile::form::{self, Form};
use profile::{install, machines};

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: NixConfWriteCli = arguments::parse()?;
    cli.common.apply_color();
    if let Some(action) = cli.action()? {
        return install::run(action, &cli);
    }
    if cli.form == Form::Machines {
        let hosts = machines::read(&cli.inputs)?;
        return stage::write_text(&machines::render(&hosts)?, &cli.common);
    }
    let plan = stage::read(cli.input()?)?;
    stage::write_text(&form::render(&plan, cli.form)?, &cli.common)?;
    cli.common.tell(&form::notes(&plan, cli.form));
    Ok(())
}
