//! `bench`: whether builds got faster.
fn main() {}
