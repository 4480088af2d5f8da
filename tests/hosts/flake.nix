# Hosts to build where there is nothing but Nix: what real ones do to a workflow, in
# a second and without a download.
{
  description = "Four small hosts";

  outputs =
    { self }:
    let
      build =
        system: name: text:
        derivation {
          inherit system name text;
          builder = "/bin/sh";
          args = [
            "-c"
            "echo \"$text\" >$out"
          ];
        };
      # What a host is made of: two parts that all share, and its own.
      toplevel =
        system: host:
        let
          shared = map (part: build system part part) [
            "kernel"
            "userland"
          ];
        in
        build system "nixos-system-${host}" (
          builtins.concatStringsSep " " (shared ++ [ (build system "etc-${host}" host) ])
        );
      each =
        hosts: value:
        builtins.listToAttrs (
          map (name: {
            inherit name;
            value = value name;
          }) hosts
        );
    in
    {
      nixosConfigurations = each [ "nixair" "dracula" "legion" ] (host: {
        config.system.build.toplevel = toplevel "x86_64-linux" host;
      });
      darwinConfigurations = each [ "SGRIMEE-M-4HJT" ] (host: {
        system = toplevel "aarch64-darwin" host;
      });
    };
}
