//! `detect`: prints what this machine is.
fn main() {}
