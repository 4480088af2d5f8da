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

# Format the code
fmt:
    cargo fmt --all
