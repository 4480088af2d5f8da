//! What Nix did and is doing, in milliseconds.
//!
//! The journal never held a build. What happened is in Nix's database, in the
//! logs of its builds, in the events it writes for whoever asks, and in /proc;
//! `monitor` reads these, and keeps a history of its own.
//!
//! **Invariant:** nothing of Nix's is written to. Every figure says where it is
//! from, and where it cannot be had, why. A build never waits for us: when we
//! fail, it goes on.

pub mod cli;
pub mod event;
pub mod history;
pub mod ingest;
pub mod pname;
pub mod recorded;
pub mod remembered;
pub mod run;
pub mod snapshot;
pub mod store;
pub mod stream;
