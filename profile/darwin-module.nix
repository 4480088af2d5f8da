# nix-darwin: follow a committed plan. All there is to decide is in the plan.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.nixpace;
  plan = import ./plan.nix { inherit lib; } cfg.plan;

  # As in module.nix.
  below = root: map (definition: definition.${root} or { }) plan.darwin;
in
{
  options = import ./options.nix { inherit lib; };

  config = lib.mkIf cfg.enable {
    # Without it something else owns nix.conf, as Determinate Nix does, and
    # every option of nix is an error.
    nix = lib.mkIf config.nix.enable (lib.mkMerge (below "nix"));
    nixpkgs = lib.mkMerge (below "nixpkgs");
    warnings = plan.warnings pkgs.stdenv.hostPlatform.system;
  };
}
