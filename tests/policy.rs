//! The sizing rules on graphs of builds and on thousands of machines.
//!
//! Every table of profile/README.md, and that of simulated machines in
//! bench/README.md, comes from here: `cargo test -p tests
//! policy -- --nocapture`, with the shared data at hand.

mod beside;
mod machine;
mod study;
mod sweep;
mod workload;

use std::io::Write;

/// Show a table. To stderr itself: what goes through the test harness is shown
/// only of tests that fail.
fn show(table: &str) {
    let _ = std::io::stderr().write_all(table.as_bytes());
}
