# A derivation that can be built when a configuration follows plan.json, the plan
# for one of the fixtures.
{
  lib,
  pkgs,
  config,
}:
let
  plan = lib.importJSON ./plan.json;
  differs = name: setting: config.nix.settings.${name} or null != setting.value;
  wrong = builtins.attrNames (lib.filterAttrs differs plan.settings);
in
if wrong == [ ] then
  pkgs.runCommand "follows-the-plan" { } ''touch "$out"''
else
  throw "not as planned: ${toString wrong}"
