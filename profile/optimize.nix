# An overlay that builds the named packages for one level of x86-64, and leaves
# every other package what it is.
{ arch, packages }:
_: prev:
let
  # The variable whose flags go before the package's own, where nixpkgs puts
  # -march for a whole platform: what a package says of single files must win,
  # or those that look at the CPU while they run no longer compile.
  variable = "NIX_CFLAGS_COMPILE_BEFORE";
  flags = attrs: {
    ${variable} = toString ([ "-march=${arch}" ] ++ before (attrs.${variable} or null));
  };
  before = value: if value == null || value == "" then [ ] else [ value ];

  # The same package set for another platform, as pkgsi686Linux, has the overlay
  # too, and compilers that do not know the level.
  isMeant = prev.stdenv.hostPlatform.isx86_64 or true;

  optimize =
    name:
    let
      package = prev.${name} or (throw "nixpace: optimize: nixpkgs has no ${name}");
    in
    if !isMeant then
      package
    else if !(package ? overrideAttrs) then
      throw "nixpace: optimize: ${name} is no package that can be changed"
    else
      package.overrideAttrs change;

  change =
    old:
    let
      env = old.env or { };
    in
    {
      # A package that turns it off breaks with it.
      enableParallelBuilding = old.enableParallelBuilding or true;
    }
    # A variable is said in one of two places; nixpkgs refuses one in both.
    // (if old ? ${variable} then flags old else { env = env // flags env; });
in
builtins.listToAttrs (
  map (name: {
    inherit name;
    value = optimize name;
  }) packages
)
