# Eight builds with the shape of small packages, of which about half is serial:
# `salt` makes them new. Needs nothing but Nix and a shell.
#
#   nix-build tests/nix/packages-like.nix --argstr salt 1 --max-jobs 2 --cores 2
{ salt }:
let
  # A fixed amount of work.
  count = n: "awk 'BEGIN { for (i = 0; i < ${toString n}00000; i++) x += i }'";
  build =
    name: needs:
    derivation {
      name = "package-${name}";
      inherit salt needs;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [
        "-euc"
        ''
          PATH=/bin:/usr/bin
          ${count 40}
          seq 6 | xargs -P "$NIX_BUILD_CORES" -I % ${count 24}
          ${count 20}
          echo done > $out
        ''
      ];
    };
  first = build "first" [ ];
in
build "last" (
  map (n: build (toString n) [ first ]) [
    1
    2
    3
    4
    5
    6
  ]
)
