//! Names in paths and in messages.

/// The name in a path of the store: without folder and hash, and without `.drv`.
pub fn name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    let named = match file.split_once('-') {
        Some((hash, name)) if hash.len() == 32 => name,
        _ => file,
    };
    named.strip_suffix(".drv").unwrap_or(named)
}

/// What is waited for, and which derivation waits, by a plain text such as `waiting
/// for a free build user ID for '/nix/store/…-a.drv'`.
pub(super) fn waited(text: &str) -> (String, Option<String>) {
    let what = text.strip_prefix("waiting for ").unwrap_or(text);
    let cut = [" for '", " to build '"].into_iter().find_map(|link| what.split_once(link));
    match cut.map(|(what, drv)| (what, drv.trim_end_matches('\''))) {
        Some((what, drv)) if drv.ends_with(".drv") => (what.to_owned(), Some(drv.to_owned())),
        _ => (what.to_owned(), None),
    }
}
