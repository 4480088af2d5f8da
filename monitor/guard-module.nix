# NixOS: builds begin as their memory fits. What the service may do is in its unit,
# which is that of other systems.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixpace.guard;
in
{
  options.services.nixpace.guard = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = ''
        Whether to hold builds that would not fit into memory until they do:
        `monitor guard`, which `profile --guarded` relies on. It stops and
        continues processes of Nix's build users, and no others. What builds need
        it learns as they end, and from /var/lib/nixpace/costs.json, which
        `services.nixpace.monitor` keeps.
      '';
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
      services.nixpace-guard = {
        # NixOS leaves out what a unit's own [Install] says.
        wantedBy = [ "multi-user.target" ];
        # To ask which settings Nix has.
        path = [ config.nix.package ];
      };
    };
  };
}
