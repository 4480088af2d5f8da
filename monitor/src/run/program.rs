//! Which programs can be told to write events, and how.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Result, bail};
use detect::report::{Hint, Usage};

/// The flag, and its value.
const FLAG: [&str; 2] = ["--log-format", "internal-json"];

/// Nix's own programs, which take the flag first, before what belongs to a
/// subcommand, or to a program that they start.
const OWN: [&str; 6] = ["nix", "nix-build", "nix-env", "nix-instantiate", "nix-shell", "nix-store"];

/// Programs that hand the flag on to Nix; it may come last. (`nixos-rebuild.sh` and
/// `nixos-rebuild-ng` of nixpkgs.)
const PASSING: [&str; 2] = ["nixos-rebuild", "nixos-rebuild-ng"];

/// A command line that writes events to its stderr.
pub(super) fn with_events(command: &[OsString]) -> Result<Vec<OsString>> {
    let Some((program, arguments)) = command.split_first() else {
        bail!(Usage("no command".to_owned()));
    };
    let flag = FLAG.map(OsString::from);
    let name = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    // What follows `--` is of a program that Nix starts; others may start Nix so.
    let is_nix = OWN.contains(&name) || PASSING.contains(&name);
    let end = arguments.iter().position(|argument| is_nix && argument == "--");
    let own = &arguments[..end.unwrap_or(arguments.len())];
    if let Some(format) = given(own) {
        if format == FLAG[1] {
            // Whoever says it knows what the program does with it.
            return Ok(command.to_owned());
        }
        bail!(Usage(format!("--log-format {}: the events are needed", format.display())));
    }
    let program = std::slice::from_ref(program);
    if is_for_people(name, own) {
        let error = Usage(format!("{name}: a shell to type into needs a terminal of its own"));
        let hint =
            Hint::new("give the shell a command (nix develop -c true, nix-shell --run true)");
        return Err(anyhow::Error::new(error).context(hint));
    }
    if OWN.contains(&name) {
        return Ok([program, &flag, arguments].concat());
    }
    if PASSING.contains(&name) {
        return Ok([program, arguments, &flag].concat());
    }
    if ["doas", "sudo"].contains(&name) {
        let error = anyhow::Error::new(Usage(format!("{name}: starts Nix out of our sight")));
        return Err(error.context(Hint::new(&format!("{name} monitor run -- nixos-rebuild …"))));
    }
    let error = anyhow::Error::new(Usage(format!("{name}: hands no --log-format on to Nix")));
    Err(error.context(Hint::new(match name {
        "darwin-rebuild" => {
            "monitor run -- nix build FLAKE#darwinConfigurations.HOST.system, then switch to it"
        }
        _ => "with Nix 2.30 or later, monitor listen hears every build",
    })))
}

/// The format that is asked for already.
fn given(arguments: &[OsString]) -> Option<&OsStr> {
    let at = arguments.iter().position(|argument| argument == FLAG[0])?;
    arguments.get(at + 1).map(OsString::as_os_str)
}

/// Whether it is for a shell to type into: Nix and the shell ask whether stderr is a
/// terminal, which for events it is not.
fn is_for_people(name: &str, arguments: &[OsString]) -> bool {
    let subcommand =
        arguments.iter().find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    let is_shell = match name {
        "nix-shell" => true,
        "nix" => subcommand.is_some_and(|word| word == "develop" || word == "shell"),
        _ => false,
    };
    // A command, or a phase of the build.
    let runs = [
        "-c",
        "--command",
        "--run",
        "--phase",
        "--unpack",
        "--configure",
        "--build",
        "--check",
        "--install",
        "--installcheck",
    ];
    is_shell && !arguments.iter().any(|argument| runs.iter().any(|flag| argument == flag))
}

/// Whether builders' output is to be shown.
pub(super) fn shows_logs(command: &[OsString]) -> bool {
    command.iter().any(|argument| argument == "-L" || argument == "--print-build-logs")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::with_events;

    fn told(command: &str) -> Result<String, String> {
        let words: Vec<OsString> = command.split_whitespace().map(OsString::from).collect();
        let words = with_events(&words).map_err(|error| error.root_cause().to_string())?;
        Ok(words.join(std::ffi::OsStr::new(" ")).into_string().expect("UTF-8"))
    }

    #[test]
    fn nix_is_told_before_its_subcommand() {
        let told = |command| told(command).expect("known");
        assert_eq!(told("nix run .#a -- -x"), "nix --log-format internal-json run .#a -- -x");
        assert_eq!(told("/bin/nix-build -A a"), "/bin/nix-build --log-format internal-json -A a");
        let rebuild = "nixos-rebuild switch --log-format internal-json";
        assert_eq!(told("nixos-rebuild switch"), rebuild);
        assert_eq!(told(rebuild), rebuild);
        assert_eq!(
            told("nix develop -c make -- --log-format x"),
            "nix --log-format internal-json develop -c make -- --log-format x"
        );
        assert_eq!(told("nix develop --build"), "nix --log-format internal-json develop --build");
        for own in
            ["./build.sh --log-format internal-json", "env -- nix build --log-format internal-json"]
        {
            assert_eq!(told(own), own);
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        for command in [
            "make",
            "darwin-rebuild switch",
            "nix build --log-format bar",
            "true",
            "sudo nixos-rebuild switch",
            "nix develop .#a",
            "nix -L shell .#a",
            "nix-shell -p hello",
        ] {
            assert!(told(command).is_err(), "{command}");
        }
    }
}
