//! What the fuzz targets share: laws that hold for whatever bytes came in.

pub mod json;
pub mod laws;
pub mod narinfo;
pub mod random;
pub mod tree;
