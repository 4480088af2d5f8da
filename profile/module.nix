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
  # before any is read, the one that names the plan among them.
  roots = [
    "boot"
    "fileSystems"
    "nix"
    "nixpkgs"
    "systemd"
    "zramSwap"
  ];
  below = root: map (definition: definition.${root} or { }) plan.nixos;
in
{
  options = import ./options.nix { inherit lib; };

  config = lib.mkIf cfg.enable (
    lib.genAttrs roots (root: lib.mkMerge (below root))
    // {
      warnings = plan.warnings pkgs.stdenv.hostPlatform.system;
    }
  );
}
