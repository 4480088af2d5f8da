//! Finds the binaries, the shared data and real Nix; says so when a test must
//! be skipped.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use detect::cpuset::CpuSet;

/// The workspace's folder.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of a workspace")
}

/// The folder of the binaries, which are built once.
///
/// A package gets no `CARGO_BIN_EXE_…` for the binaries of others, hence the
/// build; `cargo xtask test` has done it already and says so.
pub(crate) fn binaries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("NIXPACE_BIN") {
            return folder.into();
        }
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--bins"])
            .current_dir(workspace())
            .status();
        assert!(built.is_ok_and(|status| status.success()), "the binaries do not build");
        // target/debug/deps/end-to-end-… is this program.
        let this = std::env::current_exe().expect("own path");
        this.ancestors().nth(2).expect("target/debug").to_owned()
    })
}

/// A tool of ours, by name.
pub(crate) fn tool(name: &str) -> Command {
    keep_machine();
    Command::new(binaries().join(name))
}

/// Run a shell script with our tools on the PATH, failing as pipes do.
pub(crate) fn shell(script: &str) -> Output {
    keep_machine();
    Command::new("bash")
        .args(["-c", &format!("set -o pipefail; {script}")])
        .env("PATH", path_with(&[binaries()]))
        .output()
        .expect("bash runs")
}

/// The PATH with some folders before all others.
pub(crate) fn path_with(first: &[&Path]) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = first.iter().map(|folder| folder.to_path_buf());
    let folders = first.chain(std::env::split_paths(&path));
    std::env::join_paths(folders).expect("a PATH")
}

/// Run a command with `input` on its stdin. It may stop reading early.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Output {
    let mut child: Child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool starts");
    let mut stdin = child.stdin.take().expect("stdin");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // A tool that has seen enough closes its stdin.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the tool ends");
    writer.join().expect("the writer ends");
    output
}

/// stdout of a run that must have succeeded without a word.
pub(crate) fn document(output: &Output) -> String {
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    text(&output.stdout)
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The data that other projects' machines left, if they are here.
pub(crate) fn shared(what: &str) -> Option<PathBuf> {
    let base = std::env::var_os("NIXPACE_SHARED")
        .map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let folder = base.join(what);
    if folder.exists() {
        return Some(folder);
    }
    skip(&format!("{} is not here (set NIXPACE_SHARED)", folder.display()));
    None
}

/// A real Nix beside this machine's.
pub(crate) struct RealNix {
    /// `2.34`.
    pub(crate) version: String,
    /// The folder of its programs.
    pub(crate) bin: PathBuf,
}

/// The real Nix versions that `cargo xtask nix` has made. Under CI all must be
/// there.
pub(crate) fn real_nix() -> Vec<RealNix> {
    let base = std::env::var_os("NIXPACE_NIX")
        .map_or_else(|| workspace().join("target/nix"), PathBuf::from);
    let found: Vec<RealNix> = ["2.8", "2.26", "2.34"]
        .iter()
        .map(|version| RealNix {
            version: (*version).to_owned(),
            bin: base.join(version).join("bin"),
        })
        .filter(|nix| nix.bin.join("nix").exists())
        .collect();
    if found.len() < 3 {
        missing(&format!(
            "{} of 3 real Nix versions are here (run `cargo xtask nix`)",
            found.len()
        ));
    }
    found
}

/// A tool that tests need is missing: a skip, but a failure under CI, where
/// everything must be there.
pub(crate) fn missing(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}, and this is CI");
    skip(why);
}

/// Say that a test, or a part of it, was skipped.
pub(crate) fn skip(why: &str) {
    // To stderr itself: what goes through the test harness is shown only of
    // tests that fail.
    let line = format!("SKIPPED: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether programs are on the PATH, said when one is not.
pub(crate) fn has(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let absent = |name: &&&str| !folders.iter().any(|folder| folder.join(name).is_file());
    let Some(program) = programs.iter().find(absent) else { return true };
    missing(&format!("{program} is not installed"));
    false
}

/// Whether the kernel knows a file system, said when it does not.
pub(crate) fn kernel_has(filesystem: &str) -> bool {
    let known = || {
        let list = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        list.split_whitespace().any(|word| word == filesystem)
    };
    // A module is loaded when it is first asked for.
    let found = known() || {
        let _ = Command::new("modprobe").arg(filesystem).output();
        known()
    };
    if !found {
        missing(&format!("this kernel has no {filesystem}"));
    }
    found
}

/// Whether this user is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The CPUs that this process may run on.
pub(crate) fn allowed_cpus() -> CpuSet {
    let status = fs::read_to_string("/proc/self/status").expect("status");
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    CpuSet::parse_list(list.expect("a list")).expect("CPUs")
}

/// Run a shell script as root in a folder of its own and with mounts of its
/// own: what it mounts nobody else sees, and goes away with it. `None` where
/// that cannot be had.
pub(crate) fn apart(script: &str) -> Option<Output> {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]);
        command
    };
    let try_it = || unshare().arg("true").output().is_ok_and(|run| run.status.success());
    if !is_root() {
        skip("mounts of one's own need root");
        return None;
    }
    if !ALLOWED.get_or_init(try_it) {
        missing("root may not have mounts of its own here");
        return None;
    }
    keep_machine();
    let folder = tempfile::tempdir().expect("folder");
    let output = unshare()
        .args(["bash", "-euo", "pipefail", "-c", script])
        .current_dir(folder.path().canonicalize().expect("path"))
        .env("PATH", path_with(&[binaries()]))
        .env("CHECKOUT", workspace())
        .output();
    Some(output.expect("unshare runs"))
}

