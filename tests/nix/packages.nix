# As much of nixpkgs as the overlay and the flake touch: packages that can be
# changed, with the two places for variables that nixpkgs knows, and its refusal
# of a variable in both.
let
  make =
    attrs:
    let
      env = attrs.env or { };
      twice = builtins.attrNames (builtins.intersectAttrs env (removeAttrs attrs [ "env" ]));
      drv = derivation (
        {
          system = "x86_64-linux";
          builder = "/bin/sh";
        }
        // removeAttrs attrs [ "env" ]
        // env
      );
    in
    if twice != [ ] then
      throw "both in env and beside it: ${toString twice}"
    else
      drv // { overrideAttrs = change: make (attrs // change attrs); };

  packages = pkgs: {
    stdenv.hostPlatform.isx86_64 = true;
    plain = make { name = "plain"; };
    serial = make {
      name = "serial";
      enableParallelBuilding = false;
    };
    in-env = make {
      name = "in-env";
      env = {
        NIX_CFLAGS_COMPILE = "-O1";
        NIX_CFLAGS_COMPILE_BEFORE = "-I/a";
      };
    };
    beside = make {
      name = "beside";
      NIX_CFLAGS_COMPILE = "-O1";
      NIX_CFLAGS_COMPILE_BEFORE = [
        "-I/a"
        "-I/b"
      ];
    };
    other = make { name = "other"; };
    no-package = { };
    broken = throw "nobody asked for this one";
    # It uses another.
    user = make {
      name = "user";
      inherit (pkgs) plain;
    };
  };

  # What nixpkgs makes of an overlay.
  extend =
    overlay:
    let
      prev = packages final;
      final = prev // overlay final prev;
    in
    final;
in
{
  inherit extend;
}
