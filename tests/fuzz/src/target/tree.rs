//! A captured tree of any bytes, detected, and the plan that follows.

use std::cell::RefCell;

use super::super::tree::{self, Tree};
use super::super::{Bytes, laws};
use detect::hardware::Hardware;
use profile::Options;

thread_local! {
    static TREE: RefCell<Tree> = RefCell::default();
}

/// Hold the laws for an input.
pub fn run(data: &[u8]) {
    let root = TREE.with_borrow_mut(|tree| tree.hold(data));
    let options = detect::Options { live: true, ..Default::default() };
    let hardware = detect::run(&root, &options);
    is_sound(&hardware);
    laws::round_trips(&hardware);
    laws::round_trips(&laws::plans(hardware, &Options::default()));
}

/// Change an input as what it is.
pub fn mutate(data: &mut [u8], size: usize, most: usize, seed: u32, bytes: Bytes) -> usize {
    tree::mutate(data, size, most, seed, bytes)
}

fn is_sound(hardware: &Hardware) {
    let cpu = &hardware.cpu;
    assert!(cpu.allowed <= cpu.online, "allowed but not online");
    assert!(cpu.online <= cpu.present, "online but not present");
    let allowed = cpu.allowed.map_or(0, u32::from);
    assert!(cpu.cores.is_none_or(|cores| cores.get() <= allowed), "a core has a CPU");
    assert!(cpu.sockets.is_none_or(|sockets| sockets.get() <= allowed), "a socket has a CPU");
    if cpu.allowed.is_some() {
        assert!(cpu.usable.is_some_and(|usable| usable.get() <= f64::from(allowed)));
    }
    assert_eq!(cpu.kinds.iter().map(|kind| kind.cpus.get()).sum::<u32>(), allowed);
    assert!(cpu.caches.iter().all(|cache| cache.instances.get() <= allowed));
    let memory = &hardware.memory;
    if let Some(total) = memory.total_bytes {
        assert!(memory.usable_bytes.is_none_or(|usable| usable <= total));
        assert!(memory.limit_bytes.is_none_or(|limit| limit < total));
    }
}
