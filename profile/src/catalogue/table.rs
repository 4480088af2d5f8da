//! The table itself: each setting with its kind, the minor version of Nix that
//! brought it (2.x; 0 for what 2.0 had), its default then, and what changed.
//!
//! Nix: the source at every tag from 2.0 to 2.35.2 and at 88b09c6 (2.36-dev).
//! Lix: the source at 2.90 to 2.95.3. Determinate: at v3.0 to v3.22.2; a
//! setting of its own counts from the first base version that always has it.

use super::Kind::{Bool, Choice, Jobs, Large, Number, Path, Text, Words};
use super::Preset::{self, Unset, Varies};
use super::{CACHE_KEY, Entry, FOREVER, History, Kind, determinate, lix, row};

const ON: Preset = Preset::Bool(true);
const OFF: Preset = Preset::Bool(false);
const EMPTY: Preset = Preset::Text("");
const NONE: Preset = Preset::Words(&[]);

const fn number(number: u64) -> Preset {
    Preset::Number(number)
}

const fn text(text: &'static str) -> Preset {
    Preset::Text(text)
}

const fn words(words: &'static [&'static str]) -> Preset {
    Preset::Words(words)
}

const SANDBOX: Kind = Choice(&["true", "false", "relaxed"]);
const PROFILER: Kind = Choice(&["disabled", "flamegraph"]);
const LOG_FORMAT: Kind = Choice(&[
    "auto",
    "raw",
    "raw-with-logs",
    "internal-json",
    "bar",
    "bar-with-logs",
    "multiline",
    "multiline-with-logs",
]);
const LINT: Kind = Choice(&["ignore", "warn", "fatal"]);

/// The largest number the Nix language has, since `max-free` passes through it.
const MAX_FREE: u64 = i64::MAX as u64;

/// 5 seconds (NixOS/nix#12876) proved too few for a second name server to
/// answer (NixOS/nix#13985); 2.30 and 2.31 got 15 in a later release.
const CONNECT_TIMEOUT: History = &[
    ((2, 29, 0), number(5)),
    ((2, 30, 4), number(15)),
    ((2, 31, 0), number(5)),
    ((2, 31, 2), number(15)),
];

