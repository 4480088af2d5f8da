# The options of nix-darwin that plans define, with their types and defaults.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
in
{
  options = {
    nix = {
      enable = option types.bool true;
      daemonIOLowPriority = option types.bool false;
      daemonProcessType = option (types.enum [
        "Background"
        "Standard"
        "Adaptive"
        "Interactive"
      ]) "Standard";
      gc.automatic = option types.bool false;
      gc.options = option types.str "";
      optimise.automatic = option types.bool false;
      settings = option (types.attrsOf types.anything) { };
    };
    nixpkgs.overlays = option (types.listOf types.anything) [ ];
    warnings = option (types.listOf types.str) [ ];
  };
}
