//! What nix.conf cannot say, for systemd without `NixOS`.
//!
//! The text is a drop-in for nix-daemon.service as it stands. What belongs in
//! files of other names stands in its comments, with the command that makes
//! them.

use crate::guarded;
use crate::plan::{Plan, Value};
use crate::refuse::build_dir::BUILD_DIRS;
use crate::text::comment;

/// Where the drop-in belongs.
const PLACE: &str = "/etc/systemd/system/nix-daemon.service.d/nixpace.conf";

/// The options of `NixOS` that are lines of the unit under another name.
const RENAMED: [(&str, &str); 3] = [
    ("nix.daemonCPUSchedPolicy", "CPUSchedulingPolicy"),
    ("nix.daemonIOSchedClass", "IOSchedulingClass"),
    ("nix.daemonIOSchedPriority", "IOSchedulingPriority"),
];

/// Those that are lines of the unit under their own.
const OWN: &str = "systemd.services.nix-daemon.serviceConfig.";

/// Those that a comment says.
const ZRAM: [&str; 2] = ["zramSwap.enable", "zramSwap.memoryPercent"];

/// How `NixOS` has a tmpfs on /tmp use huge pages.
const HUGE_PAGES: &str = "boot.tmp.tmpfsHugeMemoryPages";

/// Whether the text says what this option of `NixOS` does. Entries of
/// tmpfiles.d are only ever planned for the build directory.
pub(crate) fn says(path: &str) -> bool {
    let is_tmp = ["boot.tmp.useTmpfs", "boot.tmp.tmpfsSize", HUGE_PAGES].contains(&path);
    let is_directory = path == "systemd.tmpfiles.rules" || path.starts_with("fileSystems.");
    let is_other = ZRAM.contains(&path) || path == guarded::SERVICE;
    is_other || is_tmp || is_directory || directive(path).is_some()
}

/// The unit's own name for it.
fn directive(path: &str) -> Option<&str> {
    match RENAMED.iter().find(|(option, _)| *option == path) {
        Some((_, name)) => Some(name),
        None => path.strip_prefix(OWN),
    }
}

/// The text of the drop-in.
pub(crate) fn drop_in(header: &str, plan: &Plan) -> String {
    let mut output = String::new();
    comment(&mut output, 0, header);
    output.push_str("#\n");
    comment(&mut output, 0, &format!("It belongs in {PLACE}, and works after:"));
    output.push_str("#   systemctl daemon-reload && systemctl restart nix-daemon\n");
    if let Some(text) = build_dir(plan) {
        output.push_str(&text);
    }
    for (path, options, why) in mounts(plan) {
        output.push_str(&mount(&path, &options, &why));
    }
    for text in [zram(plan), guard(plan)].into_iter().flatten() {
        output.push_str(&text);
    }
    output.push_str("\n[Service]\n");
    let mut sections = Vec::new();
    for (path, setting) in &plan.nixos {
        let Some(directive) = directive(path) else { continue };
        let mut section = String::new();
        comment(&mut section, 0, &setting.why);
        section.push_str(&format!("{directive}={}\n", setting.value));
        sections.push(section);
    }
    output + &sections.join("\n")
}

/// How systemd keeps the directory where builds run, as Nix's own entry does
/// for /nix/var/nix/builds: without it Nix 2.22 to 2.29 would find none.
fn build_dir(plan: &Plan) -> Option<String> {
    let Value::Text(path) = &plan.settings.get("build-dir")?.value else { return None };
    let mut text = "#\n".to_owned();
    if !is_plain(path) {
        comment(&mut text, 0, "The build directory's name is unusual: make it by hand.");
        return Some(text);
    }
    // Elsewhere, what is old may be another's.
    let (what, age) = if BUILD_DIRS.contains(&path.as_str()) {
        ("The build directory, in which what is older than a week is deleted:", "7d")
    } else {
        ("The build directory:", "-")
    };
    comment(&mut text, 0, what);
    text.push_str(&format!(
        "#   echo 'd {path} 0755 root root {age}' > /etc/tmpfiles.d/nixpace.conf\n\
         #   systemd-tmpfiles --create /etc/tmpfiles.d/nixpace.conf\n"
    ));
    Some(text)
}

