//! What fuzzing holds: laws for whatever bytes came in, and how inputs change.
//!
//! libFuzzer runs the targets by coverage; a test of the project runs the same
//! ones, without it, on seeds and on changed seeds.

pub mod bytes;
pub mod json;
pub mod laws;
pub mod narinfo;
pub mod random;
pub mod target;
pub mod tree;

/// Changes bytes of which so many are used, to at most so many: libFuzzer's own
/// way, or [`bytes::mutate`].
pub type Bytes<'a> = &'a mut dyn FnMut(&mut [u8], usize, usize) -> usize;
