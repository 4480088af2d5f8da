//! End-to-end tests on the real binaries and real Nix.

/// Our own captured machines, each with what is found out about it.
mod fixtures;
/// Hostile documents and trees: no panic, and nothing forbidden gets out.
mod hostile;
/// Limits put on a process are seen, and the plan keeps to them.
mod live;
/// What other machines are, by what others wrote down about them.
mod machines;
/// What we render, every supported Nix reads.
mod nix;
/// The pipe in a real shell: what it prints, and how it fails.
mod pipe;
/// Finds the binaries, the shared data and real Nix.
mod tools;
