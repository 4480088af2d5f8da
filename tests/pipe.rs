//! The pipe in a real shell: what it prints, and how it fails.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::tools::{document, feed, shell, text, tool};

fn hardware() -> String {
    document(&tool("detect").arg("-q").output().expect("detect runs"))
}

fn plan() -> String {
    let mut profile = tool("profile");
    profile.arg("-q");
    document(&feed(profile, hardware().as_bytes()))
}

/// The one line a failed run wrote, after checking that it is one.
fn one_line(output: &std::process::Output, tool: &str, what: &str) -> String {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{what}: {errors}");
    assert!(output.stdout.is_empty(), "{what}: nothing is printed");
    let lines: Vec<&str> = errors.lines().filter(|line| !line.starts_with("hint: ")).collect();
    assert_eq!(lines.len(), 1, "{what}: one line, not {errors:?}");
    assert!(lines[0].starts_with(&format!("{tool}: ")), "{what}: {errors}");
    assert!(lines[0].len() < 400, "{what}: readable, not {errors}");
    lines[0].to_owned()
}

#[test]
fn the_pipe_prints_settings() {
    let output = shell("detect -q | profile -q | storage -q | nix-conf-write -q");
    let conf = document(&output);
    for setting in ["max-jobs = ", "cores = "] {
        let lines = conf.lines().filter(|line| line.starts_with(setting));
        assert_eq!(lines.count(), 1, "{setting} in {conf}");
    }
    assert!(!conf.contains("auto"), "{conf}");
}

#[test]
fn the_same_machine_gives_the_same_bytes() {
    assert_eq!(hardware(), hardware());
    assert_eq!(plan(), plan());
}

#[test]
fn a_closed_pipe_is_success_and_silence() {
    for script in ["detect -q | head -c1", "detect -q | true", "detect -q | profile -q | head -c1"]
    {
        let output = shell(script);
        assert!(output.status.success(), "{script}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{script}");
    }
}

#[test]
fn a_full_stdout_is_an_error() {
    let output = shell("detect -q > /dev/full");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stderr), "detect: stdout: No space left on device\n");
}

#[test]
fn a_killed_stage_fails_the_pipe_even_without_pipefail() {
    // The last stage alone must notice: `sh` knows no pipefail.
    let scripts = [
        "sh -c 'kill -9 $$' | profile",
        "detect -q | sh -c 'kill -9 $$' | storage",
        "detect -q | profile -q | head -c 700 | storage",
        "detect -q | head -c 700 | profile | storage",
        "detect -q | sh -c 'kill -9 $$' | nix-conf-write",
        "detect -q | head -c 700 | profile",
        "detect -q | profile -q | head -c 700 | nix-conf-write",
        "(detect -q | head -c 100; kill -9 $BASHPID) | profile",
    ];
    for script in scripts {
        let output = shell(&format!("set +o pipefail; {script}"));
        assert_eq!(output.status.code(), Some(1), "{script}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty(), "{script}");
    }
    let output = shell("set +o pipefail; false | profile");
    assert_eq!(text(&output.stderr), "profile: stdin: empty (did the previous stage fail?)\n");
}

#[test]
fn bad_documents_are_refused_in_one_line() {
    let noise = vec![b'\xff'; 100 << 20];
    let spaces = vec![b' '; 20 << 20];
    let deep = "[".repeat(1_000_000);
    let cases: [(&str, &[u8], &str); 10] = [
        ("empty", b"", "empty"),
        ("blank", b"\n\n", "empty"),
        ("truncated", b"{\"version\": 1,", "ends in the middle"),
        ("another version", b"{\"version\": 99}", "document version 99"),
        ("no version", b"{}", "missing field `version`"),
        ("wrong type", b"{\"version\": \"1\"}", "line 1 column"),
        ("no JSON", b"max-jobs = 4\n", "not JSON"),
        ("100 MB of noise", &noise, "larger than 16 MiB"),
        ("20 MB of spaces", &spaces, "larger than 16 MiB"),
        ("a million brackets", deep.as_bytes(), "stdin"),
    ];
    for name in ["profile", "storage", "nix-conf-write"] {
        for (what, input, why) in cases {
            let line = one_line(&feed(tool(name), input), name, what);
            assert!(line.contains("stdin"), "{what}: {line}");
            assert!(line.contains(why), "{what}: {line}");
        }
    }
    let zero = hardware().replace("\"allowed\": ", "\"allowed\": 0");
    one_line(&feed(tool("profile"), zero.replace("0,", ",").as_bytes()), "profile", "a zero");
}

#[test]
fn a_document_for_another_stage_is_told_which() {
    for (name, document, hint) in [
        ("nix-conf-write", hardware(), "pass it through profile first"),
        ("storage", hardware(), "pass it through profile first"),
        ("profile", plan(), "profile reads what detect prints"),
    ] {
        let output = feed(tool(name), document.as_bytes());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty() && said.lines().count() == 2, "{said}");
        assert!(said.contains("\nhint: ") && said.contains(hint), "{said}");
    }
}

