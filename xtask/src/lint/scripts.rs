//! What scripts, and the settings they write, do wrong.

use super::rules::Found;
use super::workflow::{Workflow, commands};
use super::yaml::Node;

/// A command's words, without quotes; what stands between `${{` and `}}` is one, and
/// so is each `=` of a setting.
pub(super) fn words(command: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("${{") {
        let (inner, after) = after.split_once("}}").unwrap_or((after, ""));
        spaced.push_str(before);
        spaced.push_str(&format!("${{{{{}}}}}", inner.replace(' ', "")));
        rest = after;
    }
    spaced.push_str(rest);
    let spaced = spaced.replace(['"', '\'', ';', '(', ')'], " ").replace('=', " = ");
    spaced.split_whitespace().map(str::to_owned).collect()
}

/// The value that a line gives to a setting, as nix.conf or a command line says it.
fn given<'a>(words: &'a [String], names: &[&str]) -> Option<&'a str> {
    let at = words.iter().position(|word| names.contains(&word.as_str()))?;
    let value = words.get(at + 1)?;
    let value = if value == "=" { words.get(at + 2)? } else { value };
    Some(value)
}

/// Each line where settings may be written, as words.
fn lines(workflow: &Workflow) -> Vec<(usize, Vec<String>)> {
    let lines = workflow.settings().into_iter().flat_map(commands);
    lines.map(|(line, text)| (line, words(&text))).collect()
}

pub(super) fn unbounded_jobs(workflow: &Workflow) -> Vec<Found> {
    let mut found = Vec::new();
    for (line, words) in lines(workflow) {
        let jobs = given(&words, &["max-jobs", "--max-jobs", "-j"]);
        if jobs == Some("auto") {
            found.push((line, "max-jobs = auto".to_owned()));
        }
        if given(&words, &["cores", "--cores"]) == Some("0") {
            found.push((line, "cores = 0".to_owned()));
        }
    }
    found
}

pub(super) fn dangerous_settings(workflow: &Workflow) -> Vec<Found> {
    const SETTINGS: [(&str, &str); 5] = [
        ("accept-flake-config", "true"),
        ("require-sigs", "false"),
        ("sandbox", "false"),
        ("sandbox-fallback", "true"),
        ("trusted-users", "*"),
    ];
    const FLAGS: [&str; 3] = ["--accept-flake-config", "--no-require-sigs", "--no-sandbox"];
    let mut found = Vec::new();
    for (line, words) in lines(workflow) {
        for (name, value) in SETTINGS {
            if given(&words, &[name, &format!("--{name}")]) == Some(value) {
                found.push((line, format!("{name} = {value}")));
            }
        }
        let flags = words.iter().filter(|word| FLAGS.contains(&word.as_str()));
        let flags = flags.filter(|flag| given(&words, &[flag]) != Some("false"));
        let flags = flags.filter(|flag| {
            !found.iter().any(|(at, what)| *at == line && what.contains(&flag[2..]))
        });
        let flags: Vec<Found> = flags.map(|flag| (line, flag.clone())).collect();
        found.extend(flags);
    }
    found
}

pub(super) fn unknown_settings(workflow: &Workflow) -> Vec<Found> {
    const NAMES: [&str; 2] = ["parallel-builds", "use-xz-binary-cache-substituter"];
    let named = lines(workflow).into_iter().filter_map(|(line, words)| {
        let name = NAMES.iter().find(|name| given(&words, &[name]).is_some())?;
        Some((line, (*name).to_owned()))
    });
    named.collect()
}

/// What a command builds with Nix: the installables, or one empty text where it
/// builds what is in the folder.
pub(super) fn builds(command: &str) -> Vec<String> {
    let words = words(command);
    let starts = words.windows(2).position(|pair| {
        (["nix", "nom"].contains(&pair[0].as_str()) && pair[1] == "build")
            || pair[0] == "nix-fast-build"
    });
    let old = words.iter().any(|word| ["nix-build", "nix-fast-build"].contains(&word.as_str()));
    match starts {
        Some(at) => {
            let rest = words.iter().skip(at + 1);
            // Another command may follow.
            let own = rest.take_while(|word| !["&&", "||", "|", "&"].contains(&word.as_str()));
            let named: Vec<String> = own.filter(|word| word.contains('#')).cloned().collect();
            if named.is_empty() { vec![String::new()] } else { named }
        }
        None if old => vec![String::new()],
        None => Vec::new(),
    }
}

/// What names a host, when it is the whole of an installable's fragment.
const HOSTS: [&str; 6] = ["host", "hostname", "host_name", "machine", "node", "nixos_host"];

