//! The tables themselves, each sorted by name.

use super::Options;

/// Settings of nix.conf.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    (
        "always-allow-substitutes",
        "only in CI, from Nix 2.19: elsewhere what is quick to build is quicker built than fetched",
    ),
    (
        "auto-allocate-uids",
        "experimental, and Nix ignores it with a warning until that is on; build users suffice",
    ),
    (
        "auto-optimise-store",
        "planned by `storage`, as off, on macOS and on slow disks: a timer hashes new files when \
         no build waits; on flash the price is small",
    ),
    (
        "build-dir",
        "planned by `storage` on Linux, where the default is slow or has little room and another \
         place is better",
    ),
    (
        "build-poll-interval",
        "how often Nix looks for a free build user: 5 s are nothing to a build",
    ),
    (
        "builders",
        "whose builds to trust is yours to say; `nix-conf-write --as machines` writes the file \
         that it names",
    ),
    (
        "builders-use-substitutes",
        "only where remote builders are known to be there: without them it does nothing",
    ),
    ("commit-lock-file-summary", "a message, not a matter of speed"),
    ("commit-lockfile-summary", "the name of commit-lock-file-summary before Nix 2.23"),
    ("compress-build-log", "already on: logs are text, and take a fraction of the space then"),
    (
        "connect-timeout",
        "planned where the default is none or too short; Lix 2.94 has two others in its place",
    ),
    ("cores", "planned with max-jobs wherever CPUs and memory are known"),
    (
        "download-attempts",
        "5 with growing pauses outlast a short outage; fewer fail builds that would have gone on",
    ),
    (
        "download-buffer-size",
        "planned from Nix 2.24 to 2.32 where memory is plentiful; since 2.33 raising it is advised \
         against",
    ),
    ("download-speed", "a limit, and the default is none"),
    ("enable-core-dumps", "for whoever debugs a builder, and not a matter of speed"),
    ("enforce-determinism", "gone in Nix 2.13"),
    ("eval-cache", "already on: an evaluation that was done before costs nothing"),
    ("eval-cores", "a preview: evaluators in parallel take memory that the plan gives to builds"),
    (
        "experimental-features",
        "which commands you have is not a matter of speed, and to set it drops what you turned on",
    ),
    ("extra-local-jobs", "Lix's own, and what it would gain is not measured"),
    (
        "extra-platforms",
        "the levels of x86-64 are in it already; others need an emulator, which is slow",
    ),
    (
        "fallback",
        "a failing cache then costs a build of everything, which is yours to say; Nix 2.8 aborts \
         with it",
    ),
    ("filetransfer-retry-attempts", "the name of download-attempts since Nix 2.35"),
    ("filetransfer-retry-delay", "the pauses between attempts are right for public caches"),
    (
        "filetransfer-retry-delay-rate-limited",
        "whoever says that we ask too often should be asked less often",
    ),
    ("filetransfer-retry-jitter", "already on: many machines do not all come back at once"),
    ("filetransfer-retry-max-delay", "the pauses between attempts are right for public caches"),
    ("fsync-metadata", "already on, and never turned off: the store has to outlast a power cut"),
    (
        "fsync-store-paths",
        "makes a power cut harmless, and each path slower: whether to is yours to say",
    ),
    ("gc-check-reachability", "gone in Nix 2.4"),
    ("gc-reserved-space", "8 MiB suffice: they let garbage be collected when the disk is full"),
    (
        "http-connections",
        "planned until Nix 2.34 for several caches behind a fast link; otherwise 25 suffice, since \
         HTTP/2 carries many requests on one, and more of them have broken home routers \
         (NixOS/nixpkgs 9453); the original design's 10 were below the default",
    ),
    ("http2", "already on: many requests share a connection"),
    ("http3", "does nothing unless curl was built for it, and is not measured"),
    ("id-count", "belongs to auto-allocate-uids"),
    ("initial-connect-timeout", "where Lix begins; it goes on to max-connect-timeout"),
    ("keep-build-log", "already on: without the log a failure has to be built again"),
    ("keep-derivations", "already on; the original design set it, to the same"),
    ("keep-failed", "for one command; for all of them it fills the disk"),
    ("keep-going", "for one command: whether to see the first failure or all is yours to say"),
    (
        "keep-outputs",
        "only with --workload interactive and a large store: it keeps every compiler and source \
         of what is installed, which the original design did everywhere and then collected \
         garbage daily",
    ),
    ("lazy-locks", "Determinate's, and about evaluation, not builds"),
    ("lazy-trees", "Determinate's, and about evaluation, not builds"),
    ("lint-short-path-literals", "a lint, not a matter of speed"),
    ("log-lines", "planned before Nix 2.20; since then 25 are the default"),
    ("max-build-log-size", "a limit would end builds that merely print much"),
    ("max-call-depth", "ends evaluations that never end; lifting it makes none faster"),
    ("max-connect-timeout", "where Lix ends, having begun with initial-connect-timeout"),
    ("max-free", "planned by `storage`, with min-free"),
    ("max-jobs", "planned with cores wherever CPUs and memory are known"),
    ("max-silent-time", "only in CI: elsewhere whoever waits can see it, and end it"),
    (
        "max-substitution-jobs",
        "16 fill the usual link; the original design's 4 and 8 only made downloads slower",
    ),
    (
        "min-free",
        "planned by `storage` where the store's file system is known, is this machine's own and is \
         not small",
    ),
    ("min-free-check-interval", "to look every 5 s costs nothing"),
    ("nar-buffer-size", "what is larger goes through the disk, as it does in the end anyway"),
    ("narinfo-cache-meta-ttl", "the default suits public caches"),
    (
        "narinfo-cache-negative-ttl",
        "the default suits public caches; `caches why` says what is remembered as missing",
    ),
    ("narinfo-cache-positive-ttl", "the default suits public caches"),
    ("parallel-builds", "no Nix ever knew it: what runs in parallel is max-jobs × cores"),
    ("parallel-store-jobs", "of a change that no Nix was released with"),
    ("pasta-path", "where Lix finds a program is for its package to say"),
    (
        "post-build-hook",
        "runs a program as root after each build, and until Nix 2.35 everything waits for it",
    ),
    (
        "preallocate-contents",
        "keeps btrfs from compressing (NixOS/nix 3550), and other file systems need it little",
    ),
    ("print-missing", "what one command prints"),
    ("repeat", "gone in Nix 2.13; builds everything more than once"),
    ("require-drop-supplementary-groups", "who may do what is not ours to decide"),
    ("sandbox", "isolation is not ours to weaken, and costs little"),
    (
        "sandbox-dev-shm-size",
        "a limit that builds seldom reach, and the sandbox is not ours to change",
    ),
    ("sandbox-fallback", "isolation is not ours to weaken"),
    (
        "stalled-download-timeout",
        "5 min outlast a cache that is slow to begin; sooner, downloads would fail that go on",
    ),
    ("start-id", "belongs to auto-allocate-uids"),
    ("substitute", "already on; the original design set it, to the same"),
    ("substituters", "planned by `caches`, which adds what it has proven to those you have"),
    (
        "sync-before-registering",
        "flushes every file system after each build, at an extreme price; fsync-store-paths does \
         what it was for",
    ),
    ("system-features", "Nix finds out kvm and the like itself, and to set it drops them"),
    ("tarball-ttl", "how old a channel may be is yours to say, and not a matter of builds"),
    ("temp-dir", "Lix's own, for files of Lix itself; where builds run, build-dir says"),
    ("timeout", "only in CI: elsewhere a large build may take as long as it takes"),
    (
        "trusted-public-keys",
        "planned by `caches`, which adds only what it has proven: any key listed may sign any path",
    ),
    ("trusted-substituters", "which caches others may turn on is yours to say"),
    (
        "trusted-users",
        "never: it is as good as making them root, and serving builds does not need it",
    ),
    ("use-cgroups", "builds fail unless an experimental feature is on, and it sets no limits"),
    ("use-sqlite-wal", "already on where it works"),
    (
        "use-xz-binary-cache-substituter",
        "no Nix ever knew it: a cache decides how it compresses, a client cannot",
    ),
    ("warn-short-path-literals", "the name of lint-short-path-literals before Nix 2.34"),
];

