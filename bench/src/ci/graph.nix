# What a CI job builds: a project, and dependencies that nobody changes.
#
#   input     what the project is made of: another input is another commit
#   packages  dependencies; each needs the two before it
#   kib       size of each output, which no compression makes smaller
#   work      units of work, some milliseconds each
{
  input,
  packages,
  kib,
  work,
}:
let
  build =
    name: units: needs: more:
    derivation (
      {
        inherit name needs kib;
        work = units;
        system = builtins.currentSystem;
        builder = "/bin/sh";
        args = [ ./build.sh ];
      }
      // more
    );
  dependencies = builtins.foldl' (
    built: n:
    let
      last = builtins.length built;
      before = builtins.filter (at: at >= 0) [
        (last - 1)
        (last - 7)
      ];
    in
    built ++ [ (build "dependency-${toString n}" work (map (builtins.elemAt built) before) { }) ]
  ) [ ] (builtins.genList (n: n) packages);
in
# The project is a few times a dependency, as what one works on is.
build "project" (work * 4) dependencies { inherit input; }
