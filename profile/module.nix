# NixOS: follow a committed plan. All there is to decide is in the plan.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixpace;
  plan = import ./plan.nix { inherit lib; } cfg.plan;

  # Where plans define options. Which options a module defines must be known
  # before any is read, the one that names the plan among them; and mkIf would
  # not keep a plan from being read for that.
  roots = [
    "boot"
    "fileSystems"
    "nix"
    "nixpkgs"
    "systemd"
    "zramSwap"
  ];
  definitions = lib.optionals cfg.enable plan.nixos;
  below = root: map (definition: definition.${root} or { }) definitions;
in
{
  # What a plan for a guard relies on; it does nothing unless a plan says so.
  imports = [ ../monitor/guard-module.nix ];

  options = import ./options.nix { inherit lib; };

  config = lib.genAttrs roots (root: lib.mkMerge (below root)) // {
    services.nixpace.guard = lib.mkMerge (
      map (definition: definition.services.nixpace.guard or { }) definitions
    );
    warnings = lib.optionals cfg.enable (plan.warnings pkgs.stdenv.hostPlatform.system);
  };
}
