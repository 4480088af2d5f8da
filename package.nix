# All tools of the workspace, with their manual pages and completions.
{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
}:
let
  manifest = (lib.importTOML ./Cargo.toml).workspace.package;

  # The programs, by the crate that each is in.
  programs = {
    bench = [ "bench" ];
    caches = [ "caches" ];
    detect = [ "detect" ];
    monitor = [ "monitor" ];
    profile = [
      "profile"
      "nix-conf-write"
    ];
    storage = [ "storage" ];
  };
  crates = builtins.attrNames programs;
  select = lib.concatMap (crate: [
    "--package"
    crate
  ]);
in
rustPlatform.buildRustPackage {
  pname = "nixpace";
  inherit (manifest) version;

  src = lib.fileset.toSource {
    root = ./.;
    fileset = lib.fileset.unions [
      ./Cargo.toml
      ./Cargo.lock
      ./bench
      ./caches
      ./detect
      ./monitor
      ./profile
      ./storage
      ./xtask
      # A member of the workspace, though what it tests needs real machines.
      ./tests/Cargo.toml
      ./tests/main.rs
    ];
  };
  cargoLock.lockFile = ./Cargo.lock;

  # xtask writes the pages and completions, and is not installed.
  cargoBuildFlags = select (crates ++ [ "xtask" ]);
  cargoTestFlags = select crates;

  nativeBuildInputs = [ installShellFiles ];
  postInstall =
    lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
      "$out/bin/xtask" man --out "$PWD/written"
      installManPage written/man/*.1
      installShellCompletion --bash written/completions/*.bash
      installShellCompletion --fish written/completions/*.fish
      installShellCompletion --zsh written/completions/_*
      install -D --mode=644 -t "$out/share/nushell/vendor/autoload" written/completions/*.nu
    ''
    + lib.optionalString stdenv.hostPlatform.isLinux ''
      install -D --mode=644 -t "$out/lib/systemd/system" monitor/systemd/*.service monitor/systemd/*.timer
      install -D --mode=644 monitor/systemd/nixpace.sysusers "$out/lib/sysusers.d/nixpace.conf"
      substituteInPlace "$out"/lib/systemd/system/*.service \
        --replace-fail =monitor "=$out/bin/monitor"
    ''
    + ''
      rm "$out/bin/xtask"
    '';

  passthru.programs = lib.concatLists (builtins.attrValues programs);

  meta = {
    description = "Nix settings that follow from the machine, each with its reason";
    license = lib.licenses.mit;
    mainProgram = "detect";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
