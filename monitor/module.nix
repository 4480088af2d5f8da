# NixOS: a history of builds, by the timer, and metrics for node_exporter. What
# the service may do is in its unit, which is that of other systems.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixpace.monitor;
in
{
  options.services.nixpace.monitor = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether to record what Nix built, for `monitor report --db
        /var/lib/nixpace/history.sqlite`, and to keep metrics of it in
        /var/lib/nixpace/nixpace.prom. For node_exporter to read these, give it
        `--collector.textfile.directory=/var/lib/nixpace`.
      '';
    };

    dates = lib.mkOption {
      type = lib.types.str;
      default = "hourly";
      example = "daily";
      description = "When to record it, as systemd.time(7) has it.";
    };

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.nixpace or (pkgs.callPackage ../package.nix { });
      defaultText = lib.literalExpression "pkgs.nixpace or (pkgs.callPackage ../package.nix { })";
      description = "The package with monitor and its units.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd = {
      packages = [ cfg.package ];
      timers.nixpace-monitor = {
        # NixOS leaves out what a unit's own [Install] says.
        wantedBy = [ "timers.target" ];
        # The empty one forgets those of the unit.
        timerConfig.OnCalendar = [
          ""
          cfg.dates
        ];
      };
    };
    users = {
      users.nixpace = {
        isSystemUser = true;
        group = "nixpace";
        description = "Records what Nix built";
      };
      groups.nixpace = { };
    };
  };
}
