# The values that a committed plan may give to what it sets, by name, as
# src/refuse has them too: of settings, those by which a plan could harm the
# machine; of options, all.
{ buildDir }:
let
  inherit (builtins)
    all
    elem
    isBool
    isInt
    isList
    isString
    match
    ;

  number =
    least: most: value:
    isInt value && value >= least && value <= most;
  choice = words: value: elem value words;
  is = pattern: value: isString value && match pattern value != null;
  list = good: value: isList value && all good value;
  several = good: value: good value || list good value;

  digits = "[0-9]{1,18}";
  size = value: number 1 9223372036854775807 value || is "infinity|${digits}[%KMGT]?" value;
  calendar = several (is "[A-Za-z0-9*][A-Za-z0-9 *,./:~-]*");
  span = is "[0-9][A-Za-z0-9 ]*";

  # A shell of root reads these.
  gcOption = "--delete-older-than ${digits}d|--max-freed ${digits}[KMGT]?";
  gcOptions = is "((${gcOption})( (${gcOption}))*)?";

  # The directories that `storage` plans. Root makes builds run there, and
  # systemd deletes there what is old.
  builds = [
    "/nix-builds"
    "/nix/var/nix/builds"
    "/nix/var/nix/b"
  ];
  rules =
    value: elem buildDir builds && list (is "d ${buildDir} 0755 root root (-|[1-9][0-9]{0,17}d)") value;
  tmpfs = choice [ "tmpfs" ];
  huge = "never|always|within_size|advise";
  mount = list (
    is (
      "defaults|noatime|nodev|nosuid|relatime|mode=0?755"
      + "|(nr_inodes|size)=${digits}[%KMGTkmgt]?|huge=(${huge})"
    )
  );
  weight = number 1 10000;
  # As src/catalogue.rs has them.
  features = list (choice [
    "auto-allocate-uids"
    "cgroups"
    "flakes"
    "nix-command"
  ]);
in
{
  build-dir = choice builds;
  cores = number 1 4294967295;
  experimental-features = features;
  extra-experimental-features = features;
  max-jobs = number 1 4294967295;
  temp-dir = choice builds;

  "boot.tmp.cleanOnBoot" = isBool;
  "boot.tmp.tmpfsHugeMemoryPages" = is huge;
  "boot.tmp.tmpfsSize" = size;
  "boot.tmp.useTmpfs" = isBool;
  "fileSystems.\"/nix/var/nix/b\".device" = tmpfs;
  "fileSystems.\"/nix/var/nix/b\".fsType" = tmpfs;
  "fileSystems.\"/nix/var/nix/b\".options" = mount;
  "fileSystems.\"/nix/var/nix/builds\".device" = tmpfs;
  "fileSystems.\"/nix/var/nix/builds\".fsType" = tmpfs;
  "fileSystems.\"/nix/var/nix/builds\".options" = mount;
  "nix.daemonCPUSchedPolicy" = choice [
    "other"
    "batch"
    "idle"
  ];
  "nix.daemonIOLowPriority" = isBool;
  "nix.daemonIOSchedClass" = choice [
    "best-effort"
    "idle"
  ];
  "nix.daemonIOSchedPriority" = number 0 7;
  "nix.daemonProcessType" = choice [
    "Adaptive"
    "Background"
    "Interactive"
    "Standard"
  ];
  "nix.gc.automatic" = isBool;
  "nix.gc.dates" = calendar;
  "nix.gc.options" = gcOptions;
  "nix.gc.persistent" = isBool;
  "nix.gc.randomizedDelaySec" = span;
  "nix.nrBuildUsers" = number 1 4096;
  "nix.optimise.automatic" = isBool;
  "nix.optimise.dates" = calendar;
  "nix.optimise.persistent" = isBool;
  "nix.optimise.randomizedDelaySec" = span;
  "services.nixpace.guard.enable" = isBool;
  "systemd.services.nix-daemon.serviceConfig.CPUWeight" = weight;
  "systemd.services.nix-daemon.serviceConfig.IOWeight" = weight;
  "systemd.services.nix-daemon.serviceConfig.LimitNOFILE" = number 1024 1073741824;
  "systemd.services.nix-daemon.serviceConfig.MemoryHigh" = size;
  "systemd.services.nix-daemon.serviceConfig.MemoryMax" = size;
  "systemd.services.nix-daemon.serviceConfig.MemorySwapMax" = size;
  "systemd.services.nix-daemon.serviceConfig.Nice" = number 0 19;
  "systemd.services.nix-daemon.serviceConfig.OOMPolicy" = choice [
    "continue"
    "stop"
    "kill"
  ];
  "systemd.services.nix-daemon.serviceConfig.OOMScoreAdjust" = number 0 1000;
  "systemd.services.nix-daemon.serviceConfig.TasksMax" = size;
  "systemd.tmpfiles.rules" = rules;
  "zramSwap.algorithm" = choice [
    "lz4"
    "lzo"
    "lzo-rle"
    "zstd"
  ];
  "zramSwap.enable" = isBool;
  "zramSwap.memoryMax" = number 1 9223372036854775807;
  "zramSwap.memoryPercent" = number 1 400;
  "zramSwap.priority" = number 0 32767;
}
