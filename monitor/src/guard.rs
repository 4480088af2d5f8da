//! Bold parallelism that never runs out of memory: `monitor guard`.

pub mod decide;
