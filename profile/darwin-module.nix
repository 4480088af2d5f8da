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
  definitions = lib.optionals cfg.enable plan.darwin;
  below = root: map (definition: definition.${root} or { }) definitions;
in
{
  options = import ./options.nix { inherit lib; };

  config = {
    # Without it something else owns nix.conf, as Determinate Nix does, and
    # every option of nix is an error.
    nix = lib.mkIf config.nix.enable (lib.mkMerge (below "nix"));
    nixpkgs = lib.mkMerge (below "nixpkgs");
    warnings = lib.optionals cfg.enable (plan.warnings pkgs.stdenv.hostPlatform.system);
  };
}
