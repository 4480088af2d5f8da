# NixOS: look for what will fail of the machine's storage before it fails. An
# error fails the unit, so that whatever watches units tells of it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixpace.storage.check;
in
{
  options.services.nixpace.storage.check = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = "Whether to run `storage check` by a timer.";
    };
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.nixpace or (pkgs.callPackage ../package.nix { });
      defaultText = lib.literalExpression "pkgs.nixpace or (pkgs.callPackage ../package.nix { })";
      description = "The package that has `storage`.";
    };
    dates = lib.mkOption {
      type = lib.types.str;
      default = "daily";
      example = "weekly";
      description = "When to check, as a calendar event of systemd.";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.nixpace-storage-check = {
      description = "What of the machine's storage will fail";
      after = [ "local-fs.target" ];
      # It asks Nix for its version and settings.
      path = [ config.nix.package ];
      serviceConfig = {
        Type = "oneshot";
        ExecStart = "${cfg.package}/bin/storage check";
        # It only looks, by root's rights to enter every directory and to see
        # the daemon's environment, which decides where builds run. Whatever
        # would give it mounts of its own (ProtectSystem, PrivateTmp, …) is left
        # out: it would find those, read-only, and not the machine's.
        CapabilityBoundingSet = "CAP_DAC_READ_SEARCH CAP_SYS_PTRACE";
        LockPersonality = true;
        NoNewPrivileges = true;
        RestrictAddressFamilies = "AF_UNIX";
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        UMask = "0077";
        # Nobody waits for it.
        CPUSchedulingPolicy = "idle";
        IOSchedulingClass = "idle";
        TimeoutStartSec = "10min";
      };
    };
    systemd.timers.nixpace-storage-check = {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.dates;
        Persistent = true;
        RandomizedDelaySec = "1h";
      };
    };
  };
}
