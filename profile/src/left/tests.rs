//! Every name of the facts has a row, and what is planned is not left alone.

use std::num::{NonZeroU32, NonZeroU64};

use detect::hardware::Hardware;
use detect::release::Release;

use super::{Place, left, table};
use crate::catalogue;
use crate::plan::{Plan, Workload};
use crate::{Options, run};

/// What the facts name (settings.md §§1 and 2), by where it is set.
const NAMED: &str = "
    always-allow-substitutes auto-allocate-uids auto-optimise-store build-dir build-poll-interval
    builders builders-use-substitutes commit-lock-file-summary commit-lockfile-summary
    compress-build-log connect-timeout cores download-attempts download-buffer-size download-speed
    enable-core-dumps enforce-determinism eval-cache eval-cores experimental-features
    extra-local-jobs extra-platforms fallback filetransfer-retry-attempts filetransfer-retry-delay
    filetransfer-retry-delay-rate-limited filetransfer-retry-jitter filetransfer-retry-max-delay
    fsync-metadata fsync-store-paths gc-check-reachability gc-reserved-space http-connections http2
    http3 id-count initial-connect-timeout keep-build-log keep-derivations keep-failed keep-going
    keep-outputs lazy-locks lazy-trees lint-short-path-literals log-lines max-build-log-size
    max-call-depth max-connect-timeout max-free max-jobs max-silent-time max-substitution-jobs
    min-free min-free-check-interval nar-buffer-size narinfo-cache-meta-ttl
    narinfo-cache-negative-ttl narinfo-cache-positive-ttl parallel-builds parallel-store-jobs
    pasta-path post-build-hook preallocate-contents print-missing repeat
    require-drop-supplementary-groups sandbox sandbox-dev-shm-size sandbox-fallback
    stalled-download-timeout start-id substitute substituters sync-before-registering
    system-features tarball-ttl temp-dir timeout trusted-public-keys trusted-substituters
    trusted-users use-cgroups use-sqlite-wal use-xz-binary-cache-substituter
    warn-short-path-literals";

const NAMED_NIXOS: &str = "
    boot.tmp.cleanOnBoot boot.tmp.tmpfsSize boot.tmp.useTmpfs
    environment.variables.NIX_CFLAGS_COMPILE environment.variables.NIX_LDFLAGS
    nix.daemonCPUSchedPolicy nix.daemonIOSchedClass nix.daemonIOSchedPriority nix.gc.automatic
    nix.gc.dates nix.gc.options nix.nrBuildUsers nix.optimise.automatic nix.optimise.dates
    nixpkgs.overlays systemd.services.nix-daemon.environment.TMPDIR
    systemd.services.nix-daemon.serviceConfig.CPUWeight
    systemd.services.nix-daemon.serviceConfig.MemoryHigh
    systemd.services.nix-daemon.serviceConfig.MemoryMax
    systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust systemd.tmpfiles.rules";

fn machine(system: &str) -> Hardware {
    let mut hardware = Hardware { system: Some(system.to_owned()), ..Hardware::default() };
    hardware.cpu.allowed = NonZeroU32::new(8);
    hardware.memory.total_bytes = NonZeroU64::new(32 << 30);
    hardware.memory.usable_bytes = hardware.memory.total_bytes;
    hardware.memory.swap_bytes = Some(0);
    hardware
}

/// Plans of every kind of machine, for the oldest Nix, the newest, and others.
fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for system in ["x86_64-linux", "aarch64-darwin"] {
        for release in ["2.8", "2.26.3", "2.34.8", "lix-2.94", "determinate-2.32.1"] {
            for workload in [Workload::General, Workload::Interactive, Workload::Ci] {
                let for_nix = Release::parse(release);
                let options = Options { workload, for_nix, ..Options::default() };
                plans.push(run(machine(system), &options).expect("a plan"));
            }
        }
    }
    plans
}

#[test]
fn every_name_is_planned_or_left_alone() {
    for plan in plans() {
        let system = plan.hardware.system.as_deref();
        let settings = left(&plan, Place::NixConf);
        for name in NAMED.split_whitespace() {
            let is_left = settings.iter().any(|row| row.name == name);
            assert_ne!(is_left, plan.settings.contains_key(name), "{name}, {system:?}");
        }
        if system == Some("x86_64-linux") {
            let options = left(&plan, Place::Nixos);
            for name in NAMED_NIXOS.split_whitespace() {
                let is_left = options.iter().any(|row| row.name == name);
                assert_ne!(is_left, plan.nixos.contains_key(name), "{name}");
            }
        }
    }
}

#[test]
fn whatever_is_planned_has_a_row_for_when_it_is_not() {
    for plan in plans() {
        for name in plan.settings.keys() {
            let name = name.strip_prefix("extra-").unwrap_or(name);
            assert!(table::SETTINGS.iter().any(|(row, _)| *row == name), "{name}");
        }
        for (options, rows) in [(&plan.nixos, table::NIXOS), (&plan.darwin, table::DARWIN)] {
            for path in options.keys() {
                assert!(rows.iter().any(|(row, ..)| row == path), "{path}");
            }
        }
    }
}

#[test]
fn sorted_without_a_name_twice_and_with_names_that_exist() {
    for pair in table::SETTINGS.windows(2) {
        assert!(pair[0].0 < pair[1].0, "{}", pair[1].0);
    }
    for rows in [table::NIXOS, table::DARWIN] {
        for pair in rows.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{}", pair[1].0);
        }
    }
    // The facts name four that no Nix the catalogue covers has.
    let unknown: Vec<&str> = table::SETTINGS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| catalogue::find(name).is_none())
        .collect();
    assert_eq!(
        unknown,
        [
            "gc-check-reachability",
            "parallel-builds",
            "parallel-store-jobs",
            "use-xz-binary-cache-substituter"
        ]
    );
}

#[test]
fn what_other_stages_decide_is_theirs_alone() {
    let by = |stage: &str| {
        let rows = table::SETTINGS.iter().filter(|(_, why)| why.starts_with(stage));
        rows.map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let (storage, caches) = (by("planned by `storage`"), by("planned by `caches`"));
    assert_eq!(storage, ["auto-optimise-store", "build-dir", "max-free", "min-free"]);
    assert_eq!(caches, ["substituters", "trusted-public-keys"]);
    let theirs = [storage, caches].concat();
    for plan in plans() {
        for name in &theirs {
            assert!(!plan.settings.contains_key(*name), "{name}");
        }
    }
}

#[test]
fn reasons_are_one_line_of_text() {
    let options = table::NIXOS.iter().chain(table::DARWIN).map(|(name, _, why)| (name, why));
    for (name, why) in table::SETTINGS.iter().map(|(name, why)| (name, why)).chain(options) {
        assert!(!why.is_empty() && !why.ends_with('.') && !why.contains("  "), "{name}: {why}");
        assert!(!why.contains(char::is_control), "{name}");
    }
}

#[test]
fn only_the_machine_s_own_place_is_listed() {
    let linux = run(machine("x86_64-linux"), &Options::default()).expect("a plan");
    let mac = run(machine("aarch64-darwin"), &Options::default()).expect("a plan");
    assert!(left(&linux, Place::Darwin).is_empty() && !left(&linux, Place::Nixos).is_empty());
    assert!(left(&mac, Place::Nixos).is_empty() && !left(&mac, Place::Darwin).is_empty());
}
