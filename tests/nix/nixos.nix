# The options of NixOS that plans and our modules define, with their types, their defaults and
# what NixOS itself defines of them. They have been the same for years, but for
# nix.gc.dates, which was a string and may now be a list too.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
in
{
  options = {
    boot.tmp = {
      cleanOnBoot = option types.bool false;
      useTmpfs = option types.bool false;
      tmpfsSize = option (types.oneOf [
        types.str
        types.int
      ]) "50%";
    };
    fileSystems = option (types.attrsOf (types.attrsOf types.anything)) { };
    nix = {
      enable = option types.bool true;
      package = option types.str "/nix-itself";
      daemonCPUSchedPolicy = option (types.enum [
        "other"
        "batch"
        "idle"
      ]) "other";
      daemonIOSchedClass = option (types.enum [
        "best-effort"
        "idle"
      ]) "best-effort";
      daemonIOSchedPriority = option types.int 4;
      nrBuildUsers = mkOption { type = types.int; };
      gc = {
        automatic = option types.bool false;
        dates = option types.str "03:15";
        options = option types.str "";
        persistent = option types.bool true;
        randomizedDelaySec = option types.str "0";
      };
      optimise = {
        automatic = option types.bool false;
        dates = option (types.listOf types.str) [ "03:45" ];
      };
      settings = option (types.attrsOf types.anything) { };
    };
    nixpkgs.overlays = option (types.listOf types.anything) [ ];
    environment.systemPackages = option (types.listOf types.package) [ ];
    systemd = {
      packages = option (types.listOf types.package) [ ];
      services = option (types.attrsOf (types.attrsOf types.anything)) { };
      tmpfiles.rules = option (types.listOf types.str) [ ];
      timers = option (types.attrsOf (types.attrsOf types.anything)) { };
    };
    users = {
      groups = option (types.attrsOf (types.attrsOf types.anything)) { };
      users = option (types.attrsOf (types.attrsOf types.anything)) { };
    };
    warnings = option (types.listOf types.str) [ ];
    zramSwap = {
      enable = option types.bool false;
      memoryPercent = option types.int 50;
      algorithm = option types.str "zstd";
      priority = option types.int 5;
    };
  };

  config.nix = {
    nrBuildUsers = lib.mkDefault 32;
    settings = {
      substituters = [ "https://cache.nixos.org/" ];
      trusted-public-keys = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
      trusted-users = [ "root" ];
      system-features = lib.mkDefault [
        "nixos-test"
        "benchmark"
        "big-parallel"
        "kvm"
      ];
    };
  };
}
