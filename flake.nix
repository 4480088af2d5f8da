{
  description = "Nix settings that follow from the machine, each with its reason";

  # No flake.lock is committed: this flake is meant to follow the nixpkgs of the
  # one that uses it (`inputs.nixpace.inputs.nixpkgs.follows = "nixpkgs"`), and
  # builds with any that has the Rust of Cargo.toml.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      eachSystem = perSystem: lib.genAttrs systems (system: perSystem nixpkgs.legacyPackages.${system});

      # The package, or what a function makes of each of its programs.
      nixpace = pkgs: pkgs.callPackage ./package.nix { };
      eachProgram = pkgs: perProgram: lib.genAttrs (nixpace pkgs).programs perProgram;
    in
    {
      overlays.default = final: _: { nixpace = nixpace final; };

      nixosModules = {
        default = ./profile/module.nix;
        guard = ./monitor/guard-module.nix;
        monitor = ./monitor/module.nix;
        storage = ./storage/module.nix;
      };
      darwinModules.default = ./profile/darwin-module.nix;

      # One build; what differs is the program that `nix run` starts.
      packages = eachSystem (
        pkgs:
        eachProgram pkgs (
          program:
          (nixpace pkgs).overrideAttrs (old: {
            meta = old.meta // {
              mainProgram = program;
            };
          })
        )
        // {
          default = nixpace pkgs;
          nixpace = nixpace pkgs;
        }
      );

      apps = eachSystem (
        pkgs:
        let
          app = program: {
            type = "app";
            program = "${nixpace pkgs}/bin/${program}";
            meta = { inherit ((nixpace pkgs).meta) description; };
          };
        in
        eachProgram pkgs app // { default = app "detect"; }
      );

      # What real Nix does with plans is tested outside of it: `cargo xtask test`.
      checks = eachSystem (
        pkgs:
        let
          follow = {
            services.nixpace = {
              enable = true;
              plan = ./tests/nix/plan.json;
            };
          };
          follows = config: import ./tests/nix/check.nix { inherit lib pkgs config; };
          # nix-darwin is no input, for the sake of this one check.
          darwin = lib.evalModules {
            modules = [
              ./tests/nix/darwin.nix
              self.darwinModules.default
              follow
            ];
            specialArgs = { inherit pkgs; };
          };
          nixos = lib.nixosSystem {
            modules = [
              self.nixosModules.default
              self.nixosModules.monitor
              follow
              { services.nixpace.monitor.enable = true; }
              { nixpkgs.hostPlatform = pkgs.stdenv.hostPlatform.system; }
            ];
          };
        in
        {
          package = nixpace pkgs;
          formatting = pkgs.runCommand "formatting" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
            find ${self} -name '*.nix' -exec nixfmt --check {} +
            touch "$out"
          '';
          darwin-module = follows darwin.config;
        }
        // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux { nixos-module = follows nixos.config; }
      );

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree or pkgs.nixfmt);

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (nixpace pkgs) ];
          packages = [
            pkgs.cargo-nextest
            pkgs.clippy
            pkgs.just
            pkgs.rustfmt
            pkgs.nixfmt
          ];
        };
      });
    };
}
