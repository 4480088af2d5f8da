//! End-to-end tests on the real binaries and real Nix.

/// Builds compared on real Nix: what is faster is found, and nothing stays behind.
mod bench;
/// Caches that real Nix made, and what real Nix makes of our settings for them.
mod caches;
/// The workflow and the action on a runner, and by other linters.
mod ci;
/// Where little can be seen: what is not is null, and nobody is bothered.
mod confined;
/// How much is in which cache, and which of them is best asked first.
mod coverage;
/// narinfos as we read them, beside another reader.
mod differential;
/// What users install: it goes in, runs, and goes without a trace.
mod dist;
/// The pages of docs/: their examples run, and what they name is there.
mod docs;
/// Our own captured machines, each with what is found out about it.
mod fixtures;
/// The flake and all Nix files: what they offer, and how they look.
mod flake;
/// The forms besides nix.conf, read by what they are for.
mod forms;
/// The README's commands on machines that were never used.
mod fresh;
/// What the fuzzer runs, which is a workspace of its own, for its flags.
#[path = "fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "a library there")]
mod fuzz;
/// The same for a second each and without a fuzzer.
mod fuzzed;
/// Hostile documents and trees: no panic, and nothing forbidden gets out.
mod hostile;
/// A plan in place: what was there stays, comes back, and is never half changed.
mod install;
/// Limits put on a process are seen, and the plan keeps to them.
mod live;
/// What other machines are, by what others wrote down about them.
mod machines;
/// What the Nix modules and the overlay are to real Nix.
mod modules;
/// Who builds what at the moment, by what real Nix does.
mod monitor_active;
/// What Nix did, by its events: recorded ones, and those of real Nix.
mod monitor_events;
/// Builds within their memory, and nothing that stays stopped.
mod monitor_guard;
/// What is recorded of what Nix did, on real Nix, and through every kind of end.
mod monitor_record;
/// What was built, as a page that a real browser shows.
mod monitor_report;
/// Metrics as others read them, and the service that writes them.
mod monitor_service;
/// What we render, every supported Nix reads.
mod nix;
/// What this machine is, by what other tools say of it.
mod oracles;
/// The pipe in a real shell: what it prints, and how it fails.
mod pipe;
/// The sizing rules on graphs of builds and on thousands of machines.
mod policy;
/// Nix builds on the hosts of a list that we rendered.
mod remote;
/// A cache of our own on loopback.
mod served;
/// Sick caches of every kind: each is named, and none is waited for.
mod sick;
/// Where builds really run, and which will fail, by what real Nix does.
mod storage;
/// What is planned of storage, for every machine we have and by what real Nix does.
mod storage_plan;
/// What the store weighs, what keeps it, and what is left behind, beside real Nix.
mod storage_weight;
/// What `detect` asks of the kernel, and what it leaves alone.
mod syscalls;
/// Finds the binaries, the shared data and real Nix.
mod tools;
/// What goes wrong on machines, done on purpose.
mod torture;
/// Why a path is fetched or not: what `caches why` says, real Nix does.
mod why;
