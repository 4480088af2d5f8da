# As much of nixpkgs as the flake touches.
let
  lib = import ./lib.nix // {
    fileset = {
      unions = files: if builtins.all builtins.pathExists files then files else throw "a file is missing";
      toSource = { root, fileset }: builtins.seq fileset (baseNameOf root);
    };
    importTOML = file: builtins.fromTOML (builtins.readFile file);
    importJSON = file: builtins.fromJSON (builtins.readFile file);
    inherit (builtins) concatMap concatLists;
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: set: if condition then set else { };
    filterAttrs =
      isWanted: set:
      removeAttrs set (builtins.filter (name: !isWanted name set.${name}) (builtins.attrNames set));
    licenses.mit = { };
    platforms = {
      linux = [ ];
      darwin = [ ];
    };
    nixosSystem =
      { modules }:
      lib.evalModules {
        modules = [
          ./nixos.nix
          { options.nixpkgs.hostPlatform = lib.mkOption { type = lib.types.str; }; }
        ]
        ++ modules;
        specialArgs.pkgs = packages "x86_64-linux";
      };
  };

  make =
    attrs:
    derivation {
      inherit (attrs) name system;
      builder = "/bin/sh";
      # What nixpkgs keeps out of derivations.
      seen = builtins.toJSON (
        removeAttrs attrs [
          "meta"
          "passthru"
        ]
      );
    }
    // {
      inherit (attrs) meta version;
      overrideAttrs = change: make (attrs // change attrs);
    }
    // attrs.passthru;

  packages =
    system:
    let
      self = {
        inherit lib;
        stdenv = {
          hostPlatform = {
            inherit system;
            isLinux = lib.hasSuffix "-linux" system;
          };
          buildPlatform.canExecute = _: true;
        };
        rustPlatform.buildRustPackage =
          attrs:
          make (
            attrs
            // {
              name = "${attrs.pname}-${attrs.version}";
              inherit system;
            }
          );
        callPackage =
          file: own:
          let
            call = import file;
          in
          call (builtins.intersectAttrs (builtins.functionArgs call) self // own);
        runCommand =
          name: _: _:
          tool name;
        mkShell = attrs: builtins.seq (map (package: package.drvPath) attrs.packages) (tool "shell");
      }
      // lib.genAttrs [
        "cargo-nextest"
        "clippy"
        "installShellFiles"
        "just"
        "nixfmt"
        "rustfmt"
      ] tool;
      tool =
        name:
        derivation {
          inherit name system;
          builder = "/bin/sh";
        };
    in
    self;
in
{
  inherit lib;
  legacyPackages = lib.genAttrs [
    "x86_64-linux"
    "aarch64-linux"
    "x86_64-darwin"
    "aarch64-darwin"
  ] packages;
}
