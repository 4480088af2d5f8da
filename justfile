# Recipes are one line of existing commands; what needs more is a cargo xtask.
set shell := ["bash", "-euo", "pipefail", "-c"]

bin := "target/release"

# Show this list
default:
    @just --list

# The whole chain on this machine, into target/nixpace
all:
    cargo xtask all

# The tests, on real Nix
test:
    cargo xtask test

# All that CI checks
ci:
    .ci/run

# The tools, as released
build:
    cargo build --release

# Show the settings this machine should have, and why
perf-config: build
    {{ bin }}/detect --quiet | {{ bin }}/profile --explain

# Print a nix.conf for this machine
nix-conf: build
    {{ bin }}/detect | {{ bin }}/profile | {{ bin }}/nix-conf-write

# How long a package takes to build on this machine
benchmark-build PACKAGE="hello": build
    {{ bin }}/bench run {{ quote(PACKAGE) }}

# Whether the plan for this machine is faster than Nix's default
perf-test: build
    {{ bin }}/bench compare --synthetic

# Link equal files of the store to each other, and say what that saves
optimize-store: build
    nix-store --optimise
    {{ bin }}/storage measure --store-size

# Delete what no root keeps; older generations stay, so that one can roll back
[confirm("Delete all store paths that nothing keeps (and no generations)?")]
clear-cache: build
    {{ bin }}/storage roots
    nix-store --gc

# Format the code
fmt:
    cargo fmt --all
