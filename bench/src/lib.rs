//! Whether builds got faster, by how much, and how sure that is.
//!
//! `bench` builds the same derivations again and again with two configurations of
//! Nix, in pairs, and says what the pairs show: faster, slower, or no difference, each
//! with an interval. A machine's noise makes a difference of 5 % look like one of
//! 28 % when all runs of one come before all of the other.
//!
//! **Invariant:** what is measured is a build, never a download or a result that was
//! there; no run is dropped; no claim is made that the interval does not carry; and
//! whenever it is interrupted, no build runs on and no store of ours stays behind.

pub mod calibrate;
pub mod ci;
pub mod cli;
pub mod compared;
pub mod configuration;
pub mod disturbance;
pub mod export;
pub mod gate;
pub mod html;
pub mod interrupt;
pub mod link;
pub mod nix;
pub mod pairs;
pub mod random;
pub mod rounds;
pub mod sample;
pub mod sampler;
pub mod simulate;
pub mod statistics;
pub mod store;
pub mod subject;
pub mod sweep;
pub mod synthetic;
pub mod tree;