/// Sorted by name.
pub(super) const TABLE: &[Entry] = &[
    row("abort-on-warn", Bool, 23, OFF).lix(95, FOREVER),
    row("accept-flake-config", Bool, 5, OFF)
        .feature("flakes")
        .lix_later(&[((2, 91, 0), text("ask"))]),
    row("access-tokens", Words, 4, NONE),
    row("allow-dirty", Bool, 4, ON),
    row("allow-dirty-locks", Bool, 26, OFF).feature("flakes"),
    row("allow-import-from-derivation", Bool, 0, ON),
    row("allow-new-privileges", Bool, 0, OFF).no_lix().only("linux"),
    row("allow-symlinked-store", Bool, 4, OFF),
    row("allow-unsafe-native-code-during-evaluation", Bool, 0, OFF),
    row("allowed-impure-host-deps", Words, 0, NONE),
    row("allowed-uris", Words, 0, NONE),
    row("allowed-users", Words, 0, words(&["*"])),
    row("always-allow-substitutes", Bool, 19, OFF).lix(90, FOREVER),
    row("auto-allocate-uids", Bool, 12, OFF).feature("auto-allocate-uids"),
    row("auto-optimise-store", Bool, 0, OFF),
    row("bash-prompt", Text, 4, EMPTY),
    row("bash-prompt-prefix", Text, 9, EMPTY),
    row("bash-prompt-suffix", Text, 4, EMPTY),
    row("build-dir", Path, 22, Unset).lix(91, FOREVER).lix_later(&[((2, 94, 0), Varies)]),
    row("build-hook", Words, 0, Varies),
    row("build-hook-kill-timeout", Number, 36, number(500)),
    row("build-poll-interval", Number, 0, number(5)),
    row("build-users-group", Text, 0, Varies),
    row("builders", Text, 0, Varies),
    row("builders-use-substitutes", Bool, 0, OFF),
    lix("builtin-builder-sandbox-paths", Words, 95, NONE),
    row("commit-lock-file-summary", Text, 23, EMPTY)
        .aliases(&["commit-lockfile-summary"])
        .feature("flakes"),
    row("commit-lockfile-summary", Text, 6, EMPTY).until(23).lix(90, FOREVER),
    row("compress-build-log", Bool, 0, ON).aliases(&["build-compress-log"]),
    row("connect-timeout", Number, 0, number(0))
        .later(CONNECT_TIMEOUT)
        .lix(90, 94)
        .lix_later(&[((2, 93, 0), number(5))]),
    row("cores", Number, 0, Varies).aliases(&["build-cores"]).later(&[((2, 31, 0), number(0))]),
    row("darwin-log-sandbox-violations", Bool, 0, OFF).only("darwin"),
    row("debugger-on-trace", Bool, 21, OFF).lix(90, FOREVER),
    row("debugger-on-warn", Bool, 23, OFF).lix(95, FOREVER),
    lix("deprecated-features", Words, 92, NONE),
    row("diff-hook", Path, 0, EMPTY).later(&[((2, 17, 0), Unset)]),
    row("download-attempts", Number, 3, number(5)).until(35),
    row("download-buffer-size", Number, 24, number(67_108_864))
        .later(&[((2, 33, 0), number(1_048_576))]),
    row("download-speed", Number, 11, number(0)),
    lix("enable-core-dumps", Bool, 90, OFF),
    row("enforce-determinism", Bool, 0, ON).until(13),
    row("eval-attrset-update-layer-rhs-threshold", Number, 32, Varies),
    row("eval-cache", Bool, 4, ON),
    determinate("eval-cores", Number, 32, number(1)),
    row("eval-profile-file", Text, 30, text("nix.profile")),
    row("eval-profiler", PROFILER, 30, text("disabled")),
    row("eval-profiler-frequency", Number, 30, number(99)),
    row("eval-system", Text, 20, EMPTY).lix(90, FOREVER),
    row("experimental-features", Words, 4, NONE),
    row("external-builders", Words, 32, NONE),
    lix("extra-local-jobs", Number, 95, Varies),
    row("extra-platforms", Words, 1, Varies),
    row("fallback", Bool, 0, OFF).aliases(&["build-fallback"]),
    row("filetransfer-retry-attempts", Number, 35, number(5)).aliases(&["download-attempts"]),
    row("filetransfer-retry-delay", Number, 35, number(100)),
    row("filetransfer-retry-delay-rate-limited", Number, 35, number(5000)),
    row("filetransfer-retry-jitter", Bool, 35, ON),
    row("filetransfer-retry-max-delay", Number, 35, number(60_000)),
    row("filter-syscalls", Bool, 0, ON).no_lix().only("linux"),
    row("flake-registry", Text, 4, Varies).feature("flakes"),
    row("fsync-metadata", Bool, 0, ON),
    row("fsync-store-paths", Bool, 25, OFF),
    row("gc-reserved-space", Large, 0, number(8_388_608)),
    row("hashed-mirrors", Words, 0, Varies).later(&[((2, 4, 0), NONE)]),
    row("http-connections", Number, 0, number(25)).aliases(&["binary-caches-parallel-connections"]),
    row("http2", Bool, 0, ON),
    row("http3", Bool, 35, OFF).lix(94, FOREVER),
    row("id-count", Number, 12, Varies),
    row("ignore-try", Bool, 10, OFF).lix_later(&[((2, 94, 0), ON)]),
    row("ignored-acls", Words, 5, Varies).only("linux"),
    row("impersonate-linux-26", Bool, 0, OFF).aliases(&["build-impersonate-linux-26"]).lix(90, 95),
    row("impure-env", Words, 19, NONE).feature("configurable-impure-env"),
    lix("initial-connect-timeout", Number, 94, number(5)),
    row("json-log-path", Path, 30, EMPTY).later(&[((2, 33, 0), Unset)]),
    row("keep-build-log", Bool, 0, ON).aliases(&["build-keep-log"]),
    row("keep-derivations", Bool, 0, ON).aliases(&["gc-keep-derivations"]),
    row("keep-env-derivations", Bool, 0, OFF).aliases(&["env-keep-derivations"]),
    row("keep-failed", Bool, 0, OFF),
    row("keep-going", Bool, 0, OFF),
    row("keep-outputs", Bool, 0, OFF).aliases(&["gc-keep-outputs"]),
    determinate("lazy-locks", Bool, 30, OFF),
    determinate("lazy-trees", Bool, 29, OFF),
    row("lint-absolute-path-literals", LINT, 34, text("ignore")),
    row("lint-short-path-literals", LINT, 34, text("ignore"))
        .aliases(&["warn-short-path-literals"]),
    row("lint-url-literals", LINT, 34, text("ignore")),
    lix("log-format", LOG_FORMAT, 95, text("auto")),
    row("log-lines", Number, 2, number(10))
        .later(&[((2, 20, 0), number(25))])
        .lix_later(&[((2, 90, 0), number(25))]),
    row("max-build-log-size", Number, 0, number(0)).aliases(&["build-max-log-size"]),
    row("max-call-depth", Number, 20, number(10_000)).lix(90, FOREVER),
    lix("max-connect-timeout", Number, 94, number(300)).aliases(&["connect-timeout"]),
    row("max-free", Large, 0, number(u64::MAX))
        .later(&[((2, 25, 0), number(MAX_FREE))])
        .lix_later(&[((2, 91, 0), number(MAX_FREE))]),
    row("max-jobs", Jobs, 0, number(1)).aliases(&["build-max-jobs"]),
    row("max-silent-time", Large, 0, number(0)).aliases(&["build-max-silent-time"]),
    row("max-substitution-jobs", Number, 16, number(16)).aliases(&["substitution-max-jobs"]),
    row("min-free", Large, 0, number(0)),
    row("min-free-check-interval", Large, 3, number(5)),
    row("nar-buffer-size", Number, 4, number(33_554_432)),
    row("narinfo-cache-meta-ttl", Number, 34, number(604_800)),
    row("narinfo-cache-negative-ttl", Number, 1, number(3600)),
    row("narinfo-cache-positive-ttl", Number, 1, number(2_592_000)),
    row("netrc-file", Path, 0, Varies),
    row("nix-path", Words, 4, Varies),
    row("nix-shell-always-looks-for-shell-nix", Bool, 24, ON),
    row("nix-shell-shebang-arguments-relative-to-script", Bool, 24, ON),
    lix("pasta-path", Path, 94, Varies),
    row("plugin-files", Words, 0, NONE),
    row("post-build-hook", Text, 3, EMPTY),
    row("pre-build-hook", Text, 0, Varies),
    row("preallocate-contents", Bool, 4, OFF),
    row("print-missing", Bool, 0, ON),
    row("pure-eval", Bool, 0, OFF),
    row("repeat", Number, 0, number(0)).aliases(&["build-repeat"]).until(13),
    lix("repl-overlays", Words, 90, NONE),
    row("require-drop-supplementary-groups", Bool, 17, Varies),
    row("require-sigs", Bool, 0, ON),
    row("restrict-eval", Bool, 0, OFF),
    row("run-diff-hook", Bool, 0, OFF),
    row("sandbox", SANDBOX, 0, Varies).aliases(&["build-use-chroot", "build-use-sandbox"]),
    row("sandbox-build-dir", Path, 0, text("/build")).only("linux"),
    row("sandbox-dev-shm-size", Text, 0, text("50%")).only("linux"),
    row("sandbox-fallback", Bool, 3, ON),
    row("sandbox-paths", Words, 0, NONE).aliases(&["build-chroot-dirs", "build-sandbox-paths"]),
    row("secret-key-files", Words, 0, NONE),
    row("show-trace", Bool, 0, OFF),
    row("ssl-cert-file", Path, 15, Varies),
    row("stalled-download-timeout", Number, 3, number(300)),
    row("start-id", Number, 12, Varies),
    row("store", Text, 0, Varies),
    row("substitute", Bool, 0, ON).aliases(&["build-use-substitutes"]),
    row("substituters", Words, 0, words(&["https://cache.nixos.org/"])).aliases(&["binary-caches"]),
    row("sync-before-registering", Bool, 0, OFF),
    row("system", Text, 0, Varies),
    row("system-features", Words, 2, Varies),
    row("tarball-ttl", Number, 0, number(3600)),
    lix("temp-dir", Path, 92, Unset),
    row("timeout", Large, 0, number(0)).aliases(&["build-timeout"]),
    row("trace-function-calls", Bool, 3, OFF),
    row("trace-import-from-derivation", Bool, 30, OFF),
    row("trace-verbose", Bool, 10, OFF),
    row("trust-tarballs-from-git-forges", Bool, 22, ON),
    row("trusted-public-keys", Words, 0, words(&[CACHE_KEY]))
        .aliases(&["binary-cache-public-keys"]),
    row("trusted-substituters", Words, 0, NONE).aliases(&["trusted-binary-caches"]),
    row("trusted-users", Words, 0, words(&["root"])),
    row("upgrade-nix-store-path-url", Text, 19, Varies),
    row("use-case-hack", Bool, 0, Varies),
    row("use-cgroups", Bool, 12, OFF).feature("cgroups").only("linux"),
    row("use-registries", Bool, 4, ON).feature("flakes"),
    row("use-sqlite-wal", Bool, 0, Varies),
    row("use-xdg-base-directories", Bool, 14, OFF),
    row("user-agent-suffix", Text, 0, EMPTY),
    row("warn-dirty", Bool, 4, ON),
    lix("warn-import-from-derivation", Bool, 95, OFF),
    row("warn-large-path-threshold", Large, 23, number(u64::MAX)).later(&[((2, 25, 0), number(0))]),
    row("warn-short-path-literals", Bool, 31, OFF).until(34),
];