/// Each tmpfs that the plan mounts: where, with which options, and why.
fn mounts(plan: &Plan) -> Vec<(String, Vec<String>, String)> {
    let mut mounts = Vec::new();
    for (option, setting) in &plan.nixos {
        let Value::List(words) = &setting.value else { continue };
        let path = option.strip_prefix("fileSystems.\"");
        let Some(path) = path.and_then(|path| path.strip_suffix("\".options")) else { continue };
        // The reason to have it stands with what it is.
        let why = plan.nixos.get(&format!("fileSystems.\"{path}\".device"));
        mounts.push((path.to_owned(), words.clone(), why.unwrap_or(setting).why.clone()));
    }
    let enable = plan.nixos.get("boot.tmp.useTmpfs");
    let Some(enable) = enable.filter(|enable| enable.value == Value::Bool(true)) else {
        return mounts;
    };
    let said = |option: &str| plan.nixos.get(option).map(|setting| setting.value.to_string());
    // Half of memory is what NixOS takes when nobody says otherwise.
    let size = said("boot.tmp.tmpfsSize").unwrap_or_else(|| "50%".to_owned());
    // As NixOS mounts it, where everybody may write.
    let mut words = ["mode=1777", "strictatime", "nosuid", "nodev"].map(str::to_owned).to_vec();
    words.push(format!("size={size}"));
    words.extend(said(HUGE_PAGES).map(|huge| format!("huge={huge}")));
    mounts.push(("/tmp".to_owned(), words, enable.why.clone()));
    mounts
}

/// How systemd mounts a tmpfs before nix-daemon starts: mounts of
/// local-fs.target do.
fn mount(path: &str, options: &[String], why: &str) -> String {
    let unit = format!("{}.mount", path.trim_start_matches('/').replace('/', "-"));
    // To systemd, % begins a name for something else.
    let options = options.join(",").replace('%', "%%");
    let mut text = "#\n".to_owned();
    comment(&mut text, 0, &format!("{why}: when no build runs,"));
    text.push_str(&format!(
        "#   printf '%s\\n' '[Unit]' 'Description=Memory for builds' '' '[Mount]' 'What=tmpfs' \
         'Where={path}' 'Type=tmpfs' 'Options={options}' '' '[Install]' \
         'WantedBy=local-fs.target' > /etc/systemd/system/{unit}\n\
         #   systemctl daemon-reload && systemctl enable --now {unit}\n"
    ));
    text
}

/// Whether a path means itself: to a shell, quotes and more would have a
/// meaning, and to systemd % and spaces.
fn is_plain(path: &str) -> bool {
    path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
}

/// What zram-generator, which most distributions have, is to be told.
fn zram(plan: &Plan) -> Option<String> {
    let enable = plan.nixos.get("zramSwap.enable")?;
    if enable.value != Value::Bool(true) {
        return None;
    }
    let percent = match plan.nixos.get("zramSwap.memoryPercent").map(|setting| &setting.value) {
        Some(Value::Integer(percent)) => *percent,
        // What NixOS takes when nobody says otherwise.
        _ => 50,
    };
    let mut text = "#\n".to_owned();
    comment(&mut text, 0, &format!("{}: with zram-generator,", enable.why));
    text.push_str(&format!(
        "#   mkdir -p /etc/systemd/zram-generator.conf.d\n\
         #   printf '[zram0]\\nzram-size = ram * {percent} / 100\\n' \
         > /etc/systemd/zram-generator.conf.d/nixpace.conf\n\
         #   systemctl daemon-reload && systemctl restart systemd-zram-setup@zram0\n"
    ));
    Some(text)
}

/// The service that jobs and cores rely on, where they do.
fn guard(plan: &Plan) -> Option<String> {
    let enable = plan.nixos.get(guarded::SERVICE)?;
    if enable.value != Value::Bool(true) {
        return None;
    }
    let mut text = "#\n".to_owned();
    let unit = guarded::UNIT;
    let why = "What max-jobs and cores rely on: builds begin as their memory fits. The unit is \
               monitor/systemd of Nixpace, and goes to /etc/systemd/system:";
    comment(&mut text, 0, why);
    text.push_str(&format!("#   systemctl daemon-reload && systemctl enable --now {unit}\n"));
    Some(text)
}

#[cfg(test)]
mod tests;