pub(super) fn no_systems(workflow: &Workflow) -> Vec<Found> {
    let mut found = Vec::new();
    for (job, step) in workflow.steps() {
        let matrix = job.node.at(&["strategy", "matrix"]);
        let hosts = matrix.map(Node::entries).unwrap_or_default().iter();
        let hosts = hosts.filter(|(name, _)| HOSTS.contains(&name.as_str()));
        let hosts: Vec<&str> =
            hosts.flat_map(|(_, values)| values.items()).map(Node::text).collect();
        for (line, command) in step.commands() {
            for installable in builds(&command) {
                let Some((_, fragment)) = installable.split_once('#') else { continue };
                if is_no_system(fragment, &hosts) {
                    found.push((line, format!("nix build {installable}")));
                }
            }
        }
    }
    found
}

fn is_no_system(fragment: &str, hosts: &[&str]) -> bool {
    let is_inside = |of: &[&str]| of.iter().any(|part| fragment.contains(part));
    if fragment.starts_with("nixosConfigurations") || fragment.starts_with("darwinConfigurations") {
        return !is_inside(&[".config.", ".pkgs.", ".system", ".options."]);
    }
    if fragment.starts_with("homeConfigurations") {
        return !is_inside(&[".activationPackage", ".activation-script", ".config."]);
    }
    // `${{matrix.host}}`, `$HOST` and `${host}` are a name and nothing else.
    let name = fragment.trim_matches(|c| "${}".contains(c));
    let name = name.rsplit('.').next().unwrap_or_default();
    let is_variable = fragment.starts_with('$')
        && fragment.find('}').is_none_or(|end| fragment[end..].trim_end_matches('}').is_empty());
    hosts.contains(&fragment) || (is_variable && HOSTS.contains(&name.to_lowercase().as_str()))
}

pub(super) fn expressions(workflow: &Workflow) -> Vec<Found> {
    let mut found = Vec::new();
    for (job, step) in workflow.steps() {
        let is_dynamic = job.node.at(&["strategy", "matrix"]).is_some_and(|matrix| {
            matrix.scalars().iter().any(|node| node.text().contains("fromJSON"))
        });
        let script = step.node.get("run").or_else(|| {
            step.node.at(&["with", "script"]).filter(|_| step.is("actions/github-script"))
        });
        for (line, command) in script.map(commands).unwrap_or_default() {
            let inside = command.split("${{").skip(1).filter_map(|rest| rest.split("}}").next());
            let others = inside.filter(|inner| is_others(inner, is_dynamic));
            found.extend(others.map(|inner| (line, format!("${{{{ {} }}}}", inner.trim()))));
        }
    }
    found
}

/// Whether others than who may push here decide what an expression is.
fn is_others(expression: &str, is_dynamic: bool) -> bool {
    const THEIRS: [&str; 4] = ["github.event.", "github.head_ref", "github.ref_name", "inputs."];
    // Numbers and hashes of GitHub's own hold no commands; who starts a workflow by
    // hand, or from outside, gives what they like by the same names.
    const HARMLESS: [&str; 5] = [".number", ".id", ".sha", ".after", ".before"];
    const FREE: [&str; 2] = ["inputs.", "client_payload."];
    let name = expression.trim();
    let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c));
    let is_harmless = is_name
        && HARMLESS.iter().any(|end| name.ends_with(end))
        && !FREE.iter().any(|part| name.contains(part));
    let is_theirs = THEIRS.iter().any(|start| expression.contains(start));
    (is_theirs && !is_harmless) || (is_dynamic && expression.contains("matrix."))
}

#[cfg(test)]
mod tests {
    use super::{builds, is_no_system, is_others, words};

    #[test]
    fn free_text_is_known_by_more_than_its_last_name() {
        for theirs in [
            " github.event.pull_request.title ",
            "inputs.sha",
            "github.event.inputs.id",
            "github.event.client_payload.sha",
            "github.event.pull_request.title || github.event.number",
        ] {
            assert!(is_others(theirs, false), "{theirs}");
        }
        for harmless in [" github.event.number ", "github.event.pull_request.head.sha", "env.x"] {
            assert!(!is_others(harmless, false), "{harmless}");
        }
    }

    #[test]
    fn an_expression_is_one_word() {
        assert_eq!(
            words("nix build \".#${{ matrix.host }}\""),
            ["nix", "build", ".#${{matrix.host}}"]
        );
        assert_eq!(words("max-jobs=auto"), ["max-jobs", "=", "auto"]);
    }

    #[test]
    fn builds_are_known_by_their_installables() {
        assert_eq!(builds("sudo nix build .#a .#b -L && nix run .#c"), [".#a", ".#b"]);
        assert_eq!(builds("nix-build -A x"), [""]);
        assert!(builds("nix flake check").is_empty());
    }

    #[test]
    fn hosts_are_no_systems() {
        for bad in ["${{matrix.host}}", "$HOST", "${hostname}", "nixosConfigurations.a", "legion"] {
            assert!(is_no_system(bad, &["legion"]), "{bad}");
        }
        for good in [
            "nixosConfigurations.${{matrix.host}}.config.system.build.toplevel",
            "darwinConfigurations.$HOST.system",
            "${{matrix.package}}",
            "${{matrix.host}}-image",
            "hello",
        ] {
            assert!(!is_no_system(good, &["legion"]), "{good}");
        }
    }
}