/// What systemd says of units, which counts more than whether it is content: it ignores
/// lines that it does not know. Of the distribution's own units it may say what it likes.
pub(crate) fn systemd_says(units: &[PathBuf]) -> String {
    let mut verify = Command::new("systemd-analyze");
    let output = verify.args(["verify", "--man=no"]).args(units).output();
    let output = output.expect("systemd-analyze runs");
    let said = text(&output.stderr);
    let is_ours = |line: &&str| !line.starts_with("/usr/lib/systemd/system/");
    let said: String = said.lines().filter(is_ours).flat_map(|line| [line, "\n"]).collect();
    assert!(output.status.success() || !said.is_empty(), "{}", text(&output.stderr));
    said
}

/// A `/tmp` of its own, which real Nix sees by the same name: with one of our tools,
/// and places for a store.
const OWN_TMP: &str = r#"
    mount -t tmpfs -o mode=0755 none /mnt
    cp "$(command -v "$TOOL")" /mnt
    # Where we are tested in /tmp, real Nix stays where it was.
    case $CHECKOUT in /tmp/*)
        mkdir -p "/mnt${CHECKOUT#/tmp}"
        mount --rbind "$CHECKOUT" "/mnt${CHECKOUT#/tmp}" ;;
    esac
    mount --rbind /mnt /tmp
    cd /tmp
    mkdir home
    export HOME=/tmp/home NIX_STORE_DIR=/tmp/store NIX_STATE_DIR=/tmp/state
    export NIX_LOG_DIR=/tmp/log NIX_CONF_DIR=/tmp/none
    export PATH=$NIX:/tmp:/usr/sbin:/usr/bin:/sbin:/bin
    unset TMPDIR
"#;

/// Run a script apart in a `/tmp` of its own, with this Nix and one of our tools.
pub(crate) fn with_nix(nix: &RealNix, tool: &str, script: &str) -> Option<Output> {
    apart(&format!("NIX='{}'; TOOL={tool}\n{OWN_TMP}\n{script}", nix.bin.display()))
}

thread_local! {
    /// This test's lock on what all processes share, such as swap.
    static LOCK: RefCell<Option<File>> = const { RefCell::new(None) };
}

fn lock(how: fn(&File) -> std::io::Result<()>) {
    LOCK.with_borrow_mut(|lock| {
        if lock.is_none() {
            let file = File::open(workspace().join("Cargo.toml")).expect("Cargo.toml");
            how(&file).expect("a lock");
            *lock = Some(file);
        }
    });
}

/// Keep what all processes share as it is until the test ends: every test that
/// runs a tool may look at the machine more than once.
fn keep_machine() {
    lock(File::lock_shared);
}

/// Changes what all processes share, while no other test looks.
pub(crate) struct Changing;

impl Changing {
    /// Wait until no other test looks.
    pub(crate) fn new() -> Self {
        LOCK.set(None);
        lock(File::lock);
        Self
    }
}

impl Drop for Changing {
    fn drop(&mut self) {
        LOCK.set(None);
    }
}

/// Unpack a `.tar.xz` into a folder of its own.
pub(crate) fn unpack(archive: &Path) -> tempfile::TempDir {
    // Thousands of small files: far quicker in memory than on a disk.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(base).expect("folder");
    let arguments = [OsStr::new("-xf"), archive.as_os_str(), OsStr::new("-C")];
    let status = Command::new("tar").args(arguments).arg(folder.path()).status();
    assert!(status.is_ok_and(|status| status.success()), "tar cannot unpack {}", archive.display());
    folder
}
