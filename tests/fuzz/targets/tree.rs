//! A captured tree of any bytes, detected, and the plan that follows.
#![no_main]

use std::cell::RefCell;

use detect::hardware::Hardware;
use fuzz::tree::{self, Tree};
use fuzz::laws;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use profile::Options;

thread_local! {
    static TREE: RefCell<Tree> = RefCell::default();
}

fuzz_target!(|data: &[u8]| {
    let root = TREE.with_borrow_mut(|tree| tree.hold(data));
    let options = detect::Options { live: true, ..Default::default() };
    let hardware = detect::run(&root, &options);
    is_sound(&hardware);
    laws::round_trips(&hardware);
    laws::round_trips(&laws::plans(hardware, &Options::default()));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    tree::mutate(data, size, max_size, seed)
});

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
