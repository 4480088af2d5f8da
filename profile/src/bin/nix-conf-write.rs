//! `nix-conf-write`: Plan in, text for Nix out.

use std::process::ExitCode;

use anyhow::Result;
use detect::{arguments, stage};
use profile::cli::NixConfWriteCli;
use profile::conf::{self, Form};
use profile::machines;

fn main() -> ExitCode {
    stage::exit(try_main())
}

fn try_main() -> Result<()> {
    let cli: NixConfWriteCli = arguments::parse()?;
    cli.common.apply_color();
    let text = match cli.form {
        Form::Machines => machines::render(&machines::read(&cli.inputs)?)?,
        form => conf::render(&stage::read(cli.input()?)?, form)?,
    };
    stage::write_text(&text, &cli.common)
}
