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
        "experimental, and Nix ignores it with a warning until that is turned on; build users do",
    ),
    (
        "auto-optimise-store",
        "decided by `storage`, which leaves it off: a timer hashes new files when no build waits",
    ),
    ("build-dir", "decided by `storage`"),
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
    ("commit-lock-file-summary", "a message, no matter of speed"),
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
    ("download-speed", "a limit, and there is none"),
    ("enable-core-dumps", "for whoever debugs a builder, and no matter of speed"),
    ("enforce-determinism", "gone in Nix 2.13"),
    ("eval-cache", "already on: an evaluation that was done before costs nothing"),
    ("eval-cores", "a preview: evaluators in parallel take memory that the plan gives to builds"),
    (
        "experimental-features",
        "which commands you have is no matter of speed, and to set it drops what you turned on",
    ),
    ("extra-local-jobs", "Lix's own, and what it would gain is not measured"),
    (
        "extra-platforms",
        "the levels of x86-64 are in it already; others need an emulator, which is no speed",
    ),
    ("fallback", "decided by `caches`"),
    ("filetransfer-retry-attempts", "the name of download-attempts since Nix 2.35"),
    ("filetransfer-retry-delay", "the pauses between attempts are right for public caches"),
    (
        "filetransfer-retry-delay-rate-limited",
        "whoever says that we ask too often should be asked less often",
    ),
    ("filetransfer-retry-jitter", "comes turned on: many machines do not all come back at once"),
    ("filetransfer-retry-max-delay", "the pauses between attempts are right for public caches"),
    ("fsync-metadata", "decided by `storage`, which never turns it off"),
    ("fsync-store-paths", "decided by `storage`"),
    ("gc-check-reachability", "gone in Nix 2.4"),
    ("gc-reserved-space", "decided by `storage`"),
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
    ("lint-short-path-literals", "a lint, no matter of speed"),
    ("log-lines", "planned before Nix 2.20; since then 25 are the default"),
    ("max-build-log-size", "a limit would end builds that only say much"),
    ("max-call-depth", "ends evaluations that never end; lifting it makes none faster"),
    ("max-connect-timeout", "where Lix ends, having begun with initial-connect-timeout"),
    ("max-free", "decided by `storage`"),
    ("max-jobs", "planned with cores wherever CPUs and memory are known"),
    ("max-silent-time", "only in CI: elsewhere who waits can see, and end it"),
    (
        "max-substitution-jobs",
        "16 fill the usual link; the original design's 4 and 8 only made downloads slower",
    ),
    ("min-free", "decided by `storage`"),
    ("min-free-check-interval", "decided by `storage`"),
    ("nar-buffer-size", "what is larger goes through the disk, as it does in the end anyway"),
    ("narinfo-cache-meta-ttl", "decided by `caches`"),
    ("narinfo-cache-negative-ttl", "decided by `caches`"),
    ("narinfo-cache-positive-ttl", "decided by `caches`"),
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
    ("sandbox-dev-shm-size", "decided by `storage`"),
    ("sandbox-fallback", "isolation is not ours to weaken"),
    ("stalled-download-timeout", "decided by `caches`"),
    ("start-id", "belongs to auto-allocate-uids"),
    ("substitute", "already on; the original design set it, to the same"),
    ("substituters", "decided by `caches`"),
    (
        "sync-before-registering",
        "flushes every file system after each build, at an extreme price; fsync-store-paths does \
         what it was for",
    ),
    ("system-features", "Nix finds out kvm and the like itself, and to set it drops them"),
    ("tarball-ttl", "how old a channel may be is yours to say, and no matter of builds"),
    ("temp-dir", "decided by `storage`, like build-dir"),
    ("timeout", "only in CI: elsewhere a large build may take as long as it takes"),
    ("trusted-public-keys", "decided by `caches`: any key listed may sign any path"),
    ("trusted-substituters", "decided by `caches`"),
    (
        "trusted-users",
        "never: it is as good as to make them root, and serving builds does not need it",
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
    ("boot.tmp.cleanOnBoot", "false", "decided by `storage`"),
    ("boot.tmp.tmpfsSize", "50%", "decided by `storage`"),
    ("boot.tmp.useTmpfs", "false", "decided by `storage`; since Nix 2.30 no build runs in /tmp"),
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
        "moves no build since Nix 2.30; `storage` decides build-dir",
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
         without, builds at the limit stand still instead of ending",
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
        "`storage` decides build-dir; the original design's 1d deletes the files of builds that \
         run for longer",
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
    (
        "services.nix-daemon.tempDir",
        "unset",
        "moves no build since Nix 2.30; `storage` decides build-dir",
    ),
];
