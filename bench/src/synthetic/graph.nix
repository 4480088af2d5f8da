# Graphs of builds that need nothing but Nix and a shell.
#
#   shape   wide: many at once; deep: one after another; one-big: a few small
#           ones and one that is parallel inside; mixed: all of it
#   scale   small, medium or large: about half a CPU second, 4 and 30
#   described   what each build does, for whoever simulates them
{
  shape,
  scale,
  described ? false,
}:
let
  factor =
    {
      small = 1;
      medium = 8;
      large = 60;
    }
    .${scale};

  # `serial` units of work, `parallel` ones that threads share, then `link` more,
  # with so much memory for each thread. A unit is some milliseconds.
  build =
    name:
    {
      needs ? [ ],
      serial ? 0,
      parallel ? 0,
      link ? 0,
      kib ? 0,
    }:
    derivation {
      inherit name needs;
      system = builtins.currentSystem;
      builder = "/bin/sh";
      args = [ ./build.sh ];
      serial = serial * factor;
      parallel = parallel * factor;
      link = link * factor;
      inherit kib;
    };

  range = count: builtins.genList toString count;
  small =
    name: needs:
    build name {
      inherit needs;
      serial = 3;
      parallel = 4;
      link = 1;
    };
  graphs = {
    wide = build "wide" {
      needs = map (n: small "leaf-${n}" [ ]) (range 12);
      serial = 1;
    };
    deep = builtins.foldl' (below: n: small "layer-${n}" [ below ]) (small "ground" [ ]) (range 9);
    one-big = build "one-big" {
      needs = map (n: small "library-${n}" [ ]) (range 3);
      serial = 4;
      parallel = 64;
      link = 6;
      kib = 1024;
    };
    mixed =
      let
        base = small "base" [ ];
        libraries = map (n: small "library-${n}" [ base ]) (range 6);
        big = build "big" {
          needs = [ (builtins.head libraries) ];
          serial = 2;
          parallel = 24;
          link = 3;
          kib = 1024;
        };
      in
      build "mixed" {
        needs = libraries ++ [ big ];
        serial = 2;
      };
  };

  graph = graphs.${shape};
  builds = builtins.genericClosure {
    startSet = [
      {
        key = graph.name;
        value = graph;
      }
    ];
    operator =
      { value, ... }:
      map (need: {
        key = need.name;
        value = need;
      }) value.needs;
  };
  describe =
    { value, ... }:
    {
      inherit (value)
        name
        serial
        parallel
        link
        kib
        ;
      needs = map (need: need.name) value.needs;
    };
in
if described then map describe builds else graph
