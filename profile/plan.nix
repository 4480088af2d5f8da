# A committed plan as definitions for a module, read purely: nothing is looked
# up and nothing decided, but a plan that may not be followed is refused whole.
# Someone may have edited it, and what it sets is read by root.
{ lib }:
file:
let
  inherit (builtins)
    all
    concatLists
    concatStringsSep
    elem
    elemAt
    filter
    head
    isBool
    isInt
    isList
    isString
    length
    mapAttrs
    match
    split
    ;

  plan = builtins.fromJSON (builtins.readFile file);

  # What plans may set, written from the Rust sources by `cargo xtask schema`:
  # rights, checks, hooks and the rest of the system are not among it.
  allowed = builtins.fromJSON (builtins.readFile ./allowed.json);

  # Text in which neither nix.conf nor a unit sees a second line, nor a shell a
  # second command. It may still be an option or a path that does harm.
  isPlain = value: isString value && match "[][A-Za-z0-9 ._~:/?=%+@,*-]*" value != null;
  isValue = value: isBool value || isInt value || isPlain value || isList value && all isPlain value;

  # What may be said of some names is less than that.
  isMeant = import ./values.nix { buildDir = plan.settings.build-dir.value or null; };

  # A cache counts with the key that its answers were proven with, or not at
  # all; nothing but its priority may follow its address, since ?trusted=1 would
  # turn its signatures off.
  proven = filter (cache: cache.verdict or null == "verified") (plan.caches or [ ]);
  place =
    url:
    let
      found = match "([^?]*[^/?])/?([?]priority=[0-9]+)?" url;
    in
    if found == null then "" else head found;
  isProven = rec {
    substituters =
      url:
      place url != ""
      && elem (place url) ([ "https://cache.nixos.org" ] ++ map (cache: place cache.url) proven);
    trusted-substituters = substituters;
    trusted-public-keys =
      key:
      elem key (
        [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ]
        ++ map (cache: cache.key) proven
      );
  };
  base = name: if lib.hasPrefix "extra-" name then lib.removePrefix "extra-" name else name;
  isTrue =
    name: value: all (isProven.${base name} or (_: true)) (if isList value then value else [ value ]);

  # Components of an option's path, of which some are quoted:
  # fileSystems."/nix/var/nix/builds".fsType
  components =
    path:
    let
      parts = split ''"([^"]*)"|([^".]+)'' path;
    in
    map (groups: if head groups == null then elemAt groups 1 else head groups) (filter isList parts);

  problems =
    what: names: settings:
    concatLists (
      lib.mapAttrsToList (
        name: setting:
        if !elem name names then
          [ "${what}.${name}: no plan may set this" ]
        else if !isValue setting.value then
          [ "${what}.${name}: its value is not plain" ]
        else if !(isMeant.${name} or (_: true)) setting.value then
          [ "${what}.${name}: no plan may give it this value" ]
        else if what == "settings" && !isTrue name setting.value then
          [ "${what}.${name}: no proof for a cache or key" ]
        else
          [ ]
      ) settings
    );
  found =
    problems "settings" allowed.settings plan.settings
    ++ problems "nixos" allowed.nixos (plan.nixos or { })
    ++ problems "darwin" allowed.darwin (plan.darwin or { })
    ++ lib.optional (!isOptimizable (plan.optimize or null)) "optimize: no plain names and level";
  isOptimizable =
    optimize:
    optimize == null || match "x86-64-v[234]" optimize.arch != null && all isPackage optimize.packages;
  # As `profile --optimize` takes them.
  isPackage =
    name:
    match "[A-Za-z_][A-Za-z0-9_'-]*" name != null && match ".*[Ss][Tt][Dd][Ee][Nn][Vv].*" name == null;
  refuse = why: throw "nixpace: ${toString file}: ${why}";
  version = builtins.toJSON (plan.version or null);
  checked =
    if version != "1" then
      refuse "version ${version}, but 1 is all that is known"
    else if found != [ ] then
      refuse (concatStringsSep "; " found)
    else
      plan;

  # NixOS adds to these lists itself, at a priority that wins over a default, so
  # a plan adds to them too; and it has a default of its own for
  # nrBuildUsers, with which ours must not be in conflict. Else whatever anyone
  # says wins over a plan.
  lists = [
    "substituters"
    "systemd.tmpfiles.rules"
    "trusted-public-keys"
  ];
  define =
    name: setting:
    if elem name lists then
      setting.value
    else if name == "nix.nrBuildUsers" then
      lib.mkOverride 900 setting.value
    else
      lib.mkDefault setting.value;
  at = path: setting: lib.setAttrByPath (components path) (define path setting);

  # Settings and options as a list of definitions, each from the top.
  definitions =
    options:
    [ { nix.settings = mapAttrs define checked.settings; } ]
    ++ lib.mapAttrsToList at options
    ++ lib.optional (checked.optimize or null != null) {
      nixpkgs.overlays = [ (import ./optimize.nix { inherit (checked.optimize) arch packages; }) ];
    };
in
{
  nixos = definitions (checked.nixos or { });
  darwin = definitions (checked.darwin or { });

  # What to warn of when the plan is followed on this system.
  warnings =
    system:
    let
      planned = checked.hardware.system or null;
    in
    lib.optional (
      planned != null && planned != system
    ) "nixpace: ${toString file} is a plan for ${planned}, and this is ${system}";
}
