//! What Nix did and is doing, in milliseconds.
//!
//! The journal never held a build. What happened is in Nix's database, in the
//! logs of its builds, in the events it writes for whoever asks, and in /proc;
//! `monitor` reads these, and keeps a history of its own.
//!
//! **Invariant:** nothing of Nix's is written to. Every figure says where it is
//! from, and where it cannot be had, why. A build never waits for us: when we
//! fail, it goes on.

pub mod active;
pub mod builds;
pub mod cli;
pub mod costs;
pub mod estimate;
pub mod event;
pub mod guard;
pub mod history;
pub mod human;
pub mod ingest;
pub mod listen;
pub mod locks;
pub mod metrics;
pub mod pname;
pub mod processes;
pub mod recorded;
pub mod remembered;
pub mod report;
pub mod run;
pub mod sample;
pub mod snapshot;
pub mod status;
pub mod store;
pub mod stream;
pub mod trace;
pub mod watch;
