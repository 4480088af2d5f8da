//! What the kernel and builders write about processes, one text after another:
//! the first byte says which, the rest is the text.

use monitor::active::worker::{Builder, Files, is_store_name, name, pairs};
use monitor::locks;
use monitor::pname::without_version;
use monitor::processes::{Process, is_contained, unified_group, users, variable};

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    // As `Proc::read` gives it to parsers.
    let text = String::from_utf8_lossy(text);
    match first {
        b's' => stat(&text),
        b'l' => assert!(locks::parse(&text).len() <= text.lines().count()),
        b'f' => files(&text),
        b'p' => assert!(text.starts_with(without_version(&text))),
        _ => {
            let _ = (users(&text), is_contained(&text), unified_group(&text));
            assert!(variable(&text, "name").is_none_or(|value| text.contains(value)));
        }
    }
}

/// Written as the kernel writes it, a process says the same.
fn stat(text: &str) {
    let Some(one) = Process::parse(text) else { return };
    let own = one.cpu_ticks - one.children_ticks;
    let again = format!(
        "{} (a) b)) {} {} 0 {} 0 0 0 0 0 0 0 {own} 0 {} 0 0 0 0 0 {} 0 {} 0\n",
        one.pid,
        one.state,
        one.parent,
        one.session,
        one.children_ticks,
        one.started_ticks,
        one.resident_pages
    );
    assert_eq!(Process::parse(&again), Some(one));
}

/// A line for each open file, its number first; builders follow a `!`.
fn files(text: &str) {
    let numbered = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        Some((number.parse::<u32>().ok()?, rest.to_owned()))
    };
    let (open, builders) = text.split_once('!').unwrap_or((text, ""));
    let open: Vec<(u32, String)> = open.lines().filter_map(numbered).collect();
    let files = Files::parse(&open);
    assert!(files.logs.len() + files.users.len() + files.outputs.len() <= open.len());
    assert!(files.outputs.iter().all(|output| is_store_name(output)));
    let builder =
        |(user, name): (u32, String)| Builder { pid: user, user, name: Some(name), store: None };
    let builders: Vec<Builder> = builders.lines().filter_map(numbered).map(builder).collect();
    let pairs = pairs(&files, &builders);
    assert_eq!(pairs.len(), files.logs.len(), "each log is a build");
    let users: Vec<u32> = pairs.iter().filter_map(|pair| pair.user).collect();
    assert!(users.len() <= files.users.len(), "no user builds twice at once");
    for pair in &pairs {
        assert!(is_store_name(&pair.derivation) && !name(&pair.derivation).is_empty());
        assert!(pair.user.is_none_or(|user| files.users.iter().any(|(_, of)| *of == user)));
    }
}
