# The options of both modules.
{ lib }:
{
  services.nixpace = {
    enable = lib.mkOption {
      type = lib.types.bool;
      default = false;
      example = true;
      description = "Whether to build with the settings of a plan that nixpace made.";
    };
    plan = lib.mkOption {
      type = lib.types.path;
      example = lib.literalExpression "./plan.json";
      description = ''
        The plan for this machine, committed beside its configuration:
        `detect | profile -o plan.json`, run on the machine itself. Each of its
        settings is a default, over which any other definition wins.
      '';
    };
  };
}
