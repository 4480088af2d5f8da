//! A machine in one line.

use detect::hardware::{Hardware, Media, Memory, Place};

/// What matters most about a machine to its builds.
pub(super) fn describe(hardware: &Hardware) -> String {
    let cpu = &hardware.cpu;
    let model = cpu.model.as_deref().unwrap_or("unknown CPU");
    let usable = cpu.usable.map(|cpus| format!("{cpus} usable {}", noun(cpus.get(), "CPU")));
    let cores = cpu.cores.map(|cores| format!("{cores} {}", noun(cores.get().into(), "core")));
    let parts = [
        usable.unwrap_or_else(|| "unknown number of CPUs".to_owned()),
        cores.unwrap_or_else(|| "unknown number of cores".to_owned()),
        memory(&hardware.memory),
        swap(&hardware.memory),
        store(hardware.storage.store.as_ref()),
    ];
    format!("{model}: {}", parts.join(", "))
}

fn noun(count: f64, noun: &str) -> String {
    if count > 1.0 { format!("{noun}s") } else { noun.to_owned() }
}

fn memory(memory: &Memory) -> String {
    match memory.usable_bytes {
        Some(bytes) => format!("{} usable memory", size(bytes.get())),
        None => "unknown memory".to_owned(),
    }
}

fn swap(memory: &Memory) -> String {
    let disk = memory.swap_bytes.filter(|&bytes| bytes > 0);
    let zram = memory.zram_bytes.filter(|&bytes| bytes > 0);
    match (disk, zram) {
        (Some(disk), Some(zram)) => format!("{} swap and {} zram", size(disk), size(zram)),
        (Some(disk), None) => format!("{} swap", size(disk)),
        (None, Some(zram)) => format!("{} zram", size(zram)),
        (None, None) if memory.swap_bytes.is_none() => "unknown swap".to_owned(),
        (None, None) => "no swap".to_owned(),
    }
}

fn store(store: Option<&Place>) -> String {
    let Some(store) = store else { return "unknown store".to_owned() };
    let filesystem = store.filesystem.as_deref().unwrap_or("an unknown file system");
    let media = match store.media {
        Media::Network => "another machine",
        Media::Hdd => "a spinning disk",
        Media::Unknown => "an unknown medium",
        Media::Ssd => "an SSD",
        Media::Nvme => "NVMe",
        Media::Memory => "memory",
    };
    format!("store on {filesystem} on {media}")
}

#[expect(clippy::cast_precision_loss, reason = "for people, to a tenth")]
fn size(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use detect::hardware::{Hardware, Place};
    use detect::number::Cpus;

    use super::describe;

    #[test]
    fn a_quota_and_both_kinds_of_swap() {
        let mut hardware = Hardware::default();
        hardware.cpu.model = Some("AMD EPYC 7451".to_owned());
        hardware.cpu.usable = Cpus::new(1.5);
        hardware.cpu.cores = NonZeroU32::new(1);
        hardware.memory.usable_bytes = NonZeroU64::new(16 << 30);
        hardware.memory.swap_bytes = Some(2 << 30);
        hardware.memory.zram_bytes = Some(512 << 20);
        let store = r#"{"path": "/nix/store", "filesystem": "ext4", "media": "nvme", "disks": []}"#;
        let store: Place = serde_json::from_str(store).expect("a place");
        hardware.storage.store = Some(store);
        assert_eq!(
            describe(&hardware),
            "AMD EPYC 7451: 1.50 usable CPUs, 1 core, 16.0 GiB usable memory, \
             2.0 GiB swap and 0.5 GiB zram, store on ext4 on NVMe"
        );
    }

    #[test]
    fn the_unknown_is_called_so() {
        assert_eq!(
            describe(&Hardware::default()),
            "unknown CPU: unknown number of CPUs, unknown number of cores, unknown memory, \
             unknown swap, unknown store"
        );
    }
}