/// Options of `NixOS`, with what they are there by default.
pub(super) const NIXOS: Options = &[
    ("boot.tmp.cleanOnBoot", "false", "what is in /tmp is not ours to delete"),
    ("boot.tmp.tmpfsSize", "50%", "goes with boot.tmp.useTmpfs"),
    (
        "boot.tmp.useTmpfs",
        "false",
        "planned by `storage` where builds run in /tmp, their disk is slow and memory is \
         plentiful; since Nix 2.30 none runs there",
    ),
    (
        "environment.variables.NIX_CFLAGS_COMPILE",
        "unset",
        "no builder sees the environment; it only changes what gcc does in a nix-shell. \
         `profile --optimize` does what was meant, for packages by name",
    ),
    (
        "environment.variables.NIX_LDFLAGS",
        "unset",
        "no builder sees the environment, and ld refuses the -Wl, of the original design",
    ),
    ("nix.buildMachines", "[ ]", "whose builds to trust is yours to say"),
    (
        "nix.checkConfig",
        "true",
        "already on: a setting that Nix does not know fails the build of the system",
    ),
    ("nix.daemonCPUSchedPolicy", "other", "planned wherever NixOS can run"),
    (
        "nix.daemonIOSchedClass",
        "best-effort",
        "on a machine that does nothing but build, nobody else waits for the disk",
    ),
    ("nix.daemonIOSchedPriority", "4", "means nothing in the class idle, and little outside of it"),
    ("nix.distributedBuilds", "false", "whose builds to trust is yours to say"),
    (
        "nix.gc.automatic",
        "false",
        "not in a container or a CI job, whose store is not its own or not for long",
    ),
    ("nix.gc.dates", "03:15", "goes with nix.gc.automatic"),
    (
        "nix.gc.options",
        "unset",
        "--delete-older-than, 7d in the original design, takes the way back from every profile: \
         whether to lose old generations is yours to say, and 30d is what others have",
    ),
    ("nix.gc.persistent", "true", "already on: what a machine slept through is caught up on"),
    ("nix.gc.randomizedDelaySec", "0", "goes with nix.gc.automatic"),
    (
        "nix.nrBuildUsers",
        "32 or max-jobs",
        "the only bound on all clients together, and it follows max-jobs where that is more; the \
         original design's max-jobs × 2 lowered it to 8 on 4 CPUs",
    ),
    (
        "nix.optimise.automatic",
        "false",
        "not in a container or a CI job, whose store is not its own or not for long",
    ),
    ("nix.optimise.dates", "03:45", "goes with nix.optimise.automatic"),
    ("nix.optimise.persistent", "true", "already on, and older releases do not know it"),
    (
        "nix.optimise.randomizedDelaySec",
        "1800",
        "right as it is, and older releases do not know it",
    ),
    (
        "nixpkgs.overlays",
        "[ ]",
        "one over stdenv changes the hash of every package, so that no cache has any: the whole \
         system would be built. `profile --optimize` overrides packages by name",
    ),
    (
        "systemd.services.nix-daemon.environment.TMPDIR",
        "unset",
        "moves no build since Nix 2.30; build-dir does, which `storage` plans",
    ),
    (
        "systemd.services.nix-daemon.serviceConfig.CPUWeight",
        "100",
        "nix.daemonCPUSchedPolicy already lets everything else go first",
    ),
    (
        "systemd.services.nix-daemon.serviceConfig.MemoryHigh",
        "infinity",
        "only from 16 GB on, where nobody is known to work and swap on disk is a third of memory: \
         without it, builds at the limit stand still instead of ending",
    ),
    (
        "systemd.services.nix-daemon.serviceConfig.MemoryMax",
        "infinity",
        "ends some build, and perhaps the daemon, while memory may be free",
    ),
    (
        "systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust",
        "0",
        "planned wherever NixOS can run",
    ),
    (
        "systemd.tmpfiles.rules",
        "[ ]",
        "`storage` plans it with build-dir; the original design's 1d deletes the files of builds \
         that run for longer",
    ),
    ("zramSwap.enable", "false", "there is enough swap, or it is not this machine's to add"),
    ("zramSwap.memoryPercent", "50", "goes with zramSwap.enable"),
];

/// Options of nix-darwin, with what they are there by default.
pub(super) const DARWIN: Options = &[
    (
        "nix.daemonIOLowPriority",
        "false",
        "on a machine that does nothing but build, nobody else waits for the disk",
    ),
    (
        "nix.daemonProcessType",
        "Standard",
        "Background would keep builds on the slow cores, and Interactive takes from whoever works",
    ),
    (
        "nix.gc.automatic",
        "false",
        "not in a CI job, and with Determinate Nix not nix-darwin's to say",
    ),
    ("nix.gc.interval", "Sunday 03:15", "once a week is right"),
    (
        "nix.gc.options",
        "unset",
        "--delete-older-than, 7d in the original design, takes the way back from every profile: \
         whether to lose old generations is yours to say, and 30d is what others have",
    ),
    (
        "nix.optimise.automatic",
        "false",
        "hard links have corrupted stores on macOS (NixOS/nix 7273), and its loader loses its way \
         in linked programs (cardano-scaling/hydra 2626)",
    ),
    ("nix.optimise.interval", "Sunday 04:15", "goes with nix.optimise.automatic"),
    ("services.nix-daemon.tempDir", "unset", "moves no build since Nix 2.30; build-dir does"),
];