#[test]
fn files_do_instead_of_pipes() {
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name);
    for (name, input, output) in [
        ("detect", None, "hardware.json"),
        ("profile", Some("hardware.json"), "profile.json"),
        ("storage", Some("profile.json"), "plan.json"),
        ("nix-conf-write", Some("plan.json"), "nix.conf"),
    ] {
        let mut command: Command = tool(name);
        command.arg("-q").arg("-o").arg(path(output));
        command.args(input.map(path));
        assert_eq!(document(&command.output().expect("runs")), "", "{name}: all of it in the file");
    }
    let conf = fs::read_to_string(path("nix.conf")).expect("nix.conf");
    let piped = document(&shell("detect -q | profile -q | storage -q - | nix-conf-write -q -"));
    assert_eq!(conf, piped, "`-` is stdin");
    let mut detect = tool("detect");
    detect.args(["-q", "-o", "-"]).current_dir(folder.path());
    let printed = document(&detect.output().expect("runs"));
    assert!(printed.starts_with('{') && !path("-").exists(), "`-` is stdout");
    let missing = tool("profile").arg(path("none.json")).output().expect("runs");
    let line = one_line(&missing, "profile", "no such file");
    assert!(line.ends_with("none.json: No such file or directory"), "{line}");
}

#[test]
fn wrong_usage_exits_2() {
    let cases: [(&str, &[&str]); 9] = [
        ("detect", &["--no-such-flag"]),
        ("storage", &["check", "--json", "--human"]),
        ("detect", &["--root"]),
        ("detect", &["surplus"]),
        ("profile", &["--workload", "gaming"]),
        ("profile", &["--for-nix", "two"]),
        ("nix-conf-write", &["--as", "yaml"]),
        ("nix-conf-write", &["--color", "sometimes"]),
        ("xtask", &["no-such-task"]),
    ];
    for (name, arguments) in cases {
        let output = tool(name).args(arguments).stdin(Stdio::null()).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{name} {arguments:?}");
        assert!(output.stdout.is_empty(), "{name} {arguments:?}");
        assert!(text(&output.stderr).contains("Usage: "), "{name}: {}", text(&output.stderr));
    }
}

#[test]
fn help_shows_examples_and_versions_are_told() {
    for name in ["detect", "profile", "storage", "nix-conf-write"] {
        let help = document(&tool(name).arg("--help").output().expect("runs"));
        assert!(help.contains("Examples:"), "{name}: {help}");
        let version = document(&tool(name).arg("--version").output().expect("runs"));
        assert!(version.starts_with(&format!("{name} ")), "{name}: {version}");
    }
}

#[test]
fn a_kill_at_any_instant_leaves_the_old_file_or_the_new() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("hardware.json");
    let whole = hardware();
    fs::write(&file, "old").expect("file");
    let mut seen = [0, 0];
    for round in 0..120_u64 {
        let mut child = tool("detect").arg("-q").arg("-o").arg(&file).spawn().expect("starts");
        std::thread::sleep(Duration::from_micros(round * 97 % 12_000));
        let _ = child.kill();
        child.wait().expect("ends");
        match fs::read_to_string(&file).expect("there is always a file") {
            text if text == "old" => seen[0] += 1,
            text if text == whole => {
                seen[1] += 1;
                fs::write(&file, "old").expect("file");
            }
            text => panic!("half a file: {text:?}"),
        }
    }
    assert!(seen[0] > 0, "no kill came before the end: {seen:?}");
}

#[test]
fn a_full_disk_leaves_the_old_file() {
    let script = "mount -t tmpfs -o size=8k tmpfs . && cd \"$PWD\" && echo old > hardware.json \
                  && head -c 4096 /dev/zero > filler; \
                  detect -q -o hardware.json || echo exit $?; cat hardware.json; ls -A | wc -l";
    let Some(output) = crate::tools::apart(script) else { return };
    let (said, shown) = (text(&output.stderr), text(&output.stdout));
    assert_eq!(shown, "exit 1\nold\n2\n", "{said}");
    assert_eq!(said, "detect: hardware.json: No space left on device\n");
}

#[test]
fn links_and_devices_are_never_written_through() {
    let folder = tempfile::tempdir().expect("folder");
    let target = folder.path().join("target");
    fs::write(&target, "precious").expect("file");
    let link = folder.path().join("link");
    symlink(&target, &link).expect("link");
    for path in [link.as_path(), "/dev/null".as_ref(), folder.path()] {
        let output = tool("detect").arg("-q").arg("-o").arg(path).output().expect("runs");
        one_line(&output, "detect", &path.display().to_string());
    }
    assert_eq!(fs::read_to_string(&target).expect("target"), "precious");
}

#[test]
fn a_root_that_is_none_is_an_error() {
    for root in ["/nonexistent", "/etc/passwd"] {
        let output = tool("detect").args(["--root", root]).output().expect("runs");
        one_line(&output, "detect", root);
    }
}
