//! End-to-end tests on the real binaries and real Nix.

/// Where little can be seen: what is not is null, and nobody is bothered.
mod confined;
/// narinfos as we read them, beside another reader.
mod differential;
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
/// What this machine is, by what other tools say of it.
mod oracles;
/// The pipe in a real shell: what it prints, and how it fails.
mod pipe;
/// What `detect` asks of the kernel, and what it leaves alone.
mod syscalls;
/// Finds the binaries, the shared data and real Nix.
mod tools;
/// Why a path is fetched or not: what `caches why` says, real Nix does.
mod why;
